//! Somebody's seat in a conversation, with their cursors.

use sea_orm::entity::prelude::*;

/// A seat. What none of the user's devices has acknowledged is what comes after `received_seq`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "participant")]
pub struct Model {
    /// Where.
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: i64,
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: String,
    /// Their part here; `""` where nobody gave one.
    pub role: String,
    /// Up to and with this place they have received everything.
    pub received_seq: i64,
    /// Up to and with this place they have read everything; never past `received_seq`.
    pub read_seq: i64,
    /// Since when.
    pub joined_at_ms: i64,
    /// The conversation.
    #[sea_orm(belongs_to, from = "conversation_id", to = "id")]
    pub conversation: BelongsTo<super::conversation::Entity>,
    /// The user.
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::app_user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
