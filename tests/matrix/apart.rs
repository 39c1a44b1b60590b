//! What tables cannot say: an item's buyers kept apart, and ids that cannot be guessed.
//!
//! What lives here: conversations that differ in a name or a number alone, and sweeping over names and numbers. What must not: what the
//! tables of events and routes say already.

use std::collections::BTreeSet;

use haggle::vocabulary::Vocabulary;
use rstest::rstest;
use serde_json::{Value, json};

use super::ears::{Ear, OK, code};
use super::world::{ANYBODY, SELLER, World};
use super::{Kind, SECRET};
use crate::support::On;

/// Two buyers of the item.
const BUYERS: [&str; 2] = [Kind::Member.user(), "carl"];

/// What one says in the item vocabulary.
fn says(buyer: Option<&str>, text: &str) -> Value {
    let mut payload = json!({ "itemId": "i1", "content": text });
    if let Some(buyer) = buyer {
        payload["buyerId"] = json!(buyer);
    }
    payload
}

#[rstest]
#[tokio::test]
async fn buyers_of_one_item_never_meet(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::set(on).await;
    let address = world.server.address;
    let [mut alice, mut carl] =
        [Ear::of(address, Vocabulary::Item, BUYERS[0]).await, Ear::of(address, Vocabulary::Item, BUYERS[1]).await];
    let mut ids = Vec::new();
    for buyer in [&mut alice, &mut carl] {
        let joined = buyer.ask("join_chat", &json!({ "itemId": "i1" })).await;
        ids.push(joined["conversationId"].as_i64().expect("a number"));
    }
    assert_ne!(ids[0], ids[1]);
    // The seller hears both, and says to each what only that one hears.
    let seller = world.seller(Vocabulary::Item);
    for buyer in BUYERS {
        assert_eq!(code(&seller.ask("join_chat", &says(Some(buyer), "")).await), OK);
    }
    assert_eq!(code(&alice.ask("send_message", &says(None, "I am Alice")).await), OK);
    assert_eq!(code(&carl.ask("send_message", &says(Some("carl"), "I am Carl")).await), OK);
    for buyer in BUYERS {
        assert_eq!(seller.expect("receive_message").await["buyerId"], buyer);
        assert_eq!(code(&seller.ask("send_message", &says(Some(buyer), &format!("to {buyer}"))).await), OK);
    }
    for (buyer, name) in [(&mut alice, BUYERS[0]), (&mut carl, BUYERS[1])] {
        // What waited for them since before comes first.
        loop {
            let heard = buyer.expect("receive_message").await;
            assert_eq!((&heard["buyerId"], &heard["senderId"]), (&json!(name), &json!(SELLER)));
            if heard["content"] == format!("to {name}") {
                break;
            }
        }
        assert_eq!(buyer.heard().await, []);
    }
    // Nobody but the seller names another buyer, and the seller must name one who came.
    for event in ["join_chat", "send_message"] {
        for named in ["alice", "nobody"] {
            assert_eq!(code(&carl.ask(event, &says(Some(named), "x")).await), "forbidden", "{event} {named}");
        }
        let seller = world.seller(Vocabulary::Item);
        assert_eq!(code(&seller.ask(event, &says(None, "x")).await), "invalid", "{event}");
        for named in ["nobody", SELLER] {
            assert_eq!(code(&seller.ask(event, &says(Some(named), "x")).await), "not_found", "{event} {named}");
        }
        // Who sells other things is here a buyer like any other.
        let mut other = Ear::of(address, Vocabulary::Item, ANYBODY).await;
        assert_eq!(code(&other.ask(event, &says(Some("alice"), "x")).await), "forbidden", "{event}");
    }
    // Nor by any other way in.
    let calls = world.server.user(BUYERS[1]);
    for name in [ids[0].to_string(), "item:i1:alice".to_owned()] {
        let answer = calls.get(&format!("/v1/conversations/{name}/messages")).await;
        assert_eq!(answer.verdict(), (404, "not_found"), "{name}");
    }
    assert_eq!(calls.get("/chat/i1?buyerId=alice").await.status, 403);
    let page = calls.get("/chat/i1").await;
    assert!(page.text.contains("I am Carl") && !page.text.contains("I am Alice") && !page.text.contains("to alice"));
    for (vocabulary, event, field) in
        [(Vocabulary::Group, "join_chat", "chatId"), (Vocabulary::Shop, "chat:get_messages", "conversationId")]
    {
        let mut ear = Ear::of(address, vocabulary, BUYERS[1]).await;
        assert_eq!(code(&ear.ask(event, &json!({ field: ids[0] })).await), "not_found", "{vocabulary:?}");
    }
}

/// The different answers to a question that is asked of each of many names.
async fn answers(ear: &mut Ear, event: &str, payloads: impl IntoIterator<Item = Value>) -> BTreeSet<String> {
    let mut answers = BTreeSet::new();
    for payload in payloads {
        let mut answer = ear.ask(event, &payload).await;
        // The native vocabulary's number of the request.
        answer["id"].take();
        answers.insert(answer.to_string());
    }
    answers
}

#[rstest]
#[tokio::test]
async fn numbers_and_keys_cannot_be_guessed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::set(on).await;
    let (address, last) = (world.server.address, world.id + 20);
    let numbers = || (1..=last).chain([i64::from(i32::MAX), 9_007_199_254_740_991]);
    let keys = [
        "order:42",
        "order:43",
        "item:i1:alice",
        "item:i1:nobody",
        "item:no:alice",
        "b1|alice:bob",
        "b9|alice:bob",
        "support:alice",
    ];
    for kind in [Kind::Stranger, Kind::OtherRole, Kind::Former] {
        let user = kind.user();
        let mut native = Ear::of(address, Vocabulary::Native, user).await;
        for event in ["join", "leave", "send", "typing", "received", "read", "history"] {
            let names = numbers().map(Value::from).chain(keys.map(Value::from));
            let payloads = names.map(|name| json!({ "conversation": name, "seq": 1, "on": true, "body": "x" }));
            assert_eq!(answers(&mut native, event, payloads).await.len(), 1, "{event} by {kind:?}");
        }
        let mut group = Ear::of(address, Vocabulary::Group, user).await;
        for event in ["join_chat", "send_message", "typing_start", "typing_stop"] {
            let payloads = numbers().map(|number| json!({ "chatId": number, "content": "x" }));
            assert_eq!(answers(&mut group, event, payloads).await.len(), 1, "{event} by {kind:?}");
        }
        let mut shop = Ear::of(address, Vocabulary::Shop, user).await;
        for event in
            ["chat:join", "chat:leave", "chat:send_message", "chat:typing", "chat:mark_read", "chat:get_messages"]
        {
            let payloads =
                numbers().map(|number| json!({ "conversationId": number, "message": "x", "isTyping": true }));
            assert_eq!(answers(&mut shop, event, payloads).await.len(), 1, "{event} by {kind:?}");
        }
        let mut order = Ear::of(address, Vocabulary::Order, user).await;
        for event in ["join-order-chat", "leave-order-chat", "send-message", "typing"] {
            let ids = ["42", "43", "spare", "demo", "no", "42 ", " 42", "042"]
                .map(Value::from)
                .into_iter()
                .chain([42.into(), 43.into()]);
            let payloads = ids.map(|id| json!({ "orderId": id, "message": "x", "isTyping": true }));
            assert_eq!(answers(&mut order, event, payloads).await.len(), 1, "{event} by {kind:?}");
        }
        let mut book = Ear::of(address, Vocabulary::Book, user).await;
        for event in ["chat:join", "chat:leave", "chat:message", "chat:typing"] {
            let ids = ["b1|alice:bob", "b1|bob:alice", "b2|alice:bob", "b1|alice:nobody", "b1|no:body"];
            let payloads = ids.map(|id| json!({ "conversationId": id, "message": "x", "isTyping": true }));
            assert_eq!(answers(&mut book, event, payloads).await.len(), 1, "{event} by {kind:?}");
        }
    }
    // Nothing of it woke anything: whoever is in it finds what was there.
    let said = world.server.messages(Kind::Member.user(), world.id).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0]["body"].as_str().unwrap().contains(SECRET));
}

#[rstest]
#[tokio::test]
async fn routes_tell_nothing_of_numbers_and_keys(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::set(on).await;
    let numbers = || (1..=world.id + 20).map(|number| number.to_string());
    let keys = || ["order:42", "order:43", "item:i1:alice", "item:no:alice", "b1%7Calice:bob"].map(str::to_owned);
    let people = || ["alice", "bob", "fred", "adam", "nobody"].map(str::to_owned);
    for kind in [Kind::Stranger, Kind::OtherRole] {
        let calls = world.server.user(kind.user());
        for (before, after, names) in [
            ("/v1/conversations/", "", numbers().chain(keys()).collect::<Vec<_>>()),
            ("/v1/conversations/", "/messages", numbers().chain(keys()).collect()),
            ("/v1/users/", "/presence", people().into_iter().filter(|name| name != kind.user()).collect()),
            ("/api/chat/conversations/", "/messages", numbers().collect()),
            ("/api/chat/users/", "/status", people().into_iter().filter(|name| name != kind.user()).collect()),
            ("/api/v0/chat/messages/", "", ["42", "43", "spare", "no"].map(str::to_owned).to_vec()),
            ("/api/v0/chat/unread?orderId=", "", ["42", "43", "spare", "no"].map(str::to_owned).to_vec()),
            ("/api/messages/partner?bookId=", "", ["b1", "b2"].map(str::to_owned).to_vec()),
            (
                "/api/messages/",
                "",
                ["b1%7Calice:bob", "b1|bob:alice", "b2|alice:bob", "b1|no:body"].map(str::to_owned).to_vec(),
            ),
            ("/api/messages/unread/", "", ["alice", "bob", "nobody"].map(str::to_owned).to_vec()),
            ("/chat/i1?buyerId=", "", ["alice", "carl", "fred"].map(str::to_owned).to_vec()),
        ] {
            let mut told = BTreeSet::new();
            for name in names {
                let answer = calls.get(&format!("{before}{name}{after}")).await;
                told.insert((answer.status, answer.text));
            }
            assert_eq!(told.len(), 1, "{before}…{after} by {kind:?}: {told:?}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn messages_of_elsewhere_are_no_place_to_page_from(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::set(on).await;
    let calls = world.server.user(Kind::Member.user());
    let own = world.server.messages(Kind::Member.user(), world.id).await;
    // Somewhere else something newer is said.
    world
        .server
        .user(SELLER)
        .post("/api/messages", json!({ "conversationId": "b1|fred:bob", "message": "x" }))
        .await
        .ok();
    let own: BTreeSet<i64> = own.iter().map(|message| message["id"].as_i64().unwrap()).collect();
    let newest = *own.last().unwrap();
    assert!(newest > 1, "others said something before");
    let shared = format!("/api/chat/conversations/{}/messages", world.id);
    for path in [shared.as_str(), "/api/v0/chat/messages/42"] {
        assert_eq!(calls.get(&format!("{path}?before={newest}")).await.status, 200, "{path}");
        // What is older than the newest here and is not here is not found; what is newer stands for the end, be it there or not.
        for (ids, status) in [(1..newest, 404), (newest + 1..newest + 20, 200)] {
            let mut told = BTreeSet::new();
            for id in ids.filter(|id| !own.contains(id)) {
                let answer = calls.get(&format!("{path}?before={id}")).await;
                told.insert((answer.status, answer.text));
            }
            assert_eq!(told.len(), 1, "{path}: {told:?}");
            assert_eq!(told.first().unwrap().0, status, "{path}");
        }
    }
}
