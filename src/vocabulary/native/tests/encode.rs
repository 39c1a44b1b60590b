//! What clients read: every answer and every event, byte for byte.
//!
//! What lives here: plain values in, text out. What must not: frames from clients.

use std::sync::Arc;

use super::super::*;
use crate::protocol::event::{Bye, ReadTo, UnreadNow};
use crate::protocol::model::{Conversation, Participant, Person, Subject};
use crate::protocol::reply::{Joined, Listed, Marked, Messages, Presence, Unread, UnreadIn};
use crate::protocol::{ConversationId, Message, MessageId, Timestamp, UserId};
use crate::vocabulary::Hearer;

const MESSAGE: &str = r#"{"id":70,"seq":3,"conversation":7,"sender":{"id":"alice","name":"Alice"},"body":"a \"b\" <i>\n😀","kind":"text","client_id":"c1","created_at":"2026-01-20T12:35:00.007Z"}"#;
const NAMELESS: &str = r#"{"id":71,"seq":4,"conversation":7,"sender":{"id":"alice","name":"Alice"},"body":"x","kind":"text","created_at":"1970-01-01T00:00:00.000Z"}"#;

fn alice() -> Person {
    Person { id: UserId::stored("alice"), name: "Alice".into(), role: "customer".into() }
}

fn seven() -> ConversationId {
    ConversationId(7)
}

fn message() -> Message {
    Message {
        id: MessageId(70),
        seq: Seq(3),
        conversation: seven(),
        sender: alice(),
        body: "a \"b\" <i>\n😀".into(),
        kind: "text".into(),
        client_id: Some(ClientId::stored("c1")),
        created_at: Timestamp(1_768_912_500_007),
    }
}

fn nameless() -> Message {
    let (id, seq, body) = (MessageId(71), Seq(4), "x".into());
    Message { id, seq, body, client_id: None, created_at: Timestamp(0), ..message() }
}

fn participant(role: &str, online: bool) -> Participant {
    Participant { person: alice(), role: role.into(), online, unread: 0 }
}

fn conversation(whole: bool) -> Conversation {
    let subject = Subject { kind: "order".into(), id: "42".into(), title: whole.then(|| "Lamp".into()), owner: None };
    Conversation {
        id: seven(),
        key: whole.then(|| "order:42".into()),
        kind: "order".into(),
        title: whole.then(|| "Order 42".into()),
        subject: whole.then_some(subject),
        participants: if whole { vec![participant("buyer", true)] } else { Vec::new() },
        last_message: whole.then(nameless),
        opener: None,
        unread: 2,
        created_at: Timestamp(0),
    }
}

fn check(written: Option<ByteString>, expect: &str) {
    assert_eq!(written.as_deref(), Some(expect));
}

fn check_answer(written: Vec<Word>, expect: &str) {
    assert_eq!(written, [Word::Answer(expect.into())]);
}

fn audience(joined: bool) -> Audience {
    Audience { joined, own: false }
}

fn topic() -> Arc<Topic> {
    Arc::new(Topic { id: seven(), key: None, kind: "order".into(), subject: None, people: Vec::new() })
}

#[test]
fn every_answer_is_spelt_as_the_contract_says() {
    let listed = |participant, received, read| Listed { participant, received: Seq(received), read: Seq(read) };
    let joined = Joined {
        topic: topic(),
        last_seq: Seq(3),
        participants: vec![listed(participant("buyer", true), 3, 2), listed(participant("", false), 0, 0)],
        recent: None,
        reset: false,
    };
    let whole = r#"{"id":7,"key":"order:42","kind":"order","title":"Order 42","subject":{"kind":"order","id":"42","title":"Lamp"},"participants":[{"user_id":"alice","name":"Alice","role":"buyer","online":true}],"last_message":NAMELESS,"unread":2,"created_at":"1970-01-01T00:00:00.000Z"}"#;
    let bare = r#"{"id":7,"key":null,"kind":"order","title":null,"subject":null,"participants":[],"last_message":null,"unread":2,"created_at":"1970-01-01T00:00:00.000Z"}"#;
    let marked = Marked { topic: topic(), user: alice().id, seq: Seq(3), unread: 2, updated: 1, at: Timestamp(0) };
    let page = |messages, has_more| {
        Reply::History(Messages { topic: topic(), messages, has_more, last_seq: Seq(4), readers: Vec::new() })
    };
    let counted = UnreadIn { conversation: seven(), count: 2, last_seq: Seq(3) };
    let presence = |online, last_seen| Presence { user: UserId::stored("alice"), online, last_seen };
    let rows = [
        (Reply::Done, String::new()),
        (
            Reply::Joined(joined),
            r#","conversation":7,"last_seq":3,"participants":[{"user_id":"alice","name":"Alice","role":"buyer","online":true},{"user_id":"alice","name":"Alice","role":"","online":false}],"marks":[{"user_id":"alice","received":3,"read":2},{"user_id":"alice","received":0,"read":0}]"#.into(),
        ),
        (Reply::Sent { message: message(), topic: topic(), repeated: false }, format!(r#","message":{MESSAGE}"#)),
        (Reply::Sent { message: nameless(), topic: topic(), repeated: true }, format!(r#","message":{NAMELESS}"#)),
        (Reply::Marked(marked), r#","unread":2"#.into()),
        (page(vec![message(), nameless()], true), format!(r#","messages":[{MESSAGE},{NAMELESS}],"has_more":true"#)),
        (page(Vec::new(), false), r#","messages":[],"has_more":false"#.into()),
        (
            Reply::Conversations {
                conversations: vec![conversation(true), conversation(false)],
                next: Some(ListCursor { active_at_ms: 5, id: 7 }),
            },
            format!(r#","conversations":[{},{bare}],"next":"5.7""#, whole.replace("NAMELESS", NAMELESS)),
        ),
        (
            Reply::Conversations { conversations: Vec::new(), next: None },
            r#","conversations":[],"next":null"#.into(),
        ),
        (
            Reply::Unread(Unread { total: 2, conversations: vec![counted], topics: Vec::new() }),
            r#","total":2,"conversations":[{"conversation":7,"count":2}]"#.into(),
        ),
        (
            Reply::Presence(presence(false, Some(Timestamp(0)))),
            r#","user_id":"alice","online":false,"last_seen":"1970-01-01T00:00:00.000Z""#.into(),
        ),
        (Reply::Presence(presence(true, None)), r#","user_id":"alice","online":true,"last_seen":null"#.into()),
    ];
    for (reply, rest) in rows {
        let reply = Ok(reply);
        check_answer(Native.reply(&numbered(Some(5)), &reply), &format!(r#"{{"id":5,"ok":true{rest}}}"#));
        check_answer(Native.reply(&numbered(None), &reply), &format!(r#"{{"ok":true{rest}}}"#));
    }
    let alone = serde_json::to_string(&wire::Answer::of(&Reply::Conversation {
        conversation: Box::new(conversation(false)),
        created: true,
    }));
    assert_eq!(alone.unwrap(), bare, "REST answers with the conversation itself");
}

#[test]
fn the_answer_to_auth_says_who_one_is() {
    let welcome = Welcome { person: alice(), unread: 4, expires_at_s: 9 };
    let rows = [
        (Some(1), r#"{"id":1,"ok":true,"user_id":"alice","name":"Alice","unread":4}"#),
        (None, r#"{"ok":true,"user_id":"alice","name":"Alice","unread":4}"#),
    ];
    for (id, expect) in rows {
        check_answer(Native.welcome(&numbered(id), &welcome), expect);
    }
}

#[test]
fn every_refusal_has_its_code() {
    let wait = Duration::from_millis(1_200);
    let rows = [
        (ChatError::unauthorized("w"), r#"{"code":"unauthorized","message":"w"}"#),
        (ChatError::forbidden("w"), r#"{"code":"forbidden","message":"w"}"#),
        (ChatError::NotFound("conversation"), r#"{"code":"not_found","message":"no such conversation"}"#),
        (ChatError::invalid("w"), r#"{"code":"invalid","message":"w"}"#),
        (ChatError::TooLarge("w".into()), r#"{"code":"too_large","message":"w"}"#),
        (
            ChatError::RateLimited(wait),
            r#"{"code":"rate_limited","message":"too many requests; try again in 2 s","retry_after":2}"#,
        ),
        (
            ChatError::Unavailable(wait),
            r#"{"code":"unavailable","message":"the service is unavailable; try again in 2 s","retry_after":2}"#,
        ),
        (ChatError::Internal, r#"{"code":"internal","message":"internal error"}"#),
    ];
    for (error, expect) in rows {
        check_answer(
            Native.reply(&numbered(Some(5)), &Err(error)),
            &format!(r#"{{"id":5,"ok":false,"error":{expect}}}"#),
        );
    }
    let anonymous = Native.reply(&Tag::default(), &Err(ChatError::invalid("w")));
    check_answer(anonymous, r#"{"ok":false,"error":{"code":"invalid","message":"w"}}"#);
}

#[test]
fn every_event_is_flat_and_says_its_type() {
    let user = UserId::stored("alice");
    let read = ReadTo { conversation: seven(), user: user.clone(), seq: Seq(3), count: 1, at: Timestamp(0) };
    let gone = Presence { user: user.clone(), online: false, last_seen: Some(Timestamp(0)) };
    let here = Presence { user: user.clone(), online: true, last_seen: None };
    let rows = [
        (Event::Message(message()), format!(r#"{{"type":"message","conversation":7,"message":{MESSAGE}}}"#), false),
        (
            Event::Joined(seven(), alice()),
            r#"{"type":"joined","conversation":7,"user_id":"alice","name":"Alice"}"#.into(),
            false,
        ),
        (
            Event::Left(seven(), alice()),
            r#"{"type":"left","conversation":7,"user_id":"alice","name":"Alice"}"#.into(),
            false,
        ),
        (
            Event::Typing(seven(), alice(), true),
            r#"{"type":"typing","conversation":7,"user_id":"alice","name":"Alice","on":true}"#.into(),
            false,
        ),
        (
            Event::Received(seven(), user, Seq(3)),
            r#"{"type":"received","conversation":7,"user_id":"alice","seq":3}"#.into(),
            false,
        ),
        (Event::Read(read), r#"{"type":"read","conversation":7,"user_id":"alice","seq":3}"#.into(), false),
        (
            Event::Presence(gone),
            r#"{"type":"presence","user_id":"alice","online":false,"last_seen":"1970-01-01T00:00:00.000Z"}"#.into(),
            true,
        ),
        (
            Event::Presence(here),
            r#"{"type":"presence","user_id":"alice","online":true,"last_seen":null}"#.into(),
            true,
        ),
        (
            Event::Unread(UnreadNow { conversation: seven(), count: 1, total: 3 }),
            r#"{"type":"unread","conversation":7,"count":1,"total":3}"#.into(),
            true,
        ),
        (
            Event::Bye(Bye::going_down(1_500)),
            r#"{"type":"bye","code":"unavailable","reason":"the server is going down","reconnect":true,"retry_after":1.5}"#.into(),
            true,
        ),
        (
            Event::Bye(Bye::of(&ChatError::unauthorized("w"), false)),
            r#"{"type":"bye","code":"unauthorized","reason":"w","reconnect":false}"#.into(),
            true,
        ),
    ];
    for (event, expect, personal) in rows {
        check(Native.event(&event, None, audience(true)), &expect);
        let elsewhere = Native.event(&event, None, audience(false));
        assert_eq!(elsewhere.as_deref(), personal.then_some(expect.as_str()), "to one who has not joined");
    }
}

#[test]
fn what_is_told_to_many_is_written_once() {
    let fanout = crate::vocabulary::Fanout::new(Event::Message(message()), Some(topic()), None);
    let bob = UserId::stored("bob");
    let hearer = |joined| Hearer { user: &bob, audience: audience(joined), unread: 1 };
    let (one, other) = (fanout.frame(&Native, &hearer(true)).unwrap(), fanout.frame(&Native, &hearer(true)).unwrap());
    assert_eq!(one.as_ptr(), other.as_ptr(), "the second listener's frame was written anew");
    assert_eq!(fanout.frame(&Native, &hearer(false)), None);
}
