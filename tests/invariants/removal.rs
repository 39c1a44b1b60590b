//! 9: whoever is removed or suspended hears nothing more on any socket once the call has answered.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::client::{Closed, Socket};
use crate::support::rest::token;
use crate::support::server::Server;

/// What may pass for an event to reach a test that waits for none. What leaks comes at once.
const SILENCE: Duration = Duration::from_millis(300);

/// Alice on two sockets that joined and one that did not, while Bob keeps speaking.
struct Scene {
    server: Server,
    id: i64,
    alice: Vec<Socket>,
    stop: tokio::sync::oneshot::Sender<()>,
    speaking: tokio::task::JoinHandle<Socket>,
}

impl Scene {
    async fn set(on: On) -> Self {
        let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
        let id = server.conversation("order:1", &["alice", "bob"]).await;
        server.conversation("order:2", &["alice", "bob"]).await;
        let mut alice = vec![server.joined("alice", id).await, server.joined("alice", id).await];
        alice.push(server.socket("alice").await);
        let mut bob = server.joined("bob", id).await;
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let speaking = tokio::spawn(async move {
            while stopped.try_recv().is_err() {
                bob.say(id, "hello").await;
            }
            bob
        });
        for socket in &mut alice[..2] {
            socket.expect("message").await;
        }
        alice[2].expect("unread").await;
        Self { server, id, alice, stop, speaking }
    }
}

fn is_of(event: &Value, id: i64) -> bool {
    event["conversation"] == id
}

#[rstest]
#[tokio::test]
async fn whoever_is_removed_hears_says_and_sees_nothing_more(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Scene { server, id, mut alice, stop, speaking } = Scene::set(on).await;
    let removed = server.shop().delete("/v1/conversations/order:1/participants/alice").await;
    assert!((200..300).contains(&removed.status), "{removed:?}");
    // What reached her before is read away; from here on there must be silence, though Bob still speaks.
    for socket in &mut alice {
        socket.heard().await;
        socket.heard().await;
    }
    tokio::time::sleep(SILENCE).await;
    for socket in &mut alice {
        let leaked: Vec<_> = socket.heard().await.into_iter().filter(|event| is_of(event, id)).collect();
        assert_eq!(leaked, Vec::<Value>::new(), "heard after the removal was answered");
        let send = json!({ "conversation": id, "body": "x" });
        for (kind, fields) in [
            ("send", send),
            ("join", json!({ "conversation": id, "after": 0 })),
            ("join", json!({ "conversation": "order:1" })),
            ("typing", json!({ "conversation": id, "on": true })),
            ("read", json!({ "conversation": id, "seq": 1 })),
            ("received", json!({ "conversation": id, "seq": 1 })),
            ("history", json!({ "conversation": id })),
        ] {
            assert_eq!(socket.ask(kind, fields).await.code(), "not_found", "{kind}");
        }
        let listed = socket.ask("conversations", json!({})).await.ok();
        assert_eq!(listed["conversations"].as_array().unwrap().len(), 1);
    }
    let rest = server.user("alice");
    let path = format!("/v1/conversations/{id}");
    assert_eq!(rest.get(&path).await.status, 404);
    assert_eq!(rest.get(&format!("{path}/messages")).await.status, 404);
    assert_eq!(rest.say(id, "x").await.status, 404);
    assert_eq!(rest.post(&format!("{path}/read"), json!({ "seq": 1 })).await.status, 404);
    assert_eq!(rest.get("/v1/unread").await.ok()["total"], 0);
    stop.send(()).unwrap();
    let mut bob = speaking.await.unwrap();
    assert_eq!(bob.expect("left").await["user_id"], "alice");
    // Added again she is in, with all that was said.
    server.conversation("order:1", &["alice"]).await;
    let said = bob.say(id, "welcome").await;
    assert_eq!(alice[2].expect("unread").await["conversation"], id, "not heard again after being added");
    let after = said["seq"].as_i64().unwrap() - 2;
    let joined = alice[0].ask("join", json!({ "conversation": id, "after": after })).await;
    assert_eq!(joined.ok()["last_seq"], said["seq"]);
    assert_eq!(alice[0].messages(2).await[1], said);
    alice[0].say(id, "back").await;
    assert_eq!(bob.expect("message").await["message"]["body"], "back");
}

#[rstest]
#[tokio::test]
async fn whoever_is_suspended_is_thrown_out_everywhere_and_kept_out(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Scene { server, id, mut alice, stop, speaking } = Scene::set(on).await;
    let suspended = server.shop().put("/v1/users/alice", json!({ "status": "suspended" })).await.ok();
    assert_eq!(suspended["status"], "suspended");
    let after = server.messages("bob", id).await.len();
    for socket in &mut alice {
        let Closed::Frame(code, _) = socket.closed().await else { panic!("no Close frame") };
        assert_eq!(code, 4403);
        let bye = socket.expect("bye").await;
        assert_eq!((&bye["code"], &bye["reconnect"]), (&json!("forbidden"), &json!(false)));
        while let Some(heard) = socket.expect_within("message", Duration::ZERO).await {
            let seq = usize::try_from(heard["message"]["seq"].as_i64().unwrap()).unwrap();
            assert!(seq <= after, "heard {seq}, said after {after}, when the call had answered");
        }
    }
    let rest = server.user("alice");
    for path in ["/v1/conversations".to_owned(), format!("/v1/conversations/{id}"), "/v1/unread".to_owned()] {
        assert_eq!(rest.get(&path).await.verdict(), (403, "forbidden"), "{path}");
    }
    assert_eq!(rest.say(id, "x").await.verdict(), (403, "forbidden"));
    let mut again = Socket::anonymous(server.address).await;
    assert_eq!(again.ask("auth", json!({ "token": token("alice") })).await.code(), "forbidden");
    assert_eq!(again.closed().await, Closed::Frame(4403, "this user is suspended".to_owned()));
    let header = format!("Bearer {}", token("alice"));
    match Socket::with_headers(server.address, &[("authorization", &header)]).await {
        Ok((mut socket, _)) => {
            assert_eq!(socket.closed().await, Closed::Frame(4403, "this user is suspended".to_owned()));
        }
        Err((status, _)) => assert_eq!(status, 403),
    }
    stop.send(()).unwrap();
    let mut bob = speaking.await.unwrap();
    assert_eq!(bob.expect("left").await["user_id"], "alice");
    // Made active again, everything is as it was.
    server.shop().put("/v1/users/alice", json!({ "status": "active" })).await.ok();
    let mut alice = server.joined("alice", id).await;
    alice.say(id, "back").await;
    assert_eq!(bob.expect("message").await["message"]["body"], "back");
}

#[rstest]
#[tokio::test]
async fn a_removal_in_the_middle_of_joining_and_catching_up_leaks_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut bob = server.joined("bob", id).await;
    super::say_all(&mut bob, id, (0..600).map(|n| format!("{n} {}", "x".repeat(500)))).await;
    let mut alice = server.socket("alice").await;
    for n in 0..10 {
        server.conversation("order:1", &["alice"]).await;
        alice.begin("join", json!({ "conversation": id, "after": 0 })).await;
        if n % 2 == 0 {
            alice.expect("message").await;
        }
        server.shop().delete("/v1/conversations/order:1/participants/alice").await.ok();
        let secret = format!("secret {n}");
        bob.say(id, &secret).await;
        let heard = alice.heard().await;
        assert!(heard.iter().all(|event| event["message"]["body"] != secret), "round {n}");
    }
    tokio::time::sleep(SILENCE).await;
    alice.heard().await;
    bob.say(id, "secret").await;
    tokio::time::sleep(SILENCE).await;
    let heard = alice.heard().await;
    assert!(heard.iter().all(|event| !is_of(event, id)), "{heard:?}");
}
