//! The `group` vocabulary (CONTRACT section 4): two people or a group, by the conversation's number; no history.
//!
//! What lives here: names and payloads to commands, replies and events to names and payloads. What must not: state, I/O, rules of the chat.

use std::time::Duration;

use bytestring::ByteString;
use serde::{Deserialize, Serialize, Serializer};

use super::words::{self, Claims, Failure, Id, missing};
use super::{Audience, Call, Codec, Incoming, Manner, Request, Tag, Vocabulary, Welcome, Word};
use crate::error::ChatError;
use crate::protocol::command::{Join, Send, Since, Typing};
use crate::protocol::{Command, ConversationRef, Event, Message, Person, Reply, Topic};

/// How long somebody is seen typing without saying so again (CONTRACT section 3).
pub const TYPING_LASTS: Duration = Duration::from_secs(5);

/// What clients may say.
pub const EVENTS: [&str; 4] = ["join_chat", "send_message", "typing_start", "typing_stop"];

/// The translator.
pub struct Group;

/// Every field that an event may bring.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    chat_id: Option<Id>,
    content: Option<String>,
    client_id: Option<String>,
    #[serde(flatten)]
    claims: Claims,
}

impl Codec for Group {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Group
    }

    fn manner(&self) -> Manner {
        Manner { echo: false, everywhere: true, acknowledges: false, queue: true }
    }

    fn decode(&self, call: &Call<'_>) -> Request {
        words::request(call, &EVENTS, |event| command(event, call).map(Incoming::Command))
    }

    fn event(&self, event: &Event, _: Option<&Topic>, audience: Audience) -> Option<ByteString> {
        match event {
            Event::Message(message) => words::event("receive_message", &Received::of(message)),
            Event::Typing(chat, person, on) if audience.joined && !audience.own => {
                let name = if *on { "user_typing" } else { "user_stopped_typing" };
                words::event(name, &SomebodyTypes { chat_id: chat.0, user: User::of(person) })
            }
            Event::Bye(bye) if !bye.reconnect => {
                words::event("error", &words::Farewell { error: &bye.reason, code: bye.code })
            }
            Event::Typing(..)
            | Event::Joined(..)
            | Event::Left(..)
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
        match reply {
            Reply::Joined(joined) => {
                words::confirmed(tag, "joined_chat", &Joined { chat_id: joined.topic.id.0, message: JOINED })
            }
            Reply::Sent { message, .. } => words::confirmed(tag, "message_sent", &Sent::of(message)),
            _ => words::done(tag),
        }
    }

    fn welcome(&self, tag: &Tag, welcome: &Welcome) -> Vec<Word> {
        words::welcome(tag, welcome)
    }
}

fn command(event: &'static str, call: &Call<'_>) -> Result<Command, ChatError> {
    let said: Payload = words::argument(call)?;
    said.claims.check(call.caller)?;
    let chat = said.chat_id.as_ref().ok_or_else(|| missing("chatId"))?.number()?;
    let conversation = ConversationRef::Id(chat);
    Ok(match event {
        "join_chat" => Command::Join(Join { conversation, since: Since::Now, recent: 0 }),
        "send_message" => Command::Send(Send {
            conversation,
            body: words::text(said.content.as_deref(), "content")?,
            kind: words::kind(None)?,
            client_id: words::client_id(said.client_id.as_deref())?,
        }),
        _ => Command::Typing(Typing { conversation, on: event == "typing_start", lasts: TYPING_LASTS }),
    })
}

const JOINED: &str = "Successfully joined chat";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Joined {
    chat_id: i64,
    message: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    message_id: i64,
    chat_id: i64,
    timestamp: String,
}

impl Sent {
    fn of(message: &Message) -> Self {
        Self { message_id: message.id.0, chat_id: message.conversation.0, timestamp: message.created_at.to_string() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Received<'a> {
    id: i64,
    chat_id: i64,
    sender: User<'a>,
    content: &'a str,
    timestamp: String,
}

impl<'a> Received<'a> {
    fn of(message: &'a Message) -> Self {
        Self {
            id: message.id.0,
            chat_id: message.conversation.0,
            sender: User::of(&message.sender),
            content: &message.body,
            timestamp: message.created_at.to_string(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SomebodyTypes<'a> {
    chat_id: i64,
    user: User<'a>,
}

#[derive(Serialize)]
struct User<'a> {
    #[serde(serialize_with = "number_where_digits")]
    id: &'a str,
    username: &'a str,
}

impl<'a> User<'a> {
    fn of(person: &'a Person) -> Self {
        Self { id: person.id.as_str(), username: &person.name }
    }
}

/// Clients of this vocabulary count their users: an id of digits alone is written as the number that it is, where JavaScript can hold
/// it and it would be read back as the same text.
fn number_where_digits<S: Serializer>(id: &&str, serializer: S) -> Result<S::Ok, S::Error> {
    let number = id
        .parse::<i64>()
        .ok()
        .filter(|number| (0..=crate::protocol::ids::SAFE_INTEGER_MAX).contains(number) && number.to_string() == **id);
    match number {
        Some(number) => serializer.serialize_i64(number),
        None => serializer.serialize_str(id),
    }
}

#[cfg(test)]
mod tests;
