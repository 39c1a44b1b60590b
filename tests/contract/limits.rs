//! Section 3: how much a user and an address may ask for, and how large a conversation may be.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::client::{Closed, Socket};
use crate::support::rest::token;
use crate::support::server::Server;

/// A small burst, to be over it soon.
const BURST: u32 = 4;

/// A server that lets a user do everything [`BURST`] times at once and once a second, and an address so many times that.
async fn strict(on: On, address_factor: u32) -> Server {
    Server::start_with(on, |settings| {
        let limits = &mut settings.limits;
        for per_second in [
            &mut limits.messages_per_second,
            &mut limits.joins_per_second,
            &mut limits.typing_per_second,
            &mut limits.connects_per_second,
        ] {
            *per_second = 1;
        }
        for burst in
            [&mut limits.messages_burst, &mut limits.joins_burst, &mut limits.typing_burst, &mut limits.connects_burst]
        {
            *burst = BURST;
        }
        limits.address_factor = address_factor;
    })
    .await
}

/// All of a burst passed, and no more than became free meanwhile.
#[track_caller]
fn assert_burst(passed: u32, factor: u32, began: Instant) {
    let free = u32::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!((BURST..=BURST + free).contains(&(passed / factor)), "{passed} passed in {:?}", began.elapsed());
}

/// Asks until it is refused for coming too fast; how often it was not.
async fn until_refused(socket: &mut Socket, kind: &str, fields: &Value) -> u32 {
    for passed in 0..100 {
        let reply = socket.ask(kind, fields.clone()).await;
        if !reply.code().is_empty() {
            assert_limited(&reply.0["error"]);
            return passed;
        }
    }
    panic!("nothing is refused");
}

/// Comes in until that is refused; those that came in.
async fn until_shut_out(server: &Server, headers: &[(&'static str, &str)]) -> Vec<Socket> {
    let mut sockets = Vec::new();
    while sockets.len() < 100 {
        match Socket::with_headers(server.address, headers).await {
            Ok((socket, _)) => sockets.push(socket),
            Err((status, problem)) => {
                assert_eq!(status, 429, "{problem}");
                assert_limited(&problem);
                return sockets;
            }
        }
    }
    panic!("nobody is refused");
}

#[track_caller]
fn assert_limited(error: &Value) {
    assert_eq!(error["code"], "rate_limited", "{error}");
    assert!(error["retry_after"].as_u64().is_some_and(|seconds| seconds >= 1), "{error}");
}

#[rstest]
#[tokio::test]
async fn the_two_hundred_and_first_message_at_once_is_refused_and_not_stored(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    let mut phone = server.joined("alice", id).await;
    let began = Instant::now();
    let mut sent = Vec::new();
    for n in 0..300 {
        sent.push(alice.feed("send", json!({ "conversation": id, "body": n.to_string() })).await);
    }
    alice.flush().await;
    let (mut stored, mut refused) = (0, 0);
    for sent in sent {
        let reply = alice.answer(sent).await;
        if reply.code().is_empty() {
            stored += 1;
        } else {
            assert_eq!(reply.code(), "rate_limited");
            assert!(reply.0["error"]["retry_after"].as_u64().unwrap() >= 1, "{reply:?}");
            refused += 1;
        }
    }
    // Meanwhile 50 more a second have become free.
    let free = usize::try_from(began.elapsed().as_millis()).unwrap() / 20 + 1;
    assert!(stored >= 200 && stored <= 200 + free, "{stored} of 300 went through");
    assert_eq!(stored + refused, 300);
    // The limit is the user's, on all devices and by REST; reading goes on, and others feel nothing.
    let mut by_rest = Vec::new();
    for _ in 0..20 {
        by_rest.push(server.user("alice").say(id, "x").await);
    }
    let limited = by_rest.iter().find(|answer| answer.status == 429).expect("REST knows no limit");
    assert_eq!(limited.code(), "rate_limited");
    assert!(limited.headers.contains_key("retry-after") && limited.body["retry_after"].is_u64());
    stored += by_rest.iter().filter(|answer| answer.status == 201).count();
    phone.ask("history", json!({ "conversation": id })).await.ok();
    server.user("bob").say(id, "bob").await.ok();
    assert_eq!(server.messages("bob", id).await.len(), stored + 1, "what was refused is stored");
    tokio::time::sleep(Duration::from_secs(limited.body["retry_after"].as_u64().unwrap())).await;
    phone.say(id, "after the wait").await;
}

#[rstest]
#[tokio::test]
async fn joins_and_typing_beyond_the_burst_are_refused_on_all_devices_and_to_nobody_else(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values("join", "typing")] kind: &str,
) {
    let server = strict(on, 50).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut bob = server.joined("bob", id).await;
    let (mut alice, mut phone) = (server.socket("alice").await, server.socket("alice").await);
    let fields = if kind == "join" { json!({ "conversation": id }) } else { json!({ "conversation": id, "on": true }) };
    let began = Instant::now();
    let passed = until_refused(&mut alice, kind, &fields).await + until_refused(&mut phone, kind, &fields).await;
    assert_burst(passed, 1, began);
    // Everything else goes on, and others feel nothing.
    alice.ask("history", json!({ "conversation": id })).await.ok();
    bob.ask(kind, fields.clone()).await.ok();
    alice.say(id, "still here").await;
    assert_eq!(bob.messages(1).await[0]["body"], "still here");
    if kind == "typing" {
        let told = bob.heard().await.into_iter().filter(|event| event["type"] == "typing").count();
        assert_eq!(told, passed as usize, "what was refused is told");
    }
    let refused = loop {
        let reply = phone.ask(kind, fields.clone()).await;
        if !reply.code().is_empty() {
            break reply.0;
        }
    };
    tokio::time::sleep(Duration::from_secs(refused["error"]["retry_after"].as_u64().unwrap())).await;
    phone.ask(kind, fields).await.ok();
}

#[tokio::test]
async fn a_user_who_connects_too_often_is_refused_at_the_handshake_and_at_the_first_frame() {
    let server = strict(On::Sqlite, 50).await;
    let began = Instant::now();
    let bearer = format!("Bearer {}", token("alice"));
    let mut sockets = until_shut_out(&server, &[("authorization", &bearer)]).await;
    let mut late = 0;
    let (mut refused, reply) = loop {
        let mut socket = Socket::anonymous(server.address).await;
        let reply = socket.ask("auth", json!({ "token": token("alice") })).await;
        if !reply.code().is_empty() {
            break (socket, reply);
        }
        late += 1;
    };
    assert_limited(&reply.0["error"]);
    let bye = refused.expect("bye").await;
    assert_eq!((&bye["code"], &bye["reconnect"]), (&json!("rate_limited"), &json!(true)), "{bye}");
    assert!(matches!(refused.closed().await, Closed::Frame(4429, _)));
    assert_burst(sockets.len() as u32 + late, 1, began);
    // Whoever is in stays, others come in, and alice does after a while.
    sockets[0].ask("conversations", json!({})).await.ok();
    server.socket("bob").await.ask("conversations", json!({})).await.ok();
    tokio::time::sleep(Duration::from_secs_f64(bye["retry_after"].as_f64().unwrap())).await;
    server.socket("alice").await.ask("conversations", json!({})).await.ok();
}

#[rstest]
#[tokio::test]
async fn all_at_one_address_share_a_few_users_worth(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values("send", "join", "typing")] kind: &str,
) {
    const FACTOR: u32 = 2;
    const OFFICE: &str = "203.0.113.1";
    let server = strict(on, FACTOR).await;
    let people = ["alice", "bob", "carol"];
    let id = server.conversation("order:1", &["alice", "bob", "carol", "dave"]).await;
    let fields = json!({ "conversation": id, "body": "x", "on": true });
    let mut office = Vec::new();
    for user in people {
        let headers = [("authorization", format!("Bearer {}", token(user)))];
        let headers = [("authorization", headers[0].1.as_str()), ("x-forwarded-for", OFFICE)];
        office.push(Socket::with_headers(server.address, &headers).await.unwrap().0);
    }
    let began = Instant::now();
    let mut passed = 0;
    for socket in &mut office {
        passed += until_refused(socket, kind, &fields).await;
    }
    assert_burst(passed, FACTOR, began);
    if kind == "send" {
        let by_rest = server.user("carol").with("x-forwarded-for", OFFICE);
        let mut refused = by_rest.say(id, "x").await;
        while refused.status == 201 {
            passed += 1;
            refused = by_rest.say(id, "x").await;
        }
        assert_eq!(refused.verdict(), (429, "rate_limited"));
    }
    // Somebody elsewhere has all of theirs.
    let headers = [("authorization", format!("Bearer {}", token("dave")))];
    let headers = [("authorization", headers[0].1.as_str()), ("x-forwarded-for", "203.0.113.2")];
    let mut dave = Socket::with_headers(server.address, &headers).await.unwrap().0;
    let began = Instant::now();
    let elsewhere = until_refused(&mut dave, kind, &fields).await;
    assert_burst(elsewhere, 1, began);
    let stored = if kind == "send" { passed + elsewhere } else { 0 };
    let history = server.user("alice").with("x-forwarded-for", OFFICE);
    let page = history.get(&format!("/v1/conversations/{id}/messages?limit=200")).await.ok();
    assert_eq!(page["messages"].as_array().unwrap().len(), stored as usize, "what is refused is stored");
}

#[tokio::test]
async fn connections_from_one_address_are_counted_before_anybody_says_who_they_are() {
    const FACTOR: u32 = 2;
    let server = strict(On::Sqlite, FACTOR).await;
    let office = ("x-forwarded-for", "203.0.113.1");
    let began = Instant::now();
    let sockets = until_shut_out(&server, &[office]).await;
    assert_burst(sockets.len() as u32, FACTOR, began);
    // So is one with a bad token, until it is one too many; elsewhere nobody feels it.
    let bad = Socket::with_headers(server.address, &[office, ("authorization", "Bearer x")]).await;
    assert!(matches!(bad, Err((401 | 429, _))));
    for _ in 0..20 {
        drop(
            Socket::with_headers(server.address, &[("x-forwarded-for", "203.0.113.3"), ("authorization", "Bearer x")])
                .await,
        );
    }
    assert!(
        Socket::with_headers(server.address, &[("x-forwarded-for", "203.0.113.3")]).await.is_err_and(|it| it.0 == 429)
    );
    server.socket("alice").await.ask("conversations", json!({})).await.ok();
}

#[tokio::test]
async fn with_limits_off_nobody_is_refused_a_join_typing_or_a_connection() {
    let server = Server::start_with(On::Sqlite, |settings| {
        settings.rate_limits = false;
        let limits = &mut settings.limits;
        (limits.joins_burst, limits.typing_burst, limits.connects_burst, limits.address_factor) = (1, 1, 1, 1);
        limits.connections_per_address = 1;
    })
    .await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut sockets = Vec::new();
    for _ in 0..30 {
        let mut alice = server.joined("alice", id).await;
        alice.ask("typing", json!({ "conversation": id, "on": true })).await.ok();
        sockets.push(alice);
    }
}

#[rstest]
#[tokio::test]
async fn with_limits_off_anybody_may_send_as_much_as_they_like(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    let mut sent = Vec::new();
    for n in 0..2_000 {
        sent.push(alice.feed("send", json!({ "conversation": id, "body": n.to_string() })).await);
    }
    alice.flush().await;
    for sent in sent {
        alice.answer(sent).await.ok();
    }
    let newest = server.user("bob").get(&format!("/v1/conversations/{id}/messages?limit=1")).await.ok();
    assert_eq!(newest["messages"][0]["seq"], 2_000);
}

#[rstest]
#[tokio::test]
async fn a_conversation_of_ten_thousand_is_made_in_one_call_and_works(#[values(On::Sqlite, On::Postgres)] on: On) {
    const PEOPLE: usize = 10_000;
    let server = Server::start(on).await;
    let people: Vec<Value> =
        (0..PEOPLE).map(|n| json!({ "user_id": format!("user-{n}"), "role": "observer" })).collect();
    let made = server.shop().put("/v1/conversations/town", json!({ "participants": people })).await;
    assert_eq!(made.status, 201, "{}", &made.text[..made.text.len().min(300)]);
    assert_eq!(made.body["participants"].as_array().unwrap().len(), PEOPLE);
    let id = made.body["id"].as_i64().unwrap();
    let again = server.shop().put("/v1/conversations/town", json!({ "participants": people })).await;
    assert_eq!((again.status, &again.body["id"]), (200, &json!(id)));
    let (mut first, mut last) = (server.joined("user-0", id).await, server.socket("user-9999").await);
    last.say(id, "hello, all").await;
    assert_eq!(first.expect("message").await["message"]["body"], "hello, all");
    assert_eq!(server.user("user-5000").get("/v1/unread").await.ok()["total"], 1);
    let one_more: Vec<Value> = (0..=PEOPLE).map(|n| json!({ "user_id": format!("x-{n}") })).collect();
    let refused = server.shop().put("/v1/conversations/city", json!({ "participants": one_more })).await;
    assert_eq!(refused.verdict(), (413, "too_large"));
    assert_eq!(server.user("x-1").get("/v1/conversations/city").await.status, 404, "half of it was made");
}
