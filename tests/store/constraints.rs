//! What no writer gets past, tried with raw SQL on both databases.

use haggle::protocol::{ConversationId, Seq};
use haggle::store::{Appended, CursorMove};
use rstest::rstest;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};

use super::{Fixture, Kind, fixture, put, say, user};

/// One conversation of alice and bob with three messages, the first under client id `a1`; alice has read two.
async fn talked(kind: Kind) -> (Fixture, DatabaseConnection, ConversationId) {
    let f = fixture(kind).await;
    let (id, _) = f.store.put_conversation(&put("order:1", &["alice", "bob"])).await.unwrap();
    let rows = [say(id, "alice", Some("a1"), "one"), say(id, "bob", None, "two"), say(id, "alice", None, "three")];
    let moves = [CursorMove { conversation: id, user: user("alice"), received: Seq(3), read: Some(Seq(2)) }];
    let mut writer = f.store.writer().await.unwrap();
    assert!(writer.write(&rows, &[]).await.0.iter().all(Result::is_ok));
    assert!(writer.write(&[], &moves).await.1.iter().all(Result::is_ok));
    let raw = Database::connect(&f.url).await.unwrap();
    (f, raw, id)
}

/// A raw insert that moves `last_seq` to `last_seq` as a careless writer would.
fn insert(kind: Kind, seq: i64, last_seq: i64, sender: &str, client_id: &str) -> String {
    let row = format!("{seq}, '{sender}', {client_id}, 'x', 'text', 0");
    let columns = "message (conversation_id, seq, sender_id, client_id, body, kind, created_at_ms)";
    match kind {
        Kind::Sqlite => format!("INSERT INTO {columns} VALUES (1, {row})"),
        Kind::Postgres => format!(
            "WITH c AS (UPDATE conversation SET last_seq = {last_seq} WHERE id = 1 RETURNING id) \
             INSERT INTO {columns} SELECT id, {row} FROM c"
        ),
    }
}

#[rstest]
#[tokio::test]
async fn a_careless_writer_is_refused(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let (_f, raw, _) = talked(kind).await;
    let mut attempts = vec![
        ("a gap", insert(kind, 5, 5, "alice", "NULL")),
        ("a gap, last_seq moved by one", insert(kind, 5, 4, "alice", "NULL")),
        ("a place taken twice", insert(kind, 3, 4, "alice", "NULL")),
        ("a place before the first", insert(kind, 0, 4, "alice", "NULL")),
        ("a client id used twice", insert(kind, 4, 4, "alice", "'a1'")),
        ("a sender who does not exist", insert(kind, 4, 4, "nobody", "NULL")),
        ("a message in no conversation", insert(kind, 4, 4, "alice", "NULL").replace("VALUES (1,", "VALUES (9,").replace("SELECT id,", "SELECT 9,")),
        ("a message moved to another place", "UPDATE message SET seq = 9 WHERE seq = 3".to_owned()),
        ("a message moved to another conversation", "UPDATE message SET conversation_id = 9 WHERE seq = 3".to_owned()),
        ("a message given to another sender", "UPDATE message SET sender_id = 'bob' WHERE seq = 3".to_owned()),
        ("a client id taken away", "UPDATE message SET client_id = NULL WHERE seq = 1".to_owned()),
        ("the newest message deleted", "DELETE FROM message WHERE seq = 3".to_owned()),
        ("the first message deleted", "DELETE FROM message WHERE seq = 1".to_owned()),
        ("last_seq falling", "UPDATE conversation SET last_seq = 2".to_owned()),
        ("last_seq running ahead", "UPDATE conversation SET last_seq = 9".to_owned()),
        ("a conversation deleted", "DELETE FROM conversation".to_owned()),
        ("a conversation that begins late", "INSERT INTO conversation (id, kind, last_seq, active_at_ms, created_at_ms) VALUES (9, 'x', 3, 0, 0)".to_owned()),
        ("a read cursor falling", "UPDATE participant SET read_seq = 1 WHERE user_id = 'alice'".to_owned()),
        ("a received cursor falling", "UPDATE participant SET received_seq = 2 WHERE user_id = 'alice'".to_owned()),
        ("read before received", "UPDATE participant SET read_seq = 4 WHERE user_id = 'alice'".to_owned()),
        ("a seat handed over", "UPDATE participant SET user_id = 'bob2' WHERE user_id = 'bob'".to_owned()),
        ("a seat for nobody", "INSERT INTO participant (conversation_id, user_id, received_seq, read_seq, joined_at_ms) VALUES (1, 'nobody', 0, 0, 0)".to_owned()),
        ("a user deleted", "DELETE FROM app_user WHERE id = 'alice'".to_owned()),
        ("a user renumbered", "UPDATE app_user SET id = 'alicia' WHERE id = 'alice'".to_owned()),
        ("an unknown status", "UPDATE app_user SET status = 'asleep'".to_owned()),
        ("an unknown kind of subject", "INSERT INTO subject (kind, id) VALUES ('cat', '1')".to_owned()),
        ("a second conversation of one key", "INSERT INTO conversation (id, key, kind, active_at_ms, created_at_ms) VALUES (9, 'order:1', 'x', 0, 0)".to_owned()),
    ];
    match kind {
        Kind::Postgres => attempts.extend([
            ("all messages deleted", "TRUNCATE message".to_owned()),
            (
                "a message without moving last_seq",
                "INSERT INTO message (conversation_id, seq, sender_id, body, kind, created_at_ms) VALUES (1, 4, 'alice', 'x', 'text', 0)".to_owned(),
            ),
        ]),
        Kind::Sqlite => attempts.extend([
            ("a message replaced by its client id", insert(kind, 4, 4, "alice", "'a1'").replace("INSERT", "INSERT OR REPLACE")),
            ("a message replaced by its place", insert(kind, 3, 3, "alice", "NULL").replace("INSERT", "INSERT OR REPLACE")),
        ]),
    }
    for (what, sql) in attempts {
        assert!(raw.execute_unprepared(&sql).await.is_err(), "{what} must be refused: {sql}");
    }
    let row = raw.query_one_raw(sea_orm::Statement::from_string(
        raw.get_database_backend(),
        "SELECT count(*), min(seq), max(seq) FROM message",
    ));
    let row = row.await.unwrap().unwrap();
    let seen: (i64, i64, i64) =
        (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap(), row.try_get_by_index(2).unwrap());
    assert_eq!(seen, (3, 1, 3), "nothing that was refused left a trace");
}

#[rstest]
#[tokio::test]
async fn a_careful_writer_is_not(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let (f, raw, id) = talked(kind).await;
    for sql in [
        insert(kind, 4, 4, "bob", "'b1'"),
        "UPDATE message SET body = 'edited' WHERE seq = 3".to_owned(),
        "UPDATE participant SET received_seq = 4, read_seq = 4 WHERE user_id = 'alice'".to_owned(),
        "UPDATE conversation SET title = 'a title'".to_owned(),
        "UPDATE app_user SET status = 'suspended' WHERE id = 'bob'".to_owned(),
    ] {
        raw.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let mut writer = f.store.writer().await.unwrap();
    let (stored, _) = writer.write(&[say(id, "alice", None, "five")], &[]).await;
    assert!(matches!(stored[0], Ok(Appended::Stored { seq: Seq(5), .. })), "the writer goes on after it: {stored:?}");
}
