//! The native vocabulary (CONTRACT section 5): one JSON object a text frame, snake_case names.
//!
//! What lives here: reading frames into commands, writing replies and events; the JSON shapes are in `native/wire.rs`,
//! shared with REST under `/v1`. What must not: state, I/O, rules of the chat.

pub mod wire;

use std::borrow::Cow;
use std::ops::Deref;
use std::time::Duration;

use bytestring::ByteString;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use self::wire::ConversationName;
use super::{Audience, Call, Codec, Incoming, Manner, Request, Tag, Vocabulary, Welcome, Word};
use crate::error::ChatError;
use crate::protocol::command::{
    CONVERSATIONS_MAX, Conversations, History, Join, Leave, ListCursor, Mark, PAGE_DEFAULT, PAGE_MAX, Page, Read,
    Received, Send, Since, Typing,
};
use crate::protocol::{Body, ClientId, Command, ConversationRef, Event, Reply, Seq, Timestamp, Topic};

/// How long somebody is seen typing without saying so again (CONTRACT section 3).
pub const TYPING_LASTS: Duration = Duration::from_secs(5);

/// Most frames are no longer than this.
const FRAME_USUAL_BYTES: usize = 512;

/// What clients may say: the types of their frames.
pub const TYPES: [&str; 9] =
    ["auth", "join", "leave", "send", "typing", "received", "read", "history", "conversations"];

/// The translator of the native vocabulary.
pub struct Native;

/// A text, taken out of the frame as it stands there where nothing in it is escaped. (`serde` borrows no `Option<Cow>`.)
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Every field that any client frame may have. Unknown ones are ignored, so that newer clients can talk to older servers.
#[derive(Deserialize)]
struct Frame<'a> {
    id: Option<i64>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    token: Option<Text<'a>>,
    #[serde(borrow)]
    conversation: Option<ConversationName<'a>>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    #[serde(borrow)]
    client_id: Option<Text<'a>>,
    #[serde(borrow)]
    cursor: Option<Text<'a>>,
    seq: Option<i64>,
    before: Option<i64>,
    after: Option<i64>,
    #[serde(borrow)]
    after_at: Option<Text<'a>>,
    limit: Option<i64>,
    on: Option<bool>,
}

/// What can be saved of a frame that cannot be read: the number to answer under.
#[derive(Deserialize)]
struct OnlyId {
    id: Option<i64>,
}

impl Codec for Native {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Native
    }

    fn manner(&self) -> Manner {
        Manner { echo: false, everywhere: false, acknowledges: true, queue: false }
    }

    fn decode(&self, call: &Call<'_>) -> Request {
        let frame = call.body;
        // An array could stand for the fields in their order; nobody means that.
        if !frame.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(frame).is_ok() {
            let error = ChatError::invalid("a frame is a JSON object");
            return Request { tag: Tag::default(), incoming: Err(error) };
        }
        match serde_json::from_str::<Frame<'_>>(frame) {
            Ok(frame) => Request { tag: numbered(frame.id), incoming: incoming(frame) },
            Err(error) => {
                let id = serde_json::from_str::<OnlyId>(frame).ok().and_then(|only| only.id);
                Request { tag: numbered(id), incoming: Err(unreadable(&error)) }
            }
        }
    }

    fn event(&self, event: &Event, _: Option<&Topic>, audience: Audience) -> Option<ByteString> {
        let personal = matches!(event, Event::Unread(_) | Event::Presence(_) | Event::Bye(_));
        if audience.joined || personal { write(&wire::event(event)) } else { None }
    }

    fn reply(&self, tag: &Tag, reply: &Result<Reply, ChatError>) -> Vec<Word> {
        let frame = match reply {
            Ok(reply) => write(&Answer { id: tag.id, ok: true, rest: wire::Answer::of(reply) }),
            Err(error) => write(&Refusal { id: tag.id, ok: false, error: wire::Error::of(error) }),
        };
        frame.map(Word::Answer).into_iter().collect()
    }

    fn welcome(&self, tag: &Tag, welcome: &Welcome) -> Vec<Word> {
        let rest =
            wire::Welcome { user_id: welcome.person.id.as_str(), name: &welcome.person.name, unread: welcome.unread };
        write(&Answer { id: tag.id, ok: true, rest }).map(Word::Answer).into_iter().collect()
    }
}

/// A frame's answer is told by its number.
fn numbered(id: Option<i64>) -> Tag {
    Tag { id, ..Tag::default() }
}

#[derive(Serialize)]
struct Answer<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    ok: bool,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Refusal<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    ok: bool,
    error: wire::Error<'a>,
}

/// Writes a frame. Shapes of this vocabulary have string keys only, so writing cannot fail; if it did, nothing is sent.
fn write<T: Serialize>(frame: &T) -> Option<ByteString> {
    let mut bytes = Vec::with_capacity(FRAME_USUAL_BYTES);
    serde_json::to_writer(&mut bytes, frame).ok()?;
    if bytes.len() < FRAME_USUAL_BYTES / 2 {
        bytes.shrink_to_fit();
    }
    ByteString::try_from(bytes).ok()
}

/// What is wrong with a frame, in words that hold nothing of what the client wrote but where.
pub(crate) fn unreadable(error: &serde_json::Error) -> ChatError {
    if !error.is_data() {
        return ChatError::invalid(format!("not JSON (line {}, column {})", error.line(), error.column()));
    }
    let text = error.to_string();
    // These begin with a field's name, which is ours, or with what was expected, and hold nothing else.
    if ["missing field", "duplicate field", "expected"].iter().any(|ours| text.starts_with(ours)) {
        return ChatError::invalid(text);
    }
    // The others tell first what was found, which could be a message's text.
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => {
            ChatError::invalid(format!("wrong type: expected {}", expected.replace("i64", "an integer")))
        }
        None => ChatError::invalid(format!("bad field at line {} column {}", error.line(), error.column())),
    }
}

fn incoming(frame: Frame<'_>) -> Result<Incoming, ChatError> {
    let Some(kind) = frame.kind.as_deref() else {
        return Err(missing("type"));
    };
    Ok(Incoming::Command(match kind {
        "auth" => return frame.token.map(|token| Incoming::Auth(token.0.into_owned())).ok_or_else(|| missing("token")),
        "join" => Command::Join(Join { conversation: conversation(&frame)?, since: since(&frame)?, recent: 0 }),
        "leave" => Command::Leave(Leave(conversation(&frame)?)),
        "send" => Command::Send(Send {
            conversation: conversation(&frame)?,
            body: Body::parse(frame.body.as_deref().ok_or_else(|| missing("body"))?)?,
            kind: "text".into(),
            client_id: frame.client_id.as_deref().map(ClientId::parse).transpose()?,
        }),
        "typing" => Command::Typing(Typing {
            conversation: conversation(&frame)?,
            on: frame.on.ok_or_else(|| missing("on"))?,
            lasts: TYPING_LASTS,
        }),
        "received" => Command::Received(Received(mark(&frame)?)),
        "read" => Command::Read(Read(mark(&frame)?)),
        "history" => Command::History(History {
            conversation: conversation(&frame)?,
            page: page(frame.before, frame.after)?,
            limit: limit(frame.limit, PAGE_DEFAULT, PAGE_MAX)?,
            readers: false,
        }),
        "conversations" => Command::Conversations(Conversations {
            limit: limit(frame.limit, PAGE_DEFAULT, CONVERSATIONS_MAX)?,
            cursor: frame.cursor.as_deref().map(list_cursor).transpose()?,
            about: None,
        }),
        _ => {
            return Err(ChatError::invalid(format!("unknown type; known are {}", TYPES.join(", "))));
        }
    }))
}

fn missing(field: &'static str) -> ChatError {
    ChatError::invalid(format!("`{field}` is missing"))
}

fn conversation(frame: &Frame<'_>) -> Result<ConversationRef, ChatError> {
    frame.conversation.as_ref().ok_or_else(|| missing("conversation"))?.parse()
}

fn mark(frame: &Frame<'_>) -> Result<Mark, ChatError> {
    let at = seq(frame.seq)?.ok_or_else(|| missing("seq"))?;
    Ok(Mark { conversation: conversation(frame)?, seq: Some(at) })
}

fn seq(number: Option<i64>) -> Result<Option<Seq>, ChatError> {
    number.map(Seq::parse).transpose()
}

/// From where on messages are told: `after` a place, and `after_at`, when the message of that place was taken in.
fn since(frame: &Frame<'_>) -> Result<Since, ChatError> {
    match (seq(frame.after)?, &frame.after_at) {
        (None, None) => Ok(Since::Now),
        (Some(after), None) => Ok(Since::Place(after)),
        (Some(after), Some(at)) => Ok(Since::Seen(after, Timestamp::parse(at)?)),
        (None, Some(_)) => Err(ChatError::invalid("`after_at` goes with `after`")),
    }
}

/// Which page `before` and `after` ask for; they exclude each other.
///
/// # Errors
/// `invalid` when both are given or one is out of range.
pub fn page(before: Option<i64>, after: Option<i64>) -> Result<Page, ChatError> {
    match (seq(before)?, seq(after)?) {
        (None, None) => Ok(Page::Newest),
        (Some(before), None) => Ok(Page::Before(before)),
        (None, Some(after)) => Ok(Page::After(after)),
        (Some(_), Some(_)) => Err(ChatError::invalid("`before` and `after` exclude each other")),
    }
}

/// How many to give: what the client says up to `max`, else `default`.
///
/// # Errors
/// `invalid` when it is below 1.
pub fn limit(said: Option<i64>, default: u32, max: u32) -> Result<u32, ChatError> {
    match said {
        None => Ok(default),
        Some(..=0) => Err(ChatError::invalid("`limit` is at least 1")),
        Some(limit) => Ok(u32::try_from(limit).unwrap_or(max).min(max)),
    }
}

/// Writes a place in the list of conversations; clients hand it back as they got it.
#[must_use]
pub fn write_list_cursor(cursor: ListCursor) -> String {
    format!("{}.{}", cursor.active_at_ms, cursor.id)
}

/// Reads a place in the list of conversations.
///
/// # Errors
/// `invalid` when it is not one that [`write_list_cursor`] wrote.
pub fn list_cursor(text: &str) -> Result<ListCursor, ChatError> {
    text.split_once('.')
        .and_then(|(at, id)| Some(ListCursor { active_at_ms: at.parse().ok()?, id: id.parse().ok()? }))
        .ok_or_else(|| ChatError::invalid("`cursor` is not one that this server gave"))
}

#[cfg(test)]
mod tests;
