//! The plans for 1,000,000 messages: pages come off an index, whatever the size. docs/data.md shows them.

use std::time::Duration;

use haggle::protocol::{ConversationId, Seq};
use haggle::store::{CursorMove, paging};
use rstest::rstest;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement, Value};

use super::{Kind, fixture, say, user};

/// One conversation of 500,000 messages and 1,000 of 500, of two people each; alice sits in the first 51 of them.
const LOAD: [&str; 5] = [
    "INSERT INTO app_user (id, created_at_ms) SELECT CASE n WHEN 0 THEN 'alice' ELSE 'u' || n END, 0 FROM numbers WHERE n <= 1001",
    "INSERT INTO conversation (id, kind, active_at_ms, participant_count, created_at_ms) SELECT n, 'direct', n, 2, 0 FROM numbers WHERE n BETWEEN 1 AND 1001",
    "INSERT INTO participant (conversation_id, user_id, received_seq, read_seq, joined_at_ms) SELECT n, CASE WHEN n <= 51 THEN 'alice' ELSE 'v' || n END, 0, 0, 0 FROM numbers WHERE n BETWEEN 1 AND 1001 \
     UNION ALL SELECT n, 'u' || n, 0, 0, 0 FROM numbers WHERE n BETWEEN 1 AND 1001",
    "INSERT INTO message (conversation_id, seq, sender_id, body, kind, created_at_ms) \
     SELECT c, s, CASE s % 2 WHEN 0 THEN 'alice' ELSE 'u' || c END, 'hello there', 'text', 0 FROM \
     (SELECT 1 AS c, n AS s FROM numbers WHERE n BETWEEN 1 AND 500000 \
      UNION ALL SELECT 2 + (n - 1) / 500, 1 + (n - 1) % 500 FROM numbers WHERE n BETWEEN 1 AND 500000) AS rows",
    "UPDATE conversation SET last_seq = CASE id WHEN 1 THEN 500000 ELSE 500 END",
];

async fn loaded(kind: Kind, url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.unwrap();
    let numbers = match kind {
        Kind::Postgres => {
            "CREATE TEMP TABLE numbers AS SELECT generate_series(0, 500000) AS n; SET session_replication_role = replica"
        }
        Kind::Sqlite => {
            "CREATE TEMP TABLE numbers AS WITH RECURSIVE r (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 500000) SELECT n FROM r; \
             PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -200000"
        }
    };
    db.execute_unprepared(numbers).await.unwrap();
    // Rows that are right already need no trigger, and an index is built faster afterwards.
    let mut again = Vec::new();
    if let Kind::Sqlite = kind {
        let asked =
            "SELECT type, name, sql FROM sqlite_master WHERE type = 'trigger' OR (type = 'index' AND sql IS NOT NULL)";
        for row in db.query_all_raw(Statement::from_string(db.get_database_backend(), asked)).await.unwrap() {
            let [what, name, sql]: [String; 3] = [0, 1, 2].map(|n| row.try_get_by_index(n).unwrap());
            db.execute_unprepared(&format!("DROP {what} {name}")).await.unwrap();
            again.push(sql);
        }
    }
    for sql in LOAD.into_iter().map(str::to_owned).chain(again).chain(["ANALYZE".to_owned()]) {
        db.execute_unprepared(&sql).await.unwrap();
    }
    db
}

fn values(name: &str) -> Vec<Value> {
    match name {
        "history" => vec![1_i64.into(), 250_000_i64.into(), 51_i64.into()],
        "history after" => vec![1_i64.into(), 250_000_i64.into(), i64::MAX.into(), 51_i64.into()],
        "conversations" => {
            let (kind, id) = (None::<String>, None::<String>);
            vec!["alice".into(), i64::MAX.into(), i64::MAX.into(), 51_i64.into(), kind.into(), id.into()]
        }
        "places" => vec!["alice".into(), 10_000_i64.into()],
        "unread" => vec!["alice".into()],
        _ => vec![1_i64.into()],
    }
}

#[rstest]
#[tokio::test]
async fn a_million_messages_are_never_scanned_or_sorted(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let db = loaded(kind, &f.url).await;
    let (explain, column) = match kind {
        Kind::Postgres => ("EXPLAIN (COSTS OFF)", 0),
        Kind::Sqlite => ("EXPLAIN QUERY PLAN", 3),
    };
    for (name, sql) in paging() {
        let asked = Statement::from_sql_and_values(db.get_database_backend(), format!("{explain} {sql}"), values(name));
        let rows = db.query_all_raw(asked).await.unwrap();
        let lines: Vec<String> = rows.iter().map(|row| row.try_get_by_index(column).unwrap()).collect();
        let plan = lines.join("\n");
        eprintln!("### {name}, {kind:?}\n{plan}\n");
        for scan in ["Seq Scan on message", "SCAN m", "SCAN o"] {
            assert!(!plan.contains(scan), "{name} reads all messages:\n{plan}");
        }
        for sort in ["Sort", "TEMP B-TREE"] {
            assert!(!name.starts_with("history") || !plan.contains(sort), "{name} sorts:\n{plan}");
        }
    }
}

/// An agent sits in many conversations, everyone else in one: the planner, who goes by the average of when it last looked, once took the
/// index of users for a single seat, and each message read all seats of its sender.
#[tokio::test]
async fn a_message_of_somebody_with_many_conversations_reads_one_seat() {
    let f = fixture(Kind::Postgres).await;
    let db = Database::connect(&f.url).await.unwrap();
    for sql in [
        "INSERT INTO app_user (id, created_at_ms) SELECT 'buyer-' || n, 0 FROM generate_series(1, 1600) AS n",
        "INSERT INTO app_user (id, created_at_ms) VALUES ('agent', 0)",
        "INSERT INTO conversation (kind, active_at_ms, participant_count, created_at_ms) \
         SELECT 'order', 0, 2, 0 FROM generate_series(1, 800) AS n",
        "INSERT INTO participant (conversation_id, user_id, received_seq, read_seq, joined_at_ms) \
         SELECT id, 'buyer-' || id, 0, 0, 0 FROM conversation UNION ALL SELECT id, 'buyer-' || id + 800, 0, 0, 0 FROM conversation",
        "VACUUM ANALYZE",
        "INSERT INTO participant (conversation_id, user_id, received_seq, read_seq, joined_at_ms) \
         SELECT id, 'agent', 0, 0, 0 FROM conversation",
    ] {
        db.execute_unprepared(sql).await.unwrap();
    }
    let read = async || {
        db.execute_unprepared("SELECT pg_stat_clear_snapshot()").await.unwrap();
        let asked = "SELECT sum(idx_tup_read)::bigint AS read FROM pg_stat_user_indexes WHERE relname = 'participant'";
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), asked)).await.unwrap().unwrap();
        row.try_get::<i64>("", "read").unwrap()
    };
    let before = read().await;
    let mut writer = f.store.writer().await.unwrap();
    let (stored, _) = writer.write(&[say(ConversationId(7), "agent", Some("1"), "hello")], &[]).await;
    assert!(stored.iter().all(Result::is_ok), "{stored:?}");
    let (_, moved) = writer
        .write(
            &[],
            &[CursorMove {
                conversation: ConversationId(7),
                user: user("agent"),
                received: Seq(1),
                read: Some(Seq(1)),
            }],
        )
        .await;
    assert!(moved.iter().all(Result::is_ok), "{moved:?}");
    // What a connection has counted is seen when it ends.
    writer.close().await;
    let by = tokio::time::Instant::now() + Duration::from_secs(10);
    let mut seats = 0;
    while seats == 0 && tokio::time::Instant::now() < by {
        tokio::time::sleep(Duration::from_millis(50)).await;
        seats = read().await - before;
    }
    assert!((1..100).contains(&seats), "{seats} seats were read for one message and one cursor");
}
