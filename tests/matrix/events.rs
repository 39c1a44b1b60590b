//! Every event of every vocabulary, by every kind of caller.
//!
//! What lives here: the table, a row an event, and that it is whole. What must not: what others hear of it (`hearing.rs`).

use std::collections::BTreeSet;

use haggle::vocabulary::Vocabulary;
use rstest::rstest;
use serde_json::{Value, json};

use super::ears::{Ear, OK, VOCABULARIES, code, events_of};
use super::world::{Target, World, joining, saying};
use super::{Kind, SECRET};
use crate::support::On;
use crate::support::rest::token;
use crate::support::server::SERVER_KEY;
use crate::support::socketio::SocketIo;

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Those who are in it: whoever is not is told that there is no such conversation.
    Mine,
    /// Buyers have conversations of their own: whoever names another buyer is refused, and whoever was one is told that there is none.
    OwnBuyer,
    /// Everyone who is known, about their own.
    Everyone,
}

impl Rule {
    /// The code that a caller is answered with.
    fn code(self, kind: Kind) -> &'static str {
        match (kind, self) {
            (Kind::Anonymous | Kind::Backend, _) => "unauthorized",
            (Kind::Suspended, _) => "forbidden",
            (Kind::Member, _) | (_, Self::Everyone) => OK,
            (Kind::Stranger | Kind::OtherRole, Self::OwnBuyer) => "forbidden",
            (Kind::Stranger | Kind::OtherRole | Kind::Former | Kind::Removed, Self::Mine)
            | (Kind::Former | Kind::Removed, Self::OwnBuyer) => "not_found",
        }
    }
}

/// One event.
pub struct Row {
    pub vocabulary: Vocabulary,
    pub event: &'static str,
    /// What a client says.
    pub payload: fn(&Target) -> Value,
    pub rule: Rule,
    /// What the other one hears of it, in the same vocabulary.
    pub told: Option<&'static str>,
}

const fn row(
    vocabulary: Vocabulary,
    event: &'static str,
    rule: Rule,
    told: Option<&'static str>,
    payload: fn(&Target) -> Value,
) -> Row {
    Row { vocabulary, event, payload, rule, told }
}

/// A fresh token of one's own.
fn own_token(target: &Target) -> Value {
    json!({ "token": token(target.member) })
}

fn native(target: &Target) -> Value {
    json!({ "conversation": target.id, "seq": 1, "on": true, "body": format!("{SECRET}!") })
}

fn book(target: &Target) -> Value {
    json!({ "conversationId": target.book, "isTyping": true, "message": format!("{SECRET}!") })
}

fn order(target: &Target) -> Value {
    json!({ "orderId": target.order, "isTyping": true, "message": format!("{SECRET}!") })
}

fn group(target: &Target) -> Value {
    json!({ "chatId": target.id, "content": format!("{SECRET}!") })
}

fn shop(target: &Target) -> Value {
    json!({ "conversationId": target.id, "isTyping": true, "message": format!("{SECRET}!") })
}

/// The table. Within a vocabulary one joins first and leaves last, and `group`, where nobody leaves, stands last of all: who joins a
/// conversation that they have joined by another socket is not told.
#[rustfmt::skip]
pub const ROWS: [Row; 37] = {
    use Rule::{Everyone, Mine, OwnBuyer};
    use Vocabulary::{Book, Group, Item, Native, Order, Shop};
    [
        row(Native, "auth", Everyone, None, own_token),
        row(Native, "join", Mine, Some("joined"), native),
        row(Native, "send", Mine, Some("message"), native),
        row(Native, "typing", Mine, Some("typing"), native),
        row(Native, "received", Mine, Some("received"), native),
        row(Native, "read", Mine, Some("read"), native),
        row(Native, "history", Mine, None, native),
        row(Native, "conversations", Everyone, None, |_| json!({})),
        row(Native, "leave", Mine, Some("left"), native),
        row(Item, "auth", Everyone, None, own_token),
        row(Item, "join_chat", OwnBuyer, None, |target| joining(Item, target).1),
        row(Item, "send_message", OwnBuyer, Some("receive_message"), |target| saying(Item, target).1),
        row(Book, "auth", Everyone, None, own_token),
        row(Book, "chat:join", Mine, None, book),
        row(Book, "chat:message", Mine, Some("chat:message"), book),
        row(Book, "chat:typing", Mine, Some("chat:typing"), book),
        row(Book, "user:offline", Everyone, Some("user:status"), |_| json!({})),
        row(Book, "user:online", Everyone, Some("user:status"), |_| json!({})),
        row(Book, "chat:leave", Mine, None, book),
        row(Order, "auth", Everyone, None, own_token),
        row(Order, "join-order-chat", Mine, Some("user-joined"), order),
        row(Order, "send-message", Mine, Some("new-message"), order),
        row(Order, "typing", Mine, Some("user-typing"), order),
        row(Order, "leave-order-chat", Mine, Some("user-left"), order),
        row(Shop, "auth", Everyone, None, own_token),
        row(Shop, "chat:join", Mine, Some("chat:user_joined"), shop),
        row(Shop, "chat:send_message", Mine, Some("chat:new_message"), shop),
        row(Shop, "chat:typing", Mine, Some("chat:user_typing"), shop),
        row(Shop, "chat:mark_read", Mine, Some("chat:messages_read"), shop),
        row(Shop, "chat:get_conversations", Everyone, None, |_| json!({})),
        row(Shop, "chat:get_messages", Mine, None, shop),
        row(Shop, "chat:leave", Mine, Some("chat:user_left"), shop),
        row(Group, "auth", Everyone, None, own_token),
        row(Group, "join_chat", Mine, None, group),
        row(Group, "send_message", Mine, Some("receive_message"), group),
        row(Group, "typing_start", Mine, Some("user_typing"), group),
        row(Group, "typing_stop", Mine, Some("user_stopped_typing"), group),
    ]
};

/// Rows of one vocabulary.
pub fn rows_of(vocabulary: Vocabulary) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.vocabulary == vocabulary)
}

#[test]
fn every_event_has_a_row_and_every_row_an_event() {
    for vocabulary in VOCABULARIES {
        let events: BTreeSet<_> = events_of(vocabulary).into_iter().collect();
        let rows: BTreeSet<_> = rows_of(vocabulary).map(|row| row.event).collect();
        let (new, gone): (Vec<_>, Vec<_>) = (events.difference(&rows).collect(), rows.difference(&events).collect());
        assert!(new.is_empty(), "{vocabulary:?}: say in tests/matrix/events.rs who may do {new:?}");
        assert!(gone.is_empty(), "{vocabulary:?}: no such events any more: {gone:?}; take their rows out");
        assert_eq!(rows.len(), rows_of(vocabulary).count(), "{vocabulary:?}: an event has two rows");
    }
}

#[rstest]
#[tokio::test]
async fn who_may_do_what_on_a_socket(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::set(on).await;
    let mut wrong = Vec::new();
    for row in &ROWS {
        for kind in Kind::ALL {
            let (expected, got) = (row.rule.code(kind), attempt(&mut world, row, kind).await);
            if got != expected {
                wrong.push(format!("{:?} {} by {kind:?}: {got}, not {expected}", row.vocabulary, row.event));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What a caller is answered.
async fn attempt(world: &mut World, row: &Row, kind: Kind) -> String {
    let address = world.server.address;
    let target = world.target(kind);
    // A token of one's own is whoever's who asks.
    let payload =
        (row.payload)(&if row.event == "auth" { Target { member: kind.user(), ..target.clone() } } else { target });
    match kind {
        Kind::Anonymous | Kind::Backend => match Ear::of_nobody(address, row.vocabulary, kind == Kind::Backend).await {
            // A plain WebSocket opens without a token; its first frame must bring one.
            Ok(mut ear) if row.event == "auth" => {
                code(&ear.ask("auth", &json!({ "token": "no token" })).await).to_owned()
            }
            Ok(mut ear) => code(&ear.ask(row.event, &payload).await).to_owned(),
            Err(code) => code,
        },
        Kind::Suspended => match Ear::open(address, row.vocabulary, Some(&token(kind.user()))).await {
            Ok(mut ear) => code(&ear.ask(row.event, &payload).await).to_owned(),
            Err(code) => code,
        },
        Kind::Member => {
            let mut ear = Ear::of(address, row.vocabulary, kind.user()).await;
            code(&ear.ask(row.event, &payload).await).to_owned()
        }
        Kind::Stranger | Kind::Former | Kind::Removed | Kind::OtherRole => {
            let absent = (row.payload)(&world.target(kind).absent());
            let ear = world.ear(kind, row.vocabulary);
            let answer = ear.ask(row.event, &payload).await;
            assert!(!answer.to_string().contains(SECRET), "{:?} by {kind:?}: {answer}", row.event);
            let verdict = code(&answer).to_owned();
            // What is not there is told in the same words. A buyer's own conversation is there once they ask for it.
            let is_own = row.rule == Rule::OwnBuyer && verdict == "not_found";
            if verdict != OK && !is_own {
                let (mut there, mut nowhere) = (answer, ear.ask(row.event, &absent).await);
                for answer in [&mut there, &mut nowhere] {
                    answer["id"].take();
                }
                assert_eq!(there, nowhere, "{:?} {} by {kind:?}", row.vocabulary, row.event);
            }
            verdict
        }
    }
}

#[rstest]
#[tokio::test]
async fn whoever_has_not_connected_to_a_namespace_says_nothing_there(#[values(On::Sqlite)] on: On) {
    let world = World::set(on).await;
    for vocabulary in Vocabulary::ON_SOCKET_IO {
        for row in rows_of(vocabulary) {
            let namespace = format!("/{}", vocabulary.name());
            let mut socket = SocketIo::open(world.server.address, &namespace).await;
            let payload = (row.payload)(&world.target(Kind::Member));
            assert_eq!(socket.maybe_ask(row.event, &payload).await, None, "{namespace} {}", row.event);
        }
    }
}

#[rstest]
#[tokio::test]
async fn the_default_namespace_is_no_back_door(#[values(On::Sqlite)] on: On) {
    let world = World::set(on).await;
    let connect = async |auth: Value| SocketIo::connect(world.server.address, "/", &auth).await;
    for (auth, refused) in [
        (json!({}), "unauthorized"),
        (json!({ "token": SERVER_KEY }), "unauthorized"),
        (json!({ "token": token(Kind::Suspended.user()) }), "forbidden"),
    ] {
        let error = connect(auth).await.err().expect("a refusal");
        assert_eq!(error["data"]["code"], refused);
    }
    for kind in Kind::OUTSIDE {
        let mut socket = connect(json!({ "token": token(kind.user()) })).await.expect("a socket");
        for row in rows_of(Vocabulary::Shop).filter(|row| row.event != "auth") {
            let answer = socket.ask(row.event, &(row.payload)(&world.target(kind))).await;
            assert_eq!(code(&answer), row.rule.code(kind), "{} by {kind:?}", row.event);
            assert!(!answer.to_string().contains(SECRET), "{} by {kind:?}", row.event);
        }
    }
}
