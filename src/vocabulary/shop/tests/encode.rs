//! What clients read: every answer and every event, byte for byte.
//!
//! What lives here: plain values in, text out. What must not: frames from clients.

use std::fmt::Write as _;
use std::sync::Arc;

use super::super::*;
use super::snapshot;
use crate::protocol::event::{Bye, ReadTo, UnreadNow};
use crate::protocol::model::{Conversation, Participant, Person};
use crate::protocol::reply::{Joined, Marked, Messages, Presence, Unread};
use crate::protocol::{ClientId, ConversationId, Message, Seq, Timestamp};

const SEVEN: ConversationId = ConversationId(7);
/// 2026-01-20T12:35:00.007Z
const NOON: Timestamp = Timestamp(1_768_912_500_007);

fn person(id: &str, name: &str, role: &str) -> Person {
    Person { id: UserId::stored(id), name: name.into(), role: role.into() }
}

fn alice() -> Person {
    person("alice", "Alice", "customer")
}

fn message(id: i64, seq: i64) -> Message {
    Message {
        id: MessageId(id),
        seq: Seq(seq),
        conversation: SEVEN,
        sender: alice(),
        body: "a \"b\" <i>\n😀".into(),
        kind: "text".into(),
        client_id: Some(ClientId::stored("c1")),
        created_at: NOON,
    }
}

fn topic() -> Arc<Topic> {
    Arc::new(Topic { id: SEVEN, key: None, kind: "direct".into(), subject: None, people: Vec::new() })
}

fn participant(person: Person, role: &str, online: bool) -> Participant {
    Participant { person, role: role.into(), online, unread: 0 }
}

fn conversation(kind: &str, participants: Vec<Participant>, last_message: Option<Message>) -> Conversation {
    Conversation {
        id: SEVEN,
        key: None,
        kind: kind.into(),
        title: None,
        subject: None,
        participants,
        last_message,
        opener: None,
        unread: 2,
        created_at: Timestamp(0),
    }
}

fn events() -> Vec<(&'static str, Event)> {
    let read = ReadTo { conversation: SEVEN, user: alice().id, seq: Seq(3), count: 2, at: NOON };
    let presence = Presence { user: alice().id, online: true, last_seen: None };
    vec![
        ("message", Event::Message(message(70, 3))),
        ("joined", Event::Joined(SEVEN, alice())),
        ("left", Event::Left(SEVEN, alice())),
        ("typing", Event::Typing(SEVEN, alice(), true)),
        ("no longer typing", Event::Typing(SEVEN, alice(), false)),
        ("received", Event::Received(SEVEN, alice().id, Seq(3))),
        ("read", Event::Read(read)),
        ("presence", Event::Presence(presence)),
        ("unread", Event::Unread(UnreadNow { conversation: SEVEN, count: 1, total: 2 })),
        ("bye, suspended", Event::Bye(Bye::of(&ChatError::forbidden("this user is suspended"), false))),
        ("bye, expired", Event::Bye(Bye::of(&ChatError::unauthorized("the token has expired"), true))),
        ("bye, too slow", Event::Bye(Bye::slow_reader())),
        ("bye, going down", Event::Bye(Bye::going_down(500))),
    ]
}

fn replies() -> Vec<(&'static str, &'static str, Result<Reply, ChatError>)> {
    let agents = ["carol", "dave"].map(|id| participant(person(id, id, "admin"), "", false));
    let shop = vec![participant(alice(), "", true), participant(person("bob", "Bob", "seller"), "", false)];
    let desk = [participant(alice(), "buyer", true)].into_iter().chain(agents).collect();
    let strangers = vec![participant(person("x", "x", ""), "", false), participant(person("y", "y", ""), "", false)];
    let page = Messages {
        topic: topic(),
        messages: vec![message(70, 3), message(71, 4)],
        has_more: true,
        last_seq: Seq(4),
        readers: vec![(UserId::stored("bob"), Seq(3)), (alice().id, Seq(4))],
    };
    let empty = Messages { messages: Vec::new(), has_more: false, ..page.clone() };
    let marked = |updated| Marked { topic: topic(), user: alice().id, seq: Seq(3), unread: 0, updated, at: NOON };
    let joined = Joined { topic: topic(), last_seq: Seq(3), participants: Vec::new(), recent: None, reset: false };
    let listed = vec![
        conversation("direct", shop, Some(message(70, 3))),
        conversation("customer_support", desk, None),
        conversation("direct", strangers, None),
    ];
    vec![
        (JOIN, "joined", Ok(Reply::Joined(joined))),
        (LEAVE, "left", Ok(Reply::Left(topic()))),
        (SEND, "sent", Ok(Reply::Sent { message: message(70, 3), topic: topic(), repeated: false })),
        (SEND, "sent again", Ok(Reply::Sent { message: message(70, 3), topic: topic(), repeated: true })),
        (TYPING, "typing", Ok(Reply::Done)),
        (MARK_READ, "marked", Ok(Reply::Marked(marked(2)))),
        (MARK_READ, "nothing to mark", Ok(Reply::Marked(marked(0)))),
        (GET_CONVERSATIONS, "conversations", Ok(Reply::Conversations { conversations: listed, next: None })),
        (GET_CONVERSATIONS, "no conversations", Ok(Reply::Conversations { conversations: Vec::new(), next: None })),
        (GET_MESSAGES, "messages", Ok(Reply::History(page))),
        (GET_MESSAGES, "no messages", Ok(Reply::History(empty))),
        (SEND, "not there", Err(ChatError::NotFound("conversation"))),
        (SEND, "too many", Err(ChatError::RateLimited(Duration::from_secs(3)))),
    ]
}

#[test]
fn every_event_is_spelt_as_the_contract_says() {
    let mut seen = String::new();
    for (name, event) in events() {
        for (own, joined) in [(false, true), (false, false), (true, true), (true, false)] {
            let heard = Shop.event(&event, Some(&topic()), Audience { joined, own });
            let whom = if own { "oneself" } else { "others" };
            assert_eq!(
                heard,
                Shop.event(&event, None, Audience { joined: !joined, own }),
                "{name}: joined or not is all one"
            );
            if joined {
                writeln!(seen, "{name}, to {whom}\n    {}", heard.as_deref().unwrap_or("-")).unwrap();
            }
        }
    }
    snapshot("events", &seen);
}

#[test]
fn every_answer_is_spelt_as_the_contract_says() {
    let mut seen = String::new();
    for (event, name, reply) in replies() {
        for ack in [None, Some(5)] {
            let asked = if ack.is_some() { ", acknowledged" } else { "" };
            writeln!(seen, "{name}{asked}").unwrap();
            let words = Shop.reply(&Tag { id: None, ack, event }, &reply);
            for word in &words {
                match word {
                    Word::Event(text) => writeln!(seen, "    event {text}").unwrap(),
                    Word::Answer(text) => writeln!(seen, "    answer {text}").unwrap(),
                }
            }
            assert!(ack.is_none() || words.iter().any(|word| matches!(word, Word::Answer(_))), "{name} is answered");
        }
    }
    snapshot("answers", &seen);
}

#[test]
fn rest_says_the_same_of_what_sockets_do_not_ask() {
    let presence = Presence { user: alice().id, online: false, last_seen: Some(NOON) };
    let written = |value: &serde_json::Value| value.to_string();
    let status = serde_json::to_value(wire::Status::of(&presence)).unwrap();
    assert_eq!(written(&status), r#"{"isOnline":false,"lastSeen":"2026-01-20T12:35:00.007Z","userId":"alice"}"#);
    let unread = serde_json::to_value(wire::UnreadCount { unread_count: Unread::default().total }).unwrap();
    assert_eq!(written(&unread), r#"{"unreadCount":0}"#);
}

#[test]
fn a_fresh_token_is_answered() {
    let welcome = Welcome { person: alice(), unread: 0, expires_at_s: 99 };
    let words = |ack| Shop.welcome(&Tag { id: None, ack, event: words::AUTH }, &welcome);
    assert_eq!(words(Some(1)), [Word::Answer(r#"{"ok":true,"exp":99}"#.into())]);
    assert!(words(None).is_empty());
}
