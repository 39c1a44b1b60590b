//! Sections 3 and 5: saying and hearing, opening conversations, listing them.

use rstest::rstest;
use serde_json::{Value, json};

use super::{assert_time, fields};
use crate::support::On;
use crate::support::server::Server;

#[rstest]
#[tokio::test]
async fn what_one_says_the_others_hear_as_it_was_said(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut alice, mut phone) = (server.joined("alice", id).await, server.joined("alice", id).await);
    let mut bob = server.joined("bob", id).await;
    let text = "  <b>héllo</b> \u{1F980}\n ";
    let send = json!({ "conversation": "order:1", "body": text, "client_id": "c 1" });
    let said = alice.ask("send", send).await.ok()["message"].take();
    let names = ["body", "client_id", "conversation", "created_at", "id", "kind", "sender", "seq"];
    assert_eq!(fields(&said), names);
    assert_eq!((&said["body"], &said["seq"], &said["kind"]), (&json!(text), &json!(1), &json!("text")));
    assert_eq!((&said["conversation"], &said["client_id"]), (&json!(id), &json!("c 1")));
    assert_eq!(said["sender"], json!({ "id": "alice", "name": "alice" }));
    assert!(said["id"].is_i64());
    assert_time(&said["created_at"]);
    let event = json!({ "type": "message", "conversation": id, "message": said });
    assert_eq!(bob.expect("message").await, event);
    assert_eq!(phone.expect("message").await, event, "one's other devices hear it");
    let path = format!("/v1/conversations/{id}/messages");
    let by_rest = server.user("alice").post(&path, json!({ "body": "by REST", "client_id": "c 2" })).await;
    assert_eq!(by_rest.status, 201);
    assert_eq!(bob.expect("message").await["message"], by_rest.body);
    assert_eq!(alice.expect("message").await["message"], by_rest.body, "by REST one's own sockets hear it");
    let repeat = server.user("alice").post(&path, json!({ "body": "by REST", "client_id": "c 2" })).await;
    assert_eq!((repeat.status, repeat.body), (200, by_rest.body));
    let heard = alice.heard().await;
    assert!(heard.iter().all(|event| event["type"] != "message"), "one's own came back beside its answer: {heard:?}");
}

#[rstest]
#[tokio::test]
async fn texts_have_a_length_and_client_ids_too(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    let path = format!("/v1/conversations/{id}/messages");
    for (body, client_id, code, status) in [
        ("\u{1F980}".repeat(4_000), "x".repeat(64), "", 201),
        (format!("  {}  ", "x".repeat(4_000)), "y".to_owned(), "", 201),
        ("x".repeat(4_001), "z".to_owned(), "too_large", 413),
        ("  \n ".to_owned(), "z".to_owned(), "invalid", 400),
        (String::new(), "z".to_owned(), "invalid", 400),
        ("x".to_owned(), "x".repeat(65), "invalid", 400),
        ("x".to_owned(), "\u{1F980}".repeat(17), "invalid", 400),
    ] {
        let answer = server.user("alice").post(&path, json!({ "body": body, "client_id": client_id })).await;
        assert_eq!(answer.verdict(), (status, code));
        let send = json!({ "conversation": id, "body": body, "client_id": client_id });
        assert_eq!(alice.ask("send", send).await.code(), code);
    }
    assert_eq!(server.messages("bob", id).await.len(), 2);
}

#[rstest]
#[tokio::test]
async fn a_participant_may_say_read_and_fetch_without_having_joined(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut alice, mut bob) = (server.socket("alice").await, server.socket("bob").await);
    alice.say(id, "hi").await;
    assert_eq!(bob.expect("unread").await, json!({ "type": "unread", "conversation": id, "count": 1, "total": 1 }));
    let read = bob.ask("read", json!({ "conversation": id, "seq": 1 })).await.ok();
    assert_eq!(read, json!({ "id": 2, "ok": true, "unread": 0 }));
    let history = bob.ask("history", json!({ "conversation": id })).await.ok();
    assert_eq!(history["messages"].as_array().unwrap().len(), 1);
    bob.ask("typing", json!({ "conversation": id, "on": true })).await.ok();
    let heard = alice.heard().await;
    assert!(heard.iter().all(|event| event["type"] == "presence"), "heard without having joined: {heard:?}");
}

#[rstest]
#[tokio::test]
async fn two_people_have_one_conversation_on_each_subject(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let shop = server.shop();
    shop.put("/v1/subjects/item/7", json!({ "title": "A lamp", "owner_id": "bob" })).await.ok();
    let (alice, bob) = (server.user("alice"), server.user("bob"));
    let with = |user: &str, subject: Value| json!({ "participants": [{ "user_id": user }], "subject": subject });
    let item = json!({ "kind": "item", "id": "7" });
    let opened = alice.post("/v1/conversations", with("bob", item.clone())).await;
    assert_eq!(opened.status, 201);
    let conversation = opened.body;
    let names = ["created_at", "id", "key", "kind", "last_message", "participants", "subject", "title", "unread"];
    assert_eq!(fields(&conversation), names);
    assert_eq!(conversation["subject"], json!({ "kind": "item", "id": "7", "title": "A lamp" }));
    assert_eq!((&conversation["key"], &conversation["last_message"]), (&Value::Null, &Value::Null));
    let people: Vec<_> = conversation["participants"].as_array().unwrap().iter().map(|one| &one["user_id"]).collect();
    assert_eq!(people, ["alice", "bob"]);
    assert_eq!(fields(&conversation["participants"][0]), ["name", "online", "role", "user_id"]);
    assert_time(&conversation["created_at"]);
    for (caller, other) in [(&alice, "bob"), (&bob, "alice")] {
        let found = caller.post("/v1/conversations", with(other, item.clone())).await;
        assert_eq!((found.status, &found.body["id"]), (200, &conversation["id"]));
    }
    let plain = alice.post("/v1/conversations", json!({ "participants": [{ "user_id": "bob" }] })).await;
    assert_eq!(plain.status, 201, "without a subject it is another");
    let found = bob.post("/v1/conversations", json!({ "participants": [{ "user_id": "alice" }] })).await;
    assert_eq!((found.status, &found.body["id"]), (200, &plain.body["id"]));
    let three = json!({ "participants": [{ "user_id": "bob" }, { "user_id": "carol" }], "title": "Three" });
    let (one, two) =
        (alice.post("/v1/conversations", three.clone()).await, alice.post("/v1/conversations", three).await);
    assert_eq!((one.status, two.status), (201, 201));
    assert_ne!(one.body["id"], two.body["id"], "a group is a new one each time");
    // Two people who open it at the same moment get the same one.
    let fresh = json!({ "kind": "item", "id": "8" });
    let (a, b) = tokio::join!(
        alice.post("/v1/conversations", with("bob", fresh.clone())),
        bob.post("/v1/conversations", with("alice", fresh.clone()))
    );
    assert_eq!(a.body["id"], b.body["id"]);
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    for bad in [json!({ "kind": "car", "id": "7" }), json!({ "kind": "item", "id": "" }), json!({ "kind": "item" })] {
        assert_eq!(alice.post("/v1/conversations", with("bob", bad)).await.verdict(), (400, "invalid"));
    }
    assert_eq!(alice.post("/v1/conversations", json!({ "participants": [] })).await.verdict(), (400, "invalid"));
}

#[rstest]
#[tokio::test]
async fn the_list_is_by_newest_activity_and_its_pages_leave_nothing_out(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
    let mut ids = Vec::new();
    for n in 0..23 {
        ids.push(server.conversation(&format!("order:{n}"), &["alice", "bob"]).await);
    }
    server.conversation("order:other", &["bob"]).await;
    let mut alice = server.socket("alice").await;
    // Spoken in last, a conversation comes first.
    for n in [3, 20, 11] {
        alice.say(ids[n], "hello").await;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let mut listed = Vec::new();
    let mut ask = json!({ "limit": 5 });
    loop {
        let page = alice.ask("conversations", ask.clone()).await.ok();
        let some = page["conversations"].as_array().unwrap();
        assert!(some.len() <= 5);
        listed.extend(some.clone());
        if page["next"].is_null() {
            break;
        }
        ask["cursor"] = page["next"].clone();
    }
    let order: Vec<_> = listed.iter().map(|one| one["id"].as_i64().unwrap()).collect();
    assert_eq!(order[..3], [ids[11], ids[20], ids[3]]);
    assert_eq!(order.iter().collect::<std::collections::HashSet<_>>().len(), 23, "left out or told twice: {order:?}");
    assert_eq!(listed[0]["last_message"]["body"], "hello");
    let bob = server.user("bob").get("/v1/conversations?limit=2").await.ok();
    assert_eq!((&bob["conversations"][0]["id"], &bob["conversations"][0]["unread"]), (&json!(ids[11]), &json!(1)));
    let next =
        server.user("bob").get(&format!("/v1/conversations?limit=2&cursor={}", bob["next"].as_str().unwrap())).await;
    assert_eq!(next.ok()["conversations"][0]["id"], ids[3]);
    assert_eq!(server.user("bob").get("/v1/conversations?cursor=nonsense").await.verdict(), (400, "invalid"));
    let by_key = server.user("alice").get("/v1/conversations/order:3").await.ok();
    assert_eq!(by_key["id"], ids[3]);
    assert_eq!(server.user("alice").get(&format!("/v1/conversations/{}", ids[3])).await.ok(), by_key);
}
