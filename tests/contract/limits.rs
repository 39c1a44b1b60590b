//! Section 3: how much a user may send, and how large a conversation may be.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::server::Server;

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
