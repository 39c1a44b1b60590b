//! kill -9 of the server in the middle of a thousand sends: all that was acknowledged is there, once, in order.

use rstest::rstest;
use serde_json::{Value, json};

use super::{assert_kept, seqs};
use crate::support::On;
use crate::support::client::Socket;
use crate::support::server::Process;

const SENDS: usize = 1_000;

/// Sends, a few at once, until the connection ends or all is said; what was acknowledged.
async fn speak(mut socket: Socket, id: i64, from: usize) -> Vec<Value> {
    let mut acknowledged = Vec::new();
    for start in (from..from + SENDS / 4).step_by(5) {
        let mut ids = Vec::new();
        for n in start..start + 5 {
            let send = json!({ "conversation": id, "body": format!("text {n}"), "client_id": format!("id {n}") });
            ids.push(socket.try_begin("send", send).await);
        }
        for id in ids {
            let Some(reply) = socket.maybe_answer(id).await else { return acknowledged };
            acknowledged.push(reply.ok()["message"].take());
        }
    }
    acknowledged
}

#[rstest]
#[tokio::test]
async fn a_killed_server_has_kept_all_that_it_acknowledged(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut server = Process::start(on, &[("HAGGLE_RATE_LIMITS", "off")]).await;
    let id = server.conversation("order:1", &["alice", "bob", "carol"]).await;
    let mut bob = server.joined("bob", id).await;
    let mut speaking = Vec::new();
    for n in 0..4 {
        let socket = server.joined(["alice", "carol"][n % 2], id).await;
        speaking.push(tokio::spawn(speak(socket, id, n * SENDS / 4)));
    }
    let mut heard = bob.messages(SENDS / 3).await;
    server.kill9();
    let mut acknowledged = Vec::new();
    for socket in speaking {
        acknowledged.extend(socket.await.unwrap());
    }
    assert!(acknowledged.len() < SENDS, "the kill came too late to prove anything");
    bob.closed().await;
    while bob.has_event("message") {
        heard.extend(bob.messages(1).await);
    }

    server.restart().await;
    let history = server.messages("bob", id).await;
    assert_kept(&history, &acknowledged);
    assert_eq!(heard, history[..heard.len()], "something was heard that the database does not hold");
    // Bob comes back and hears exactly what he missed, and what is said from now on.
    let after = i64::try_from(heard.len()).unwrap();
    let mut bob = server.socket("bob").await;
    bob.ask("join", json!({ "conversation": id, "after": after })).await.ok();
    // Whoever was not answered sends again: what had been stored is answered, what had not is stored.
    let mut again = Vec::new();
    for n in 0..SENDS {
        let user = ["alice", "carol"][n / (SENDS / 4) % 2];
        again.push((user, json!({ "conversation": id, "body": format!("text {n}"), "client_id": format!("id {n}") })));
    }
    for user in ["alice", "carol"] {
        let mut socket = server.socket(user).await;
        let mut ids = Vec::new();
        for (_, send) in again.iter().filter(|(sender, _)| *sender == user) {
            ids.push(socket.feed("send", send.clone()).await);
        }
        socket.flush().await;
        for id in ids {
            socket.answer(id).await.ok();
        }
    }
    let all = server.messages("bob", id).await;
    assert_eq!(all.len(), SENDS, "sent again, stored twice or never");
    assert_kept(&all, &acknowledged);
    let missed = bob.messages(SENDS - heard.len()).await;
    assert_eq!(seqs(&missed), (after + 1..=1_000).collect::<Vec<_>>());
    assert_eq!(missed, all[heard.len()..]);
    assert!(!server.log().contains("text 1"), "a message's text is in the log");
    assert!(!server.log().contains("eyJ"), "a token is in the log");
}
