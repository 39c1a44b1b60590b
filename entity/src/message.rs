//! What was said.

use sea_orm::entity::prelude::*;

/// A message.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message")]
pub struct Model {
    /// Its number, unique in the server.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Where it was said.
    pub conversation_id: i64,
    /// Its place there: 1, 2, 3 … without gaps.
    pub seq: i64,
    /// Who said it.
    pub sender_id: String,
    /// The sender's own name for it.
    pub client_id: Option<String>,
    /// What was said.
    pub body: String,
    /// `text` or the client's word.
    pub kind: String,
    /// When it was taken in.
    pub created_at_ms: i64,
    /// The conversation.
    #[sea_orm(belongs_to, from = "conversation_id", to = "id")]
    pub conversation: BelongsTo<super::conversation::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
