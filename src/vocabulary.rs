//! What all vocabularies have in common: the `Codec` trait and `Fanout`, an event encoded once for everyone who hears it.
//!
//! What lives here: the list of vocabularies and the shapes between them and the sessions.
//! What must not: any vocabulary's words (each has a file of its own), state, I/O.

pub mod book;
pub mod group;
pub mod item;
pub mod native;
pub mod order;
pub mod shop;
pub mod words;

use std::sync::{Arc, OnceLock};

use bytestring::ByteString;

use crate::error::ChatError;
use crate::protocol::{Command, Event, Reply, SessionId, Topic, UserId};

/// The list of vocabularies on Socket.IO makes the type, and everything that must know all of them.
macro_rules! vocabularies {
    ($($(#[$meaning:meta])* $variant:ident => ($codec:expr, $name:literal),)+) => {
        /// Every vocabulary that a client may speak. Its position is its slot in a [`Fanout`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Vocabulary {
            /// Haggle's own, on a plain WebSocket (CONTRACT section 5).
            Native,
            $($(#[$meaning])* $variant,)+
        }

        impl Vocabulary {
            /// Those spoken on Socket.IO, each in the namespace of its name.
            pub const ON_SOCKET_IO: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// How many there are.
            pub const COUNT: usize = Self::ON_SOCKET_IO.len() + 1;

            /// The vocabulary's translator.
            #[must_use]
            pub fn codec(self) -> &'static dyn Codec {
                match self {
                    Self::Native => &native::Native,
                    $(Self::$variant => &$codec,)+
                }
            }

            /// Its name: that of its namespace, without the slash.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Native => "native",
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

vocabularies! {
    /// Buyers and the seller of an item.
    Item => (item::Item, "item"),
    /// Two people about a book.
    Book => (book::Book, "book"),
    /// Everyone who has to do with an order.
    Order => (order::Order, "order"),
    /// Two people or a group.
    Group => (group::Group, "group"),
    /// Customers, sellers and the shop's staff.
    Shop => (shop::Shop, "shop"),
}

/// How the sessions of a vocabulary hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Whoever sends a message hears it from the room too.
    pub echo: bool,
    /// Messages are told in conversations that the session has not joined, too.
    pub everywhere: bool,
    /// The client acknowledges what it received; else a message counts as received when it was flushed to the socket.
    pub acknowledges: bool,
    /// What none of a user's devices has received is told on connecting. Only for those who hear everywhere.
    pub queue: bool,
}

/// What a client said, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The event's name; empty where frames have none.
    pub name: &'a str,
    /// The frame, or the event's arguments as a JSON array.
    pub body: &'a str,
    /// The acknowledgement that the client asks for.
    pub ack: Option<u64>,
    /// Who says it, where that is known.
    pub caller: Option<&'a UserId>,
}

/// What a client's frame asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// Who the client is: the first frame of an anonymous connection, or a fresh token of a known one.
    Auth(String),
    /// Anything else.
    Command(Command),
    /// Something that this vocabulary does not know, and passes over.
    Unknown,
}

/// What is needed to answer a frame in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// The client's number for the request.
    pub id: Option<i64>,
    /// The acknowledgement that the client asked for.
    pub ack: Option<u64>,
    /// The name of what it asked.
    pub event: &'static str,
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

/// Something to write to one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// An event: a whole frame, or on Socket.IO its name and arguments as a JSON array's inside.
    Event(ByteString),
    /// The answer: a whole frame, or on Socket.IO the acknowledgement's arguments as a JSON array's inside.
    Answer(ByteString),
}

/// Which of those who hear an event a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audience {
    /// Those who have joined the conversation.
    pub joined: bool,
    /// Those whose user is the one that the event is about: who sent, typed, read, came.
    pub own: bool,
}

/// One listener, for what is told to each in words of their own.
#[derive(Clone, Copy, Debug)]
pub struct Hearer<'a> {
    /// Whose session it is.
    pub user: &'a UserId,
    /// Which part of those who hear it is in.
    pub audience: Audience,
    /// How many messages of the conversation are unread for them after this.
    pub unread: u64,
}

/// Pure translation between one vocabulary's frames and the plain words. No state, no I/O.
pub trait Codec: Send + Sync + 'static {
    /// Which vocabulary this is.
    fn vocabulary(&self) -> Vocabulary;

    /// How its sessions hear.
    fn manner(&self) -> Manner;

    /// Reads one frame.
    fn decode(&self, call: &Call<'_>) -> Request;

    /// Writes an event, in the same words for all of an audience. `topic` is what it happened in, where it happened in a conversation.
    /// `None`: this vocabulary has no word for it, or one for each listener.
    fn event(&self, event: &Event, topic: Option<&Topic>, audience: Audience) -> Option<ByteString>;

    /// Writes an event for one listener, where [`Codec::event`] has no word for all.
    fn personal(&self, _event: &Event, _topic: Option<&Topic>, _hearer: &Hearer<'_>) -> Option<ByteString> {
        None
    }

    /// Writes what answers a request, in order.
    fn reply(&self, tag: &Tag, reply: &Result<Reply, ChatError>) -> Vec<Word>;

    /// Writes what answers `Incoming::Auth`.
    fn welcome(&self, tag: &Tag, welcome: &Welcome) -> Vec<Word>;
}

/// Slots for those who joined or not, and whose event it is or not.
const AUDIENCES: usize = 4;

type Frames = Box<[OnceLock<Option<ByteString>>; AUDIENCES]>;

/// One event on its way to many sessions: encoded at most once per vocabulary and audience, then shared.
pub struct Fanout {
    /// What happened.
    pub event: Event,
    /// Where, where it happened in a conversation.
    pub topic: Option<Arc<Topic>>,
    /// The session that caused it.
    pub origin: Option<SessionId>,
    frames: [OnceLock<Frames>; Vocabulary::COUNT],
}

impl Fanout {
    /// An event in a conversation, caused by `origin`, where a session caused it.
    #[must_use]
    pub fn new(event: Event, topic: Option<Arc<Topic>>, origin: Option<SessionId>) -> Self {
        Self { event, topic, origin, frames: Default::default() }
    }

    /// The frame that `codec` writes of it for a listener.
    pub fn frame(&self, codec: &dyn Codec, hearer: &Hearer<'_>) -> Option<ByteString> {
        let Audience { joined, own } = hearer.audience;
        let frames = self.frames.get(codec.vocabulary() as usize)?.get_or_init(Frames::default);
        let shared = frames.get(usize::from(joined) * 2 + usize::from(own))?;
        let topic = self.topic.as_deref();
        let shared = shared.get_or_init(|| codec.event(&self.event, topic, hearer.audience)).clone();
        shared.or_else(|| codec.personal(&self.event, topic, hearer))
    }
}
