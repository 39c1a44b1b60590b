//! The JSON shapes of the book vocabulary, on Socket.IO and under `/api/messages` alike.
//!
//! What lives here: one shape a thing; what clients send to commands, plain values to what clients read. What must not: decisions on
//! who may.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::{self, Hints, Spoken};
use crate::error::ChatError;
use crate::protocol::command::Send;
use crate::protocol::{self, ConversationRef, UserId, reply};
use crate::vocabulary::words::{self, Claims, Id, missing};

/// Every field that an event or a call may bring; a `senderName` is not looked at.
#[derive(Deserialize, ToSchema)]
#[schema(as = book::Said)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// `<bookId>|<userA>:<userB>`, the two in either order.
    #[schema(value_type = Option<String>)]
    pub conversation_id: Option<Id>,
    /// 1 to 4,000 characters.
    pub message: Option<String>,
    /// `text` unless given.
    pub message_type: Option<String>,
    /// The caller's own name for the message, at most 64 bytes: sent again with the same one, it is stored once.
    pub client_id: Option<String>,
    /// Who it is from: the caller, or it is refused.
    #[serde(flatten)]
    pub claims: Claims,
    /// The other one of the conversation, or it is refused.
    #[schema(value_type = Option<String>)]
    pub recipient_id: Option<Id>,
    /// The book of the conversation, or it is refused.
    #[schema(value_type = Option<String>)]
    pub book_id: Option<Id>,
    /// Whether somebody types.
    pub is_typing: Option<bool>,
}

impl Said {
    /// The conversation that it names.
    ///
    /// # Errors
    /// `invalid` or `not_found`.
    pub fn conversation(&self, caller: &UserId, opens: bool) -> Result<ConversationRef, ChatError> {
        let id = self.conversation_id.as_ref().ok_or_else(|| missing("conversationId"))?;
        let hints = Hints { book: self.book_id.as_ref(), other: self.recipient_id.as_ref() };
        names::conversation(id, hints, caller, opens)
    }

    /// The message that it is.
    ///
    /// # Errors
    /// `forbidden`, `invalid`, `too_large` or `not_found`.
    pub fn send(&self, caller: &UserId) -> Result<Send, ChatError> {
        self.claims.check(Some(caller))?;
        Ok(Send {
            conversation: self.conversation(caller, true)?,
            body: words::text(self.message.as_deref(), "message")?,
            kind: words::kind(self.message_type.as_deref())?,
            client_id: words::client_id(self.client_id.as_deref())?,
        })
    }
}

/// A message.
#[derive(Serialize, ToSchema)]
#[schema(as = book::Message)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// `id` as a string.
    #[serde(rename = "_id")]
    document_id: String,
    /// Unique in the server.
    id: i64,
    /// Where it was said.
    conversation_id: String,
    /// Who said it.
    sender_id: String,
    /// Their name.
    sender_name: String,
    /// To whom.
    recipient_id: String,
    /// Their name.
    recipient_name: String,
    /// The text.
    message: String,
    /// The book.
    book_id: String,
    /// Whether whoever it was sent to has read it.
    is_read: bool,
    /// `text`, or the sender's word.
    message_type: String,
    /// When it was stored.
    created_at: String,
    /// When it last changed: messages do not.
    updated_at: String,
}

impl Message {
    /// A message of a conversation.
    #[must_use]
    pub fn of(message: &protocol::Message, spoken: &Spoken, is_read: bool) -> Self {
        let recipient = spoken.other_than(&message.sender.id);
        let at = message.created_at.to_string();
        Self {
            document_id: message.id.0.to_string(),
            id: message.id.0,
            conversation_id: spoken.id.clone(),
            sender_id: message.sender.id.to_string(),
            sender_name: message.sender.name.to_string(),
            recipient_id: recipient.id.to_string(),
            recipient_name: recipient.name.to_string(),
            message: message.body.to_string(),
            book_id: spoken.book.to_string(),
            is_read,
            message_type: message.kind.to_string(),
            created_at: at.clone(),
            updated_at: at,
        }
    }
}

/// Which conversation something is about.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Named<'a> {
    pub(super) conversation_id: &'a str,
}

/// Somebody types, or no longer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SomebodyTypes<'a> {
    pub(super) conversation_id: &'a str,
    pub(super) user_id: &'a str,
    pub(super) is_typing: bool,
}

/// A message for somebody who has not joined.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notice<'a> {
    pub(super) conversation_id: &'a str,
    pub(super) message: Message,
    pub(super) unread_count: u64,
}

/// Somebody came or went.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status<'a> {
    user_id: &'a str,
    status: &'static str,
    last_seen: Option<String>,
}

impl<'a> Status<'a> {
    pub(super) fn of(presence: &'a reply::Presence) -> Self {
        Self {
            user_id: presence.user.as_str(),
            status: if presence.online { "online" } else { "offline" },
            last_seen: presence.last_seen.map(|at| at.to_string()),
        }
    }
}

/// The answer to marking as read.
#[derive(Serialize, ToSchema)]
#[schema(as = book::Updated)]
pub struct Updated {
    /// How many messages became read by it.
    pub updated: u64,
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
#[schema(as = book::Messages)]
pub struct Messages {
    /// Oldest first; page 1 is the newest.
    messages: Vec<Message>,
    /// Which page it is.
    pagination: Pagination,
}

/// Where a page stands.
#[derive(Serialize, ToSchema)]
#[schema(as = book::Pagination)]
#[serde(rename_all = "camelCase")]
pub struct Pagination {
    /// Its number, from 1.
    page: u32,
    /// How many messages a page holds.
    limit: u32,
    /// How many messages the conversation has.
    total: i64,
    /// Whether there are older ones.
    has_more: bool,
}

impl Messages {
    /// A page, by its number and the most it holds.
    #[must_use]
    pub fn of(found: &reply::Messages, page: u32, limit: u32) -> Option<Self> {
        let spoken = Spoken::of(&found.topic)?;
        let messages = found.messages.iter().map(|one| Message::of(one, &spoken, found.is_read(one))).collect();
        let pagination = Pagination { page, limit, total: found.last_seq.0, has_more: found.has_more };
        Some(Self { messages, pagination })
    }
}

/// A conversation as one of the two sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = book::Conversation)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// `<bookId>|<userA>:<userB>`, as it was first written.
    conversation_id: String,
    /// The book.
    book_id: String,
    /// The book's owner where known, else whoever did not write first.
    seller_id: String,
    /// Their name.
    seller_name: String,
    /// The other one.
    buyer_id: String,
    /// Their name.
    buyer_name: String,
    /// The newest message's text.
    last_message: String,
    /// When it was stored.
    last_message_at: String,
    /// Whether both are still in it.
    is_active: bool,
    /// How many messages each has not read.
    unread_count: BTreeMap<String, u64>,
}

impl Conversation {
    /// A conversation; `None` where nobody has written yet, or it is none of this vocabulary's for the viewer.
    #[must_use]
    pub fn of(found: &protocol::Conversation, viewer: &UserId) -> Option<Self> {
        let spoken = Spoken::of(&found.topic()).filter(|spoken| spoken.includes(viewer))?;
        let last = found.last_message.as_ref()?;
        let owner = found.subject.as_ref().and_then(|subject| subject.owner.as_ref());
        let [one, other] = &spoken.two;
        let buyer = match owner.filter(|owner| spoken.includes(owner)) {
            Some(owner) => spoken.other_than(owner),
            None if found.opener.as_ref() == Some(&other.id) => other,
            None => one,
        };
        let seller = spoken.other_than(&buyer.id);
        let seat = |user: &UserId| found.participants.iter().find(|seat| seat.person.id == *user);
        let unread = |user: &UserId| {
            if user == viewer { found.unread } else { seat(user).map_or(0, |seat| seat.unread) }
        };
        Some(Self {
            seller_id: seller.id.to_string(),
            seller_name: seller.name.to_string(),
            buyer_id: buyer.id.to_string(),
            buyer_name: buyer.name.to_string(),
            last_message: last.body.to_string(),
            last_message_at: last.created_at.to_string(),
            is_active: spoken.two.iter().all(|person| seat(&person.id).is_some()),
            unread_count: spoken.two.iter().map(|person| (person.id.to_string(), unread(&person.id))).collect(),
            book_id: spoken.book.to_string(),
            conversation_id: spoken.id,
        })
    }
}

/// Whom one talks to about a book, latest.
#[derive(Serialize, ToSchema)]
#[schema(as = book::Partner)]
#[serde(rename_all = "camelCase")]
pub struct Partner {
    /// Where.
    conversation_id: String,
    /// The other one.
    partner_id: String,
    /// Their name.
    partner_name: String,
    /// When the newest message was stored.
    last_message_at: String,
}

impl Partner {
    /// The other one of a conversation; `None` as with [`Conversation::of`].
    #[must_use]
    pub fn of(found: &protocol::Conversation, viewer: &UserId) -> Option<Self> {
        let spoken = Spoken::of(&found.topic()).filter(|spoken| spoken.includes(viewer))?;
        let last = found.last_message.as_ref()?;
        let partner = spoken.other_than(viewer);
        Some(Self {
            partner_id: partner.id.to_string(),
            partner_name: partner.name.to_string(),
            last_message_at: last.created_at.to_string(),
            conversation_id: spoken.id,
        })
    }
}

/// What is unread.
#[derive(Serialize, ToSchema)]
#[schema(as = book::Unread)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    /// In all conversations about books.
    unread_count: u64,
    /// In each that has something unread.
    conversations: BTreeMap<String, u64>,
}

impl Unread {
    /// What is unread in the conversations that this vocabulary speaks of.
    #[must_use]
    pub fn of(found: &reply::Unread, viewer: &UserId) -> Self {
        let named = found.conversations.iter().zip(&found.topics).filter_map(|(one, topic)| {
            let spoken = Spoken::of(topic).filter(|spoken| spoken.includes(viewer))?;
            Some((spoken.id, one.count))
        });
        let conversations: BTreeMap<_, _> = named.collect();
        Self { unread_count: conversations.values().sum(), conversations }
    }
}

/// How every call that succeeds is answered.
#[derive(Serialize, ToSchema)]
#[schema(as = book::Success)]
pub struct Success<T> {
    success: bool,
    /// What was asked for.
    data: T,
}

impl<T> Success<T> {
    /// This is what was asked for.
    pub const fn of(data: T) -> Self {
        Self { success: true, data }
    }
}

/// How every call that is refused is answered.
#[derive(Serialize, ToSchema)]
#[schema(as = book::Refusal)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    success: bool,
    /// Why, in words.
    error: String,
    /// The stable code.
    code: &'static str,
    /// Seconds to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Refusal {
    /// The shape of an error.
    #[must_use]
    pub fn of(error: &ChatError) -> Self {
        Self { success: false, error: error.to_string(), code: error.code(), retry_after: error.retry_after() }
    }
}
