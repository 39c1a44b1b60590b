//! What all vocabularies have in common: the `Codec` trait and `Fanout`, an event encoded once for everyone who hears it.
//!
//! What lives here: the list of vocabularies and the shapes between them and the sessions.
//! What must not: any vocabulary's words (each has a file of its own), state, I/O.

pub mod native;

use std::sync::OnceLock;

use bytestring::ByteString;

use crate::error::ChatError;
use crate::protocol::{Command, Event, Reply, SessionId};

/// Every vocabulary that a client may speak. Its position is its slot in a [`Fanout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// Haggle's own, on a plain WebSocket (CONTRACT section 5).
    Native,
}

impl Vocabulary {
    /// How many there are.
    pub const COUNT: usize = 1;

    /// The vocabulary's translator.
    #[must_use]
    pub fn codec(self) -> &'static dyn Codec {
        match self {
            Self::Native => &native::Native,
        }
    }
}

/// What a client's frame asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// Who the client is: the first frame of an anonymous connection, or a fresh token of a known one.
    Auth(String),
    /// Anything else.
    Command(Command),
}

/// What is needed to answer a frame in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// The client's number for the request, or its acknowledgement's.
    pub id: Option<i64>,
}

/// A decoded frame: what was asked or why it cannot be, and how to answer.
#[derive(Debug, PartialEq)]
pub struct Request {
    /// How to answer.
    pub tag: Tag,
    /// What was asked, or what is wrong with the frame.
    pub incoming: Result<Incoming, ChatError>,
}

/// What a session says of itself when its token was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Who the caller is.
    pub person: crate::protocol::Person,
    /// How many messages are unread everywhere.
    pub unread: u64,
    /// When the token ends, in seconds since 1970 UTC.
    pub expires_at_s: i64,
}

/// Pure translation between one vocabulary's frames and the plain words. No state, no I/O.
pub trait Codec: Send + Sync + 'static {
    /// Which vocabulary this is.
    fn vocabulary(&self) -> Vocabulary;

    /// Reads one text frame.
    fn decode(&self, frame: &str) -> Request;

    /// Writes an event. `joined` tells whether the listener has joined the conversation. `None`: this vocabulary has no word for it.
    fn event(&self, event: &Event, joined: bool) -> Option<ByteString>;

    /// Writes the answer to a request.
    fn reply(&self, tag: &Tag, reply: &Result<Reply, ChatError>) -> Option<ByteString>;

    /// Writes the answer to `Incoming::Auth`.
    fn welcome(&self, tag: &Tag, welcome: &Welcome) -> Option<ByteString>;
}

/// Slots for listeners who joined and for those who did not.
const AUDIENCES: usize = 2;

/// One event on its way to many sessions: encoded at most once per vocabulary and audience, then shared.
pub struct Fanout {
    /// What happened.
    pub event: Event,
    /// The session that caused it and does not hear it back.
    pub origin: Option<SessionId>,
    frames: [[OnceLock<Option<ByteString>>; AUDIENCES]; Vocabulary::COUNT],
}

impl Fanout {
    /// An event caused by `origin`, where a session caused it.
    #[must_use]
    pub fn new(event: Event, origin: Option<SessionId>) -> Self {
        Self { event, origin, frames: Default::default() }
    }

    /// The frame that `codec` writes for it.
    pub fn frame(&self, codec: &dyn Codec, joined: bool) -> Option<ByteString> {
        let audience = self.frames.get(codec.vocabulary() as usize)?.get(usize::from(joined))?;
        audience.get_or_init(|| codec.event(&self.event, joined)).clone()
    }
}
