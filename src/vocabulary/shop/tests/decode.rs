//! Events from clients: every one, every way to get one wrong, and whatever else anybody may send.
//!
//! What lives here: text in, request out. What must not: answers.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::*;
use super::snapshot;

const FRAMES: &str = include_str!("../../../../tests/fixtures/shop/in.jsonl");

/// A frame as the transport hands it over, or as much of one as can be told of text that is none.
fn read(frame: &str) -> Request {
    let alice = UserId::stored("alice");
    let (name, rest) = match frame.split_once(',') {
        Some((name, rest)) => (name, format!("[{rest}")),
        None => (frame.trim_end_matches(']'), "[]".to_owned()),
    };
    let name = name.trim_start_matches('[').trim_matches('"');
    Shop.decode(&Call { name, body: &rest, ack: None, caller: Some(&alice) })
}

#[test]
fn every_event_is_read_as_the_contract_says() {
    let mut seen = String::new();
    for frame in FRAMES.lines() {
        let Request { tag, incoming } = read(frame);
        let read = match incoming {
            Ok(Incoming::Command(command)) => format!("{command:?}"),
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("{}: {error}", error.code()),
        };
        writeln!(seen, "{frame}\n    {:?} {read}", tag.event).unwrap();
    }
    snapshot("in", &seen);
}

#[test]
fn every_event_has_a_frame_that_is_understood_and_one_that_is_not() {
    for event in EVENTS {
        let of = |wanted: bool| {
            let mut frames = FRAMES.lines().filter(|frame| frame.starts_with(&format!("[\"{event}\"")));
            frames.any(|frame| read(frame).incoming.is_ok() == wanted)
        };
        assert!(of(true) && of(false), "{event}");
    }
}

#[test]
fn what_is_unknown_is_passed_over_but_an_acknowledgement_is_given() {
    let call = |ack| Shop.decode(&Call { name: "chat:dance", body: "[]", ack, caller: None });
    assert_eq!(call(None).incoming, Ok(Incoming::Unknown));
    assert_eq!(call(Some(3)).incoming.unwrap_err().code(), "invalid");
}

#[test]
fn whom_one_wants_to_talk_to() {
    let alice = UserId::stored("alice");
    let ask = |participant: Option<&str>, kind: Option<&str>| {
        open(participant.map(|id| Id(id.to_owned())).as_ref(), kind, &alice).map_err(|error| error.code())
    };
    let bob = Open { participants: vec![UserId::stored("bob")], subject: None, title: None, pairings: Some(PAIRINGS) };
    assert_eq!(ask(Some("bob"), None), Ok(Command::Open(bob.clone())));
    assert_eq!(ask(Some("bob"), Some("support")), Ok(Command::Open(bob)), "whoever names somebody means them");
    assert_eq!(ask(Some("support"), None), Ok(Command::Desk(SUPPORT)));
    for kind in ["support", "customer_support", "seller_support"] {
        assert_eq!(ask(None, Some(kind)), Ok(Command::Desk(SUPPORT)));
    }
    for (participant, kind) in [(None, None), (None, Some("internal")), (Some("alice"), None), (Some(""), None)] {
        assert_eq!(ask(participant, kind), Err("invalid"), "{participant:?} {kind:?}");
    }
}

#[test]
fn types_follow_from_the_two_roles_in_either_order() {
    let rows = [
        ("customer", "seller", Some("customer_seller")),
        ("customer", "admin", Some("customer_support")),
        ("customer", "manager", Some("customer_support")),
        ("seller", "admin", Some("seller_support")),
        ("seller", "manager", Some("seller_support")),
        ("admin", "manager", Some("internal")),
        ("admin", "admin", Some("internal")),
        ("manager", "manager", Some("internal")),
        ("customer", "customer", None),
        ("seller", "seller", None),
        ("", "admin", None),
        ("Customer", "seller", None),
        ("", "", None),
    ];
    for (one, other, kind) in rows {
        assert_eq!(Pairing::kind_of(PAIRINGS, one, other), kind, "{one} and {other}");
        assert_eq!(Pairing::kind_of(PAIRINGS, other, one), kind, "{other} and {one}");
    }
}

proptest! {
    #[test]
    fn nothing_that_anybody_sends_breaks_it(name in "\\PC*", body in "\\PC*", ack in proptest::option::of(0_u64..9)) {
        for name in EVENTS.iter().copied().chain([&*name, "auth"]) {
            let request = Shop.decode(&Call { name, body: &body, ack, caller: None });
            prop_assert!(request.tag.ack == ack);
        }
    }

    #[test]
    fn any_value_in_any_field_is_read_or_refused_as_invalid(
        event in proptest::sample::select(EVENTS.to_vec()),
        field in proptest::sample::select(vec![
            "conversationId", "message", "messageType", "clientId", "isTyping", "before", "limit", "senderId", "userId", "sender",
        ]),
        value in proptest::sample::select(vec![
            "null", "true", "-1", "1e400", "0.5", "99999999999999999999", "\"\"", "\"\\u0000\"", "[]", "{}", "[[1]]", "{\"id\":{}}",
        ]),
    ) {
        let alice = UserId::stored("alice");
        let body = format!("[{{\"{field}\":{value}}}]");
        let call = Call { name: event, body: &body, ack: None, caller: Some(&alice) };
        // No row gives all that an event needs, but of the list of conversations, which needs nothing.
        match Shop.decode(&call).incoming {
            Ok(incoming) => prop_assert_eq!(incoming, Incoming::Command(Command::Conversations(whole_list()))),
            Err(error) => prop_assert!(matches!(error.code(), "invalid" | "forbidden"), "{}", error),
        }
    }
}
