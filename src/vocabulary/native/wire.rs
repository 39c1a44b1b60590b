//! The JSON shapes of the native vocabulary, on the WebSocket and under `/v1` alike.
//!
//! What lives here: one serializable shape a thing, each made from its plain value. What must not: decisions.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::write_list_cursor;
use crate::error::ChatError;
use crate::protocol::event::{Bye, ReadTo, UnreadNow};
use crate::protocol::ids::{ClientId, ConversationId, ConversationRef, UserId};
use crate::protocol::model::{self, Person};
use crate::protocol::{Event, Reply, Timestamp, reply};

/// A conversation as a client names it: its number, or the shop's key.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a conversation's id or key")]
pub enum ConversationName<'a> {
    /// By number.
    Id(i64),
    /// By key, or by number in quotes.
    Key(#[serde(borrow)] Cow<'a, str>),
}

impl ConversationName<'_> {
    /// The plain reference.
    ///
    /// # Errors
    /// `invalid` when it cannot be one.
    pub fn parse(&self) -> Result<ConversationRef, ChatError> {
        match self {
            Self::Id(id) => ConversationId::parse(*id).map(ConversationRef::Id),
            Self::Key(text) => ConversationRef::parse(text),
        }
    }
}

/// Why a request was refused.
#[derive(Serialize)]
pub struct Error<'a> {
    code: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Error<'_> {
    /// The shape of an error.
    #[must_use]
    pub fn of(error: &ChatError) -> Error<'static> {
        Error { code: error.code(), message: error.to_string(), retry_after: error.retry_after() }
    }
}

/// To `auth`.
#[derive(Serialize)]
pub(super) struct Welcome<'a> {
    pub(super) user_id: &'a str,
    pub(super) name: &'a str,
    pub(super) unread: u64,
}

/// A message's sender.
#[derive(Serialize, ToSchema)]
pub struct Sender {
    /// The shop's id of the user.
    #[serde(serialize_with = "user")]
    #[schema(value_type = String)]
    id: UserId,
    /// The name to show.
    #[serde(serialize_with = "shared")]
    #[schema(value_type = String)]
    name: Arc<str>,
}

/// One message.
#[derive(Serialize, ToSchema)]
pub struct Message {
    /// Unique in the server.
    id: i64,
    /// 1, 2, 3 … in its conversation: the order that everyone sees.
    seq: i64,
    /// The conversation's number.
    conversation: i64,
    /// Who said it.
    sender: Sender,
    /// The text as sent; never HTML.
    #[serde(serialize_with = "shared")]
    #[schema(value_type = String)]
    body: Arc<str>,
    /// `text` unless the client said otherwise.
    #[serde(serialize_with = "shared")]
    #[schema(value_type = String)]
    kind: Arc<str>,
    /// The sender's own name for it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "named")]
    #[schema(value_type = Option<String>)]
    client_id: Option<ClientId>,
    /// ISO 8601, UTC, milliseconds.
    #[serde(serialize_with = "moment")]
    #[schema(value_type = String)]
    created_at: Timestamp,
}

/// Writes a text that is shared with the plain value.
fn shared<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

/// Writes who somebody is.
fn user<S: Serializer>(id: &UserId, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(id.as_str())
}

/// Writes a moment.
fn moment<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

/// Writes a client's own name for a message.
fn named<S: Serializer>(id: &Option<ClientId>, to: S) -> Result<S::Ok, S::Error> {
    id.as_ref().map(ClientId::as_str).serialize(to)
}

impl Message {
    /// The shape of a message.
    #[must_use]
    pub fn of(message: &model::Message) -> Self {
        Self {
            id: message.id.0,
            seq: message.seq.0,
            conversation: message.conversation.0,
            sender: Sender { id: message.sender.id.clone(), name: Arc::clone(&message.sender.name) },
            body: Arc::clone(&message.body),
            kind: Arc::clone(&message.kind),
            client_id: message.client_id.clone(),
            created_at: message.created_at,
        }
    }
}

/// Somebody in a conversation.
#[derive(Serialize, ToSchema)]
pub struct Participant {
    /// The shop's id of the user.
    user_id: String,
    /// The name to show.
    name: String,
    /// The part they play here; `""` where nobody gave one.
    role: String,
    /// One of their sockets is open.
    online: bool,
}

impl Participant {
    fn of(participant: &model::Participant) -> Self {
        Self {
            user_id: participant.person.id.to_string(),
            name: participant.person.name.to_string(),
            role: participant.role.to_string(),
            online: participant.online,
        }
    }
}

/// How far somebody in a conversation is.
#[derive(Serialize)]
pub struct Mark {
    user_id: String,
    received: i64,
    read: i64,
}

impl Mark {
    fn of(listed: &reply::Listed) -> Self {
        let user_id = listed.participant.person.id.to_string();
        Self { user_id, received: listed.received.0, read: listed.read.0 }
    }
}

/// What a conversation is about.
#[derive(Serialize, ToSchema)]
pub struct Subject {
    /// `item`, `book`, `order` or `product`.
    kind: String,
    /// The shop's id of it.
    id: String,
    /// What to call it.
    title: Option<String>,
}

/// A conversation as the caller sees it.
#[derive(Serialize, ToSchema)]
pub struct Conversation {
    /// Its number.
    id: i64,
    /// The shop's key.
    key: Option<String>,
    /// `direct`, `group`, or the shop's word.
    kind: String,
    /// The shop's title.
    title: Option<String>,
    /// What it is about.
    subject: Option<Subject>,
    /// Everyone in it.
    participants: Vec<Participant>,
    /// The newest message.
    last_message: Option<Message>,
    /// How many messages of others the caller has not read.
    unread: u64,
    /// ISO 8601, UTC, milliseconds.
    created_at: String,
}

impl Conversation {
    /// The shape of a conversation.
    #[must_use]
    pub fn of(conversation: &model::Conversation) -> Self {
        Self {
            id: conversation.id.0,
            key: conversation.key.as_deref().map(str::to_owned),
            kind: conversation.kind.to_string(),
            title: conversation.title.as_deref().map(str::to_owned),
            subject: conversation.subject.as_ref().map(|subject| Subject {
                kind: subject.kind.to_string(),
                id: subject.id.to_string(),
                title: subject.title.as_deref().map(str::to_owned),
            }),
            participants: conversation.participants.iter().map(Participant::of).collect(),
            last_message: conversation.last_message.as_ref().map(Message::of),
            unread: conversation.unread,
            created_at: conversation.created_at.to_string(),
        }
    }
}

/// A page of messages, oldest first.
#[derive(Serialize, ToSchema)]
pub struct Messages {
    messages: Vec<Message>,
    /// There are more in the direction asked.
    has_more: bool,
}

/// A page of conversations, newest activity first.
#[derive(Serialize, ToSchema)]
pub struct Conversations {
    conversations: Vec<Conversation>,
    /// The next page's `cursor`, where there is one.
    next: Option<String>,
}

/// What is unread in one conversation.
#[derive(Serialize, ToSchema)]
pub struct UnreadIn {
    conversation: i64,
    count: u64,
}

/// All unread counts.
#[derive(Serialize, ToSchema)]
pub struct Unread {
    total: u64,
    /// Each conversation with something unread.
    conversations: Vec<UnreadIn>,
}

/// Whether somebody is there.
#[derive(Serialize, ToSchema)]
pub struct Presence {
    user_id: String,
    online: bool,
    /// When their last socket closed: ISO 8601, UTC, milliseconds.
    last_seen: Option<String>,
}

impl Presence {
    fn of(presence: &reply::Presence) -> Self {
        Self {
            user_id: presence.user.to_string(),
            online: presence.online,
            last_seen: presence.last_seen.map(|at| at.to_string()),
        }
    }
}

/// What a reply carries; its fields stand beside `ok` on the WebSocket and alone in a REST body.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Nothing to say.
    Done {},
    /// To `join`.
    Joined {
        /// Its number.
        conversation: i64,
        /// The newest place.
        last_seq: i64,
        /// Everyone in it.
        participants: Vec<Participant>,
        /// How far each of them is: what a client marks as received and read.
        marks: Vec<Mark>,
        /// What the client said to have seen is of another history: it reads anew.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        reset: bool,
    },
    /// To `send`.
    Sent {
        /// As stored.
        message: Message,
    },
    /// To `read`.
    Read {
        /// Unread there now.
        unread: u64,
    },
    /// To `history`.
    Messages(Messages),
    /// To `conversations`.
    Conversations(Conversations),
    /// To the REST calls that answer with one.
    Conversation(Box<Conversation>),
    /// To `GET /v1/unread`.
    Unread(Unread),
    /// To `GET /v1/users/{id}/presence`.
    Presence(Presence),
}

impl Answer {
    /// The shape of a reply.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Done | Reply::Left(_) => Self::Done {},
            Reply::Joined(joined) => Self::Joined {
                conversation: joined.topic.id.0,
                last_seq: joined.last_seq.0,
                participants: joined.participants.iter().map(|listed| Participant::of(&listed.participant)).collect(),
                marks: joined.participants.iter().map(Mark::of).collect(),
                reset: joined.reset,
            },
            Reply::Sent { message, .. } => Self::Sent { message: Message::of(message) },
            Reply::Marked(marked) => Self::Read { unread: marked.unread },
            Reply::History(page) => Self::Messages(Messages {
                messages: page.messages.iter().map(Message::of).collect(),
                has_more: page.has_more,
            }),
            Reply::Conversations { conversations, next } => Self::Conversations(Conversations {
                conversations: conversations.iter().map(Conversation::of).collect(),
                next: next.map(write_list_cursor),
            }),
            Reply::Conversation { conversation, .. } => Self::Conversation(Box::new(Conversation::of(conversation))),
            Reply::Unread(unread) => Self::Unread(Unread {
                total: unread.total,
                conversations: unread
                    .conversations
                    .iter()
                    .map(|one| UnreadIn { conversation: one.conversation.0, count: one.count })
                    .collect(),
            }),
            Reply::Presence(presence) => Self::Presence(Presence::of(presence)),
        }
    }
}

/// An event frame: flat, with its `type`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventFrame<'a> {
    /// A message was committed.
    Message {
        /// The conversation's number.
        conversation: i64,
        /// The message.
        message: Message,
    },
    /// Somebody joined.
    Joined(Somebody<'a>),
    /// Somebody left.
    Left(Somebody<'a>),
    /// Somebody types.
    Typing {
        /// Where and who.
        #[serde(flatten)]
        who: Somebody<'a>,
        /// Begun or ended.
        on: bool,
    },
    /// Somebody received up to `seq`.
    Received(UpTo<'a>),
    /// Somebody read up to `seq`.
    Read(UpTo<'a>),
    /// Somebody came or went.
    Presence(Presence),
    /// One's own unread count changed.
    Unread {
        /// The conversation's number.
        conversation: i64,
        /// Unread there.
        count: u64,
        /// Unread everywhere.
        total: u64,
    },
    /// The connection is about to close.
    Bye {
        /// One of the error codes.
        code: &'a str,
        /// In words.
        reason: &'a str,
        /// Whether coming back makes sense.
        reconnect: bool,
        /// Seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<f64>,
    },
}

/// Where and who.
#[derive(Serialize)]
pub struct Somebody<'a> {
    conversation: i64,
    user_id: &'a str,
    name: &'a str,
}

/// Where, who and how far.
#[derive(Serialize)]
pub struct UpTo<'a> {
    conversation: i64,
    user_id: &'a str,
    seq: i64,
}

/// The shape of an event. The match is exhaustive: a new event makes the compiler ask for its words here.
pub(super) fn event(event: &Event) -> EventFrame<'_> {
    match event {
        Event::Message(message) => {
            EventFrame::Message { conversation: message.conversation.0, message: Message::of(message) }
        }
        Event::Joined(conversation, person) => EventFrame::Joined(somebody(*conversation, person)),
        Event::Left(conversation, person) => EventFrame::Left(somebody(*conversation, person)),
        Event::Typing(conversation, person, on) => EventFrame::Typing { who: somebody(*conversation, person), on: *on },
        Event::Received(conversation, user, seq) => {
            EventFrame::Received(UpTo { conversation: conversation.0, user_id: user.as_str(), seq: seq.0 })
        }
        Event::Read(ReadTo { conversation, user, seq, .. }) => {
            EventFrame::Read(UpTo { conversation: conversation.0, user_id: user.as_str(), seq: seq.0 })
        }
        Event::Presence(presence) => EventFrame::Presence(Presence::of(presence)),
        Event::Unread(UnreadNow { conversation, count, total }) => {
            EventFrame::Unread { conversation: conversation.0, count: *count, total: *total }
        }
        Event::Bye(Bye { code, reason, reconnect, retry_after_ms, .. }) => EventFrame::Bye {
            code,
            reason,
            reconnect: *reconnect,
            retry_after: retry_after_ms.map(|ms| std::time::Duration::from_millis(ms).as_secs_f64()),
        },
    }
}

fn somebody(conversation: ConversationId, person: &Person) -> Somebody<'_> {
    Somebody { conversation: conversation.0, user_id: person.id.as_str(), name: &person.name }
}
