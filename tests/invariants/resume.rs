//! 5: coming back by `join after` skips nothing and doubles nothing, however much was missed and whoever goes on speaking.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::{say_all, seqs};
use crate::support::On;
use crate::support::client::Socket;
use crate::support::rest::token;
use crate::support::server::Server;

/// More than any page, twice over.
const MISSED: usize = 1_100;
/// What is said while others come back.
const MEANWHILE: usize = 300;

async fn crowded(on: On) -> (Server, i64, Socket) {
    let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    let mut bob = server.socket("bob").await;
    // Every eleventh message is bob's own.
    for round in 0..MISSED / 110 {
        say_all(&mut bob, id, (0..10).map(|n| format!("bob {round} {n}"))).await;
        say_all(&mut alice, id, (0..100).map(|n| format!("alice {round} {n} {}", "x".repeat(1_000)))).await;
    }
    (server, id, alice)
}

/// Joins after a place, hears up to another, pausing as it reads.
async fn come_back(mut socket: Socket, id: i64, after: i64, pause: Option<Duration>) -> (i64, Vec<Value>) {
    socket.ask("auth", json!({ "token": token("bob") })).await.ok();
    let joined = socket.ask("join", json!({ "conversation": id, "after": after })).await.ok();
    let mut heard = Vec::new();
    while heard.len() < MISSED + MEANWHILE - usize::try_from(after).unwrap() {
        heard.extend(socket.messages(1).await);
        if let Some(pause) = pause
            && heard.len() % 100 == 0
        {
            tokio::time::sleep(pause).await;
        }
    }
    assert!(socket.expect_within("message", Duration::from_millis(50)).await.is_none(), "something came twice");
    (joined["last_seq"].as_i64().unwrap(), heard)
}

#[rstest]
#[tokio::test]
async fn coming_back_while_others_speak_skips_nothing_and_doubles_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (server, id, mut alice) = crowded(on).await;
    let mut back = Vec::new();
    let total = i64::try_from(MISSED + MEANWHILE).unwrap();
    let mut said = 0;
    for after in [0, 7, 150, 1_000, 1_099, 1_100] {
        // Each comes back in the middle of what is being said.
        say_all(&mut alice, id, (said..said + 10).map(|n| format!("live {n}"))).await;
        said += 10;
        let socket = Socket::anonymous(server.address).await;
        back.push((after, tokio::spawn(come_back(socket, id, after, None))));
        tokio::task::yield_now().await;
    }
    let slow = Socket::small(server.address, 4_096).await;
    back.push((0, tokio::spawn(come_back(slow, id, 0, Some(Duration::from_millis(30))))));
    say_all(&mut alice, id, (said..MEANWHILE).map(|n| format!("live {n}"))).await;
    let history = server.messages("bob", id).await;
    assert_eq!(history.len(), MISSED + MEANWHILE);
    for (after, heard) in back {
        let (last_seq, heard) = heard.await.unwrap();
        assert!(last_seq >= i64::try_from(MISSED).unwrap(), "{last_seq}");
        assert_eq!(seqs(&heard), (after + 1..=total).collect::<Vec<_>>(), "after {after}");
        assert_eq!(heard, history[usize::try_from(after).unwrap()..], "after {after}");
    }
}

#[rstest]
#[tokio::test]
async fn joining_again_and_after_the_newest_and_without_a_place(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    say_all(&mut alice, id, (1..=10).map(|n| n.to_string())).await;
    let mut bob = server.socket("bob").await;
    let joined = bob.ask("join", json!({ "conversation": id })).await.ok();
    assert_eq!(joined["last_seq"], 10);
    alice.say(id, "11").await;
    assert_eq!(seqs(&bob.messages(1).await), [11], "without a place nothing is replayed");
    bob.ask("join", json!({ "conversation": "order:1", "after": 8 })).await.ok();
    assert_eq!(seqs(&bob.messages(3).await), [9, 10, 11]);
    bob.ask("join", json!({ "conversation": id, "after": 99 })).await.ok();
    alice.say(id, "12").await;
    assert_eq!(seqs(&bob.messages(1).await), [12], "a place ahead of the newest counts as the newest");
    bob.ask("leave", json!({ "conversation": id })).await.ok();
    alice.say(id, "13").await;
    bob.ask("join", json!({ "conversation": id, "after": 12 })).await.ok();
    assert_eq!(seqs(&bob.messages(1).await), [13]);
    // Several joins under way at once: the last one counts.
    let joins = [0, 5, 12].map(|after| json!({ "conversation": id, "after": after }));
    let mut asked = Vec::new();
    for join in joins {
        asked.push(bob.feed("join", join).await);
    }
    bob.flush().await;
    for join in asked {
        bob.answer(join).await.ok();
    }
    alice.say(id, "14").await;
    let mut heard = Vec::new();
    while heard.last() != Some(&14) {
        heard.extend(seqs(&bob.messages(1).await));
    }
    assert!(heard.ends_with(&[13, 14]), "{heard:?}");
}
