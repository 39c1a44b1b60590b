//! Rows as the database answers them, and what they become.
//!
//! What lives here: row shapes shared by several queries. What must not: SQL.

use sea_orm::FromQueryResult;

use crate::protocol::model::Subject;
use crate::protocol::{ClientId, ConversationId, Message, MessageId, Person, Seq, Timestamp, UserId};

#[derive(Debug, FromQueryResult)]
pub(super) struct MessageRow {
    id: i64,
    conversation_id: i64,
    seq: i64,
    sender_id: String,
    sender_name: String,
    sender_role: String,
    client_id: Option<String>,
    body: String,
    kind: String,
    created_at_ms: i64,
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        Self {
            id: MessageId(row.id),
            seq: Seq(row.seq),
            conversation: ConversationId(row.conversation_id),
            sender: Person {
                id: UserId::stored(&row.sender_id),
                name: row.sender_name.into(),
                role: row.sender_role.into(),
            },
            body: row.body.into(),
            kind: row.kind.into(),
            client_id: row.client_id.as_deref().map(ClientId::stored),
            created_at: Timestamp(row.created_at_ms),
        }
    }
}

#[derive(Debug, FromQueryResult)]
pub(super) struct PersonRow {
    user_id: String,
    user_name: String,
    user_role: String,
    pub(super) active: bool,
}

impl From<PersonRow> for Person {
    fn from(row: PersonRow) -> Self {
        Self { id: UserId::stored(&row.user_id), name: row.user_name.into(), role: row.user_role.into() }
    }
}

/// What a conversation is about; all `None` where it is about nothing.
#[derive(Debug, FromQueryResult)]
pub(super) struct SubjectRow {
    subject_kind: Option<String>,
    subject_id: Option<String>,
    subject_title: Option<String>,
    subject_owner: Option<String>,
}

impl SubjectRow {
    pub(super) fn subject(&self) -> Option<Subject> {
        Some(Subject {
            kind: self.subject_kind.as_deref()?.into(),
            id: self.subject_id.as_deref()?.into(),
            title: self.subject_title.as_deref().map(Into::into),
            owner: self.subject_owner.as_deref().map(UserId::stored),
        })
    }
}

/// A count, which is never negative.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
