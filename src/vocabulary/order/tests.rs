//! The `order` vocabulary, byte for byte: `tests/fixtures/order/` holds what clients say with what it means, and what they are told.
//!
//! What lives here: the rows. What must not: sockets.

use std::fmt::Write as _;
use std::sync::Arc;

use insta::{assert_snapshot, with_settings};
use proptest::prelude::*;

use super::*;
use crate::protocol::event::{Bye, ReadTo, UnreadNow};
use crate::protocol::reply::{Joined, Presence};
use crate::protocol::{self, ClientId, ConversationId, MessageId, Seq, UserId};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/order");

fn request(packet: &str) -> Request {
    let (name, _) = packet[1..].split_once(&[',', ']'][..]).unwrap();
    let body = format!("[{}", packet.split_once(',').map_or("]", |(_, args)| args));
    let caller = UserId::stored("alice");
    Order.decode(&Call { name: name.trim_matches('"'), body: &body, ack: Some(7), caller: Some(&caller) })
}

#[test]
fn what_clients_say() {
    let long = format!(r#"["send-message",{{"orderId":"42","message":"{}"}}]"#, "x".repeat(4_001));
    let packets = [
        r#"["join-order-chat",{"orderId":"42"}]"#,
        r#"["join-order-chat",{"orderId":42}]"#,
        r#"["join-order-chat","42"]"#,
        r#"["join-order-chat",42]"#,
        r#"["join-order-chat",{"orderId":"42","userId":"alice"}]"#,
        r#"["join-order-chat",{"orderId":"42","userId":"bob"}]"#,
        r#"["join-order-chat"]"#,
        r#"["join-order-chat",null]"#,
        r#"["join-order-chat",["42"]]"#,
        r#"["join-order-chat",""]"#,
        r#"["join-order-chat",-1]"#,
        r#"["join-order-chat",{"orderId":{}}]"#,
        r#"["leave-order-chat",{"orderId":"42"}]"#,
        r#"["leave-order-chat","b-7"]"#,
        r#"["send-message",{"orderId":"42","message":" Where is it? ","clientId":"c1"}]"#,
        r#"["send-message",{"orderId":42,"content":"Where is it?","senderId":"alice","senderName":"Eve"}]"#,
        r#"["send-message",{"orderId":"42","message":"hi","senderId":"bob"}]"#,
        r#"["send-message",{"orderId":"42","message":"hi","sender":{"id":"bob"}}]"#,
        r#"["send-message",{"orderId":"42","message":"  "}]"#,
        r#"["send-message",{"orderId":"42"}]"#,
        r#"["send-message",{"message":"hi"}]"#,
        r#"["send-message","42"]"#,
        r#"["typing",{"orderId":"42","isTyping":true}]"#,
        r#"["typing",{"orderId":"42","isTyping":false}]"#,
        r#"["typing",{"orderId":"42"}]"#,
        r#"["auth",{"token":"a.b.c"}]"#,
        r#"["dance",{"orderId":"42"}]"#,
    ];
    let mut all = String::new();
    for packet in packets {
        writeln!(all, "{packet}\n    {:?}", request(packet).incoming).unwrap();
    }
    let Err(error) = request(&long).incoming else { panic!("too long a text was taken") };
    assert_eq!(error.code(), "too_large");
    with_settings!({ snapshot_path => FIXTURES, prepend_module_to_snapshot => false }, {
        assert_snapshot!("in", all);
    });
}

fn bob() -> Person {
    Person { id: UserId::stored("bob"), name: "Bob \"B\" </script>".into(), role: "agent".into() }
}

fn message(id: i64) -> protocol::Message {
    protocol::Message {
        id: MessageId(id),
        seq: Seq(id - 60),
        conversation: ConversationId(7),
        sender: bob(),
        body: "a \"b\" <i>\n😀".into(),
        kind: "text".into(),
        client_id: Some(ClientId::stored("c1")),
        created_at: Timestamp(1_768_912_500_007),
    }
}

fn topic(key: Option<&str>) -> Topic {
    Topic {
        id: ConversationId(7),
        key: key.map(Into::into),
        kind: "group".into(),
        subject: None,
        people: vec![(bob(), "agent".into())],
    }
}

fn events() -> Vec<Event> {
    let seven = ConversationId(7);
    let (user, at) = (UserId::stored("bob"), Timestamp(1_768_912_500_007));
    vec![
        Event::Message(message(62)),
        Event::Joined(seven, bob()),
        Event::Left(seven, bob()),
        Event::Typing(seven, bob(), true),
        Event::Typing(seven, bob(), false),
        Event::Received(seven, user.clone(), Seq(2)),
        Event::Read(ReadTo { conversation: seven, user: user.clone(), seq: Seq(2), count: 1, at }),
        Event::Presence(Presence { user, online: true, last_seen: None }),
        Event::Unread(UnreadNow { conversation: seven, count: 1, total: 2 }),
        Event::Bye(Bye::of(&ChatError::forbidden("this user is suspended"), false)),
        Event::Bye(Bye::going_down(500)),
    ]
}

/// The present moment is not the same twice.
fn steady(text: &str) -> String {
    let Some((before, after)) = text.split_once(r#""timestamp":""#) else { return text.to_owned() };
    format!(r#"{before}"timestamp":"(now, {} bytes){}"#, after.find('"').unwrap(), &after[after.find('"').unwrap()..])
}

#[test]
fn what_clients_are_told() {
    let order = topic(Some("order:42"));
    let mut all = String::new();
    for (who, joined, own) in
        [("others", true, false), ("the same user", true, true), ("whoever has not joined", false, false)]
    {
        writeln!(all, "# to {who}").unwrap();
        for event in events() {
            if let Some(frame) = Order.event(&event, Some(&order), Audience { joined, own }) {
                writeln!(all, "[{}]", steady(&frame)).unwrap();
            }
        }
    }
    let page = Messages {
        topic: Arc::new(order),
        messages: vec![message(61), message(62)],
        has_more: false,
        last_seq: Seq(2),
        readers: vec![(UserId::stored("bob"), Seq(2)), (UserId::stored("alice"), Seq(1))],
    };
    let topic = Arc::clone(&page.topic);
    let at = Timestamp(1_768_912_500_007);
    let joined = Joined {
        topic: Arc::clone(&topic),
        last_seq: Seq(2),
        participants: Vec::new(),
        recent: Some(page.clone()),
        reset: false,
    };
    let replies = [
        Ok(Reply::Joined(joined)),
        Ok(Reply::Left(Arc::clone(&topic))),
        Ok(Reply::Sent { message: message(62), topic: Arc::clone(&topic), repeated: true }),
        Ok(Reply::Marked(Marked { topic, user: UserId::stored("bob"), seq: Seq(2), unread: 0, updated: 2, at })),
        Ok(Reply::Done),
        Err(ChatError::NotFound("conversation")),
        Err(ChatError::RateLimited(Duration::from_secs(2))),
    ];
    for ack in [Some(7), None] {
        writeln!(all, "# answers, {} acknowledgement asked for", if ack.is_some() { "an" } else { "no" }).unwrap();
        for reply in &replies {
            for word in Order.reply(&Tag { id: None, ack, event: "send-message" }, reply) {
                match word {
                    Word::Event(frame) => writeln!(all, "event [{frame}]").unwrap(),
                    Word::Answer(frame) => writeln!(all, "ack   [{frame}]").unwrap(),
                }
            }
        }
    }
    with_settings!({ snapshot_path => FIXTURES, prepend_module_to_snapshot => false }, {
        assert_snapshot!("out", all);
    });
}

#[test]
fn of_what_is_no_order_nothing_is_told() {
    for topic in [topic(None), topic(Some("item:42:alice"))] {
        for event in events().into_iter().filter(|event| !matches!(event, Event::Bye(_))) {
            assert_eq!(Order.event(&event, Some(&topic), Audience { joined: true, own: false }), None, "{event:?}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_anybody_says_is_fatal(which in 0..EVENTS.len(), body in ".*") {
        let caller = UserId::stored("alice");
        for body in [body.clone(), format!("[{body}]"), format!("[{{\"orderId\":{body}}}]")] {
            let call = Call { name: EVENTS[which], body: &body, ack: None, caller: Some(&caller) };
            let Request { incoming, .. } = Order.decode(&call);
            if serde_json::from_str::<serde_json::Value>(&body).is_err() {
                prop_assert!(incoming.is_err());
            }
        }
    }
}
