//! Text frames that are no requests: each is refused by itself, with its code, and the connection goes on.
//!
//! What lives here: what stands in a text frame. What must not: frames that are no WebSocket (in `wire`).

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Besieged, SAID};
use crate::support::client::{Closed, Socket};
use crate::support::rest::{now_s, sign, sign_with, token};

/// What is sent, and the code that it is refused with.
fn cases(conversation: i64) -> Vec<(String, &'static str)> {
    let text = |text: &str| (text.to_owned(), "invalid");
    let send = |body: Value| json!({"id": 1, "type": "send", "conversation": conversation, "body": body}).to_string();
    let in_it = |kind: &str, fields: Value| {
        let mut frame = json!({"id": 1, "type": kind, "conversation": conversation});
        frame.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        frame.to_string()
    };
    let deep = |open: &str, close: &str| format!("{}{SAID}{}", open.repeat(10_000), close.repeat(10_000));
    let mut cases = vec![
        text(""),
        text(SAID),
        text("\"hunter2-is-what-was-said\""),
        text("null"),
        text("[]"),
        text("{}"),
        text("{\"id\":1"),
        text("{\"id\":1,\"type\":\"hunter2-is-what-was-said\"}"),
        text("{\"id\":1,\"type\":7}"),
        text("{\"id\":\"hunter2-is-what-was-said\",\"type\":\"leave\"}"),
        text("{\"id\":1e400,\"type\":\"leave\"}"),
        text("{\"id\":1,\"id\":2,\"type\":\"conversations\"}"),
        text("{\"id\":1,\"type\":\"send\",\"conversation\":1,\"body\":\"\\ud800\"}"),
        text("{\"id\":1,\"type\":\"send\",\"conversation\":1,\"body\":\"\\udc00\\ud800\"}"),
        (deep("[", "]"), "invalid"),
        (deep("{\"a\":", "}"), "invalid"),
        (format!("{{\"id\":1,\"type\":\"join\",\"conversation\":{}}}", deep("[", "]").replace(SAID, "1")), "invalid"),
        (send(json!("")), "invalid"),
        (send(json!(" \u{a0}\n")), "invalid"),
        (send(json!(format!("{SAID}\0"))), "invalid"),
        (send(json!("x".repeat(4_001))), "too_large"),
        (send(json!("😀".repeat(4_001))), "too_large"),
        (send(json!(null)), "invalid"),
        (send(json!([SAID])), "invalid"),
        (send(json!({ "text": SAID })), "invalid"),
        (in_it("send", json!({"body": SAID, "client_id": "c".repeat(65)})), "invalid"),
        (in_it("send", json!({"body": SAID, "client_id": "a\0b"})), "invalid"),
        (in_it("send", json!({"body": SAID, "client_id": 5})), "invalid"),
        (in_it("send", json!({})), "invalid"),
        (in_it("typing", json!({})), "invalid"),
        (in_it("typing", json!({"on": 1})), "invalid"),
        (in_it("read", json!({})), "invalid"),
        (in_it("read", json!({"seq": -1})), "invalid"),
        (in_it("read", json!({"seq": i64::MAX})), "invalid"),
        (in_it("received", json!({"seq": 1.5})), "invalid"),
        (in_it("join", json!({"after": -1})), "invalid"),
        (in_it("join", json!({"after": "0"})), "invalid"),
        (in_it("history", json!({"before": 1, "after": 1})), "invalid"),
        (in_it("history", json!({"limit": 0})), "invalid"),
        (in_it("history", json!({"limit": -9_000_000_000_000_i64})), "invalid"),
        (json!({"id": 1, "type": "conversations", "cursor": "'; drop table message; --"}).to_string(), "invalid"),
        (json!({"id": 1, "type": "conversations", "limit": "all"}).to_string(), "invalid"),
        (json!({"id": 1, "type": "auth"}).to_string(), "invalid"),
        (json!({"id": 1, "type": "auth", "token": SAID}).to_string(), "unauthorized"),
        (json!({"id": 1, "type": "auth", "token": token("bob")}).to_string(), "forbidden"),
        (json!({"id": 1, "type": "auth", "token": "x".repeat(60_000)}).to_string(), "unauthorized"),
    ];
    cases.extend(names());
    cases
}

/// Conversations that are none, in every frame that names one.
fn names() -> Vec<(String, &'static str)> {
    let mut cases = Vec::new();
    let names = [
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(9_007_199_254_740_992_i64),
        json!(1.5),
        json!(""),
        json!("\0"),
        json!({}),
        json!([1]),
        json!(null),
        json!(true),
    ];
    for kind in ["join", "leave", "send", "typing", "received", "read", "history"] {
        for name in &names {
            let frame = json!({"id": 1, "type": kind, "conversation": name, "body": SAID, "on": true, "seq": 1});
            cases.push((frame.to_string(), "invalid"));
        }
        for stranger in [json!(999_999), json!("order:999999"), json!(format!("{SAID}'--"))] {
            let frame = json!({"id": 1, "type": kind, "conversation": stranger, "body": SAID, "on": true, "seq": 1});
            cases.push((frame.to_string(), "not_found"));
        }
    }
    cases
}

#[actix_web::test]
async fn a_bad_frame_is_refused_by_itself_and_the_connection_goes_on() {
    // Without limits, so that each is refused for what it is.
    let mut besieged = Besieged::start(&[("HAGGLE_RATE_LIMITS", "off")]).await;
    let mut alice = besieged.server.joined("alice", besieged.conversation).await;
    for (frame, code) in cases(besieged.conversation) {
        let shown: String = frame.chars().take(120).collect();
        alice.raw(Message::text(frame)).await;
        let refused = alice.next_reply().await.unwrap_or_else(|| panic!("{shown}: the connection ended"));
        assert_eq!(refused.code(), code, "{shown}: {}", refused.0);
        let words = refused.0["error"]["message"].as_str().unwrap_or_default();
        assert!(!words.is_empty() && !words.contains(SAID), "{shown}: {words}");
    }
    alice.say(besieged.conversation, "still here too").await;
    let heard = besieged.neighbour.expect("message").await;
    assert_eq!(heard["message"]["body"], "still here too", "nothing of what was refused is said");
    besieged.end().await;
}

#[actix_web::test]
async fn bad_frames_count_against_their_senders_limit() {
    let besieged = Besieged::start(&[]).await;
    let mut mallory = besieged.server.socket("mallory").await;
    for _ in 0..600 {
        mallory.raw(Message::text("{\"type\":\"shout\"}")).await;
    }
    let mut last = None;
    for _ in 0..600 {
        last = mallory.next_reply().await;
    }
    assert_eq!(last.expect("an answer to each").code(), "rate_limited");
    besieged.end().await;
}

#[actix_web::test]
async fn whoever_does_not_say_who_they_are_is_closed() {
    let mut besieged = Besieged::start(&[]).await;
    let expired = sign(&json!({ "sub": "alice", "exp": now_s() - 1 }));
    let forged = sign_with(&json!({ "sub": "alice", "exp": now_s() + 60 }), "another secret, of thirty-two bytes");
    let auth = |token: &str| json!({"id": 1, "type": "auth", "token": token}).to_string();
    let rows = [
        (SAID.to_owned(), "invalid", 4400),
        (String::new(), "invalid", 4400),
        ("{\"id\":1,\"type\":\"auth\"}".to_owned(), "invalid", 4400),
        ("{\"id\":1,\"type\":\"conversations\"}".to_owned(), "unauthorized", 4401),
        (auth(""), "unauthorized", 4401),
        (auth(SAID), "unauthorized", 4401),
        (auth(&expired), "unauthorized", 4401),
        (auth(&forged), "unauthorized", 4401),
        (auth(crate::support::server::SERVER_KEY), "unauthorized", 4401),
    ];
    for (frame, code, close) in rows {
        let mut nobody = Socket::anonymous(besieged.server.address).await;
        // What comes after the first bad frame is not looked at.
        nobody.raw(Message::text(frame.clone())).await;
        nobody.try_raw(Message::text(auth(&token("alice")))).await;
        let refused = nobody.next_reply().await.unwrap_or_else(|| panic!("{frame}: no answer"));
        assert_eq!(refused.code(), code, "{frame}");
        assert!(nobody.next_reply().await.is_none(), "{frame}: a second frame was answered");
        assert_eq!(nobody.expect("bye").await["code"], code, "{frame}");
        assert!(matches!(nobody.closed().await, Closed::Frame(seen, _) if seen == close), "{frame}");
    }
    besieged.is_well("bad introductions").await;
    besieged.end().await;
}
