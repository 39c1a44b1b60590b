//! Frames from clients: every type, every way to get one wrong, and whatever else anybody may send.
//!
//! What lives here: text in, request out. What must not: answers.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use crate::protocol::ConversationId;

/// What a frame is expected to be.
enum Expect {
    /// This command, to be answered under this number.
    Command(Option<i64>, Command),
    /// A token, likewise.
    Auth(Option<i64>, &'static str),
    /// Refused as `invalid`, likewise, in words that hold this.
    Invalid(Option<i64>, &'static str),
    /// Refused as `too_large`, likewise.
    TooLarge(Option<i64>),
}

use Expect::{Auth, Invalid, TooLarge};

fn check(input: &str, expect: &Expect) {
    let shown: String = input.chars().take(120).collect();
    let Request { tag, incoming } = decoded(input);
    let (id, seen) = match (expect, incoming) {
        (Expect::Command(id, command), Ok(Incoming::Command(seen))) => (*id, seen == *command),
        (Auth(id, token), Ok(Incoming::Auth(seen))) => (*id, seen == *token),
        (Invalid(id, words), Err(error)) => {
            assert!(error.to_string().contains(words), "{shown}: the refusal says `{error}`, not `{words}`");
            (*id, error.code() == "invalid")
        }
        (TooLarge(id), Err(error)) => (*id, error.code() == "too_large"),
        (_, other) => panic!("{shown}: read as {other:?}"),
    };
    assert!(seen, "{shown}: read as something else");
    assert_eq!(tag.id, id, "{shown}: answered under another number");
}

fn seven() -> ConversationRef {
    ConversationRef::Id(ConversationId(7))
}

fn order() -> ConversationRef {
    ConversationRef::Key("order:42".into())
}

fn command(id: i64, command: Command) -> Expect {
    Expect::Command(Some(id), command)
}

fn decoded(frame: &str) -> Request {
    Native.decode(&Call { name: "", body: frame, ack: None, caller: None })
}

fn since(after: Option<i64>) -> Since {
    after.map_or(Since::Now, |after| Since::Place(Seq(after)))
}

fn send(conversation: ConversationRef, body: &str, client_id: Option<&str>) -> Command {
    let body = Body::parse(body).unwrap();
    Command::Send(Send { conversation, body, kind: "text".into(), client_id: client_id.map(ClientId::stored) })
}

fn typing(on: bool) -> Command {
    Command::Typing(Typing { conversation: seven(), on, lasts: Duration::from_secs(5) })
}

fn mark(seq: i64) -> Mark {
    Mark { conversation: seven(), seq: Some(Seq(seq)) }
}

fn history(page: Page, limit: u32) -> Command {
    Command::History(History { conversation: seven(), page, limit, readers: false })
}

fn conversations(limit: u32, cursor: Option<ListCursor>) -> Command {
    Command::Conversations(Conversations { limit, cursor, about: None })
}

#[test]
fn every_frame_of_the_contract_is_understood() {
    let join = |after: Option<i64>| Command::Join(Join { conversation: order(), since: since(after), recent: 0 });
    let leave = |conversation| Command::Leave(Leave(conversation));
    let place = ListCursor { active_at_ms: 1_768_912_500_007, id: 9 };
    let rows = [
        (r#"{"type":"auth","token":"a.b.c"}"#, Auth(None, "a.b.c")),
        (r#"{"id":1,"type":"auth","token":"a.b.c"}"#, Auth(Some(1), "a.b.c")),
        (r#"{"id":2,"type":"join","conversation":"order:42"}"#, command(2, join(None))),
        (r#"{"id":3,"type":"join","conversation":"order:42","after":0}"#, command(3, join(Some(0)))),
        (r#"{"id":3,"type":"join","conversation":"order:42","after":null}"#, command(3, join(None))),
        (r#"{"id":4,"type":"leave","conversation":7}"#, command(4, leave(seven()))),
        (r#"{"id":4,"type":"leave","conversation":"7"}"#, command(4, leave(seven()))),
        (r#"{"id":5,"type":"send","conversation":7,"body":"hi"}"#, command(5, send(seven(), "hi", None))),
        (
            r#"{"id":6,"type":"send","conversation":"order:42","body":" \u00fc\ud83d\ude00\n","client_id":"c1"}"#,
            command(6, send(order(), " ü😀\n", Some("c1"))),
        ),
        (r#"{"type":"send","conversation":7,"body":"hi"}"#, Expect::Command(None, send(seven(), "hi", None))),
        (r#"{"id":7,"type":"typing","conversation":7,"on":true}"#, command(7, typing(true))),
        (r#"{"id":7,"type":"typing","conversation":7,"on":false}"#, command(7, typing(false))),
        (r#"{"id":8,"type":"received","conversation":7,"seq":3}"#, command(8, Command::Received(Received(mark(3))))),
        (r#"{"id":9,"type":"read","conversation":7,"seq":0}"#, command(9, Command::Read(Read(mark(0))))),
        (r#"{"id":1,"type":"history","conversation":7}"#, command(1, history(Page::Newest, 50))),
        (
            r#"{"id":1,"type":"history","conversation":7,"before":9,"limit":1}"#,
            command(1, history(Page::Before(Seq(9)), 1)),
        ),
        (
            r#"{"id":1,"type":"history","conversation":7,"after":9,"limit":9999}"#,
            command(1, history(Page::After(Seq(9)), 200)),
        ),
        (r#"{"id":1,"type":"conversations"}"#, command(1, conversations(50, None))),
        (
            r#"{"id":1,"type":"conversations","limit":500,"cursor":"1768912500007.9"}"#,
            command(1, conversations(100, Some(place))),
        ),
        // What a newer client may add is passed over.
        (r#" {"new":[{"x":{}}],"id":4,"type":"leave","conversation":7} "#, command(4, leave(seven()))),
        (r#"{"id":-4,"type":"leave","conversation":7}"#, Expect::Command(Some(-4), leave(seven()))),
        (
            r#"{"id":9223372036854775807,"type":"leave","conversation":7}"#,
            Expect::Command(Some(i64::MAX), leave(seven())),
        ),
    ];
    for (input, expect) in &rows {
        check(input, expect);
    }
}

#[test]
fn every_way_to_get_a_frame_wrong_is_named() {
    let rows = [
        ("", Invalid(None, "not JSON")),
        ("hello", Invalid(None, "not JSON")),
        ("\u{feff}{}", Invalid(None, "not JSON")),
        ("{\"id\":1,\"type\":\"leave\",\"conversation\":7}x", Invalid(None, "not JSON")),
        ("{\"id\":1,", Invalid(None, "not JSON")),
        ("null", Invalid(None, "")),
        ("7", Invalid(None, "")),
        ("\"join\"", Invalid(None, "")),
        ("[]", Invalid(None, "")),
        ("{}", Invalid(None, "`type` is missing")),
        (r#"{"id":1}"#, Invalid(Some(1), "`type` is missing")),
        (r#"{"id":1,"type":"shout"}"#, Invalid(Some(1), "unknown type; known are auth, join")),
        (r#"{"id":1,"type":"Join","conversation":7}"#, Invalid(Some(1), "unknown type")),
        (r#"{"id":1,"type":5}"#, Invalid(Some(1), "expected a string")),
        (r#"{"id":1,"type":"auth"}"#, Invalid(Some(1), "`token` is missing")),
        (r#"{"id":1,"type":"auth","token":5}"#, Invalid(Some(1), "expected a string")),
        (r#"{"id":1,"type":"join"}"#, Invalid(Some(1), "`conversation` is missing")),
        (r#"{"id":1,"type":"leave"}"#, Invalid(Some(1), "`conversation` is missing")),
        (r#"{"id":1,"type":"send","body":"x"}"#, Invalid(Some(1), "`conversation` is missing")),
        (r#"{"id":1,"type":"send","conversation":7}"#, Invalid(Some(1), "`body` is missing")),
        (r#"{"id":1,"type":"typing","conversation":7}"#, Invalid(Some(1), "`on` is missing")),
        (r#"{"id":1,"type":"received","conversation":7}"#, Invalid(Some(1), "`seq` is missing")),
        (r#"{"id":1,"type":"read","seq":1}"#, Invalid(Some(1), "`conversation` is missing")),
        (r#"{"id":1,"type":"history"}"#, Invalid(Some(1), "`conversation` is missing")),
        (r#"{"id":1,"type":"typing","conversation":7,"on":"yes"}"#, Invalid(Some(1), "expected a boolean")),
        (r#"{"id":1,"type":"send","conversation":7,"body":["x"]}"#, Invalid(Some(1), "expected a string")),
        (r#"{"id":1,"type":"send","conversation":7.0,"body":"x"}"#, Invalid(Some(1), "conversation's id or key")),
        (r#"{"id":1,"type":"send","conversation":{},"body":"x"}"#, Invalid(Some(1), "conversation's id or key")),
    ];
    for (input, expect) in &rows {
        check(input, expect);
    }
}

#[test]
fn every_number_and_text_out_of_its_bounds_is_named() {
    let rows = [
        (r#"{"id":1,"type":"read","conversation":7,"seq":1.5}"#, Invalid(Some(1), "expected an integer")),
        (r#"{"id":1,"type":"read","conversation":7,"seq":"1"}"#, Invalid(Some(1), "expected an integer")),
        (r#"{"id":1,"type":"read","conversation":7,"seq":-1}"#, Invalid(Some(1), "a seq is an integer from 0")),
        (
            r#"{"id":1,"type":"read","conversation":7,"seq":9007199254740992}"#,
            Invalid(Some(1), "a seq is an integer from 0 to 9007199254740991"),
        ),
        (r#"{"id":1,"type":"read","conversation":7,"seq":1e99}"#, Invalid(Some(1), "expected an integer")),
        (
            r#"{"id":1,"type":"read","conversation":7,"seq":99999999999999999999}"#,
            Invalid(Some(1), "expected an integer"),
        ),
        (r#"{"id":1,"type":"join","conversation":0}"#, Invalid(Some(1), "a conversation id is an integer from 1")),
        (r#"{"id":1,"type":"join","conversation":-7}"#, Invalid(Some(1), "a conversation id is an integer from 1")),
        (r#"{"id":1,"type":"join","conversation":9007199254740992}"#, Invalid(Some(1), "a conversation id")),
        (r#"{"id":1,"type":"join","conversation":"99999999999999999999"}"#, Invalid(Some(1), "too large")),
        (r#"{"id":1,"type":"join","conversation":""}"#, Invalid(Some(1), "a conversation key has 1 to 256 bytes")),
        (r#"{"id":1,"type":"join","conversation":"a\u0000"}"#, Invalid(Some(1), "no control characters")),
        (r#"{"id":1,"type":"join","conversation":7,"after":-1}"#, Invalid(Some(1), "a seq is an integer from 0")),
        (r#"{"id":1,"type":"history","conversation":7,"before":1,"after":2}"#, Invalid(Some(1), "exclude each other")),
        (r#"{"id":1,"type":"history","conversation":7,"limit":0}"#, Invalid(Some(1), "`limit` is at least 1")),
        (r#"{"id":1,"type":"history","conversation":7,"limit":-5}"#, Invalid(Some(1), "`limit` is at least 1")),
        (r#"{"id":1,"type":"conversations","cursor":"x"}"#, Invalid(Some(1), "`cursor` is not one")),
        (r#"{"id":1,"type":"conversations","cursor":"1.2.3"}"#, Invalid(Some(1), "`cursor` is not one")),
        (r#"{"id":"1","type":"leave","conversation":7}"#, Invalid(None, "expected an integer")),
        (r#"{"id":1.0,"type":"leave","conversation":7}"#, Invalid(None, "expected an integer")),
        (r#"{"id":9223372036854775808,"type":"leave","conversation":7}"#, Invalid(None, "expected an integer")),
        (r#"{"id":1,"id":2,"type":"leave","conversation":7}"#, Invalid(None, "duplicate field `id`")),
        (
            r#"{"id":1,"type":"send","conversation":7,"body":"a","body":"b"}"#,
            Invalid(Some(1), "duplicate field `body`"),
        ),
        (r#"{"id":1,"type":"send","conversation":7,"body":""}"#, Invalid(Some(1), "needs some text")),
        (r#"{"id":1,"type":"send","conversation":7,"body":" \n\t"}"#, Invalid(Some(1), "needs some text")),
        (r#"{"id":1,"type":"send","conversation":7,"body":"a\u0000b"}"#, Invalid(Some(1), "character NUL")),
        (r#"{"id":1,"type":"send","conversation":7,"body":"\ud800"}"#, Invalid(Some(1), "not JSON")),
        (r#"{"id":1,"type":"send","conversation":7,"body":"\udc00x"}"#, Invalid(Some(1), "not JSON")),
        ("{\"id\":1,\"type\":\"send\",\"conversation\":7,\"body\":\"a\nb\"}", Invalid(None, "not JSON")),
        (r#"{"id":1,"type":"send","conversation":7,"body":"x","client_id":""}"#, Invalid(Some(1), "a client id")),
    ];
    for (input, expect) in &rows {
        check(input, expect);
    }
}

#[test]
fn lengths_and_depths_have_limits() {
    let say = |body: &str| json!({"id": 1, "type": "send", "conversation": 7, "body": body}).to_string();
    check(&say(&"ü".repeat(4_000)), &command(1, send(seven(), &"ü".repeat(4_000), None)));
    check(&say(&"ü".repeat(4_001)), &TooLarge(Some(1)));
    check(&say(&format!("x{}", " ".repeat(40_000))), &TooLarge(Some(1)));
    let named =
        |id: &str| json!({"id": 1, "type": "send", "conversation": 7, "body": "x", "client_id": id}).to_string();
    check(&named(&"c".repeat(64)), &command(1, send(seven(), "x", Some(&"c".repeat(64)))));
    check(&named(&"c".repeat(65)), &Invalid(Some(1), "a client id has 1 to 64 bytes"));
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    for nested in [deep("[", "]"), deep("{\"a\":", "}").replace(":}", ":0}")] {
        check(&nested, &Invalid(None, ""));
        let within =
            |field: &str| format!(r#"{{"id":1,"type":"send","{field}":{nested},"conversation":7,"body":"x"}}"#);
        check(&within("extra"), &command(1, send(seven(), "x", None)));
        check(&within("client_id"), &Invalid(Some(1), "expected a string"));
        let named = format!(r#"{{"id":1,"type":"join","conversation":{nested}}}"#);
        check(&named, &Invalid(Some(1), ""));
    }
}

#[test]
fn a_refusal_never_repeats_what_the_client_wrote() {
    let secret = "hunter2";
    let frames = [
        r#"{"id":1,"type":"read","conversation":7,"seq":"hunter2"}"#,
        r#"{"id":1,"type":"read","conversation":7,"seq":"what I expected hunter2"}"#,
        r#"{"id":1,"type":"read","conversation":7,"seq":"x, expected hunter2"}"#,
        r#"{"id":1,"type":"read","conversation":7,"seq":"duplicate field `hunter2`"}"#,
        r#"{"id":1,"type":"hunter2"}"#,
        r#"{"id":1,"type":"auth","token":["hunter2"]}"#,
        r#"{"id":"hunter2"}"#,
        r#"{"hunter2"#,
        r#"{"id":1,"type":"conversations","cursor":"hunter2"}"#,
        r#"{"id":1,"type":"join","conversation":{"hunter2":1}}"#,
        r#""duplicate field `hunter2`""#,
    ];
    for frame in frames {
        let refused = decoded(frame).incoming.unwrap_err().to_string();
        assert!(!refused.contains(secret), "{frame}: {refused}");
    }
}

/// Names that a conversation may be given.
fn conversation_names() -> impl Strategy<Value = (serde_json::Value, ConversationRef)> {
    let number = (1..=9_007_199_254_740_991_i64).prop_map(|id| (json!(id), ConversationRef::Id(ConversationId(id))));
    let key = "[a-zäß|:/ -]{1,40}".prop_map(|key| (json!(key), ConversationRef::Key(key.as_str().into())));
    prop_oneof![number, key]
}

/// A frame as a client may write it, and what it means.
fn frames() -> impl Strategy<Value = (serde_json::Value, Command)> {
    let seq = || 0..=9_007_199_254_740_991_i64;
    let body = prop_oneof!["\\PC{1,60}", "[ \n\"\\\\]{0,9}x\u{1f600}?"];
    let body = body.prop_filter("a body needs some text", |body| !body.trim().is_empty());
    (conversation_names(), seq(), body, prop::option::of("[!-~]{1,64}"), 0..9_usize, 1..=400_i64).prop_map(
        |((name, conversation), seq, body, client_id, kind, limit)| {
            let mark = Mark { conversation: conversation.clone(), seq: Some(Seq(seq)) };
            let at_most = |max: u32| u32::try_from(limit).unwrap().min(max);
            match kind {
                0 => (
                    json!({"type": "join", "conversation": name, "after": seq}),
                    Command::Join(Join { conversation, since: Since::Place(Seq(seq)), recent: 0 }),
                ),
                1 => (json!({"type": "leave", "conversation": name}), Command::Leave(Leave(conversation))),
                2 => (
                    json!({"type": "typing", "conversation": name, "on": limit % 2 == 0}),
                    Command::Typing(Typing { conversation, on: limit % 2 == 0, lasts: TYPING_LASTS }),
                ),
                3 => (json!({"type": "received", "conversation": name, "seq": seq}), Command::Received(Received(mark))),
                4 => (json!({"type": "read", "conversation": name, "seq": seq}), Command::Read(Read(mark))),
                5 => (
                    json!({"type": "history", "conversation": name, "before": seq, "limit": limit}),
                    Command::History(History {
                        conversation,
                        page: Page::Before(Seq(seq)),
                        limit: at_most(200),
                        readers: false,
                    }),
                ),
                6 => {
                    let cursor = ListCursor { active_at_ms: seq, id: limit };
                    (
                        json!({"type": "conversations", "limit": limit, "cursor": write_list_cursor(cursor)}),
                        Command::Conversations(Conversations {
                            limit: at_most(100),
                            cursor: Some(cursor),
                            about: None,
                        }),
                    )
                }
                _ => {
                    let mut frame = json!({"type": "send", "conversation": name, "body": body});
                    if let Some(id) = &client_id {
                        frame["client_id"] = json!(id);
                    }
                    let body = Body::parse(&body).unwrap();
                    let client_id = client_id.as_deref().map(ClientId::stored);
                    (frame, Command::Send(Send { conversation, body, kind: Arc::from("text"), client_id }))
                }
            }
        },
    )
}

proptest! {
    #[test]
    fn a_frame_means_what_it_was_made_from((mut frame, meant) in frames(), id in any::<i64>()) {
        frame["id"] = json!(id);
        let request = decoded(&frame.to_string());
        prop_assert_eq!(request.tag.id, Some(id));
        prop_assert_eq!(request.incoming, Ok(Incoming::Command(meant)));
    }

    #[test]
    fn whatever_is_sent_is_answered(text in "\\PC{0,80}") {
        let _ = decoded(&text);
    }

    #[test]
    fn a_frame_cut_or_changed_anywhere_is_still_answered((frame, _) in frames(), at in any::<prop::sample::Index>(), with in any::<char>()) {
        let mut text: Vec<char> = frame.to_string().chars().collect();
        let at = at.index(text.len());
        let cut: String = text[..at].iter().collect();
        prop_assert!(decoded(&cut).incoming.is_err(), "half a frame was taken for a whole one");
        text[at] = with;
        let _ = decoded(&text.into_iter().collect::<String>());
    }
}
