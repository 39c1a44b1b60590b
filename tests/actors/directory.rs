//! The directory: between a room's falling asleep and its waking no message is lost.
//!
//! What lives here: many who tell against one that retires. What must not: what rooms do with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::Arbiter;
use haggle::protocol::command::Leave;
use haggle::protocol::{ConversationRef, Reply};

use super::{Hearer, House};

const CALLERS: usize = 4;
const CALLS: usize = 400;

#[actix_web::test]
async fn whatever_is_told_to_a_room_that_falls_asleep_is_answered() {
    // The room's clock leaps forward whenever it has nothing to do, so that it falls asleep at once.
    let sleepy = Arbiter::new();
    sleepy.spawn(async { tokio::time::pause() });
    let house = Arc::new(House::of(&["alice"], sleepy.handle()).await);
    let callers = (0..CALLERS).map(|caller| {
        let house = Arc::clone(&house);
        let alice = Hearer::of("alice", false);
        std::thread::spawn(move || {
            let conversation = ConversationRef::Id(house.conversation);
            for call in 0..CALLS {
                let answer = house.ask(&alice, Leave(conversation.clone()));
                let answer = answer.blocking_recv().expect("a message was lost with the room it was in");
                let Ok(Reply::Left(topic)) = answer else { panic!("{answer:?}") };
                assert_eq!(topic.id, house.conversation);
                // Now and then long enough for the room to fall asleep, in as many rhythms as there are callers.
                if call % (caller + 2) == 0 {
                    std::thread::sleep(Duration::from_micros(((call * 37 + caller * 101) % 900) as u64));
                }
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        while !caller.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        caller.join().expect("a caller");
    }
    let woken = house.woken.load(Ordering::Relaxed);
    assert!(woken > 20, "the room fell asleep only {woken} times, which shows nothing");
    sleepy.stop();
}
