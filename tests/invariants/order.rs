//! 2: `seq` is 1, 2, 3 … without gaps, and the order that everyone hears. 3: one client id, one message, for ever.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};

use super::{assert_kept, seqs};
use crate::support::On;
use crate::support::client::Socket;
use crate::support::rest::Caller;
use crate::support::server::Server;

const SENDERS: usize = 8;
const EACH: usize = 40;

#[rstest]
#[tokio::test]
async fn whoever_speaks_at_once_is_put_in_one_order_that_all_hear(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
    let names: Vec<String> = (0..SENDERS).map(|n| format!("user{n}")).collect();
    let people: Vec<&str> = names.iter().map(String::as_str).chain(["listener"]).collect();
    let id = server.conversation("order:1", &people).await;
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(server.joined("listener", id).await);
    }
    let mut senders = Vec::new();
    for name in &names {
        senders.push((server.joined(name, id).await, server.user(name)));
    }
    let told = join_all(senders.iter_mut().map(|(socket, rest)| speak(socket, rest, id))).await;
    let acknowledged: Vec<Value> = told.into_iter().flatten().collect();
    let total = SENDERS * EACH;
    let history = server.messages("listener", id).await;
    assert_eq!((history.len(), acknowledged.len()), (total, total));
    for message in &acknowledged {
        assert_eq!(history.iter().filter(|kept| *kept == message).count(), 1);
    }
    assert_kept(&history, &acknowledged);
    for listener in &mut listeners {
        assert_eq!(listener.messages(total).await, history, "heard in another order than it is kept");
    }
}

/// Says half of it on a socket and half by REST, at once. A socket's own messages are in the order in which it sent them.
async fn speak(socket: &mut Socket, rest: &Caller, id: i64) -> Vec<Value> {
    let user = rest.clone();
    let texts = |by: &str| (0..EACH / 2).map(|n| format!("{by}{n} {}", fastrand(n))).collect::<Vec<_>>();
    let by_rest = join_all(texts("rest").into_iter().map(|text| {
        let user = user.clone();
        async move { user.say(id, &text).await.ok() }
    }));
    let by_socket = async {
        let mut ids = Vec::new();
        for text in texts("socket") {
            ids.push(socket.feed("send", json!({ "conversation": id, "body": text })).await);
        }
        socket.flush().await;
        let mut stored = Vec::new();
        for id in ids {
            stored.push(socket.answer(id).await.ok()["message"].take());
        }
        stored
    };
    let (by_rest, by_socket) = futures_util::future::join(by_rest, by_socket).await;
    assert!(seqs(&by_socket).is_sorted(), "a socket's messages changed places");
    by_rest.into_iter().chain(by_socket).collect()
}

/// Something that tells texts of different users apart.
fn fastrand(n: usize) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(n)
}

#[rstest]
#[tokio::test]
async fn one_client_id_is_one_message_whoever_sends_it_how_often_and_when(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut bob = server.joined("bob", id).await;
    let (mut one, mut two) = (server.joined("alice", id).await, server.joined("alice", id).await);
    let rest = server.user("alice");
    let path = format!("/v1/conversations/{id}/messages");
    let mut first = Vec::new();
    for n in 0..20 {
        let send = json!({ "conversation": id, "body": format!("text {n}"), "client_id": format!("id {n}") });
        let (a, b) = (one.begin("send", send.clone()).await, two.begin("send", send.clone()).await);
        let answer = rest.post(&path, send).await;
        let answers = [one.answer(a).await.ok()["message"].take(), two.answer(b).await.ok()["message"].take()];
        assert_eq!(answers[0], answers[1], "two sockets, two messages");
        assert_eq!(answers[0], answer.body, "by REST it is another message");
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        first.push(answer.body);
    }
    let heard = bob.messages(20).await;
    assert_eq!(heard, first, "it was heard more than once");
    assert_eq!(first.iter().map(|message| message["id"].as_i64()).collect::<BTreeSet<_>>().len(), 20);
    assert_eq!(server.messages("bob", id).await, first);

    let other = json!({ "conversation": id, "body": "another text", "client_id": "id 3" });
    assert_eq!(one.ask("send", other.clone()).await.code(), "invalid");
    assert_eq!(rest.post(&path, other.clone()).await.verdict(), (400, "invalid"));
    let by_another = server.user("bob").post(&path, other).await;
    assert_eq!(by_another.status, 201, "a client id is its sender's own");

    server.stop();
    let server = Server::on(&server.url, |_| ()).await;
    let again = server.user("alice").post(&path, json!({ "body": "text 3", "client_id": "id 3" })).await;
    assert_eq!((again.status, &again.body), (200, &first[3]), "forgotten by a restart");
    let mut alice = server.joined("alice", id).await;
    let again = alice.ask("send", json!({ "conversation": id, "body": "text 4", "client_id": "id 4" })).await;
    assert_eq!(again.ok()["message"], first[4]);
    let other = json!({ "conversation": id, "body": "another text", "client_id": "id 3" });
    assert_eq!(alice.ask("send", other).await.code(), "invalid");
    assert_eq!(server.messages("bob", id).await.len(), 21);
}

#[rstest]
#[tokio::test]
async fn the_same_client_id_many_times_in_one_breath_is_stored_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(alice.feed("send", json!({ "conversation": id, "body": "hi", "client_id": "one" })).await);
        ids.push(alice.feed("send", json!({ "conversation": id, "body": "ho", "client_id": "one" })).await);
    }
    alice.flush().await;
    let mut stored = BTreeSet::new();
    for (n, id) in ids.into_iter().enumerate() {
        let reply = alice.answer(id).await;
        if n % 2 == 0 {
            stored.insert(reply.ok()["message"]["id"].as_i64());
        } else {
            assert_eq!(reply.code(), "invalid");
        }
    }
    assert_eq!(stored.len(), 1);
    assert_eq!(server.messages("bob", id).await.len(), 1);
}
