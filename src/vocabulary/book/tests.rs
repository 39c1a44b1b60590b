//! The book vocabulary by its literal bytes, both ways: the lines of `tests/fixtures/book/` and what each of them means.
//!
//! What lives here: plain values beside the fixtures' lines. What must not: what a server does with them.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::names::Hints;
use super::wire::{Conversation, Messages, Partner, Refusal, Success, Unread};
use super::*;
use crate::protocol::command::{self, Send};
use crate::protocol::event::{Bye, ReadTo, UnreadNow};
use crate::protocol::model::{self, Participant, Subject};
use crate::protocol::reply::{self, Joined, Marked, Presence, UnreadIn};
use crate::protocol::{
    Between, Body, ClientId, ConversationId, ConversationRef, Message as Said, MessageId, Person, Seq, Timestamp, Who,
};

const IN: &str = include_str!("../../../tests/fixtures/book/in.jsonl");
const REFUSED: &str = include_str!("../../../tests/fixtures/book/refused.jsonl");
const OUT: &str = include_str!("../../../tests/fixtures/book/out.jsonl");
const ANSWERS: &str = include_str!("../../../tests/fixtures/book/answers.jsonl");
const REST: &str = include_str!("../../../tests/fixtures/book/rest.jsonl");
const AT: Timestamp = Timestamp(1_768_912_500_007);

fn user(id: &str) -> UserId {
    UserId::stored(id)
}

fn john() -> Person {
    Person { id: user("user1"), name: "John Doe".into(), role: "customer".into() }
}

fn jane() -> Person {
    Person { id: user("user2"), name: "Jane Roe".into(), role: "customer".into() }
}

/// Of John and Jane about book123; she spelt it first.
fn topic() -> Topic {
    let subject = Subject { kind: "book".into(), id: "book123".into(), title: None, owner: None };
    Topic {
        id: ConversationId(7),
        key: Some("book123|user2:user1".into()),
        kind: "direct".into(),
        subject: Some(subject),
        people: vec![(john(), "".into()), (jane(), "".into())],
    }
}

fn message() -> Said {
    Said {
        id: MessageId(70),
        seq: Seq(3),
        conversation: ConversationId(7),
        sender: john(),
        body: "a \"b\" <i>\n😀".into(),
        kind: "text".into(),
        client_id: Some(ClientId::stored("c1")),
        created_at: AT,
    }
}

fn decode(name: &str, body: &str, ack: Option<u64>) -> Request {
    Book.decode(&Call { name, body, ack, caller: Some(&user("user1")) })
}

/// An event as a client writes it: its name and its arguments.
fn read(line: &[Box<RawValue>]) -> (String, String) {
    let (name, arguments) = line.split_first().unwrap();
    let arguments: Vec<&str> = arguments.iter().map(|argument| argument.get()).collect();
    (serde_json::from_str(name.get()).unwrap(), format!("[{}]", arguments.join(",")))
}

fn between(book: &str, two: [&str; 2], opens: bool) -> ConversationRef {
    let [first, last] = two;
    ConversationRef::Between(Arc::new(Between {
        subject: ("book".into(), book.into()),
        who: Who::Two(user(first), user(last)),
        spelling: Some(format!("{book}|{first}:{last}").into()),
        other_spelling: Some(format!("{book}|{last}:{first}").into()),
        opens,
    }))
}

fn send(book: &str, body: &str, kind: &str, client_id: Option<&str>) -> Incoming {
    Incoming::Command(Command::Send(Send {
        conversation: between(book, ["user1", "user2"], true),
        body: Body::parse(body).unwrap(),
        kind: kind.into(),
        client_id: client_id.map(ClientId::stored),
    }))
}

#[test]
fn every_event_of_a_client_is_the_command_it_stands_for() {
    let book = |opens| between("book123", ["user1", "user2"], opens);
    let typing = |on| Command::Typing(Typing { conversation: book(false), on, lasts: Duration::from_secs(1) });
    let join = Command::Join(Join { conversation: book(true), since: Since::Now, recent: 0 });
    let leave = Command::Leave(command::Leave(between("book123", ["user2", "user1"], false)));
    let means = [
        Incoming::Command(join),
        Incoming::Command(leave),
        send("book123", "Hello, is this book available?", "text", None),
        send("book123", "a \"b\" <i>\n😀", "image", Some("c1")),
        send("77", " 42 ", "text", None),
        Incoming::Command(typing(true)),
        Incoming::Command(typing(false)),
        Incoming::Command(Command::Appear(true)),
        Incoming::Command(Command::Appear(true)),
        Incoming::Command(Command::Appear(true)),
        Incoming::Command(Command::Appear(false)),
        Incoming::Auth("a.b.c".to_owned()),
        Incoming::Unknown,
    ];
    assert_eq!(IN.lines().count(), means.len());
    for (line, means) in IN.lines().zip(means) {
        let parts: Vec<Box<RawValue>> = serde_json::from_str(line).unwrap();
        let (name, body) = read(&parts);
        assert_eq!(decode(&name, &body, None).incoming, Ok(means), "{line}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_by_its_code() {
    for line in REFUSED.lines() {
        let parts: Vec<Box<RawValue>> = serde_json::from_str(line).unwrap();
        let (code, event) = parts.split_first().unwrap();
        let (name, body) = read(event);
        let refused = decode(&name, &body, None).incoming.map_err(|error| error.code());
        assert_eq!(refused, Err(serde_json::from_str(code.get()).unwrap()), "{line}");
    }
    let long = format!(r#"[{{"conversationId":"b|user1:user2","message":"{}"}}]"#, "x".repeat(4_001));
    assert_eq!(decode("chat:message", &long, None).incoming.unwrap_err().code(), "too_large");
    assert_eq!(decode("never:heard of", "[{}]", Some(1)).incoming.unwrap_err().code(), "invalid");
}

#[test]
fn every_event_is_spelt_as_the_contract_says() {
    let (room, own) = (Audience { joined: true, own: false }, Audience { joined: true, own: true });
    let outside = Audience { joined: false, own: false };
    let topic = topic();
    let event = |event: &Event, audience| Book.event(event, Some(&topic), audience);
    let personal = |audience| {
        let jane = user("user2");
        Book.personal(&Event::Message(message()), Some(&topic), &Hearer { user: &jane, audience, unread: 3 })
    };
    let tag = Tag { id: None, ack: None, event: "chat:join" };
    let said = |reply: Result<Reply, ChatError>| match Book.reply(&tag, &reply).as_slice() {
        [Word::Event(text)] => Some(text.clone()),
        other => panic!("{other:?}"),
    };
    let here = Presence { user: user("user1"), online: true, last_seen: None };
    let gone = Presence { user: user("user1"), online: false, last_seen: Some(AT) };
    let typing = |on| Event::Typing(ConversationId(7), john(), on);
    let suspended = Event::Bye(Bye::of(&ChatError::forbidden("this user is suspended"), false));
    assert_eq!(
        event(&Event::Message(message()), own),
        event(&Event::Message(message()), room),
        "the room hears its own"
    );
    let told = [
        event(&Event::Message(message()), room),
        personal(outside),
        event(&typing(true), room),
        event(&typing(false), room),
        Book.event(&Event::Presence(here), None, outside),
        Book.event(&Event::Presence(gone), None, outside),
        Book.event(&suspended, None, outside),
        said(Ok(joined())),
        said(Ok(Reply::Left(Arc::new(topic.clone())))),
        said(Err(ChatError::NotFound("conversation"))),
        said(Err(ChatError::RateLimited(Duration::from_secs(2)))),
    ];
    assert_eq!(OUT.lines().count(), told.len());
    for (line, told) in OUT.lines().zip(told) {
        assert_eq!(told.map(|text| format!("[{text}]")).as_deref(), Some(line));
    }
    assert_eq!(personal(room), None, "whoever joined hears it as the room does");
    assert_eq!(
        personal(Audience { joined: false, own: true }),
        None,
        "nobody is notified of what they said themselves"
    );
    assert_eq!(event(&Event::Message(message()), outside), None);
    assert_eq!(event(&typing(true), own), None);
    assert_eq!(event(&typing(true), outside), None);
}

#[test]
fn what_clients_have_no_word_for_is_not_told() {
    let room = Audience { joined: true, own: false };
    let id = ConversationId(7);
    let read = ReadTo { conversation: id, user: user("user1"), seq: Seq(3), count: 1, at: AT };
    let silent = [
        Event::Joined(id, john()),
        Event::Left(id, john()),
        Event::Received(id, user("user1"), Seq(3)),
        Event::Read(read),
        Event::Unread(UnreadNow { conversation: id, count: 1, total: 1 }),
        Event::Bye(Bye::going_down(500)),
    ];
    for event in silent {
        assert_eq!(Book.event(&event, Some(&topic()), room), None, "{event:?}");
    }
    // Conversations that are about something else, or of others.
    let order = Subject { kind: "order".into(), id: "book123".into(), title: None, owner: None };
    let carol = Person { id: user("carol"), name: "Carol".into(), role: "".into() };
    for other in [
        Topic { subject: None, ..topic() },
        Topic { subject: Some(order), ..topic() },
        Topic { people: Vec::new(), ..topic() },
        Topic {
            key: Some("ours".into()),
            people: vec![(john(), "".into()), (jane(), "".into()), (carol, "".into())],
            ..topic()
        },
    ] {
        let hearer = Hearer { user: &user("user2"), audience: Audience { joined: false, own: false }, unread: 1 };
        assert_eq!(Book.event(&Event::Message(message()), Some(&other), room), None);
        assert_eq!(Book.personal(&Event::Message(message()), Some(&other), &hearer), None);
    }
}

fn joined() -> Reply {
    Reply::Joined(Joined {
        topic: Arc::new(topic()),
        last_seq: Seq(3),
        participants: Vec::new(),
        recent: None,
        reset: false,
    })
}

#[test]
fn every_answer_is_spelt_as_the_contract_says() {
    let tag = Tag { id: None, ack: Some(4), event: "chat:message" };
    let topic = Arc::new(topic());
    let marked = Marked { topic: Arc::clone(&topic), user: user("user1"), seq: Seq(3), unread: 0, updated: 2, at: AT };
    let answer = |reply: Result<Reply, ChatError>| Book.reply(&tag, &reply);
    let welcome = Welcome { person: john(), unread: 0, expires_at_s: 1_800_000_000 };
    let answered = [
        answer(Ok(joined())),
        answer(Ok(Reply::Left(Arc::clone(&topic)))),
        answer(Ok(Reply::Sent { message: message(), topic: Arc::clone(&topic), repeated: true })),
        answer(Ok(Reply::Marked(marked))),
        answer(Ok(Reply::Done)),
        answer(Err(ChatError::NotFound("conversation"))),
        answer(Err(ChatError::RateLimited(Duration::from_secs(2)))),
        Book.welcome(&tag, &welcome),
    ];
    assert_eq!(ANSWERS.lines().count(), answered.len());
    for (line, words) in ANSWERS.lines().zip(answered) {
        assert_eq!(words.last(), Some(&Word::Answer(line.into())));
    }
    // Without an acknowledgement the room's echo is all that a sender hears.
    let sent = Reply::Sent { message: message(), topic, repeated: false };
    assert_eq!(Book.reply(&Tag { ack: None, ..tag }, &Ok(sent)), []);
}

fn conversation(owner: Option<&str>, opener: &str) -> model::Conversation {
    let topic = topic();
    let seat = |person, unread| Participant { person, role: "".into(), online: false, unread };
    model::Conversation {
        id: topic.id,
        key: topic.key,
        kind: topic.kind,
        title: None,
        subject: topic.subject.map(|subject| Subject { owner: owner.map(user), ..subject }),
        participants: vec![seat(john(), 0), seat(jane(), 4)],
        last_message: Some(message()),
        opener: Some(user(opener)),
        unread: 0,
        created_at: Timestamp(0),
    }
}

#[test]
fn every_body_is_spelt_as_the_contract_says() {
    fn json(body: impl serde::Serialize) -> String {
        serde_json::to_string(&body).unwrap()
    }
    let john = user("user1");
    let page = reply::Messages {
        topic: Arc::new(topic()),
        messages: vec![message()],
        has_more: true,
        last_seq: Seq(5),
        readers: vec![(user("user2"), Seq(3)), (john.clone(), Seq(2))],
    };
    let counted = |id| UnreadIn { conversation: ConversationId(id), count: 2, last_seq: Seq(5) };
    let unread = reply::Unread {
        total: 4,
        conversations: vec![counted(6), counted(7)],
        topics: vec![Arc::new(Topic { subject: None, ..topic() }), Arc::new(topic())],
    };
    let bodies = [
        json(Success::of(Messages::of(&page, 2, 1))),
        json(Success::of([Conversation::of(&conversation(None, "user1"), &john)])),
        json(Success::of(Partner::of(&conversation(None, "user1"), &john))),
        json(Success::of(Unread::of(&unread, &john))),
        json(Success::of(Updated { updated: 2 })),
        json(Refusal::of(&ChatError::NotFound("conversation"))),
        json(Refusal::of(&ChatError::unavailable())),
    ];
    assert_eq!(REST.lines().count(), bodies.len());
    for (line, body) in REST.lines().zip(bodies) {
        assert_eq!(body, line);
    }
}

#[test]
fn the_seller_owns_the_book_or_else_did_not_write_first() {
    let seller = |owner: Option<&str>, opener: &str| {
        let shown = Conversation::of(&conversation(owner, opener), &user("user1"));
        serde_json::to_value(shown).unwrap()["sellerId"].as_str().unwrap().to_owned()
    };
    assert_eq!(seller(None, "user1"), "user2");
    assert_eq!(seller(None, "user2"), "user1");
    assert_eq!(seller(Some("user1"), "user1"), "user1");
    assert_eq!(seller(Some("user2"), "user2"), "user2");
    assert_eq!(seller(Some("carol"), "user2"), "user1", "an owner who is none of the two sells nothing here");
    let silent = model::Conversation { last_message: None, ..conversation(None, "user1") };
    assert!(Conversation::of(&silent, &user("user1")).is_none(), "nobody has written yet");
    assert!(Conversation::of(&conversation(None, "user1"), &user("carol")).is_none(), "she is none of the two");
}

#[test]
fn a_conversation_goes_by_its_first_spelling() {
    let spoken = |key: Option<&str>, people: &[&str]| {
        let person = |id: &&str| (Person { id: user(id), name: (*id).into(), role: "".into() }, "".into());
        let topic = Topic { key: key.map(Into::into), people: people.iter().map(person).collect(), ..topic() };
        Spoken::of(&topic).map(|spoken| (spoken.id, spoken.two.map(|one| one.id.to_string())))
    };
    let named = |id: &str, two: [&str; 2]| Some((id.to_owned(), two.map(str::to_owned)));
    assert_eq!(spoken(Some("book123|b:a"), &["a", "b"]), named("book123|b:a", ["b", "a"]));
    assert_eq!(spoken(None, &["b", "a"]), named("book123|a:b", ["a", "b"]));
    assert_eq!(spoken(Some("the shop's own"), &["a", "b"]), named("book123|a:b", ["a", "b"]));
    assert_eq!(spoken(Some("book12|a:b"), &["a", "b"]), named("book123|a:b", ["a", "b"]), "of another book");
    assert_eq!(spoken(Some("book123|a:b"), &["a", "b", "c"]), named("book123|a:b", ["a", "b"]), "the shop looks on");
    assert_eq!(spoken(Some("book123|a:b"), &["b"]), named("book123|a:b", ["b", "a"]), "one was removed");
    assert_eq!(spoken(Some("book123|a:b:c"), &["a", "b:c"]), named("book123|a:b:c", ["a", "b:c"]));
    assert_eq!(spoken(None, &["a"]), None);
    assert_eq!(spoken(None, &["a", "b", "c"]), None);
}

#[test]
fn ids_that_hold_what_keeps_the_parts_apart_are_read_by_their_writer() {
    let id = |text: &str| Id(text.to_owned());
    let read =
        |text: &str, hints: Hints<'_>, caller: &str| match names::conversation(&id(text), hints, &user(caller), false)
            .unwrap()
        {
            ConversationRef::Between(between) => match &between.who {
                Who::Two(one, other) => format!("{} {one} {other}", between.subject.1),
                Who::WithOwner(_) => unreachable!(),
            },
            _ => unreachable!(),
        };
    let none = Hints::default();
    assert_eq!(read("7|auth0|1:auth0|2", none, "auth0|1"), "7 auth0|1 auth0|2");
    assert_eq!(read("7|auth0|1:auth0|2", none, "auth0|2"), "7 auth0|1 auth0|2");
    assert_eq!(read("7|a:b:c", none, "a"), "7 a b:c");
    assert_eq!(read("7|a:b:c", none, "b:c"), "7 a b:c");
    assert_eq!(read("x|7|a:b", none, "a"), "x|7 a b");
    // Whose `|` it is cannot be told here, but by what else the payload says.
    let (book, other) = (id("x|7"), id("a"));
    assert_eq!(read("x|7|a:b", none, "b"), "x 7|a b");
    assert_eq!(read("x|7|a:b", Hints { book: Some(&book), other: None }, "b"), "x|7 a b");
    assert_eq!(read("x|7|a:b", Hints { book: None, other: Some(&other) }, "b"), "x|7 a b");
}

proptest! {
    #[test]
    fn whatever_a_client_sends_is_understood_or_refused(
        name in prop_oneof![prop::sample::select(EVENTS.to_vec()).prop_map(str::to_owned), ".{0,16}"],
        body in prop_oneof![
            ".{0,64}",
            "[\\[\\]{}\",:|a-z0-9]{0,64}",
            "[a-z:|0-9]{0,24}".prop_map(|id| format!(r#"[{{"conversationId":"{id}","message":"x","isTyping":true}}]"#)),
        ],
    ) {
        if let Ok(Incoming::Command(Command::Send(send))) = decode(&name, &body, None).incoming {
            let ConversationRef::Between(between) = send.conversation else { unreachable!() };
            let Who::Two(one, other) = &between.who else { unreachable!() };
            prop_assert!(one != other);
            prop_assert!([one, other].contains(&&user("user1")));
        }
    }

    #[test]
    fn two_people_who_say_which_book_always_mean_the_same(
        book in "[a-z|:]{1,6}", one in "[a-z|:]{1,6}", other in "[a-z|:]{1,6}",
    ) {
        prop_assume!(one != other);
        let name = Id(format!("{book}|{one}:{other}"));
        let (book, one, other) = (Id(book), Id(one), Id(other));
        let by = |caller: &Id, partner: &Id| {
            let hints = Hints { book: Some(&book), other: Some(partner) };
            match names::conversation(&name, hints, &user(&caller.0), true) {
                Ok(ConversationRef::Between(between)) => match &between.who {
                    Who::Two(one, other) => (between.subject.clone(), one.min(other).clone(), one.max(other).clone()),
                    Who::WithOwner(_) => unreachable!(),
                },
                other => panic!("{other:?}"),
            }
        };
        prop_assert_eq!(by(&one, &other), by(&other, &one));
    }
}
