//! The `book` vocabulary (CONTRACT section 4): two people about a book.
//!
//! What lives here: names and payloads to commands, replies and events to names and payloads; the shapes are in `book/wire.rs`, the
//! names of conversations in `book/names.rs`. What must not: state, I/O, rules of the chat.

pub mod names;
pub mod wire;

use std::time::Duration;

use bytestring::ByteString;

use self::names::Spoken;
use self::wire::{Message, Named, Notice, Said, SomebodyTypes, Status, Updated};
use super::native::unreadable;
use super::words::{self, Failure, Id, missing};
use super::{Audience, Call, Codec, Hearer, Incoming, Manner, Request, Tag, Vocabulary, Welcome, Word};
use crate::error::ChatError;
use crate::protocol::command::{Join, Leave, Since, Typing};
use crate::protocol::{Command, Event, Reply, Topic, UserId};

/// How long somebody is seen typing without saying so again (CONTRACT section 3).
pub const TYPING_LASTS: Duration = Duration::from_secs(1);

/// What clients may say.
pub const EVENTS: [&str; 6] = ["chat:join", "chat:leave", "chat:message", "chat:typing", "user:online", "user:offline"];

/// The translator.
pub struct Book;

impl Codec for Book {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Book
    }

    fn manner(&self) -> Manner {
        Manner { echo: true, everywhere: true, acknowledges: false, queue: true }
    }

    fn decode(&self, call: &Call<'_>) -> Request {
        words::request(call, &EVENTS, |event| command(event, call).map(Incoming::Command))
    }

    fn event(&self, event: &Event, topic: Option<&Topic>, audience: Audience) -> Option<ByteString> {
        match event {
            Event::Message(message) if audience.joined => {
                words::event("chat:message", &Message::of(message, &Spoken::of(topic?)?, false))
            }
            Event::Typing(_, person, is_typing) if audience.joined && !audience.own => {
                let spoken = Spoken::of(topic?)?;
                let (conversation_id, user_id) = (spoken.id.as_str(), person.id.as_str());
                words::event("chat:typing", &SomebodyTypes { conversation_id, user_id, is_typing: *is_typing })
            }
            Event::Presence(presence) => words::event("user:status", &Status::of(presence)),
            Event::Bye(bye) if !bye.reconnect => {
                words::event("error", &words::Farewell { error: &bye.reason, code: bye.code })
            }
            Event::Message(_)
            | Event::Typing(..)
            | Event::Joined(..)
            | Event::Left(..)
            | Event::Received(..)
            | Event::Read(_)
            | Event::Unread(_)
            | Event::Bye(_) => None,
        }
    }

    fn personal(&self, event: &Event, topic: Option<&Topic>, hearer: &Hearer<'_>) -> Option<ByteString> {
        let Audience { joined, own } = hearer.audience;
        let Event::Message(message) = event else { return None };
        if joined || own {
            return None;
        }
        let spoken = Spoken::of(topic?).filter(|spoken| spoken.includes(hearer.user))?;
        let message = Message::of(message, &spoken, false);
        let notice = Notice { conversation_id: &spoken.id, message, unread_count: hearer.unread };
        words::event("notify:new-message", &notice)
    }

    fn reply(&self, tag: &Tag, reply: &Result<Reply, ChatError>) -> Vec<Word> {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return words::refusal(tag, error, || words::event("error", &Failure::of(error))),
        };
        match reply {
            Reply::Joined(joined) => named(tag, "chat:joined", &joined.topic),
            Reply::Left(topic) => named(tag, "chat:left", topic),
            Reply::Sent { message, topic, .. } => match Spoken::of(topic) {
                Some(spoken) => words::answer(tag, &Message::of(message, &spoken, false)).into_iter().collect(),
                None => words::done(tag),
            },
            Reply::Marked(marked) => words::answer(tag, &Updated { updated: marked.updated }).into_iter().collect(),
            Reply::Done
            | Reply::History(_)
            | Reply::Conversations { .. }
            | Reply::Conversation { .. }
            | Reply::Unread(_)
            | Reply::Presence(_) => words::done(tag),
        }
    }

    fn welcome(&self, tag: &Tag, welcome: &Welcome) -> Vec<Word> {
        words::welcome(tag, welcome)
    }
}

fn named(tag: &Tag, event: &str, topic: &Topic) -> Vec<Word> {
    match Spoken::of(topic) {
        Some(spoken) => words::confirmed(tag, event, &Named { conversation_id: &spoken.id }),
        None => words::done(tag),
    }
}

fn command(event: &'static str, call: &Call<'_>) -> Result<Command, ChatError> {
    let caller = call.caller.ok_or_else(|| ChatError::unauthorized("a token is needed"))?;
    if let "user:online" | "user:offline" = event {
        return appear(call, caller).map(|()| Command::Appear(event == "user:online"));
    }
    let said: Said = words::argument(call)?;
    said.claims.check(call.caller)?;
    let opens = event == "chat:join";
    Ok(match event {
        "chat:message" => Command::Send(said.send(caller)?),
        "chat:join" => {
            Command::Join(Join { conversation: said.conversation(caller, opens)?, since: Since::Now, recent: 0 })
        }
        "chat:leave" => Command::Leave(Leave(said.conversation(caller, opens)?)),
        _ => {
            let conversation = said.conversation(caller, opens)?;
            let on = said.is_typing.ok_or_else(|| missing("isTyping"))?;
            Command::Typing(Typing { conversation, on, lasts: TYPING_LASTS })
        }
    })
}

/// Whoever says that they are there says it of themselves: in an object, by the bare id, or by nothing at all.
fn appear(call: &Call<'_>, caller: &UserId) -> Result<(), ChatError> {
    let first = words::first(call)?;
    if first.get().starts_with('{') {
        return words::argument::<Said>(call)?.claims.check(call.caller);
    }
    let bare: Option<Id> = serde_json::from_str(first.get()).map_err(|error| unreadable(&error))?;
    words::claim(bare.as_ref(), Some(caller))
}

#[cfg(test)]
mod tests;
