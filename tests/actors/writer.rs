//! The writer: batches gather while a transaction is under way, and what may wait is bounded.
//!
//! What lives here: the writer on a real database, with the rooms played. What must not: what rooms tell of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use haggle::actor::courier::Courier;
use haggle::actor::persistence::{
    Appended, BATCH_MAX, Committed, CursorMove, Job, QUEUE_BYTES_MAX, QUEUE_MAX, Work, Writer,
};
use haggle::protocol::{ConversationId, Seq};
use tempfile::TempDir;

use super::store;
use crate::store::{say, user};

/// A room that notes what it is told, a transaction an entry.
struct Told(Arc<Mutex<Vec<Committed>>>);

impl Actor for Told {
    type Context = Context<Self>;
}

impl Handler<Committed> for Told {
    type Result = ();
    fn handle(&mut self, committed: Committed, _: &mut Self::Context) {
        self.0.lock().unwrap().push(committed);
    }
}

struct Office {
    courier: Addr<Courier>,
    room: Arc<Recipient<Committed>>,
    told: Arc<Mutex<Vec<Committed>>>,
    conversation: ConversationId,
    _folder: TempDir,
}

impl Office {
    async fn open() -> Self {
        let (folder, store, conversation) = store(&["alice", "bob"]).await;
        let writer = Writer::new(store.writer().await.expect("a writer")).start();
        let told = Arc::<Mutex<Vec<Committed>>>::default();
        let courier = Courier::new(writer).start();
        let room = Arc::new(Told(Arc::clone(&told)).start().recipient());
        tokio::task::yield_now().await;
        Self { courier, room, told, conversation, _folder: folder }
    }

    fn hand_in(&self, ticket: u64, work: Work) {
        self.courier.do_send(Job { ticket, room: Arc::clone(&self.room), work });
    }

    fn say(&self, ticket: u64, body: &str) {
        self.hand_in(ticket, Work::Append(say(self.conversation, "alice", None, body)));
    }

    /// Waits until so many jobs were answered; the transactions that they came in.
    async fn answered(&self, count: usize) -> Vec<Committed> {
        let by = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let told = self.told.lock().unwrap().iter().map(|it| it.appended.len() + it.moved.len()).sum::<usize>();
            if told >= count {
                assert_eq!(told, count, "something was answered twice");
                return std::mem::take(&mut *self.told.lock().unwrap());
            }
            assert!(tokio::time::Instant::now() < by, "only {told} of {count} were answered");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[actix_web::test]
async fn what_comes_during_a_transaction_goes_into_the_next_together() {
    const JOBS: u64 = 300;
    let office = Office::open().await;
    for ticket in 1..=JOBS {
        office.say(ticket, "x");
        tokio::task::yield_now().await;
    }
    let transactions = office.answered(300).await;
    assert!(transactions.len() < 150, "{} transactions for 300 messages", transactions.len());
    let all: Vec<_> = transactions.into_iter().flat_map(|it| it.appended).collect();
    for (place, (ticket, outcome)) in (1..).zip(all) {
        assert_eq!(ticket, place, "answered out of order");
        let place = i64::try_from(place).unwrap();
        assert!(matches!(outcome, Ok(Appended::Stored { seq: Seq(seq), .. }) if seq == place), "{outcome:?}");
    }
}

#[actix_web::test]
async fn a_transaction_has_a_bound() {
    let office = Office::open().await;
    let count = BATCH_MAX * 2 + 1;
    (0..count as u64).for_each(|ticket| office.say(ticket, "x"));
    let transactions = office.answered(count).await;
    assert!(transactions.iter().all(|it| it.appended.len() <= BATCH_MAX));
    assert!((3..=20).contains(&transactions.len()), "{} transactions", transactions.len());
}

#[actix_web::test]
async fn more_than_may_wait_is_refused_and_the_rest_is_written() {
    let office = Office::open().await;
    office.say(0, "x");
    let count = QUEUE_MAX * 2;
    for ticket in 1..count as u64 {
        let cursor =
            CursorMove { conversation: office.conversation, user: user("bob"), received: Seq(1), read: Some(Seq(1)) };
        office.hand_in(ticket, Work::Move(cursor));
    }
    let moved: Vec<_> = office.answered(count).await.into_iter().flat_map(|it| it.moved).collect();
    let refused: Vec<_> = moved.iter().filter_map(|(_, outcome)| outcome.as_ref().err()).collect();
    assert!(!refused.is_empty(), "nothing was refused");
    assert!(refused.iter().all(|error| error.code() == "unavailable"), "{refused:?}");
    // One place was the message's.
    assert!(moved.len() - refused.len() >= QUEUE_MAX - 1, "what had room was refused too");
    // It goes on as before.
    office.say(1, "y");
    let after = office.answered(1).await;
    assert!(matches!(after[0].appended[0].1, Ok(Appended::Stored { seq: Seq(2), .. })), "{after:?}");
}

#[actix_web::test]
async fn bytes_that_wait_are_bounded_too() {
    let office = Office::open().await;
    let body = "x".repeat(1024 * 1024);
    let count = QUEUE_BYTES_MAX / body.len() + 10;
    office.say(0, "first");
    (1..count as u64).for_each(|ticket| office.say(ticket, &body));
    let all: Vec<_> = office.answered(count).await.into_iter().flat_map(|it| it.appended).collect();
    let refused = all.iter().filter(|(_, outcome)| outcome.is_err()).count();
    assert!((1..=20).contains(&refused), "{refused} of {count} were refused");
}
