//! The `item` vocabulary (CONTRACT section 4): an item's buyers and its seller, each buyer in a conversation of their own.
//!
//! What lives here: names and payloads to commands, replies and events to names and payloads; who is buyer and seller in what was
//! opened so is shared with the item's page. What must not: state, I/O, rules of the chat.

use std::sync::Arc;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::words::{self, Failure, Id, missing};
use super::{Audience, Call, Codec, Incoming, Manner, Request, Tag, Vocabulary, Welcome, Word};
use crate::error::ChatError;
use crate::protocol::command::{Join, Send, Since};
use crate::protocol::{Between, Command, ConversationRef, Event, Person, Reply, Topic, UserId, Who};

/// What clients may say.
pub const EVENTS: [&str; 2] = ["join_chat", "send_message"];

/// The kind of subject that conversations are about.
pub const KIND: &str = "item";
/// The parts that people have.
const BUYER: &str = "buyer";
const SELLER: &str = "seller";

/// The translator.
pub struct Item;

/// Every field that an event may bring.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    item_id: Option<Id>,
    buyer_id: Option<Id>,
    content: Option<String>,
    message: Option<String>,
    client_id: Option<String>,
}

impl Codec for Item {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Item
    }

    fn manner(&self) -> Manner {
        Manner { echo: false, everywhere: false, acknowledges: false, queue: false }
    }

    fn decode(&self, call: &Call<'_>) -> Request {
        words::request(call, &EVENTS, |event| command(event, call).map(Incoming::Command))
    }

    fn event(&self, event: &Event, topic: Option<&Topic>, audience: Audience) -> Option<ByteString> {
        match event {
            Event::Message(message) if audience.joined => {
                words::event("receive_message", &Received::of(message, &Deal::of(topic?)?))
            }
            Event::Bye(bye) if !bye.reconnect => {
                words::event("error", &words::Farewell { error: &bye.reason, code: bye.code })
            }
            Event::Message(_)
            | Event::Joined(..)
            | Event::Left(..)
            | Event::Typing(..)
            | Event::Received(..)
            | Event::Read(_)
            | Event::Presence(_)
            | Event::Unread(_)
            | Event::Bye(_) => None,
        }
    }

    fn reply(&self, tag: &Tag, reply: &Result<Reply, ChatError>) -> Vec<Word> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return words::refusal(tag, error, || words::event("error", &Failure::of(error))),
        };
        let word = match reply {
            Reply::Joined(joined) => {
                Deal::of(&joined.topic).and_then(|deal| words::answer(tag, &Joined::of(&joined.topic, &deal)))
            }
            Reply::Sent { message, topic, .. } => {
                Deal::of(topic).and_then(|deal| words::answer(tag, &Received::of(message, &deal)))
            }
            _ => return words::done(tag),
        };
        word.into_iter().collect()
    }

    fn welcome(&self, tag: &Tag, welcome: &Welcome) -> Vec<Word> {
        words::welcome(tag, welcome)
    }
}

fn command(event: &'static str, call: &Call<'_>) -> Result<Command, ChatError> {
    words::claims(call)?;
    let said: Payload = words::argument(call)?;
    let item = said.item_id.as_ref().ok_or_else(|| missing("itemId"))?;
    let joins = event == "join_chat";
    let conversation = conversation(item, said.buyer_id.as_ref(), joins)?;
    if joins {
        // What none of the user's devices has heard is told now.
        return Ok(Command::Join(Join { conversation, since: Since::Received, recent: 0 }));
    }
    Ok(Command::Send(Send {
        conversation,
        body: words::text(said.content.or(said.message).as_deref(), "content")?,
        kind: words::kind(None)?,
        client_id: words::client_id(said.client_id.as_deref())?,
    }))
}

/// The conversation of a buyer, the caller unless the caller is the seller, about an item; a buyer's first join `opens` it.
///
/// # Errors
/// `invalid` when an id cannot be one.
pub fn conversation(item: &Id, buyer: Option<&Id>, opens: bool) -> Result<ConversationRef, ChatError> {
    let subject = (Arc::from(KIND), item.subject()?);
    let who = Who::WithOwner(buyer.map(Id::user).transpose()?);
    Ok(ConversationRef::Between(Arc::new(Between { subject, who, spelling: None, other_spelling: None, opens })))
}

/// Who talks about which item.
pub struct Deal<'a> {
    /// The shop's id of the item.
    pub item: &'a str,
    /// Who would buy it.
    pub buyer: Person,
    /// Who sells it.
    pub seller: Person,
}

impl<'a> Deal<'a> {
    /// What a conversation is about, where that is an item, and its two people are known: by their parts, or, where it was opened
    /// without, because one of them owns the item. One of the two may have been removed: the other still has what was said.
    #[must_use]
    pub fn of(topic: &'a Topic) -> Option<Self> {
        let item = topic.about(KIND)?;
        let owner = topic.subject.as_ref().and_then(|subject| subject.owner.as_ref());
        let opener = topic.key.as_deref().and_then(|key| opened_by(key, item));
        let here = |id: &UserId| topic.people.iter().map(|(person, _)| person).find(|person| person.id == *id).cloned();
        let gone_owner = || owner.filter(|_| opener.is_some()).map(gone);
        let seller = topic.playing(SELLER).cloned().or_else(|| here(owner?)).or_else(gone_owner)?;
        let opening = || opener.as_ref().map(|id| here(id).unwrap_or_else(|| gone(id)));
        let buyer = topic.playing(BUYER).cloned().or_else(opening);
        let buyer = buyer.or_else(|| topic.other_than(&seller.id).cloned())?;
        Some(Self { item, buyer, seller })
    }

    /// Whom a sender speaks to.
    fn receiver(&self, sender: &UserId) -> &Person {
        if *sender == self.buyer.id { &self.seller } else { &self.buyer }
    }
}

/// The buyer whose conversation about an item has this key.
fn opened_by(key: &str, item: &str) -> Option<UserId> {
    let buyer = key.strip_prefix(KIND)?.strip_prefix(':')?.strip_prefix(item)?.strip_prefix(':')?;
    UserId::parse(buyer).ok()
}

/// Somebody who has been removed, as far as they are still known.
fn gone(id: &UserId) -> Person {
    Person { id: id.clone(), name: id.as_str().into(), role: "".into() }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Joined<'a> {
    item_id: &'a str,
    buyer_id: &'a str,
    conversation_id: i64,
}

impl<'a> Joined<'a> {
    fn of(topic: &Topic, deal: &'a Deal<'_>) -> Self {
        Self { item_id: deal.item, buyer_id: deal.buyer.id.as_str(), conversation_id: topic.id.0 }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Received<'a> {
    id: i64,
    item_id: &'a str,
    buyer_id: &'a str,
    sender_id: &'a str,
    sender_name: &'a str,
    receiver_id: &'a str,
    receiver_name: &'a str,
    content: &'a str,
    timestamp: String,
}

impl<'a> Received<'a> {
    fn of(message: &'a crate::protocol::Message, deal: &'a Deal<'_>) -> Self {
        let receiver = deal.receiver(&message.sender.id);
        Self {
            id: message.id.0,
            item_id: deal.item,
            buyer_id: deal.buyer.id.as_str(),
            sender_id: message.sender.id.as_str(),
            sender_name: &message.sender.name,
            receiver_id: receiver.id.as_str(),
            receiver_name: &receiver.name,
            content: &message.body,
            timestamp: message.created_at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
