//! The group vocabulary by its literal bytes, both ways: the lines of `tests/fixtures/group/` and what each of them means.
//!
//! What lives here: plain values beside the fixtures' lines. What must not: what a server does with them.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::protocol::event::{Bye, ReadTo, UnreadNow};
use crate::protocol::reply::{self, Presence};
use crate::protocol::{Body, ClientId, ConversationId, MessageId, Seq, Timestamp, UserId};

const IN: &str = include_str!("../../../tests/fixtures/group/in.jsonl");
const REFUSED: &str = include_str!("../../../tests/fixtures/group/refused.jsonl");
const OUT: &str = include_str!("../../../tests/fixtures/group/out.jsonl");
const ANSWERS: &str = include_str!("../../../tests/fixtures/group/answers.jsonl");
const AT: Timestamp = Timestamp(1_768_912_500_007);
const CHAT: ConversationId = ConversationId(15);

fn person(id: &str, name: &str) -> Person {
    Person { id: UserId::stored(id), name: name.into(), role: "".into() }
}

fn john() -> Person {
    person("2", "john")
}

fn topic() -> Arc<Topic> {
    Arc::new(Topic { id: CHAT, key: None, kind: "group".into(), subject: None, people: Vec::new() })
}

fn message(sender: Person) -> Message {
    Message {
        id: MessageId(99),
        seq: Seq(3),
        conversation: CHAT,
        sender,
        body: "a \"b\" <i>\n😀".into(),
        kind: "text".into(),
        client_id: None,
        created_at: AT,
    }
}

fn decode(name: &str, body: &str) -> Request {
    Group.decode(&Call { name, body, ack: Some(4), caller: Some(&UserId::stored("2")) })
}

/// The first of a line's parts as text, and the others as a JSON array.
fn split(parts: &[Box<RawValue>]) -> (String, String) {
    let (first, others) = parts.split_first().unwrap();
    let others: Vec<&str> = others.iter().map(|part| part.get()).collect();
    (serde_json::from_str(first.get()).unwrap(), format!("[{}]", others.join(",")))
}

fn send(body: &str, client_id: Option<&str>) -> Incoming {
    Incoming::Command(Command::Send(Send {
        conversation: ConversationRef::Id(CHAT),
        body: Body::parse(body).unwrap(),
        kind: "text".into(),
        client_id: client_id.map(ClientId::stored),
    }))
}

#[test]
fn every_event_of_a_client_is_the_command_it_stands_for() {
    let conversation = || ConversationRef::Id(CHAT);
    let join = || Incoming::Command(Command::Join(Join { conversation: conversation(), since: Since::Now, recent: 0 }));
    let typing = |on| {
        let lasts = Duration::from_secs(5);
        Incoming::Command(Command::Typing(Typing { conversation: conversation(), on, lasts }))
    };
    let means = [
        join(),
        join(),
        send("Hello", None),
        send(" a \"b\" <i>\n😀", Some("c1")),
        send("x", None),
        typing(true),
        typing(false),
        Incoming::Auth("a.b.c".to_owned()),
    ];
    for (line, means) in IN.lines().zip(means) {
        let (name, body) = split(&serde_json::from_str::<Vec<_>>(line).unwrap());
        let request = decode(&name, &body);
        assert_eq!(request.incoming, Ok(means), "{line}");
        assert_eq!((request.tag.ack, request.tag.event), (Some(4), name.as_str()), "{line}");
    }
}

#[test]
fn what_is_not_known_is_passed_over_unless_an_answer_is_asked_for() {
    let (name, body) = split(&serde_json::from_str::<Vec<_>>(IN.lines().last().unwrap()).unwrap());
    let quiet = Group.decode(&Call { name: &name, body: &body, ack: None, caller: None });
    assert_eq!(quiet.incoming, Ok(Incoming::Unknown));
    assert_eq!(decode(&name, &body).incoming.unwrap_err().code(), "invalid");
}

#[test]
fn what_is_wrong_is_refused() {
    for line in REFUSED.lines() {
        let (code, rest) = split(&serde_json::from_str::<Vec<_>>(line).unwrap());
        let (name, body) = split(&serde_json::from_str::<Vec<_>>(&rest).unwrap());
        let refused = decode(&name, &body).incoming.expect_err(line);
        assert_eq!(refused.code(), code, "{line}: {refused}");
    }
    let long = format!(r#"[{{"chatId":15,"content":"{}"}}]"#, "x".repeat(4_001));
    assert_eq!(decode("send_message", &long).incoming.unwrap_err().code(), "too_large");
}

fn told(event: &Event, joined: bool, own: bool) -> Option<String> {
    let frame = Group.event(event, Some(&topic()), Audience { joined, own })?;
    Some(format!("[{frame}]"))
}

#[test]
fn every_event_is_spelt_as_the_contract_says() {
    let typing = |on| Event::Typing(CHAT, john(), on);
    let bye = Event::Bye(Bye::of(&ChatError::forbidden("this user is suspended"), false));
    let said = |id, name| Event::Message(message(person(id, name)));
    let events = [
        said("2", "john"),
        said("alice", "Alice"),
        said("007", "Alice"),
        said("9007199254740993", "Alice"),
        typing(true),
        typing(false),
        bye,
    ];
    let (tag, failures) = (Tag { id: None, ack: None, event: "join_chat" }, failures());
    let replies = [Ok(joined()), Ok(sent())].into_iter().chain(failures.map(Err));
    let replies = replies.flat_map(|reply| Group.reply(&tag, &reply)).map(|word| match word {
        Word::Event(frame) => format!("[{frame}]"),
        Word::Answer(_) => panic!("no acknowledgement was asked for"),
    });
    let written: Vec<String> = events.iter().filter_map(|event| told(event, true, false)).chain(replies).collect();
    assert_eq!(written, OUT.lines().collect::<Vec<_>>());
}

#[test]
fn typing_is_for_others_who_joined_and_messages_are_for_everyone() {
    assert_eq!(told(&Event::Typing(CHAT, john(), true), false, false), None);
    assert_eq!(told(&Event::Typing(CHAT, john(), true), true, true), None);
    assert!(told(&Event::Message(message(john())), false, true).is_some());
}

#[test]
fn what_this_vocabulary_has_no_word_for_is_not_told() {
    let read = ReadTo { conversation: CHAT, user: john().id, seq: Seq(1), count: 1, at: AT };
    let silent = [
        Event::Joined(CHAT, john()),
        Event::Left(CHAT, john()),
        Event::Received(CHAT, john().id, Seq(1)),
        Event::Read(read),
        Event::Presence(Presence { user: john().id, online: true, last_seen: None }),
        Event::Unread(UnreadNow { conversation: CHAT, count: 1, total: 1 }),
        Event::Bye(Bye::going_down(500)),
    ];
    for event in silent {
        assert_eq!(told(&event, true, false), None, "{event:?}");
    }
}

fn joined() -> Reply {
    Reply::Joined(reply::Joined {
        topic: topic(),
        last_seq: Seq(3),
        participants: Vec::new(),
        recent: None,
        reset: false,
    })
}

fn sent() -> Reply {
    Reply::Sent { message: message(john()), topic: topic(), repeated: false }
}

fn failures() -> [ChatError; 2] {
    [ChatError::NotFound("conversation"), ChatError::RateLimited(Duration::from_millis(1_200))]
}

#[test]
fn every_acknowledgement_is_spelt_as_the_contract_says() {
    let tag = Tag { id: None, ack: Some(4), event: "join_chat" };
    let replies = [Ok(joined()), Ok(sent()), Ok(Reply::Done)].into_iter().chain(failures().map(Err));
    let welcome = Welcome { person: john(), unread: 0, expires_at_s: 1_800_000_000 };
    let words = replies.flat_map(|reply| Group.reply(&tag, &reply)).chain(Group.welcome(&tag, &welcome));
    let answers: Vec<String> = words
        .filter_map(|word| match word {
            Word::Answer(answer) => Some(answer.to_string()),
            Word::Event(_) => None,
        })
        .collect();
    assert_eq!(answers, ANSWERS.lines().collect::<Vec<_>>());
    let failed = Group.reply(&tag, &Err(ChatError::Internal));
    assert!(matches!(failed.as_slice(), [Word::Answer(_)]), "an acknowledged failure has no error event besides");
}

proptest! {
    #[test]
    fn whatever_is_said_is_read_or_refused(name in "[a-z_]{0,14}", body in "\\PC{0,60}") {
        let _ = decode(&name, &body);
    }

    #[test]
    fn whatever_stands_in_its_place_is_read_or_refused(at in 0..EVENTS.len(), value in "[\\[\\]{}\":,0-9a-z\\\\ ]{0,20}") {
        let _ = decode(EVENTS[at], &format!(r#"[{{"chatId":{value}}}]"#));
        let _ = decode(EVENTS[at], &format!(r#"[{{"chatId":15,"content":{value}}}]"#));
    }
}
