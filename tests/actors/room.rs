//! A room: nobody hears what is not committed, everyone hears it in order, and nobody waits for anybody.
//!
//! What lives here: what members notice of their room. What must not: the database's answers (in `writer`).

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::Arbiter;
use haggle::actor::Departed;
use haggle::actor::persistence::Committed;
use haggle::actor::room::LINGER;
use haggle::error::ChatError;
use haggle::protocol::command::{Join, Leave, Send, Since, Typing};
use haggle::protocol::{Body, ConversationRef, Reply};

use super::{Hearer, House, commit};

impl House {
    fn here(&self) -> ConversationRef {
        ConversationRef::Id(self.conversation)
    }

    async fn join(&self, by: &Hearer) {
        let joined = self.ask(by, Join { conversation: self.here(), since: Since::Now, recent: 0 }).await.unwrap();
        assert!(matches!(joined, Ok(Reply::Joined(_))), "{joined:?}");
    }

    fn send(&self, by: &Hearer, body: &str) -> tokio::sync::oneshot::Receiver<haggle::actor::Outcome> {
        let body = Body::parse(body).unwrap();
        self.ask(by, Send { conversation: self.here(), body, kind: "text".into(), client_id: None })
    }

    fn types(&self, by: &Hearer, on: bool) {
        drop(self.ask(by, Typing { conversation: self.here(), on, lasts: Duration::from_secs(5) }));
    }
}

fn seq(outcome: haggle::actor::Outcome) -> i64 {
    match outcome {
        Ok(Reply::Sent { message, .. }) => message.seq.0,
        other => panic!("{other:?}"),
    }
}

/// Alice and bob, who have joined.
async fn two() -> (House, Hearer, Hearer) {
    let house = House::of(&["alice", "bob", "carol"], Arbiter::current()).await;
    let (alice, bob) = (Hearer::of("alice", false), Hearer::of("bob", false));
    house.join(&alice).await;
    house.join(&bob).await;
    assert_eq!(alice.hears().await, ["joined bob"]);
    assert!(bob.hears().await.is_empty());
    (house, alice, bob)
}

#[actix_web::test]
async fn a_room_takes_what_many_say_at_once_before_its_thread_has_even_begun_with_it() {
    let house = House::of(&["alice", "bob"], Arbiter::current()).await;
    let alice = Hearer::of("alice", false);
    // Nothing of this thread runs meanwhile, the room neither.
    let answers: Vec<_> = (0..1_000).map(|n| house.send(&alice, &format!("m{n}"))).collect();
    let mut jobs = Vec::new();
    while jobs.len() < answers.len() {
        jobs.extend(house.jobs().await);
    }
    commit(jobs, 1);
    for (answer, expected) in answers.into_iter().zip(1..) {
        assert_eq!(seq(answer.await.unwrap()), expected);
    }
}

#[actix_web::test]
async fn nobody_hears_of_a_message_that_is_not_committed() {
    let (house, alice, bob) = two().await;
    let mut answer = house.send(&alice, "hi");
    let jobs = house.jobs().await;
    assert_eq!(jobs.len(), 1);
    assert!(alice.hears().await.is_empty() && bob.hears().await.is_empty(), "told before it was committed");
    assert!(answer.try_recv().is_err(), "answered before it was committed");
    commit(jobs, 1);
    assert_eq!(bob.hears().await, ["message 1 hi"]);
    assert_eq!(seq(answer.await.unwrap()), 1);
}

#[actix_web::test]
async fn many_are_under_way_at_once_and_are_told_in_the_order_of_seq() {
    let (house, alice, bob) = two().await;
    let answers: Vec<_> =
        (1..=100).map(|n| house.send(if n % 2 == 0 { &alice } else { &bob }, &n.to_string())).collect();
    let mut jobs = house.jobs().await;
    assert_eq!(jobs.len(), 100, "one was waited for to send the next");
    let rest = jobs.split_off(30);
    commit(jobs, 1);
    let more = house.send(&alice, "101");
    commit(rest, 31);
    commit(house.jobs().await, 101);
    let due: Vec<_> = (1..=101).map(|n| format!("message {n} {n}")).collect();
    assert_eq!(alice.hears().await, due);
    assert_eq!(bob.hears().await, due);
    for (n, answer) in (1..).zip(answers.into_iter().chain([more])) {
        assert_eq!(seq(answer.await.unwrap()), n);
    }
}

#[actix_web::test]
async fn a_room_with_many_listeners_tells_what_comes_at_once_in_few_parts_in_order() {
    const MESSAGES: i64 = 30;
    let people: Vec<String> = (0..20).map(|n| format!("user{n}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let house = House::of(&names, Arbiter::current()).await;
    let mut hearers = Vec::new();
    for name in &names {
        let hearer = Hearer::of(name, false);
        house.join(&hearer).await;
        hearers.push(hearer);
    }
    for hearer in &hearers {
        hearer.hears().await;
        hearer.deliveries.store(0, Ordering::Relaxed);
    }
    let answers: Vec<_> = (1..=MESSAGES).map(|n| house.send(&hearers[0], &n.to_string())).collect();
    // Each in a transaction of its own, all at once; then something that is told without being written.
    for (job, seq) in house.jobs().await.into_iter().zip(1..) {
        commit(vec![job], seq);
    }
    house.types(&hearers[1], true);
    let due: Vec<_> =
        (1..=MESSAGES).map(|n| format!("message {n} {n}")).chain(["typing user1 true".to_owned()]).collect();
    for hearer in hearers.iter().skip(2) {
        assert_eq!(hearer.hears().await, due);
        let parts = hearer.deliveries.load(Ordering::Relaxed);
        assert!(parts <= 4, "told in {parts} parts");
    }
    for (answer, expected) in answers.into_iter().zip(1..) {
        assert_eq!(seq(answer.await.unwrap()), expected);
    }
}

#[actix_web::test]
async fn a_message_that_fails_is_told_to_nobody_and_takes_none_with_it() {
    let (house, alice, bob) = two().await;
    let answers = ["a", "b", "c"].map(|body| house.send(&alice, body));
    let mut jobs = house.jobs().await;
    let failed = jobs.remove(1);
    let appended = vec![(failed.ticket, Err(ChatError::unavailable()))];
    failed.room.do_send(Committed { appended, moved: Vec::new() });
    commit(jobs, 1);
    assert_eq!(bob.hears().await, ["message 1 a", "message 2 c"]);
    let [a, b, c] = answers;
    assert_eq!(seq(a.await.unwrap()), 1);
    assert_eq!(b.await.unwrap().unwrap_err().code(), "unavailable");
    assert_eq!(seq(c.await.unwrap()), 2);
}

#[actix_web::test]
async fn a_stranger_is_told_what_somebody_would_be_told_of_a_room_that_is_not_there() {
    let (house, ..) = two().await;
    let mallory = Hearer::of("mallory", false);
    let refused = house.send(&mallory, "x").await.unwrap().unwrap_err();
    assert_eq!(refused, ChatError::NotFound("conversation"));
    let refused = house
        .ask(&mallory, Join { conversation: house.here(), since: Since::Now, recent: 0 })
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(refused, ChatError::NotFound("conversation"));
    assert!(house.jobs().await.is_empty());
}

#[actix_web::test]
async fn coming_and_going_is_told_once_a_person_whatever_devices_they_have() {
    let (house, alice, bob) = two().await;
    let phone = Hearer::of("alice", false);
    house.join(&phone).await;
    house.join(&phone).await;
    assert!(bob.hears().await.is_empty(), "a second device is no news");
    house.ask(&alice, Leave(house.here())).await.unwrap().unwrap();
    assert!(bob.hears().await.is_empty(), "the phone is still here");
    house.directory.tell(house.conversation, Departed(phone.listener.session)).unwrap();
    assert_eq!(bob.hears().await, ["left alice"]);
    house.directory.tell(house.conversation, Departed(phone.listener.session)).unwrap();
    assert!(bob.hears().await.is_empty(), "gone twice");
    house.join(&alice).await;
    assert_eq!(bob.hears().await, ["joined alice"]);
}

#[actix_web::test]
async fn typing_ends_by_itself_unless_it_goes_on() {
    let (house, alice, bob) = two().await;
    tokio::time::pause();
    house.types(&alice, true);
    assert_eq!(bob.hears().await, ["typing alice true"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    house.types(&alice, true);
    assert_eq!(bob.hears().await, ["typing alice true"]);
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert!(bob.hears().await.is_empty(), "it went on at 3 s, and ends at 8 s");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bob.hears().await, ["typing alice false"]);
    house.types(&alice, true);
    house.types(&alice, false);
    assert_eq!(bob.hears().await, ["typing alice true", "typing alice false"]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(bob.hears().await.is_empty(), "ended twice");
    house.types(&alice, true);
    house.directory.tell(house.conversation, Departed(alice.listener.session)).unwrap();
    assert_eq!(bob.hears().await, ["typing alice true", "typing alice false", "left alice"]);
    assert!(alice.hears().await.is_empty(), "one's own typing is no news");
}

#[actix_web::test]
async fn who_takes_nothing_is_dropped_and_holds_up_nobody() {
    let (house, alice, bob) = two().await;
    let slow = Hearer::of("carol", true);
    house.join(&slow).await;
    for n in 1..=50 {
        drop(house.send(&alice, &n.to_string()));
        commit(house.jobs().await, n);
    }
    let heard = bob.hears().await;
    let messages: Vec<_> = heard.iter().filter(|word| word.starts_with("message")).collect();
    assert_eq!(messages.len(), 50, "{heard:?}");
    assert!(heard.contains(&"left carol".to_owned()), "{heard:?}");
    assert!(slow.listener.overrun.load(Ordering::Acquire), "carol's session does not know that it missed something");
    assert!(!bob.listener.overrun.load(Ordering::Acquire));
}

#[actix_web::test]
async fn an_empty_room_sleeps_and_wakes_for_the_next() {
    let (house, alice, bob) = two().await;
    tokio::time::pause();
    tokio::time::sleep(LINGER * 2).await;
    assert_eq!(house.directory.rooms(), 1, "it sleeps with somebody in it");
    for hearer in [&alice, &bob] {
        house.directory.tell(house.conversation, Departed(hearer.listener.session)).unwrap();
    }
    let answer = house.send(&alice, "last");
    let jobs = house.jobs().await;
    tokio::time::sleep(LINGER * 2).await;
    assert_eq!(house.directory.rooms(), 1, "it sleeps with a message under way");
    commit(jobs, 1);
    assert_eq!(seq(answer.await.unwrap()), 1);
    tokio::time::sleep(LINGER + Duration::from_secs(1)).await;
    assert_eq!(house.directory.rooms(), 0, "it stays awake for nobody");
    tokio::time::resume();
    house.join(&alice).await;
    assert_eq!(house.directory.rooms(), 1);
    assert_eq!(house.woken.load(Ordering::Relaxed), 2);
}
