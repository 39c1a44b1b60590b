//! The `shop` vocabulary (CONTRACT section 4): customers, sellers and the shop's staff, by the conversation's number.
//!
//! What lives here: names and payloads to commands, replies and events to names and payloads, and which roles talk; the JSON shapes
//! are in `shop/wire.rs`, shared with REST under `/api/chat`. What must not: state, I/O, rules of the chat.

pub mod wire;

use std::time::Duration;

use bytestring::ByteString;

use self::wire::{
    ConversationName, Failed, Heard, Listed, MessagesRead, NewMessage, PageOf, Payload, SomebodyHere, SomebodyTypes,
};
use super::words::{self, Id, missing};
use super::{Audience, Call, Codec, Incoming, Manner, Request, Tag, Vocabulary, Welcome, Word};
use crate::error::ChatError;
use crate::protocol::command::{
    CONVERSATIONS_WHOLE, Conversations, Desk, History, Join, Leave, Mark, Open, PAGE_DEFAULT, PAGE_MAX, Page, Pairing,
    Read, Send, Since, Typing,
};
use crate::protocol::event::{CLOSE_GOING_DOWN, CLOSE_SLOW_READER};
use crate::protocol::{Command, ConversationRef, Event, MessageId, Reply, Topic, UserId};

/// How long somebody is seen typing without saying so again (CONTRACT section 3).
pub const TYPING_LASTS: Duration = Duration::from_secs(5);

/// What clients may say.
pub const EVENTS: [&str; 7] = [JOIN, LEAVE, SEND, TYPING, MARK_READ, GET_CONVERSATIONS, GET_MESSAGES];

const JOIN: &str = "chat:join";
const LEAVE: &str = "chat:leave";
const SEND: &str = "chat:send_message";
const TYPING: &str = "chat:typing";
const MARK_READ: &str = "chat:mark_read";
const GET_CONVERSATIONS: &str = "chat:get_conversations";
const GET_MESSAGES: &str = "chat:get_messages";

const JOINED: &str = "chat:joined";
const USER_JOINED: &str = "chat:user_joined";
const USER_LEFT: &str = "chat:user_left";
const NEW_MESSAGE: &str = "chat:new_message";
const USER_TYPING: &str = "chat:user_typing";
const MESSAGES_READ: &str = "chat:messages_read";
const CONVERSATIONS: &str = "chat:conversations";
const MESSAGES: &str = "chat:messages";
const ERROR: &str = "chat:error";

/// What an error names that ends the connection: no event of the client's has failed.
const CONNECTION: &str = "connection";

/// Whoever helps customers and sellers.
const STAFF: &[&str] = &["admin", "manager"];

/// Who talks with whom, by their roles in the shop, and what their conversation is.
pub const PAIRINGS: &[Pairing] = &[
    Pairing { one: &["customer"], other: &["seller"], kind: "customer_seller" },
    Pairing { one: &["customer"], other: STAFF, kind: "customer_support" },
    Pairing { one: &["seller"], other: STAFF, kind: "seller_support" },
    Pairing { one: STAFF, other: STAFF, kind: "internal" },
];

/// Where customers and sellers reach any of the staff.
pub const SUPPORT: Desk = Desk { staff: STAFF, pairings: PAIRINGS };

/// Whoever names this as the participant asks for support.
const SUPPORT_NAME: &str = "support";
/// Whoever asks for one of these types and names nobody does, too; which it is, their role says.
const SUPPORT_TYPES: [&str; 3] = [SUPPORT_NAME, "customer_support", "seller_support"];

/// The translator.
pub struct Shop;

impl Codec for Shop {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Shop
    }

    fn manner(&self) -> Manner {
        Manner { echo: true, everywhere: true, acknowledges: false, queue: true }
    }

    fn decode(&self, call: &Call<'_>) -> Request {
        words::request(call, &EVENTS, |event| command(event, call).map(Incoming::Command))
    }

    fn event(&self, event: &Event, _: Option<&Topic>, audience: Audience) -> Option<ByteString> {
        match event {
            // Nobody can have read it yet.
            Event::Message(message) => words::event(NEW_MESSAGE, &NewMessage::of(message, false)),
            Event::Joined(conversation, person) if !audience.own => {
                words::event(USER_JOINED, &SomebodyHere::of(*conversation, person))
            }
            Event::Left(conversation, person) if !audience.own => {
                words::event(USER_LEFT, &SomebodyHere::of(*conversation, person))
            }
            Event::Typing(conversation, person, on) if !audience.own => {
                words::event(USER_TYPING, &SomebodyTypes::of(*conversation, person, *on))
            }
            Event::Read(read) => words::event(MESSAGES_READ, &MessagesRead::of(read)),
            // Clients come back by themselves from the others, as if nothing had been.
            Event::Bye(bye) if !matches!(bye.close, CLOSE_GOING_DOWN | CLOSE_SLOW_READER) => words::event(
                ERROR,
                &Failed { why: words::Farewell { error: &bye.reason, code: bye.code }, event: CONNECTION },
            ),
            Event::Joined(..)
            | Event::Left(..)
            | Event::Typing(..)
            | Event::Received(..)
            | Event::Presence(_)
            | Event::Unread(_)
            | Event::Bye(_) => None,
        }
    }

    fn reply(&self, tag: &Tag, reply: &Result<Reply, ChatError>) -> Vec<Word> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                let failed = Failed { why: words::Failure::of(error), event: tag.event };
                return words::refusal(tag, error, || words::event(ERROR, &failed));
            }
        };
        match reply {
            Reply::Joined(joined) => words::confirmed(tag, JOINED, &ConversationName::of(joined.topic.id)),
            Reply::Left(topic) => words::answer(tag, &ConversationName::of(topic.id)).into_iter().collect(),
            Reply::Sent { message, repeated, .. } => {
                let message = NewMessage::of(message, false);
                // The sender hears it from the room. What was said before is not said again, so this is all that answers.
                let told = if *repeated && tag.ack.is_none() { words::told(NEW_MESSAGE, &message) } else { None };
                told.into_iter().chain(words::answer(tag, &message)).collect()
            }
            Reply::Marked(marked) => {
                let told = words::told(MESSAGES_READ, &MessagesRead::marked(marked));
                told.into_iter().chain(words::answer(tag, &wire::Updated::of(marked))).collect()
            }
            Reply::Conversations { conversations, .. } => {
                words::confirmed(tag, CONVERSATIONS, &Listed::of(conversations))
            }
            Reply::History(page) => {
                let page = Heard { conversation_id: page.topic.id.0, page: PageOf::of(page) };
                words::confirmed(tag, MESSAGES, &page)
            }
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
    if event == GET_CONVERSATIONS {
        return Ok(Command::Conversations(whole_list()));
    }
    let conversation = conversation(said.conversation_id.as_ref().ok_or_else(|| missing("conversationId"))?)?;
    Ok(match event {
        JOIN => Command::Join(Join { conversation, since: Since::Now, recent: 0 }),
        LEAVE => Command::Leave(Leave(conversation)),
        SEND => Command::Send(send(
            conversation,
            said.message.as_deref(),
            said.message_type.as_deref(),
            said.client_id.as_deref(),
        )?),
        TYPING => {
            let on = said.is_typing.ok_or_else(|| missing("isTyping"))?;
            Command::Typing(Typing { conversation, on, lasts: TYPING_LASTS })
        }
        MARK_READ => Command::Read(read(conversation)),
        _ => Command::History(history(conversation, said.before.as_ref(), said.limit.as_ref())?),
    })
}

/// A conversation by its number.
///
/// # Errors
/// `invalid` when it is none.
pub fn conversation(id: &Id) -> Result<ConversationRef, ChatError> {
    id.number().map(ConversationRef::Id)
}

/// All of one's conversations: the vocabulary has no pages of them.
#[must_use]
pub const fn whole_list() -> Conversations {
    Conversations { limit: CONVERSATIONS_WHOLE, cursor: None, about: None }
}

/// What to say.
///
/// # Errors
/// `invalid` or `too_large`.
pub fn send(
    conversation: ConversationRef,
    message: Option<&str>,
    message_type: Option<&str>,
    client_id: Option<&str>,
) -> Result<Send, ChatError> {
    let (kind, client_id) = (words::kind(message_type)?, words::client_id(client_id)?);
    Ok(Send { conversation, body: words::text(message, "message")?, kind, client_id })
}

/// All there is has been read.
#[must_use]
pub const fn read(conversation: ConversationRef) -> Read {
    Read(Mark { conversation, seq: None })
}

/// The newest messages, or the newest before one.
///
/// # Errors
/// `invalid` when `before` is no message's id or `limit` is below 1.
pub fn history(conversation: ConversationRef, before: Option<&Id>, limit: Option<&Id>) -> Result<History, ChatError> {
    let page = match before {
        None => Page::Newest,
        Some(id) => Page::BeforeMessage(MessageId::parse(whole(id, "`before` is a message's id")?)?),
    };
    let limit = match limit {
        None => PAGE_DEFAULT,
        Some(limit) => match whole(limit, "`limit` is an integer")? {
            ..=0 => return Err(ChatError::invalid("`limit` is at least 1")),
            limit => u32::try_from(limit).unwrap_or(PAGE_MAX).min(PAGE_MAX),
        },
    };
    Ok(History { conversation, page, limit, readers: true })
}

fn whole(id: &Id, what: &'static str) -> Result<i64, ChatError> {
    id.0.parse().map_err(|_| ChatError::invalid(what))
}

/// Whom somebody wants to talk to: one person, or support.
///
/// # Errors
/// `invalid` when it is nobody, or the caller.
pub fn open(participant: Option<&Id>, kind: Option<&str>, caller: &UserId) -> Result<Command, ChatError> {
    let other = match participant {
        Some(id) if id.0 == SUPPORT_NAME => return Ok(Command::Desk(SUPPORT)),
        Some(id) => id.user()?,
        None if kind.is_some_and(|kind| SUPPORT_TYPES.contains(&kind)) => return Ok(Command::Desk(SUPPORT)),
        None => return Err(missing("participantId")),
    };
    if other == *caller {
        return Err(ChatError::invalid("a conversation needs somebody else"));
    }
    Ok(Command::Open(Open { participants: vec![other], subject: None, title: None, pairings: Some(PAIRINGS) }))
}

#[cfg(test)]
mod tests;
