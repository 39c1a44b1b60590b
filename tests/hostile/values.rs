//! Odd values in every field that a client fills, on every vocabulary, by socket and by REST, on both databases: each is refused with a
//! code of its own or taken as what it says, never a fault of the server's; a lookup finds what was named, never what is like it.
//!
//! What lives here: numbers that no counter holds, text that means something to a database, depth. What must not: packets that are none.

use haggle::vocabulary::Vocabulary;
use haggle::vocabulary::{book, group, item, native, order, shop};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::Besieged;
use crate::support::On;
use crate::support::rest::token;
use crate::support::socketio::SocketIo;

const LIMITS_OFF: (&str, &str) = ("HAGGLE_RATE_LIMITS", "off");
/// What a refusal may be called: the client's fault, not the server's.
const CODES: [&str; 6] = ["invalid", "not_found", "forbidden", "too_large", "unauthorized", "rate_limited"];

/// Short ones.
const ODD: &[&str] = &[
    "null",
    "true",
    "-1",
    "-0",
    "0",
    "0.5",
    "-0.0",
    "1.0",
    "1e0",
    "1e400",
    "-1e400",
    "1e-400",
    "9007199254740991",
    "9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "[]",
    "{}",
    "[1]",
    r#"{"id":1}"#,
    r#""""#,
    r#"" ""#,
    r#""\u0000""#,
    r#""a\u0000b""#,
    r#""\ud800""#,
    r#""\udc00\ud800""#,
    r#""%""#,
    r#""_""#,
    r#""%25""#,
    r#""\\""#,
    r#""'""#,
    r#""\"""#,
    r#""''; DROP TABLE message; --""#,
    r#""$1""#,
    r#"":a & !b | (c <-> 'd':*)""#,
    r#""NEAR(a b) OR \"x\"*""#,
    r#""\r\nX: y""#,
    r#""\u001b[31m""#,
    r#""\u202e""#,
    r#""\u2028""#,
    r#""\ufeff""#,
    r#""../../etc/passwd""#,
    r#""1|2:3""#,
    r#""a|b""#,
    r#""|:""#,
    r#""order:%""#,
    r#""NaN""#,
    r#""1e400""#,
    r#""٣""#,
    r#""１""#,
    r#""+1""#,
    r#""0x1""#,
    r#""1 ""#,
];

/// What stands in a field, as JSON.
fn odd() -> Vec<String> {
    let mut all: Vec<String> = ODD.iter().copied().map(str::to_owned).collect();
    all.push("9".repeat(30_000));
    all.push(format!("1.{}", "0".repeat(30_000)));
    all.push(format!("\"{}\"", "9".repeat(30_000)));
    all.push(format!("\"{}\"", "😀".repeat(3_000)));
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [64, 127, 128, 129, 10_000] {
            all.push(format!("{}1{}", open.repeat(depth), close.repeat(depth)));
        }
    }
    all
}

/// A payload of good fields, one of which is odd.
fn payloads(good: &[(&str, String)]) -> Vec<String> {
    let mut all = odd();
    for field in 0..good.len() {
        all.extend(odd().into_iter().map(|odd| {
            let fields = good
                .iter()
                .enumerate()
                .map(|(place, (name, value))| format!("\"{name}\":{}", if place == field { &odd } else { value }));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }));
    }
    all
}

/// A vocabulary's events, and the fields that they have, with good values.
fn spoken(vocabulary: Vocabulary, conversation: i64) -> (&'static [&'static str], Vec<(&'static str, String)>) {
    let text = |text: &str| format!("\"{text}\"");
    match vocabulary {
        Vocabulary::Native => (&native::TYPES, vec![]),
        Vocabulary::Item => (
            &item::EVENTS,
            vec![("itemId", text("1")), ("buyerId", text("alice")), ("content", text("x")), ("clientId", text("c"))],
        ),
        Vocabulary::Book => (
            &book::EVENTS,
            vec![
                ("conversationId", text("1|alice:bob")),
                ("message", text("x")),
                ("messageType", text("text")),
                ("recipientId", text("bob")),
                ("bookId", text("1")),
                ("isTyping", "true".into()),
                ("userId", text("alice")),
                ("clientId", text("c")),
            ],
        ),
        Vocabulary::Order => (
            &order::EVENTS,
            vec![("orderId", text("1")), ("message", text("x")), ("isTyping", "true".into()), ("clientId", text("c"))],
        ),
        Vocabulary::Group => (
            &group::EVENTS,
            vec![("chatId", conversation.to_string()), ("content", text("x")), ("clientId", text("c"))],
        ),
        Vocabulary::Shop => (
            &shop::EVENTS,
            vec![
                ("conversationId", conversation.to_string()),
                ("message", text("x")),
                ("messageType", text("text")),
                ("limit", "5".into()),
                ("before", "5".into()),
                ("isTyping", "true".into()),
                ("clientId", text("c")),
            ],
        ),
    }
}

#[rstest]
#[actix_web::test]
async fn no_value_of_an_events_field_is_a_fault_of_the_servers(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut besieged = Besieged::start_on(on, &[LIMITS_OFF]).await;
    for vocabulary in Vocabulary::ON_SOCKET_IO {
        let namespace = format!("/{}", vocabulary.name());
        let auth = json!({ "token": token("alice") });
        let mut socket = SocketIo::connect(besieged.server.address, &namespace, &auth).await.expect("alice");
        let (events, fields) = spoken(vocabulary, besieged.conversation);
        for event in events {
            for payload in payloads(&fields) {
                let answer = loop {
                    let answer = socket.maybe_ask_text(event, &payload).await;
                    let answer = answer.unwrap_or_else(|| panic!("{namespace} {event} {payload:.100}: it ended"));
                    // Without limits, presence may have too much to do.
                    if answer["code"] != "unavailable" || !event.starts_with("user:") {
                        break answer;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                };
                let code = answer["code"].as_str();
                assert!(code.is_none_or(|code| CODES.contains(&code)), "{namespace} {event} {payload:.100}: {answer}");
            }
        }
        besieged.is_well(&namespace).await;
    }
    besieged.end().await;
}

#[rstest]
#[actix_web::test]
async fn no_value_of_a_frames_field_is_a_fault_of_the_servers(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut besieged = Besieged::start_on(on, &[LIMITS_OFF]).await;
    let mut alice = besieged.server.socket("alice").await;
    let conversation = besieged.conversation.to_string();
    let good = [
        ("conversation", conversation),
        ("body", "\"x\"".to_owned()),
        ("client_id", "\"c\"".to_owned()),
        ("seq", "1".to_owned()),
        ("before", "5".to_owned()),
        ("after", "0".to_owned()),
        ("limit", "5".to_owned()),
        ("cursor", "\"1.1\"".to_owned()),
        ("on", "true".to_owned()),
        ("token", format!("\"{}\"", token("alice"))),
    ];
    for kind in native::TYPES {
        for (field, _) in &good {
            for odd in odd() {
                let others = good.iter().filter(|(name, _)| name != field && (*name != "before" || *field == "after"));
                let others: String = others.map(|(name, value)| format!("\"{name}\":{value},")).collect();
                let frame = format!("{{{others}\"{field}\":{odd},\"type\":\"{kind}\",\"id\":1}}");
                alice.raw(Message::text(frame)).await;
                let reply = alice.next_reply().await.unwrap_or_else(|| panic!("{kind} {field} {odd:.60}: it ended"));
                let code = reply.code();
                assert!(code.is_empty() || CODES.contains(&code), "{kind} {field} {odd:.60}: {}", reply.0);
            }
        }
        alice.heard().await;
    }
    for odd in odd() {
        alice
            .raw(Message::text(format!(
                "{{\"id\":{odd},\"type\":\"leave\",\"conversation\":{}}}",
                besieged.conversation
            )))
            .await;
        let reply = alice.next_reply().await.expect("an answer");
        assert!(reply.code().is_empty() || reply.code() == "invalid", "{odd:.60}: {}", reply.0);
    }
    besieged.is_well("odd fields").await;
    besieged.end().await;
}

/// Every route with a place for a value in its path or query.
const PLACES: [&str; 17] = [
    "GET /v1/conversations/{}",
    "GET /v1/conversations/{}/messages",
    "GET /v1/conversations/order:1/messages?before={}",
    "GET /v1/conversations/order:1/messages?after={}",
    "GET /v1/conversations/order:1/messages?limit={}",
    "GET /v1/conversations?cursor={}",
    "GET /v1/conversations?limit={}",
    "GET /v1/users/{}/presence",
    "GET /api/messages/{}",
    "GET /api/messages/1%7Calice:bob?page={}",
    "GET /api/messages/1%7Calice:bob?limit={}",
    "GET /api/messages/partner?bookId={}",
    "GET /api/messages/unread/{}",
    "GET /api/v0/chat/messages/{}",
    "GET /api/v0/chat/unread?orderId={}",
    "GET /api/chat/conversations/{}/messages",
    "GET /api/chat/users/{}/status",
];

/// An odd value as it stands in a path or query.
fn percent(value: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric();
    value.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[rstest]
#[actix_web::test]
async fn no_value_of_a_path_or_query_is_a_fault_of_the_servers(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut besieged = Besieged::start_on(on, &[LIMITS_OFF]).await;
    let alice = besieged.server.user("alice");
    for place in PLACES {
        for odd in odd().iter().filter(|odd| odd.len() < 1_000) {
            // As text where it is text, else as it is written.
            let value = serde_json::from_str::<String>(odd).unwrap_or_else(|_| odd.clone());
            let line = place.replace("{}", &percent(&value));
            let (_, path) = line.split_once(' ').expect("a method");
            let answer = alice.call(Method::GET, path, None).await;
            let refused = answer.code();
            assert!(answer.status < 500, "{line}: {}", answer.text);
            assert!(answer.status < 300 || CODES.contains(&refused), "{line}: {} {}", answer.status, answer.text);
        }
    }
    besieged.is_well("odd paths").await;
    besieged.end().await;
}

#[rstest]
#[actix_web::test]
async fn a_lookup_finds_what_was_named_and_nothing_like_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let besieged = Besieged::start_on(on, &[LIMITS_OFF]).await;
    let server = &besieged.server;
    let alice = server.user("alice");
    let likes = [
        "%", "_", "\\", "%%", "__", "a%b", "a_b", "aXb", "\\%", "'", "''", "\"", "--", "a b", "A", "a", "ä", "Ä", "a*",
        "$1", "?1",
    ];
    let mut ids = std::collections::HashSet::new();
    for like in likes {
        let key = percent(&format!("order:{like}"));
        let answer = server
            .shop()
            .put(
                &format!("/v1/conversations/{key}"),
                json!({ "participants": [{ "user_id": "alice" }, { "user_id": like }] }),
            )
            .await;
        assert_eq!(answer.status, 201, "{like}: {}", answer.text);
        assert!(ids.insert(answer.body["id"].as_i64().expect("an id")), "{like} is taken for another");
        let subject = json!({ "title": format!("the item {like}"), "owner_id": like });
        server.shop().put(&format!("/v1/subjects/book/{}", percent(like)), subject).await.ok();
    }
    for like in likes {
        let found = alice.get(&format!("/v1/conversations/{}", percent(&format!("order:{like}")))).await.ok();
        assert_eq!(found["key"], format!("order:{like}"));
        let others = found["participants"].as_array().expect("people");
        assert!(others.iter().any(|one| one["user_id"] == like) && others.len() == 2, "{like}: {others:?}");
        assert_eq!(alice.get(&format!("/v1/users/{}/presence", percent(like))).await.ok()["user_id"], like);
        // Nobody has written about a book yet, whatever it is called.
        let partner = alice.get(&format!("/api/messages/partner?bookId={}", percent(like))).await;
        assert_eq!(partner.verdict(), (404, "not_found"), "{like}");
        let sent = json!({ "conversationId": format!("{like}|alice:bob"), "message": like, "bookId": like });
        let sent = alice.post("/api/messages", sent).await;
        assert_eq!(sent.status, 201, "{like}: {}", sent.text);
        let history = alice.get(&format!("/api/messages/{}", percent(&format!("{like}|alice:bob")))).await.ok();
        let said: Vec<&Value> =
            history["data"]["messages"].as_array().expect("messages").iter().map(|one| &one["message"]).collect();
        assert_eq!(said, [like]);
        let partner = alice.get(&format!("/api/messages/partner?bookId={}", percent(like))).await.ok();
        assert_eq!(partner["data"]["conversationId"], format!("{like}|alice:bob"));
    }
    for unlike in ["aYb", "___", "%a%", "order:%", "b", "\\\\"] {
        assert_eq!(
            alice.get(&format!("/v1/conversations/{}", percent(&format!("order:{unlike}")))).await.verdict(),
            (404, "not_found")
        );
    }
    // Who is called `_` is removed, and nobody else with a name of one letter.
    let underscore = format!("/v1/conversations/order:{}/participants/{}", percent("_"), percent("_"));
    server.shop().delete(&underscore).await.ok();
    for (like, people) in [("_", 1), ("%", 2), ("a", 2), ("\\", 2)] {
        let found = alice.get(&format!("/v1/conversations/{}", percent(&format!("order:{like}")))).await.ok();
        assert_eq!(found["participants"].as_array().map(Vec::len), Some(people), "{like}");
    }
    besieged.end().await;
}
