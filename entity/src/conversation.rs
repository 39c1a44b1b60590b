//! A conversation, with the place of its newest message.

use sea_orm::entity::prelude::*;

/// A conversation.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation")]
pub struct Model {
    /// Its number.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The shop's own key.
    #[sea_orm(unique)]
    pub key: Option<String>,
    /// `direct`, `group` or the shop's word.
    pub kind: String,
    /// A title.
    pub title: Option<String>,
    /// What it is about: the subject's kind.
    pub subject_kind: Option<String>,
    /// What it is about: the subject's id.
    pub subject_id: Option<String>,
    /// The two people and their subject, where it may be found by them.
    #[sea_orm(unique)]
    pub pair_key: Option<String>,
    /// The place of the newest message; 0 where there is none.
    pub last_seq: i64,
    /// When the newest message came, else when it was opened.
    pub active_at_ms: i64,
    /// How many people are in it.
    pub participant_count: i64,
    /// When it was opened.
    pub created_at_ms: i64,
    /// The people in it.
    #[sea_orm(has_many)]
    pub participants: HasMany<super::participant::Entity>,
    /// What was said in it.
    #[sea_orm(has_many)]
    pub messages: HasMany<super::message::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
