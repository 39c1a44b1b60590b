//! Where something ends or begins anew: leaving, joining again, renewing, being removed from a crowd, finding what exists.
//!
//! What lives here: what went wrong once, and must not again. What must not: the plain ways (the other files have them).

use rstest::rstest;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::On;
use crate::support::client::Socket;
use crate::support::rest;
use crate::support::server::Server;

#[rstest]
#[tokio::test]
async fn nothing_of_a_conversation_is_told_after_it_was_left(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    for n in 0..300 {
        alice.feed("send", json!({ "conversation": id, "body": n.to_string() })).await;
    }
    alice.flush().await;
    let last = alice.say(id, "last").await;
    let mut bob = server.socket("bob").await;
    bob.ask("join", json!({ "conversation": id, "after": 0 })).await.ok();
    bob.ask("leave", json!({ "conversation": id })).await.ok();
    bob.heard().await;
    alice.say(id, "after bob left").await;
    bob.ask("history", json!({ "conversation": id, "limit": 1 })).await.ok();
    let after: Vec<Value> = bob.heard().await;
    assert!(after.iter().all(|event| event["type"] != "message"), "told after leaving {last}: {after:?}");
}

#[rstest]
#[tokio::test]
async fn joining_anew_without_a_cursor_replays_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    let mut bob = server.joined("bob", id).await;
    bob.ask("leave", json!({ "conversation": id })).await.ok();
    for body in ["one", "two", "three"] {
        alice.say(id, body).await;
    }
    bob.ask("join", json!({ "conversation": id })).await.ok();
    let live = alice.say(id, "live").await;
    assert_eq!(bob.expect("message").await["message"], live, "the first that is told is the first after joining");
}

#[tokio::test]
async fn an_array_is_no_frame_and_no_body() {
    let server = Server::start(On::Sqlite).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.socket("alice").await;
    for frame in [r#"[]"#, r#"[7,"conversations",null,null,null,null,null,null,null,null,null,null]"#, "7", "null"] {
        alice.raw(Message::text(frame)).await;
        let reply = alice.next_reply().await.unwrap();
        assert_eq!(reply.code(), "invalid", "{frame}");
    }
    let refused =
        server.user("alice").post(&format!("/v1/conversations/{id}/messages"), json!(["by array", "c9"])).await;
    assert_eq!(refused.verdict(), (400, "invalid"));
}

#[tokio::test]
async fn renewing_a_token_counts_as_a_command() {
    let server = Server::start(On::Sqlite).await;
    let mut alice = server.socket("alice").await;
    for _ in 0..600 {
        alice.feed("auth", json!({ "token": rest::token("alice") })).await;
    }
    alice.flush().await;
    let mut limited = 0;
    for _ in 0..600 {
        let reply = alice.next_reply().await.unwrap();
        limited += usize::from(reply.code() == "rate_limited");
    }
    assert!(limited > 50, "only {limited} of 600 renewals at once were refused");
    alice.ask("auth", json!({ "token": rest::token("bob") })).await;
}

#[rstest]
#[tokio::test]
async fn a_subject_is_answered_whole_whatever_the_call_gave(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let first = server.shop().put("/v1/subjects/item/7", json!({ "title": "A lamp" })).await.ok();
    let then = server.shop().put("/v1/subjects/item/7", json!({ "url": "https://shop.example/7" })).await.ok();
    assert_eq!((&first["title"], &first["url"]), (&json!("A lamp"), &Value::Null));
    assert_eq!((&then["title"], &then["url"]), (&json!("A lamp"), &json!("https://shop.example/7")));
}

#[tokio::test]
async fn whoever_is_removed_from_a_crowd_hears_it_and_the_crowd_is_spared() {
    let server = Server::start(On::Sqlite).await;
    let crowd: Vec<String> = (0..300).map(|n| format!("user-{n}")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    let id = server.conversation("order:1", &crowd).await;
    let mut removed = server.joined("user-1", id).await;
    let mut stays = server.joined("user-2", id).await;
    server.shop().delete("/v1/conversations/order:1/participants/user-1").await;
    assert_eq!(removed.expect("left").await["user_id"], "user-1");
    server.user("user-3").say(id, "still here").await;
    stays.expect("message").await;
    assert!(!stays.has_event("left"), "comings and goings are not told to more than 256");
    assert!(!removed.has_event("message"));
}

#[rstest]
#[tokio::test]
async fn two_people_find_the_conversation_that_the_shop_made_for_them(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let made = json!({
        "subject": { "kind": "order", "id": "42" },
        "participants": [{ "user_id": "alice" }, { "user_id": "bob" }],
    });
    let id = server.shop().put("/v1/conversations/order:42", made).await.ok()["id"].clone();
    let open = |subject: Value| json!({ "participants": [{ "user_id": "bob" }], "subject": subject });
    let found = server.user("alice").post("/v1/conversations", open(json!({ "kind": "order", "id": "42" }))).await;
    assert_eq!((found.verdict().0, &found.ok()["id"]), (200, &id));
    let other = server.user("alice").post("/v1/conversations", open(json!({ "kind": "order", "id": "43" }))).await;
    assert_eq!(other.verdict().0, 201, "another subject is another conversation");
    let third = json!({ "participants": [{ "user_id": "carol" }] });
    server.shop().put("/v1/conversations/order:42", third).await.ok();
    let apart = server.user("alice").post("/v1/conversations", open(json!({ "kind": "order", "id": "42" }))).await;
    assert_eq!(apart.verdict().0, 201, "three people's conversation is not theirs alone");
}

#[rstest]
#[tokio::test]
async fn of_leaving_and_joining_in_one_breath_the_last_holds(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut alice, mut bob) = (server.joined("alice", id).await, server.joined("bob", id).await);
    for round in 0..30 {
        let frames = [("typing", json!({ "on": round % 2 == 0 })), ("leave", json!({})), ("join", json!({}))];
        let mut asked = Vec::new();
        for (kind, mut fields) in frames {
            fields["conversation"] = id.into();
            asked.push(bob.feed(kind, fields).await);
        }
        bob.flush().await;
        for one in asked {
            bob.answer(one).await.ok();
        }
        let said = alice.say(id, &format!("round {round}")).await;
        assert_eq!(bob.expect("message").await["message"], said);
    }
}

#[rstest]
#[tokio::test]
async fn whoever_guesses_the_next_number_keeps_nobody_out(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let mut newest = server.conversation("order:0", &["alice", "bob"]).await;
    let mut mallory = server.socket("mallory").await;
    for round in 1..6 {
        for guess in newest + 1..newest + 4 {
            assert_eq!(mallory.ask("join", json!({ "conversation": guess })).await.code(), "not_found");
        }
        newest = server.conversation(&format!("order:{round}"), &["alice", "bob"]).await;
        assert_eq!(server.user("alice").say(newest, "hello").await.verdict().0, 201, "made by the shop");
        assert_eq!(mallory.ask("join", json!({ "conversation": newest + 1 })).await.code(), "not_found");
        let subject = json!({ "kind": "item", "id": round.to_string() });
        let opened = json!({ "participants": [{ "user_id": "bob" }], "subject": subject });
        newest = server.user("alice").post("/v1/conversations", opened).await.ok()["id"].as_i64().unwrap();
        assert_eq!(server.user("bob").say(newest, "hello").await.verdict().0, 201, "opened by a user");
    }
}

#[tokio::test]
async fn a_badge_goes_with_the_conversation_it_was_for() {
    let server = Server::start(On::Sqlite).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut bob = server.socket("bob").await;
    server.user("alice").say(id, "one").await;
    assert_eq!(bob.expect("unread").await["total"], 1);
    server.shop().delete("/v1/conversations/order:1/participants/bob").await;
    let none = json!({ "type": "unread", "conversation": id, "count": 0, "total": 0 });
    assert_eq!(bob.expect("unread").await, none);
}

#[tokio::test]
async fn one_more_than_ten_thousand_is_too_large_in_one_call_or_in_two() {
    let server = Server::start(On::Sqlite).await;
    let people = |from: usize, to: usize| -> Value {
        (from..to).map(|n| json!({ "user_id": format!("user-{n}") })).collect::<Vec<_>>().into()
    };
    let put = |people: Value| json!({ "participants": people });
    let at_once = server.shop().put("/v1/conversations/town", put(people(0, 10_001))).await;
    assert_eq!(at_once.verdict(), (413, "too_large"));
    server.shop().put("/v1/conversations/town", put(people(0, 10_000))).await.ok();
    let then = server.shop().put("/v1/conversations/town", put(people(10_000, 10_001))).await;
    assert_eq!(then.verdict(), (413, "too_large"));
}

#[rstest]
#[tokio::test]
async fn a_user_has_one_name_live_and_stored(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let named = |name: &str| rest::sign(&json!({ "sub": "alice", "name": name, "exp": rest::now_s() + 60 }));
    let mut first = Socket::anonymous(server.address).await;
    first.ask("auth", json!({ "token": named("Al") })).await.ok();
    first.ask("join", json!({ "conversation": id })).await.ok();
    let mut second = Socket::anonymous(server.address).await;
    second.ask("auth", json!({ "token": named("Alice") })).await.ok();
    let said = first.say(id, "hello").await;
    assert_eq!(said["sender"]["name"], "Alice", "the newest token's, as it is stored");
    assert_eq!(server.messages("bob", id).await, [said]);
}
