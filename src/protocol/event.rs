//! What happens and is told: one plain variant an event, the same for every vocabulary and transport.
//!
//! What lives here: the events. What must not: who hears them (rooms decide) or how they are written (vocabularies do).

use std::sync::Arc;

use super::ids::{ConversationId, Seq, UserId};
use super::model::{Message, Person, Timestamp};
use super::reply::Presence;
use crate::error::ChatError;

/// Something that happened. A vocabulary matches all of them, so that a new one makes the compiler name every vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message was committed.
    Message(Message),
    /// Somebody began to listen to a conversation.
    Joined(ConversationId, Person),
    /// Somebody listens no longer.
    Left(ConversationId, Person),
    /// Somebody types, or no longer.
    Typing(ConversationId, Person, bool),
    /// Somebody has received all up to a place.
    Received(ConversationId, UserId, Seq),
    /// Somebody has read all up to a place.
    Read(ReadTo),
    /// Somebody came online or went.
    Presence(Presence),
    /// The listener's own unread count changed in a conversation they have not joined.
    Unread(UnreadNow),
    /// The connection is about to be closed.
    Bye(Bye),
}

impl Event {
    /// Whose doing it is, where it is somebody's.
    #[must_use]
    pub fn by(&self) -> Option<&UserId> {
        match self {
            Self::Message(message) => Some(&message.sender.id),
            Self::Joined(_, person) | Self::Left(_, person) | Self::Typing(_, person, _) => Some(&person.id),
            Self::Received(_, user, _) => Some(user),
            Self::Read(read) => Some(&read.user),
            Self::Presence(presence) => Some(&presence.user),
            Self::Unread(_) | Self::Bye(_) => None,
        }
    }
}

/// `Event::Read`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadTo {
    /// Where.
    pub conversation: ConversationId,
    /// Who read.
    pub user: UserId,
    /// Up to and with this place.
    pub seq: Seq,
    /// How many messages of others became read by it.
    pub count: u64,
    /// When.
    pub at: Timestamp,
}

/// `Event::Unread`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadNow {
    /// Where.
    pub conversation: ConversationId,
    /// How many messages of others are unread there.
    pub count: u64,
    /// How many are unread everywhere.
    pub total: u64,
}

/// `Event::Bye`: why a connection ends, and what the client should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// The stable code of the reason: one of the error codes, or `slow_reader`.
    pub code: &'static str,
    /// The WebSocket close code.
    pub close: u16,
    /// In words.
    pub reason: Arc<str>,
    /// Whether coming back makes sense.
    pub reconnect: bool,
    /// After how many milliseconds, where the server has a wish.
    pub retry_after_ms: Option<u64>,
}

/// The close code of a reader that takes too little (private use, RFC 6455 section 7.4.2).
pub const CLOSE_SLOW_READER: u16 = 4408;
/// The close code of a server that goes down (RFC 6455 section 7.4.1, "going away").
pub const CLOSE_GOING_DOWN: u16 = 1001;

impl Bye {
    /// Closed for an error.
    #[must_use]
    pub fn of(error: &ChatError, reconnect: bool) -> Self {
        Self {
            code: error.code(),
            close: error.row().close,
            reason: error.to_string().into(),
            reconnect,
            retry_after_ms: error.retry_after().map(|seconds| seconds * 1_000),
        }
    }

    /// Closed because the client took too little; it may come back to its cursor.
    #[must_use]
    pub fn slow_reader() -> Self {
        Self {
            code: "slow_reader",
            close: CLOSE_SLOW_READER,
            reason: "the connection took too little for too long".into(),
            reconnect: true,
            retry_after_ms: None,
        }
    }

    /// Closed because the server goes down.
    #[must_use]
    pub fn going_down(retry_after_ms: u64) -> Self {
        Self {
            code: "unavailable",
            close: CLOSE_GOING_DOWN,
            reason: "the server is going down".into(),
            reconnect: true,
            retry_after_ms: Some(retry_after_ms),
        }
    }
}
