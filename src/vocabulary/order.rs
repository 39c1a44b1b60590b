//! The `order` vocabulary (CONTRACT section 4): everyone who has to do with an order, in the conversation `order:<id>` that the shop's
//! backend provisions.
//!
//! What lives here: names and payloads to commands, replies and events to names and payloads; the shapes are shared with REST. What
//! must not: state, I/O, rules of the chat.

use std::time::Duration;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::{self, Id, missing};
use super::{Audience, Call, Codec, Incoming, Manner, Request, Tag, Vocabulary, Welcome, Word};
use crate::error::ChatError;
use crate::protocol::command::{Join, Leave, PAGE_DEFAULT, Send, Since, Typing};
use crate::protocol::reply::{Marked, Messages};
use crate::protocol::{Command, ConversationRef, Event, Person, Reply, Timestamp, Topic, ids};

/// How long somebody is seen typing without saying so again (CONTRACT section 3).
pub const TYPING_LASTS: Duration = Duration::from_secs(5);

/// What clients may say.
pub const EVENTS: [&str; 4] = ["join-order-chat", "leave-order-chat", "send-message", "typing"];

/// What the keys of orders' conversations begin with; the order's id follows.
const KEY_PREFIX: &str = "order:";

/// The translator.
pub struct Order;

/// Every field that an event may bring.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    order_id: Option<Id>,
    message: Option<String>,
    content: Option<String>,
    client_id: Option<String>,
    is_typing: Option<bool>,
}

impl Codec for Order {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Order
    }

    fn manner(&self) -> Manner {
        Manner { echo: true, everywhere: false, acknowledges: false, queue: false }
    }

    fn decode(&self, call: &Call<'_>) -> Request {
        words::request(call, &EVENTS, |event| command(event, call).map(Incoming::Command))
    }

    fn event(&self, event: &Event, topic: Option<&Topic>, audience: Audience) -> Option<ByteString> {
        if let Event::Bye(bye) = event {
            let farewell = Trouble { message: bye.reason.to_string(), code: bye.code, retry_after: None };
            return if bye.reconnect { None } else { words::event("error", &farewell) };
        }
        // Only sockets that joined hear it, and of orders alone.
        let order_id = order_id(topic?).filter(|_| audience.joined)?;
        match event {
            Event::Message(message) => words::event("new-message", &Message::of(message, order_id, false)),
            // What somebody does, only others are told.
            _ if audience.own => None,
            Event::Joined(_, person) => words::event("user-joined", &Came::of(order_id, person)),
            Event::Left(_, person) => words::event("user-left", &Came::of(order_id, person)),
            Event::Typing(_, person, on) => words::event("user-typing", &SomebodyTypes::of(order_id, person, *on)),
            Event::Read(read) => {
                let read_at = read.at.to_string();
                words::event("messages-read", &SomebodyRead { order_id, user_id: read.user.as_str(), read_at })
            }
            Event::Received(..) | Event::Presence(_) | Event::Unread(_) | Event::Bye(_) => None,
        }
    }

    fn reply(&self, tag: &Tag, reply: &Result<Reply, ChatError>) -> Vec<Word> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return words::refusal(tag, error, || words::event("error", &Trouble::of(error))),
        };
        match reply {
            Reply::Joined(joined) => {
                let recent = joined.recent.as_ref().map(messages).unwrap_or_default();
                words::confirmed(tag, "previous-messages", &recent)
            }
            Reply::Sent { message, topic, .. } => {
                let stored = order_id(topic).and_then(|id| words::answer(tag, &Message::of(message, id, false)));
                stored.into_iter().collect()
            }
            Reply::Marked(marked) => words::answer(tag, &Updated::of(marked)).into_iter().collect(),
            _ => words::done(tag),
        }
    }

    fn welcome(&self, tag: &Tag, welcome: &Welcome) -> Vec<Word> {
        words::welcome(tag, welcome)
    }
}

fn command(event: &'static str, call: &Call<'_>) -> Result<Command, ChatError> {
    words::claims(call)?;
    let comes_or_goes = matches!(event, "join-order-chat" | "leave-order-chat");
    if comes_or_goes && let Some(bare) = bare_id(call)? {
        return come_or_go(event, conversation(&bare)?);
    }
    let said: Payload = words::argument(call)?;
    let conversation = conversation(said.order_id.as_ref().ok_or_else(|| missing("orderId"))?)?;
    match event {
        "send-message" => Ok(Command::Send(Send {
            conversation,
            body: words::text(said.message.or(said.content).as_deref(), "message")?,
            kind: words::kind(None)?,
            client_id: words::client_id(said.client_id.as_deref())?,
        })),
        "typing" => {
            let on = said.is_typing.ok_or_else(|| missing("isTyping"))?;
            Ok(Command::Typing(Typing { conversation, on, lasts: TYPING_LASTS }))
        }
        _ => come_or_go(event, conversation),
    }
}

/// The payload of join and leave may be the order's id alone.
fn bare_id(call: &Call<'_>) -> Result<Option<Id>, ChatError> {
    let first = words::first(call)?;
    Ok(if first.get().starts_with('{') { None } else { Some(words::read(first.get())?) })
}

fn come_or_go(event: &'static str, conversation: ConversationRef) -> Result<Command, ChatError> {
    Ok(match event {
        "join-order-chat" => Command::Join(Join { conversation, since: Since::Now, recent: PAGE_DEFAULT }),
        _ => Command::Leave(Leave(conversation)),
    })
}

/// The conversation of an order.
///
/// # Errors
/// `invalid` when the id is empty, too long or holds a control character.
pub fn conversation(order: &Id) -> Result<ConversationRef, ChatError> {
    if order.0.is_empty() {
        return Err(ChatError::invalid("an order's id is not empty"));
    }
    ids::key(&format!("{KEY_PREFIX}{}", order.0)).map(ConversationRef::Key)
}

/// Which order a conversation is of, where it is of one.
#[must_use]
pub fn order_id(topic: &Topic) -> Option<&str> {
    topic.key.as_deref()?.strip_prefix(KEY_PREFIX)
}

/// A page of messages, oldest first.
#[must_use]
pub fn messages(page: &Messages) -> Vec<Message<'_>> {
    let order_id = order_id(&page.topic).unwrap_or_default();
    page.messages.iter().map(|message| Message::of(message, order_id, page.is_read(message))).collect()
}

/// A message as this vocabulary's clients read it.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderMessage)]
#[serde(rename_all = "camelCase")]
pub struct Message<'a> {
    /// Its number.
    id: i64,
    /// The order's id.
    order_id: &'a str,
    /// Who said it.
    sender_id: &'a str,
    /// What they are called.
    sender_name: &'a str,
    /// What was said.
    message: &'a str,
    /// Somebody else has read it.
    is_read: bool,
    /// When, as ISO 8601.
    created_at: String,
}

impl<'a> Message<'a> {
    fn of(message: &'a crate::protocol::Message, order_id: &'a str, is_read: bool) -> Self {
        Self {
            id: message.id.0,
            order_id,
            sender_id: message.sender.id.as_str(),
            sender_name: &message.sender.name,
            message: &message.body,
            is_read,
            created_at: message.created_at.to_string(),
        }
    }
}

/// How many messages were unread and are no longer.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderUpdated)]
pub struct Updated {
    /// Messages of others.
    updated: u64,
}

impl Updated {
    /// The shape of a mark.
    #[must_use]
    pub const fn of(marked: &Marked) -> Self {
        Self { updated: marked.updated }
    }
}

/// A failure as the error event tells it.
#[derive(Serialize)]
struct Trouble {
    message: String,
    code: &'static str,
    #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Trouble {
    fn of(error: &ChatError) -> Self {
        Self { message: error.to_string(), code: error.code(), retry_after: error.retry_after() }
    }
}

/// Somebody came or went: told as it happens, so the moment is this one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Came<'a> {
    order_id: &'a str,
    user_id: &'a str,
    name: &'a str,
    timestamp: String,
}

impl<'a> Came<'a> {
    fn of(order_id: &'a str, person: &'a Person) -> Self {
        Self { order_id, user_id: person.id.as_str(), name: &person.name, timestamp: Timestamp::now().to_string() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SomebodyTypes<'a> {
    order_id: &'a str,
    user_id: &'a str,
    name: &'a str,
    is_typing: bool,
}

impl<'a> SomebodyTypes<'a> {
    fn of(order_id: &'a str, person: &'a Person, is_typing: bool) -> Self {
        Self { order_id, user_id: person.id.as_str(), name: &person.name, is_typing }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SomebodyRead<'a> {
    order_id: &'a str,
    user_id: &'a str,
    read_at: String,
}

#[cfg(test)]
mod tests;
