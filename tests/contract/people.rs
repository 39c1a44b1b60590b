//! Section 2: what the shop's backend says of people, subjects and conversations, and that it holds at once.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::client::Socket;
use crate::support::rest::{now_s, sign};
use crate::support::server::Server;

#[rstest]
#[tokio::test]
async fn a_name_that_the_shop_gives_shows_at_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut bob = server.joined("bob", id).await;
    let mut alice = Socket::anonymous(server.address).await;
    let token = sign(&json!({ "sub": "alice", "name": "Token Alice", "exp": now_s() + 600 }));
    assert_eq!(alice.ask("auth", json!({ "token": token })).await.ok()["name"], "Token Alice");
    alice.ask("join", json!({ "conversation": id })).await.ok();
    alice.say(id, "one").await;
    assert_eq!(bob.expect("message").await["message"]["sender"], json!({ "id": "alice", "name": "Token Alice" }));
    let put = server.shop().put("/v1/users/alice", json!({ "name": "Alice" })).await;
    assert_eq!((put.status, &put.body["name"]), (200, &json!("Alice")));
    alice.say(id, "two").await;
    assert_eq!(bob.expect("message").await["message"]["sender"]["name"], "Alice");
    alice.ask("typing", json!({ "conversation": id, "on": true })).await.ok();
    assert_eq!(bob.expect("typing").await["name"], "Alice");
    let history = server.messages("bob", id).await;
    assert!(history.iter().all(|message| message["sender"]["name"] == "Alice"), "{history:?}");
    assert_eq!(alice.ask("auth", json!({ "token": token })).await.ok()["name"], "Alice", "the shop's name wins");
}

#[rstest]
#[tokio::test]
async fn users_are_made_and_changed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let shop = server.shop();
    let made = shop.put("/v1/users/u1", json!({ "name": "One", "role": "seller" })).await;
    let answer = json!({ "id": "u1", "name": "One", "role": "seller", "status": "active" });
    assert_eq!((made.status, made.body), (201, answer));
    let changed = shop.put("/v1/users/u1", json!({ "role": "agent" })).await;
    let answer = json!({ "id": "u1", "name": "One", "role": "agent", "status": "active" });
    assert_eq!((changed.status, changed.body), (200, answer), "what is not given stays");
    let plain = shop.put("/v1/users/u2", json!({})).await.ok();
    assert_eq!(plain, json!({ "id": "u2", "name": "u2", "role": "", "status": "active" }));
    for bad in [json!({ "status": "gone" }), json!({ "name": "" }), json!({ "name": 7 }), json!("x")] {
        assert_eq!(shop.put("/v1/users/u1", bad.clone()).await.verdict(), (400, "invalid"), "{bad}");
    }
    let long = "x".repeat(300);
    assert_eq!(shop.put(&format!("/v1/users/{long}"), json!({})).await.verdict(), (400, "invalid"));
}

#[rstest]
#[tokio::test]
async fn conversations_are_made_changed_and_lose_nobody_by_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let shop = server.shop();
    let subject = json!({ "title": "Order 42", "owner_id": "bob", "url": "https://shop.example/42" });
    let put = shop.put("/v1/subjects/order/42", subject).await;
    assert_eq!(put.status, 201);
    assert_eq!(
        (&put.body["kind"], &put.body["id"], &put.body["title"]),
        (&json!("order"), &json!("42"), &json!("Order 42"))
    );
    assert_eq!(shop.put("/v1/subjects/car/1", json!({})).await.verdict(), (400, "invalid"));
    let body = json!({
        "kind": "order", "title": "Your order", "subject": { "kind": "order", "id": "42" },
        "participants": [{ "user_id": "alice", "role": "buyer" }, { "user_id": "bob", "role": "seller" }]
    });
    let made = shop.put("/v1/conversations/order:42", body).await;
    assert_eq!(made.status, 201);
    let subject = json!({ "kind": "order", "id": "42", "title": "Order 42" });
    assert_eq!((&made.body["key"], &made.body["subject"]), (&json!("order:42"), &subject));
    let roles = |conversation: &Value| -> Vec<(String, String)> {
        let people = conversation["participants"].as_array().unwrap().iter();
        people.map(|one| (one["user_id"].as_str().unwrap().into(), one["role"].as_str().unwrap().into())).collect()
    };
    let pair = |user: &str, role: &str| (user.to_owned(), role.to_owned());
    assert_eq!(roles(&made.body), [pair("alice", "buyer"), pair("bob", "seller")]);
    // While somebody listens: one comes, one's part changes, nobody goes.
    let id = made.body["id"].as_i64().unwrap();
    let mut alice = server.joined("alice", id).await;
    let body = json!({ "participants": [{ "user_id": "carol", "role": "agent" }, { "user_id": "alice", "role": "observer" }] });
    let changed = shop.put("/v1/conversations/order:42", body).await;
    assert_eq!((changed.status, &changed.body["title"]), (200, &json!("Your order")));
    assert_eq!(roles(&changed.body), [pair("alice", "observer"), pair("bob", "seller"), pair("carol", "agent")]);
    let mut carol = server.joined("carol", id).await;
    alice.expect("joined").await;
    carol.say(id, "I am here").await;
    assert_eq!(alice.expect("message").await["message"]["sender"]["id"], "carol");
    // What was said before one came is history, and no badge.
    let joined = carol.ask("join", json!({ "conversation": id })).await.ok();
    assert_eq!(roles(&joined).len(), 3);
    alice.say(id, "hello").await;
    server.conversation("order:42", &["dave"]).await;
    assert_eq!(server.user("dave").get("/v1/unread").await.ok()["total"], 0);
    assert_eq!(server.messages("dave", id).await.len(), 2);
    // Taking out who is not in, or from what is not there, is not found.
    let gone = shop.delete("/v1/conversations/order:42/participants/nobody").await;
    assert_eq!(gone.verdict(), (404, "not_found"));
    assert_eq!(shop.delete("/v1/conversations/order:43/participants/bob").await.verdict(), (404, "not_found"));
    let bad = json!({ "participants": [{ "user_id": "" }] });
    assert_eq!(shop.put("/v1/conversations/order:44", bad).await.verdict(), (400, "invalid"));
    let bad = json!({ "participants": [], "subject": { "kind": "car", "id": "1" } });
    assert_eq!(shop.put("/v1/conversations/order:44", bad).await.verdict(), (400, "invalid"));
    assert_eq!(shop.put("/v1/conversations/order:44", json!({})).await.verdict(), (400, "invalid"));
}
