//! Nobody speaks as somebody else.
//!
//! What lives here: claims to be somebody else in every payload and path, other people's tokens, other people's cut connections. What
//! must not: who may what as themselves.

use haggle::vocabulary::Vocabulary;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::Kind;
use super::ears::{Ear, OK, VOCABULARIES, code};
use super::events::{ROWS, Row};
use super::routes::{caller, rows};
use super::world::{SELLER, Target, World, joining, saying};
use crate::support::On;
use crate::support::rest::token;
use crate::support::socketio::SocketIo;

/// Whom nobody is.
const FORGED_NAME: &str = "Mallory";

/// The ways to say that one is somebody else.
fn claims() -> [Value; 5] {
    [
        json!({ "senderId": SELLER }),
        json!({ "userId": SELLER }),
        json!({ "sender": SELLER }),
        json!({ "sender": { "id": SELLER, "username": FORGED_NAME } }),
        json!({ "sender": { "userId": SELLER } }),
    ]
}

/// A payload with more fields.
fn with(mut payload: Value, more: &Value) -> Value {
    for (field, value) in more.as_object().expect("an object") {
        payload[field] = value.clone();
    }
    payload
}

/// How many messages there are, wherever the member talks to the seller.
async fn stored(world: &World) -> usize {
    let mut messages = 0;
    let calls = world.server.user(SELLER);
    for conversation in calls.get("/v1/conversations").await.ok()["conversations"].as_array().unwrap() {
        messages += world.server.messages(SELLER, conversation["id"].as_i64().unwrap()).await.len();
    }
    messages
}

#[rstest]
#[tokio::test]
async fn a_claim_to_be_somebody_else_is_refused_and_comes_to_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::set(on).await;
    let target = world.target(Kind::Member);
    let before = stored(&world).await;
    let mut wrong = Vec::new();
    for vocabulary in Vocabulary::ON_SOCKET_IO {
        let mut ear = Ear::of(world.server.address, vocabulary, Kind::Member.user()).await;
        world.drain().await;
        for Row { event, payload, .. } in ROWS.iter().filter(|row| row.vocabulary == vocabulary && row.event != "auth")
        {
            for claim in claims() {
                let answer = ear.ask(event, &with(payload(&target), &claim)).await;
                if code(&answer) != "forbidden" {
                    wrong.push(format!("{vocabulary:?} {event} {claim}: {answer}"));
                }
            }
        }
        let mut heard = Vec::new();
        for seller in world.seller.values_mut() {
            heard.extend(seller.heard().await);
        }
        // That somebody is there, and that what was said before has come to them, is told as it comes.
        heard.retain(|(event, _)| !["presence", "user:status", "received"].contains(&event.as_str()));
        assert!(heard.is_empty(), "{vocabulary:?}: {heard:?}");
    }
    let calls = caller(&world, Kind::Member);
    for row in rows().iter().filter(|row| row.path.starts_with("/api/") && row.method != Method::GET) {
        let (path, body) = (row.call)(&target);
        for claim in claims() {
            let body = with(body.clone().unwrap_or_else(|| json!({})), &claim);
            let answer = calls.call(row.method.clone(), &path, Some(body)).await;
            if answer.verdict() != (403, "forbidden") {
                wrong.push(format!("{} {} {claim}: {} {}", row.method, row.path, answer.status, answer.text));
            }
        }
    }
    for path in ["/api/v0/chat/messages/42?userId=bob", "/api/v0/chat/unread?userId=bob"] {
        assert_eq!(calls.get(path).await.verdict(), (403, "forbidden"), "{path}");
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(stored(&world).await, before, "something was stored");
}

#[rstest]
#[tokio::test]
async fn whatever_a_payload_calls_its_sender_it_is_the_caller(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::set(on).await;
    let target = world.target(Kind::Member);
    let names =
        json!({ "senderName": FORGED_NAME, "username": FORGED_NAME, "displayName": FORGED_NAME, "name": FORGED_NAME });
    for vocabulary in VOCABULARIES {
        let mut ear = Ear::of(world.server.address, vocabulary, Kind::Member.user()).await;
        let (event, payload) = saying(vocabulary, &target);
        // The native vocabulary has no such fields: they are passed over as any that it does not know.
        let more = match vocabulary {
            Vocabulary::Native => with(names.clone(), &json!({ "sender": { "id": SELLER }, "user_id": SELLER })),
            _ => names.clone(),
        };
        world.drain().await;
        let answer = ear.ask(event, &with(payload, &more)).await;
        assert_eq!(code(&answer), OK, "{vocabulary:?}: {answer}");
        let row = ROWS.iter().find(|row| row.vocabulary == vocabulary && row.event == event).unwrap();
        let heard = world.seller(vocabulary).expect(row.told.unwrap()).await;
        assert!(!heard.to_string().contains(FORGED_NAME), "{vocabulary:?}: {heard}");
        let sender = match vocabulary {
            Vocabulary::Native => &heard["message"]["sender"]["id"],
            Vocabulary::Group => &heard["sender"]["id"],
            _ => &heard["senderId"],
        };
        assert_eq!(sender, Kind::Member.user(), "{vocabulary:?}: {heard}");
    }
    let calls = caller(&world, Kind::Member);
    for row in rows().iter().filter(|row| row.path.ends_with("messages") && row.method == Method::POST) {
        let (path, body) = (row.call)(&target);
        let answer = calls.post(&path, with(body.unwrap(), &names)).await;
        assert_eq!(answer.status, 201, "{path}");
        assert!(!answer.text.contains(FORGED_NAME), "{path}: {}", answer.text);
    }
}

#[rstest]
#[tokio::test]
async fn a_socket_takes_no_token_of_somebody_else(#[values(On::Sqlite)] on: On) {
    let world = World::set(on).await;
    for vocabulary in VOCABULARIES {
        let mut ear = Ear::of(world.server.address, vocabulary, Kind::Stranger.user()).await;
        let answer = ear.ask("auth", &json!({ "token": token(Kind::Member.user()) })).await;
        assert_eq!(code(&answer), "forbidden", "{vocabulary:?}: {answer}");
        let (event, payload) = joining(vocabulary, &world.target(Kind::Member));
        assert_ne!(code(&ear.ask(event, &payload).await), OK, "{vocabulary:?}");
    }
}

#[rstest]
#[tokio::test]
async fn nobody_goes_on_where_somebody_else_was_cut_off(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::set(on).await;
    let address = world.server.address;
    for vocabulary in Vocabulary::ON_SOCKET_IO {
        for kind in [Kind::Stranger, Kind::Former, Kind::Removed] {
            let namespace = format!("/{}", vocabulary.name());
            let connect = async |user: &str, more: Value| {
                let auth = with(json!({ "token": token(user) }), &more);
                SocketIo::connect(address, &namespace, &auth).await.expect("a socket")
            };
            let target: Target = world.target(Kind::Member);
            let (event, payload) = joining(vocabulary, &target);
            let mut cut = connect(Kind::Member.user(), json!({})).await;
            assert_eq!(code(&cut.ask(event, &payload).await), OK);
            // What carries an offset: the seller says something that the member hears.
            let mut seller = Ear::of(address, vocabulary, SELLER).await;
            let (said, words) = saying(vocabulary, &target);
            assert_eq!(code(&seller.ask(said, &words).await), OK);
            let row = ROWS.iter().find(|row| row.vocabulary == vocabulary && row.event == said).unwrap();
            cut.expect(row.told.unwrap()).await;
            let stolen = json!({ "pid": cut.connected["pid"], "offset": cut.offset.clone() });
            assert!(cut.offset.is_some(), "{vocabulary:?}: no offset came");
            let sid = cut.connected["sid"].clone();
            drop(cut);
            assert_eq!(code(&seller.ask(said, &words).await), OK);
            let mut thief = connect(kind.user(), stolen).await;
            assert_ne!(thief.connected["sid"], sid, "{vocabulary:?} by {kind:?}");
            assert_eq!(thief.heard().await, [], "{vocabulary:?} by {kind:?}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn an_offset_that_names_conversations_of_others_brings_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::set(on).await;
    let address = world.server.address;
    let others: String = (1..=world.id + 10).map(|conversation| format!(".{conversation}-0")).collect();
    let mut recovered = 0;
    for vocabulary in Vocabulary::ON_SOCKET_IO {
        for kind in Kind::OUTSIDE {
            let Some(Ear::SocketIo(mut cut)) = world.ears.remove(&(kind, vocabulary.name())) else { continue };
            cut.heard().await;
            let newest = cut.offset.as_ref().and_then(Value::as_str).unwrap_or("0");
            let epoch = newest.split('.').next().unwrap_or_default();
            let offset = format!("{epoch}{others}");
            let auth = json!({ "token": token(kind.user()), "pid": cut.connected["pid"], "offset": offset });
            let sid = cut.connected["sid"].clone();
            drop(cut);
            let namespace = format!("/{}", vocabulary.name());
            let mut back = SocketIo::connect(address, &namespace, &auth).await.expect("a socket");
            recovered += usize::from(back.connected["sid"] == sid);
            // What is missed is told from the database, which is asked before this is said.
            let mut seller = Ear::of(address, vocabulary, SELLER).await;
            let (said, words) = saying(vocabulary, &world.target(Kind::Member));
            assert_eq!(code(&seller.ask(said, &words).await), OK);
            assert_eq!(back.heard().await, [], "{vocabulary:?} by {kind:?}");
            assert_eq!(back.heard().await, [], "{vocabulary:?} by {kind:?}");
        }
    } // Whoever comes back at once may be a new socket; most go on where they were, with the offset that they made up.
    assert!(recovered > Kind::OUTSIDE.len(), "{recovered} were recovered");
}
