//! The `item` vocabulary, byte for byte: `tests/fixtures/item/` holds what clients say with what it means, and what they are told.
//!
//! What lives here: the rows. What must not: sockets.

use std::fmt::Write as _;
use std::time::Duration;

use insta::{assert_snapshot, with_settings};
use proptest::prelude::*;

use super::*;
use crate::protocol::event::{Bye, ReadTo, UnreadNow};
use crate::protocol::model::Subject;
use crate::protocol::reply::{self, Presence};
use crate::protocol::{ConversationId, Message, MessageId, Seq, Timestamp};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/item");

fn request(packet: &str) -> Request {
    let (name, _) = packet[1..].split_once(&[',', ']'][..]).unwrap();
    let body = format!("[{}", packet.split_once(',').map_or("]", |(_, args)| args));
    let caller = UserId::stored("alice");
    Item.decode(&Call { name: name.trim_matches('"'), body: &body, ack: Some(7), caller: Some(&caller) })
}

#[test]
fn what_clients_say() {
    let packets = [
        r#"["join_chat",{"itemId":"42"}]"#,
        r#"["join_chat",{"itemId":42,"buyerId":7}]"#,
        r#"["join_chat",{"itemId":"42","buyerId":"bob"}]"#,
        r#"["join_chat",{"itemId":"42","userId":"bob"}]"#,
        r#"["join_chat",{"itemId":""}]"#,
        r#"["join_chat",{"itemId":"42","buyerId":""}]"#,
        r#"["join_chat",{"buyerId":"bob"}]"#,
        r#"["join_chat","42"]"#,
        r#"["join_chat"]"#,
        r#"["send_message",{"itemId":"42","content":" Is it free? ","clientId":"c1"}]"#,
        r#"["send_message",{"itemId":42,"buyerId":"bob","message":"It is.","senderId":"alice","senderName":"Eve"}]"#,
        r#"["send_message",{"itemId":"42","content":"hi","senderId":"bob"}]"#,
        r#"["send_message",{"itemId":"42","content":"hi","sender":{"_id":"bob"}}]"#,
        r#"["send_message",{"itemId":"42","content":""}]"#,
        r#"["send_message",{"itemId":"42"}]"#,
        r#"["auth",{"token":"a.b.c"}]"#,
        r#"["typing",{"itemId":"42"}]"#,
    ];
    let mut all = String::new();
    for packet in packets {
        writeln!(all, "{packet}\n    {:?}", request(packet).incoming).unwrap();
    }
    with_settings!({ snapshot_path => FIXTURES, prepend_module_to_snapshot => false }, {
        assert_snapshot!("in", all);
    });
}

fn person(id: &str, name: &str) -> Person {
    Person { id: UserId::stored(id), name: name.into(), role: "".into() }
}

fn message(sender: Person) -> Message {
    Message {
        id: MessageId(61),
        seq: Seq(1),
        conversation: ConversationId(7),
        sender,
        body: "a \"b\" <i>\n😀".into(),
        kind: "text".into(),
        client_id: None,
        created_at: Timestamp(1_768_912_500_007),
    }
}

fn topic(parts: [&str; 2], owner: Option<&str>) -> Topic {
    let subject = Subject { kind: "item".into(), id: "42".into(), title: None, owner: owner.map(UserId::stored) };
    let people = vec![(person("alice", "Alice"), parts[0].into()), (person("sam", "Sam"), parts[1].into())];
    Topic { id: ConversationId(7), key: None, kind: "direct".into(), subject: Some(subject), people }
}

fn events() -> Vec<Event> {
    let seven = ConversationId(7);
    let (user, at) = (UserId::stored("sam"), Timestamp(0));
    vec![
        Event::Message(message(person("sam", "Sam"))),
        Event::Message(message(person("alice", "Alice"))),
        Event::Joined(seven, person("sam", "Sam")),
        Event::Left(seven, person("sam", "Sam")),
        Event::Typing(seven, person("sam", "Sam"), true),
        Event::Received(seven, user.clone(), Seq(2)),
        Event::Read(ReadTo { conversation: seven, user: user.clone(), seq: Seq(2), count: 1, at }),
        Event::Presence(Presence { user, online: true, last_seen: None }),
        Event::Unread(UnreadNow { conversation: seven, count: 1, total: 2 }),
        Event::Bye(Bye::of(&ChatError::forbidden("this user is suspended"), false)),
        Event::Bye(Bye::going_down(500)),
    ]
}

#[test]
fn what_clients_are_told() {
    let item = Arc::new(topic(["buyer", "seller"], Some("sam")));
    let mut all = String::new();
    for (who, joined) in [("whoever has joined", true), ("whoever has not", false)] {
        writeln!(all, "# to {who}").unwrap();
        for event in events() {
            if let Some(frame) = Item.event(&event, Some(&item), Audience { joined, own: false }) {
                writeln!(all, "[{frame}]").unwrap();
            }
        }
    }
    let joined = reply::Joined {
        topic: Arc::clone(&item),
        last_seq: Seq(2),
        participants: Vec::new(),
        recent: None,
        reset: false,
    };
    let replies = [
        Ok(Reply::Joined(joined)),
        Ok(Reply::Sent { message: message(person("sam", "Sam")), topic: item, repeated: false }),
        Ok(Reply::Done),
        Err(ChatError::NotFound("subject")),
        Err(ChatError::RateLimited(Duration::from_secs(2))),
    ];
    for ack in [Some(7), None] {
        writeln!(all, "# answers, {} acknowledgement asked for", if ack.is_some() { "an" } else { "no" }).unwrap();
        for reply in &replies {
            for word in Item.reply(&Tag { id: None, ack, event: "send_message" }, reply) {
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
fn buyer_and_seller_are_known_by_their_parts_or_by_who_owns_the_item() {
    for (parts, owner, known) in [
        (["buyer", "seller"], None, true),
        (["", ""], Some("sam"), true),
        (["", "seller"], None, true),
        (["", ""], None, false),
        (["", ""], Some("somebody"), false),
    ] {
        let topic = topic(parts, owner);
        let deal = Deal::of(&topic);
        let deal = deal.as_ref().map(|deal| (deal.buyer.id.as_str(), deal.seller.id.as_str()));
        assert_eq!(deal, known.then_some(("alice", "sam")), "{parts:?} {owner:?}");
    }
    let book = Topic {
        subject: Some(Subject { kind: "book".into(), id: "42".into(), title: None, owner: None }),
        ..topic(["buyer", "seller"], None)
    };
    assert!(Deal::of(&book).is_none(), "a book is no item");
}

#[test]
fn whoever_was_removed_is_known_by_the_key_and_by_who_owns_the_item() {
    let alone = |user: &str, part: &str, key: Option<&str>| {
        let people = vec![(person(user, "Somebody"), part.into()), (person("agent", "An agent"), "agent".into())];
        Topic { key: key.map(Into::into), people, ..topic(["", ""], Some("sam")) }
    };
    for (topic, known) in [
        (alone("sam", "seller", Some("item:42:alice")), Some(("alice", "sam"))),
        (alone("alice", "buyer", Some("item:42:alice")), Some(("alice", "sam"))),
        (alone("alice", "", Some("item:42:alice")), Some(("alice", "sam"))),
        (alone("alice", "", Some("item:4:alice")), None),
        (alone("alice", "", None), None),
    ] {
        let deal = Deal::of(&topic);
        let deal = deal.as_ref().map(|deal| (deal.buyer.id.as_str(), deal.seller.id.as_str()));
        assert_eq!(deal, known, "{topic:?}");
    }
}

proptest! {
    #[test]
    fn nothing_that_anybody_says_is_fatal(which in 0..EVENTS.len(), body in ".*") {
        let caller = UserId::stored("alice");
        for body in [body.clone(), format!("[{body}]"), format!("[{{\"itemId\":{body}}}]")] {
            let call = Call { name: EVENTS[which], body: &body, ack: None, caller: Some(&caller) };
            let Request { incoming, .. } = Item.decode(&call);
            if serde_json::from_str::<serde_json::Value>(&body).is_err() {
                prop_assert!(incoming.is_err());
            }
        }
    }
}
