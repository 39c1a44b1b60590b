//! While those who are in conversations do all that can be done, nobody outside hears any of it.
//!
//! What lives here: doing every event and every call of the tables where others listen. What must not: the tables.

use std::collections::HashMap;

use haggle::vocabulary::Vocabulary;
use rstest::rstest;
use serde_json::{Value, json};

use super::ears::{Ear, OK, VOCABULARIES, code};
use super::events::{ROWS, Row, rows_of};
use super::routes::{caller, make, rows};
use super::world::{SELLER, Target, World, joining, saying};
use super::{Kind, SECRET};
use crate::support::On;
use crate::support::rest::token;
use crate::support::socketio::SocketIo;

/// Conversations of two alone: those who left one have left the seller behind, who talks on.
const OF_TWO: [Vocabulary; 2] = [Vocabulary::Item, Vocabulary::Book];

#[rstest]
#[tokio::test]
async fn nobody_outside_hears_what_is_done_on_sockets(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::set(on).await;
    let mut member = HashMap::new();
    for vocabulary in VOCABULARIES {
        member.insert(vocabulary.name(), Ear::of(world.server.address, vocabulary, Kind::Member.user()).await);
    }
    let target = world.target(Kind::Member);
    for Row { vocabulary, event, payload, told, .. } in &ROWS {
        world.seller(*vocabulary).heard().await;
        let answer = member.get_mut(vocabulary.name()).unwrap().ask(event, &payload(&target)).await;
        assert_eq!(code(&answer), OK, "{vocabulary:?} {event}: {answer}");
        // Whoever is in it hears of it, so that there is something to leak.
        if let Some(told) = told {
            world.seller(*vocabulary).expect(told).await;
        }
    }
    for kind in [Kind::Former, Kind::Removed, Kind::Suspended] {
        let target = world.target(kind);
        for vocabulary in OF_TWO {
            for row in rows_of(vocabulary).filter(|row| row.event != "auth") {
                let answer = world.seller(vocabulary).ask(row.event, &(row.payload)(&target)).await;
                assert_eq!(code(&answer), OK, "{vocabulary:?} {} with {kind:?}: {answer}", row.event);
            }
        }
    }
    // The last of a member's sockets closes: whoever talks to them is told, and nobody else.
    world.seller(Vocabulary::Book).heard().await;
    drop(member);
    assert_eq!(world.seller(Vocabulary::Book).expect("user:status").await["status"], "offline");
    nothing_was_heard(&mut world).await;
}

#[rstest]
#[tokio::test]
async fn nobody_outside_hears_what_is_done_by_calls(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::set(on).await;
    let target = world.target(Kind::Member);
    let (calls, backend) = (caller(&world, Kind::Member), caller(&world, Kind::Backend));
    for row in rows() {
        for (kind, by) in [(Kind::Member, &calls), (Kind::Backend, &backend)] {
            let answer = make(by, &row, &target).await;
            assert_eq!(answer.status, row.rule.status(kind), "{} {} by {kind:?}", row.method, row.path);
        }
    }
    for (vocabulary, told) in [
        (Vocabulary::Native, "message"),
        (Vocabulary::Order, "new-message"),
        (Vocabulary::Group, "receive_message"),
        (Vocabulary::Shop, "chat:new_message"),
        (Vocabulary::Book, "chat:message"),
    ] {
        world.seller(vocabulary).expect(told).await;
    }
    // In the conversations that others were in, the seller goes on.
    let seller = world.server.user(SELLER);
    for kind in [Kind::Former, Kind::Removed, Kind::Suspended] {
        for row in rows().iter().filter(|row| row.path.starts_with("/api/messages/{") || row.path == "/api/messages") {
            let answer = make(&seller, row, &world.target(kind)).await;
            assert_eq!(answer.status, row.rule.status(Kind::Member), "{} {} with {kind:?}", row.method, row.path);
        }
    }
    nothing_was_heard(&mut world).await;
}

#[rstest]
#[tokio::test]
async fn what_one_was_removed_from_while_cut_off_does_not_come_back(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::set(on).await;
    let address = world.server.address;
    // In the shared conversation, or in one of two alone, whoever it is that comes back.
    for (vocabulary, user) in Vocabulary::ON_SOCKET_IO.into_iter().zip(["ivy", "jack", "kim", "lea", "max"]) {
        let shop = world.server.shop();
        shop.put("/v1/conversations/order:42", json!({ "participants": [{ "user_id": user }] })).await.ok();
        let target =
            Target { buyer: user.to_owned(), book: format!("b1|{user}:{SELLER}"), ..world.target(Kind::Member) };
        let namespace = format!("/{}", vocabulary.name());
        let connect = async |pid: &Value, offset: &Option<Value>| {
            let auth = json!({ "token": token(user), "pid": pid, "offset": offset });
            SocketIo::connect(address, &namespace, &auth).await.expect("a socket")
        };
        let mut cut = SocketIo::connect(address, &namespace, &json!({ "token": token(user) })).await.expect("a socket");
        let (event, payload) = joining(vocabulary, &target);
        assert_eq!(code(&cut.ask(event, &payload).await), OK);
        let mut seller = Ear::of(address, vocabulary, SELLER).await;
        let (said, words) = saying(vocabulary, &target);
        assert_eq!(code(&seller.ask(said, &words).await), OK);
        let row = rows_of(vocabulary).find(|row| row.event == said).unwrap();
        cut.expect(row.told.unwrap()).await;
        let (pid, offset) = (cut.connected["pid"].clone(), cut.offset.clone());
        assert!(offset.is_some(), "{vocabulary:?}");
        drop(cut);
        assert_eq!(code(&seller.ask(said, &words).await), OK);
        let key = match vocabulary {
            Vocabulary::Item => format!("item:i1:{user}"),
            Vocabulary::Book => format!("b1%7C{user}:{SELLER}"),
            _ => "order:42".to_owned(),
        };
        let gone = shop.delete(&format!("/v1/conversations/{key}/participants/{user}")).await;
        assert_eq!(gone.status, 204, "{}", gone.text);
        let mut back = connect(&pid, &offset).await;
        assert_eq!(code(&seller.ask(said, &words).await), OK);
        let heard = back.heard().await;
        assert!(!json!(heard).to_string().contains(SECRET), "{vocabulary:?}: {heard:?}");
    }
}

#[rstest]
#[tokio::test]
async fn whoever_is_outside_has_nothing_in_any_list(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::set(on).await;
    for kind in Kind::OUTSIDE {
        let calls = caller(&world, kind);
        let user = kind.user();
        for (path, empty) in [
            ("/v1/conversations".to_owned(), json!({ "conversations": [], "next": null })),
            ("/v1/unread".to_owned(), json!({ "total": 0, "conversations": [] })),
            (format!("/api/messages/conversations/user/{user}"), json!({ "success": true, "data": [] })),
            (
                format!("/api/messages/unread/{user}"),
                json!({ "success": true, "data": { "unreadCount": 0, "conversations": {} } }),
            ),
            ("/api/v0/chat/unread".to_owned(), json!({ "status": "success", "data": { "unreadCount": 0 } })),
            ("/api/chat/conversations".to_owned(), json!({ "success": true, "data": [] })),
            ("/api/chat/unread-count".to_owned(), json!({ "success": true, "data": { "unreadCount": 0 } })),
        ] {
            assert_eq!(calls.get(&path).await.ok(), empty, "{path} by {kind:?}");
        }
        let native = world.ear(kind, Vocabulary::Native);
        assert_eq!(native.ask("auth", &json!({ "token": token(user) })).await["unread"], 0, "{kind:?}");
        assert_eq!(native.ask("conversations", &json!({})).await["conversations"], json!([]), "{kind:?}");
        let shop = world.ear(kind, Vocabulary::Shop);
        let listed = shop.ask("chat:get_conversations", &json!({})).await;
        assert_eq!(listed, json!({ "conversations": [] }), "{kind:?}");
    }
}

/// Everything that was told so far has come, and none of it to anybody outside.
async fn nothing_was_heard(world: &mut World) {
    let leaked: Vec<_> = std::mem::take(&mut world.early).into_iter().chain(world.heard().await).collect();
    assert!(leaked.is_empty(), "{} leaked:\n{}", leaked.len(), leaked.join("\n"));
    // Those who were thrown out have no socket to hear with.
    assert!(world.ears.keys().all(|(kind, _)| Kind::OUTSIDE.contains(kind)));
    assert_eq!(world.ears.len(), Kind::OUTSIDE.len() * VOCABULARIES.len());
}
