//! The JSON shapes of the shop vocabulary, on Socket.IO and under `/api/chat` alike.
//!
//! What lives here: one shape a thing, each made from its plain value. What must not: decisions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PAIRINGS;
use crate::protocol::command::Pairing;
use crate::protocol::event::ReadTo;
use crate::protocol::reply::{Marked, Messages, Presence};
use crate::protocol::{ConversationId, Person, model};
use crate::vocabulary::words::{Claims, Id};

/// Every field that an event may bring.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payload {
    pub(super) conversation_id: Option<Id>,
    pub(super) message: Option<String>,
    pub(super) message_type: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) is_typing: Option<bool>,
    pub(super) before: Option<Id>,
    pub(super) limit: Option<Id>,
    #[serde(flatten)]
    pub(super) claims: Claims,
}

/// A conversation's number alone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationName {
    conversation_id: i64,
}

impl ConversationName {
    pub(super) fn of(id: ConversationId) -> Self {
        Self { conversation_id: id.0 }
    }
}

/// Somebody came or went.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SomebodyHere<'a> {
    conversation_id: i64,
    user_id: &'a str,
    display_name: &'a str,
}

impl<'a> SomebodyHere<'a> {
    pub(super) fn of(conversation: ConversationId, person: &'a Person) -> Self {
        Self { conversation_id: conversation.0, user_id: person.id.as_str(), display_name: &person.name }
    }
}

/// Somebody types, or no longer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SomebodyTypes<'a> {
    #[serde(flatten)]
    who: SomebodyHere<'a>,
    is_typing: bool,
}

impl<'a> SomebodyTypes<'a> {
    pub(super) fn of(conversation: ConversationId, person: &'a Person, on: bool) -> Self {
        Self { who: SomebodyHere::of(conversation, person), is_typing: on }
    }
}

/// Somebody has read all there was.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessagesRead<'a> {
    conversation_id: i64,
    user_id: &'a str,
    read_at: String,
    count: u64,
}

impl<'a> MessagesRead<'a> {
    pub(super) fn of(read: &'a ReadTo) -> Self {
        Self {
            conversation_id: read.conversation.0,
            user_id: read.user.as_str(),
            read_at: read.at.to_string(),
            count: read.count,
        }
    }

    pub(super) fn marked(marked: &'a Marked) -> Self {
        Self {
            conversation_id: marked.topic.id.0,
            user_id: marked.user.as_str(),
            read_at: marked.at.to_string(),
            count: marked.updated,
        }
    }
}

/// What went wrong, and in which of the client's events.
#[derive(Serialize)]
pub(super) struct Failed<'a, T> {
    #[serde(flatten)]
    pub(super) why: T,
    pub(super) event: &'a str,
}

/// One message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = shop::Message)]
pub struct NewMessage {
    /// Unique in the server.
    id: i64,
    /// The conversation's number.
    conversation_id: i64,
    /// Who said it.
    sender_id: String,
    /// Their name.
    sender_name: String,
    /// Their role in the shop.
    sender_role: String,
    /// The text as sent; never HTML.
    message: String,
    /// `text` unless the client said otherwise.
    message_type: String,
    /// Whether somebody but the sender has read it.
    is_read: bool,
    /// ISO 8601, UTC, milliseconds.
    created_at: String,
}

impl NewMessage {
    /// The shape of a message.
    #[must_use]
    pub fn of(message: &model::Message, is_read: bool) -> Self {
        Self {
            id: message.id.0,
            conversation_id: message.conversation.0,
            sender_id: message.sender.id.to_string(),
            sender_name: message.sender.name.to_string(),
            sender_role: message.sender.role.to_string(),
            message: message.body.to_string(),
            message_type: message.kind.to_string(),
            is_read,
            created_at: message.created_at.to_string(),
        }
    }
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = shop::Messages)]
pub struct PageOf {
    /// Oldest first.
    messages: Vec<NewMessage>,
    /// There are older ones.
    has_more: bool,
}

impl PageOf {
    /// The shape of a page.
    #[must_use]
    pub fn of(page: &Messages) -> Self {
        let message = |message| NewMessage::of(message, page.is_read(message));
        Self { messages: page.messages.iter().map(message).collect(), has_more: page.has_more }
    }
}

/// A page, and of which conversation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Heard {
    pub(super) conversation_id: i64,
    #[serde(flatten)]
    pub(super) page: PageOf,
}

/// Somebody in a conversation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = shop::Participant)]
pub struct Participant {
    /// The shop's id of the user.
    user_id: String,
    /// The name to show.
    display_name: String,
    /// The part that the shop gave them here, else their role in the shop.
    role: String,
    /// One of their sockets is open.
    is_online: bool,
}

impl Participant {
    fn of(one: &model::Participant) -> Self {
        let role = if one.role.is_empty() { &one.person.role } else { &one.role };
        Self {
            user_id: one.person.id.to_string(),
            display_name: one.person.name.to_string(),
            role: role.to_string(),
            is_online: one.online,
        }
    }
}

/// A conversation as the caller sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = shop::Conversation)]
pub struct Conversation {
    /// Its number.
    id: i64,
    /// `customer_seller`, `customer_support`, `seller_support`, `internal`, or what the shop's backend called it.
    r#type: String,
    /// Everyone in it.
    participants: Vec<Participant>,
    /// The newest message's text.
    last_message: Option<String>,
    /// When it was said.
    last_message_at: Option<String>,
    /// How many messages of others the caller has not read.
    unread_count: u64,
    /// When it was opened.
    created_at: String,
}

impl Conversation {
    /// The shape of a conversation.
    #[must_use]
    pub fn of(conversation: &model::Conversation) -> Self {
        Self {
            id: conversation.id.0,
            r#type: kind(conversation).to_owned(),
            participants: conversation.participants.iter().map(Participant::of).collect(),
            last_message: conversation.last_message.as_ref().map(|last| last.body.to_string()),
            last_message_at: conversation.last_message.as_ref().map(|last| last.created_at.to_string()),
            unread_count: conversation.unread,
            created_at: conversation.created_at.to_string(),
        }
    }
}

/// What two people's roles make of it, else what it was opened as.
fn kind(conversation: &model::Conversation) -> &str {
    let paired = match conversation.participants.as_slice() {
        [one, other] => Pairing::kind_of(PAIRINGS, &one.person.role, &other.person.role),
        _ => None,
    };
    paired.unwrap_or(&conversation.kind)
}

/// One's conversations.
#[derive(Serialize)]
pub(super) struct Listed {
    conversations: Vec<Conversation>,
}

impl Listed {
    pub(super) fn of(conversations: &[model::Conversation]) -> Self {
        Self { conversations: conversations.iter().map(Conversation::of).collect() }
    }
}

/// How many messages became read.
#[derive(Serialize, ToSchema)]
#[schema(as = shop::Updated)]
pub struct Updated {
    updated: u64,
}

impl Updated {
    /// The shape of what marking came to.
    #[must_use]
    pub fn of(marked: &Marked) -> Self {
        Self { updated: marked.updated }
    }
}

/// How many messages are unread everywhere.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = shop::UnreadCount)]
pub struct UnreadCount {
    /// The sum over all conversations.
    pub unread_count: u64,
}

/// Whether somebody is there.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = shop::Status)]
pub struct Status {
    /// The shop's id of the user.
    user_id: String,
    /// One of their sockets is open.
    is_online: bool,
    /// When the last one closed, where one ever did.
    last_seen: Option<String>,
}

impl Status {
    /// The shape of somebody's presence.
    #[must_use]
    pub fn of(presence: &Presence) -> Self {
        Self {
            user_id: presence.user.to_string(),
            is_online: presence.online,
            last_seen: presence.last_seen.map(|at| at.to_string()),
        }
    }
}
