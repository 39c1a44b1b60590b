//! Section 5: what others hear of joining, leaving, typing, receiving and reading; badges.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::client::Socket;
use crate::support::rest::token;
use crate::support::server::Server;

/// What was heard of these types, and nothing of presence.
async fn heard(socket: &mut Socket) -> Vec<Value> {
    let mut heard = socket.heard().await;
    heard.retain(|event| event["type"] != "presence");
    heard
}

#[rstest]
#[tokio::test]
async fn coming_going_and_reading_is_told_to_others_and_not_to_oneself(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob", "carol"]).await;
    server.shop().put("/v1/users/bob", json!({ "name": "Bob" })).await.ok();
    let (mut alice, mut carol) = (server.joined("alice", id).await, server.socket("carol").await);
    let mut bob = server.socket("bob").await;
    let joined = bob.ask("join", json!({ "conversation": id })).await.ok();
    assert_eq!((&joined["conversation"], &joined["last_seq"]), (&json!(id), &json!(0)));
    let mut people = joined["participants"].as_array().unwrap().clone();
    people.sort_by_key(|person| person["user_id"].to_string());
    assert_eq!(people.len(), 3);
    for (field, value) in
        [("user_id", json!("bob")), ("name", json!("Bob")), ("role", json!("")), ("online", json!(true))]
    {
        assert_eq!(people[1][field], value, "{people:?}");
    }
    let of_bob = |kind: &str| json!({ "type": kind, "conversation": id, "user_id": "bob", "name": "Bob" });
    assert_eq!(alice.expect("joined").await, of_bob("joined"));
    let mut second = server.joined("bob", id).await;
    bob.ask("leave", json!({ "conversation": id })).await.ok();
    alice.say(id, "hello").await;
    bob.ask("received", json!({ "conversation": id, "seq": 1 })).await.ok();
    let received = json!({ "type": "received", "conversation": id, "user_id": "bob", "seq": 1 });
    assert_eq!(alice.expect("received").await, received);
    let read = bob.ask("read", json!({ "conversation": id, "seq": 1 })).await;
    assert_eq!(read.ok()["unread"], 0);
    let read = json!({ "type": "read", "conversation": id, "user_id": "bob", "seq": 1 });
    assert_eq!(alice.expect("read").await, read);
    assert_eq!(second.expect("read").await, read, "one's other device learns that it was read");
    second.close().await;
    assert_eq!(alice.expect("left").await, of_bob("left"));
    let rest: Vec<_> = heard(&mut alice).await;
    assert_eq!(rest, Vec::<Value>::new(), "told twice, or of one of two sockets");
    let own = heard(&mut bob).await;
    assert!(own.iter().all(|event| event["type"] == "unread"), "one's own doings came back: {own:?}");
    let aside = heard(&mut carol).await;
    assert_eq!(aside, [json!({ "type": "unread", "conversation": id, "count": 1, "total": 1 })]);
}

#[rstest]
#[tokio::test]
async fn typing_is_seen_by_others_until_it_ends_by_word_by_time_or_by_leaving(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut alice, mut bob) = (server.joined("alice", id).await, server.joined("bob", id).await);
    let mut phone = server.joined("alice", id).await;
    let typing = |on| json!({ "type": "typing", "conversation": id, "user_id": "alice", "name": "alice", "on": on });
    for on in [true, false] {
        alice.ask("typing", json!({ "conversation": id, "on": on })).await.ok();
        assert_eq!(bob.expect("typing").await, typing(on));
    }
    let began = Instant::now();
    alice.ask("typing", json!({ "conversation": id, "on": true })).await.ok();
    assert_eq!(bob.expect("typing").await, typing(true));
    assert_eq!(bob.expect("typing").await, typing(false), "it ends by itself");
    let took = began.elapsed();
    assert!(took > Duration::from_millis(4_900) && took < Duration::from_secs(8), "after {took:?}");
    alice.ask("typing", json!({ "conversation": id, "on": true })).await.ok();
    assert_eq!(bob.expect("typing").await, typing(true));
    alice.close().await;
    assert_eq!(bob.expect("typing").await, typing(false), "whoever has gone types no more");
    assert_eq!(phone.ask("typing", json!({ "conversation": id })).await.code(), "invalid");
}

#[rstest]
#[tokio::test]
async fn badges_are_exact_on_connecting_and_with_each_message(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let (one, two) = (
        server.conversation("order:1", &["alice", "bob"]).await,
        server.conversation("order:2", &["alice", "bob"]).await,
    );
    let mut alice = server.socket("alice").await;
    for conversation in [one, one, two, one, two] {
        alice.say(conversation, "hi").await;
    }
    let unread = |conversation, count, total| json!({ "type": "unread", "conversation": conversation, "count": count, "total": total });
    // With the token in the first frame its answer has the total; in the header there is no answer.
    let mut bob = Socket::anonymous(server.address).await;
    assert_eq!(bob.ask("auth", json!({ "token": token("bob") })).await.ok()["unread"], 5);
    let header = format!("Bearer {}", token("bob"));
    let (mut phone, _) = Socket::with_headers(server.address, &[("authorization", &header)]).await.unwrap();
    for socket in [&mut bob, &mut phone] {
        assert_eq!(socket.expect("unread").await, unread(one, 3, 5));
        assert_eq!(socket.expect("unread").await, unread(two, 2, 5));
    }
    bob.ask("join", json!({ "conversation": one })).await.ok();
    alice.say(one, "more").await;
    alice.say(two, "more").await;
    assert_eq!(phone.expect("unread").await, unread(one, 4, 6));
    assert_eq!(phone.expect("unread").await, unread(two, 3, 7));
    assert_eq!(bob.expect("unread").await, unread(two, 3, 7), "no badge where one has joined, but its sum");
    bob.ask("read", json!({ "conversation": one, "seq": 4 })).await.ok();
    assert_eq!(phone.expect("unread").await, unread(one, 0, 3));
    // One's own messages are no news, on any device.
    let mut other = server.socket("alice").await;
    alice.say(two, "own").await;
    bob.expect("unread").await;
    assert_eq!(heard(&mut other).await, Vec::<Value>::new());
    let answer = json!({ "total": 4, "conversations": [{ "conversation": two, "count": 4 }] });
    assert_eq!(server.user("bob").get("/v1/unread").await.ok(), answer);
    // Nothing unread, nothing said.
    assert_eq!(server.user("alice").get("/v1/unread").await.ok(), json!({ "total": 0, "conversations": [] }));
}
