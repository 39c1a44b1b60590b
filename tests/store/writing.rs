//! The batch writer: order, repeats, races, cursors, and a row that fails.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use haggle::protocol::command::{Page, PutConversation};
use haggle::protocol::{ConversationId, ConversationRef, Seq};
use haggle::store::{Appended, Cursor, CursorMove};
use rstest::rstest;
use sea_orm::{ConnectionTrait, Database};

use super::{Fixture, Kind, fixture, list, page_of, put, say, user};

async fn seqs(f: &Fixture, id: ConversationId) -> Vec<i64> {
    f.store.replay(id, Seq(0), Seq(i64::MAX), 100_000).await.unwrap().iter().map(|message| message.seq.0).collect()
}

#[rstest]
#[tokio::test]
async fn a_batch_keeps_its_order_and_answers_in_it(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let (one, _) = f.store.put_conversation(&put("order:1", &["alice", "bob"])).await.unwrap();
    let (two, _) = f.store.put_conversation(&put("order:2", &["alice", "bob"])).await.unwrap();
    let mut writer = f.store.writer().await.unwrap();
    let batch = [
        say(two, "alice", None, "two-1"),
        say(one, "bob", Some("b"), "one-1"),
        say(one, "mallory", None, "not a participant"),
        say(two, "bob", Some("b"), "two-2"),
        say(ConversationId(99), "alice", None, "nowhere"),
        say(one, "alice", None, "one-2"),
        say(one, "bob", Some("b"), "one-1"),
        say(one, "bob", Some("b"), "another text"),
    ];
    let (answers, _) = writer.write(&batch, &[]).await;
    let places: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Ok(Appended::Stored { seq, .. }) => format!("stored {}", seq.0),
            Ok(Appended::Repeated { seq, .. }) => format!("repeated {}", seq.0),
            Err(error) => error.code().to_owned(),
        })
        .collect();
    let expected = ["stored 1", "stored 1", "not_found", "stored 2", "not_found", "stored 2", "repeated 1", "invalid"];
    assert_eq!(places, expected);
    let told = f.store.history(&user("alice"), &page_of(&ConversationRef::Id(two), Page::Newest, 50)).await.unwrap();
    let bodies: Vec<_> = told.messages.iter().map(|message| &*message.body).collect();
    assert_eq!(bodies, ["two-1", "two-2"]);
    let Ok(Appended::Stored { id, .. }) = &answers[0] else { panic!("stored") };
    assert_eq!(told.messages[0].id, *id, "the answer names the message that the history shows");
}

#[rstest]
#[tokio::test]
async fn a_repeat_answers_with_the_first(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let (id, _) = f.store.put_conversation(&put("order:1", &["alice", "bob"])).await.unwrap();
    let mut writer = f.store.writer().await.unwrap();
    let first = say(id, "alice", Some("c"), "hello");
    let (stored, _) = writer.write(std::slice::from_ref(&first), &[]).await;
    let Ok(Appended::Stored { id: number, .. }) = stored[0] else { panic!("stored: {stored:?}") };
    let mut again = first.clone();
    again.kind = "image".into();
    again.at.0 += 1_000;
    let batch =
        [again, say(id, "alice", Some("c"), "other"), say(id, "bob", Some("c"), "hello"), say(id, "alice", None, "x")];
    let (answers, _) = writer.write(&batch, &[]).await;
    let repeated = Appended::Repeated { id: number, seq: Seq(1), kind: "text".into(), at: first.at };
    assert_eq!(answers[0].as_ref().unwrap(), &repeated);
    assert_eq!(answers[1].as_ref().unwrap_err().code(), "invalid");
    assert!(matches!(answers[2], Ok(Appended::Stored { seq: Seq(2), .. })), "client ids are each sender's own");
    assert!(matches!(answers[3], Ok(Appended::Stored { seq: Seq(3), .. })));
    assert_eq!(seqs(&f, id).await, [1, 2, 3]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_on_one_conversation_leave_no_gap(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(f.store.put_conversation(&put(&format!("order:{n}"), &["alice", "bob"])).await.unwrap().0);
    }
    let mut tasks = Vec::new();
    for sender in ["alice", "bob"] {
        let (mut writer, mut ids) = (f.store.writer().await.unwrap(), ids.clone());
        // Each names the conversations in the other's reverse order, so that careless locking would deadlock.
        if sender == "bob" {
            ids.reverse();
        }
        tasks.push(tokio::spawn(async move {
            let mut stored = BTreeSet::new();
            for round in 0..20 {
                let batch: Vec<_> =
                    (0..25).map(|n| say(ids[n % 5], sender, Some(&format!("{round}-{n}")), "hello")).collect();
                for (answer, append) in writer.write(&batch, &[]).await.0.into_iter().zip(&batch) {
                    let Appended::Stored { seq, .. } = answer.expect("stored") else { panic!("a repeat") };
                    assert!(stored.insert((append.conversation, seq)), "a place was told twice");
                }
            }
            stored
        }));
    }
    let mut told = BTreeSet::new();
    for task in tasks {
        for place in task.await.unwrap() {
            assert!(told.insert(place), "two writers were told the same place");
        }
    }
    assert_eq!(told.len(), 1_000);
    for id in ids {
        assert_eq!(seqs(&f, id).await, (1..=200).collect::<Vec<_>>());
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_id_at_once_from_two_writers_is_stored_once(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let (id, _) = f.store.put_conversation(&put("order:1", &["alice", "bob"])).await.unwrap();
    let (mut one, mut other) = (f.store.writer().await.unwrap(), f.store.writer().await.unwrap());
    for round in 0..40 {
        let batch: Vec<_> = (0..3).map(|n| say(id, "alice", Some(&format!("{round}-{n}")), "hello")).collect();
        let ((mine, _), (theirs, _)) = tokio::join!(one.write(&batch, &[]), other.write(&batch, &[]));
        for (mine, theirs) in mine.iter().zip(&theirs) {
            let place = |answer: &Result<Appended, _>| match answer {
                Ok(Appended::Stored { seq, .. }) => (*seq, 1),
                Ok(Appended::Repeated { seq, .. }) => (*seq, 0),
                Err(error) => panic!("neither stored nor repeated: {error:?}"),
            };
            let ((seq, stored), (same, also)) = (place(mine), place(theirs));
            assert_eq!((seq, stored + also), (same, 1), "both hear of one message, which one of them stored");
        }
    }
    assert_eq!(seqs(&f, id).await, (1..=120).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn a_bad_row_falls_alone(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let (id, _) = f.store.put_conversation(&put("order:1", &["alice", "bob"])).await.unwrap();
    let raw = Database::connect(&f.url).await.unwrap();
    let refuse = match kind {
        Kind::Postgres => "ALTER TABLE message ADD CHECK (body <> 'poison')",
        Kind::Sqlite => {
            "CREATE TRIGGER poison BEFORE INSERT ON message WHEN new.body = 'poison' \
             BEGIN SELECT RAISE(ABORT, 'poison'); END"
        }
    };
    raw.execute_unprepared(refuse).await.unwrap();
    let mut writer = f.store.writer().await.unwrap();
    let batch: Vec<_> = (0..101).map(|n| say(id, "alice", None, if n == 37 { "poison" } else { "fine" })).collect();
    let moves = [CursorMove { conversation: id, user: user("bob"), received: Seq(7), read: None }];
    let (answers, moved) = writer.write(&batch, &moves).await;
    let mut next = 1;
    for (n, answer) in answers.iter().enumerate() {
        if n == 37 {
            assert_eq!(answer.as_ref().unwrap_err().code(), "internal");
        } else {
            assert!(matches!(answer, Ok(Appended::Stored { seq, .. }) if seq.0 == next), "row {n}: {answer:?}");
            next += 1;
        }
    }
    assert_eq!(moved[0].as_ref().unwrap().received, Seq(7));
    assert_eq!(seqs(&f, id).await, (1..=100).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn cursors_go_forward_and_no_further_than_the_newest(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let (id, _) = f.store.put_conversation(&put("order:1", &["alice", "bob"])).await.unwrap();
    let mut writer = f.store.writer().await.unwrap();
    let batch: Vec<_> = ["alice", "bob", "bob", "alice"].iter().map(|sender| say(id, sender, None, "x")).collect();
    writer.write(&batch, &[]).await;
    let step = |user_id: &str, received, read: Option<i64>| CursorMove {
        conversation: id,
        user: user(user_id),
        received: Seq(received),
        read: read.map(Seq),
    };
    let cursor = |received, read, own_after_read, read_before| Cursor {
        received: Seq(received),
        read: Seq(read),
        own_after_read,
        read_before: Seq(read_before),
    };
    let moves = [step("alice", 1, None), step("bob", 0, Some(2)), step("alice", 99, Some(3)), step("mallory", 1, None)];
    let (_, moved) = writer.write(&[], &moves).await;
    let merged = moved.iter().map(|answer| answer.as_ref().map_err(|error| error.code()).copied()).collect::<Vec<_>>();
    let expected = [Ok(cursor(4, 3, 1, 0)), Ok(cursor(2, 2, 1, 0)), Ok(cursor(4, 3, 1, 3)), Err("not_found")];
    assert_eq!(merged, expected, "two moves of one seat are one, and reading is receiving");
    let (_, moved) = writer.write(&[], &[step("alice", 2, Some(1)), step("bob", 99, Some(99))]).await;
    assert_eq!(moved[0], Ok(cursor(4, 3, 1, 3)), "a cursor does not fall");
    assert_eq!(moved[1], Ok(cursor(4, 4, 0, 2)), "past the newest is the newest");
}

#[rstest]
#[tokio::test]
async fn ten_thousand_participants_come_in_one_call(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let participants = (0..10_000).map(|n| (user(&format!("u{n}")), (n == 0).then(|| "seller".into()))).collect();
    let put = PutConversation { participants, ..put("crowd", &[]) };
    let start = Instant::now();
    let (id, created) = f.store.put_conversation(&put).await.unwrap();
    assert!(created && start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());
    let start = Instant::now();
    let room = f.store.room(id).await.unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "waking the room took {:?}", start.elapsed());
    assert_eq!(room.people.len(), 10_000);
    let (page, _) = f.store.conversations(&user("u7"), &list(10, None)).await.unwrap();
    assert_eq!(page[0].participants.len(), 100, "a list stays small");
    assert_eq!(f.store.conversation_for_shop(id).await.unwrap().participants.len(), 10_000);
    assert!(f.store.partners(&[user("u7")]).await.unwrap().is_empty(), "a crowd makes no partners");
}
