//! Who may talk: what the shop's backend said of them, and what their token last said.

use sea_orm::entity::prelude::*;

/// The status of a user who may come in.
pub const ACTIVE: &str = "active";
/// The status of a user who may not.
pub const SUSPENDED: &str = "suspended";

/// A user. The name in force is `name`, else `token_name`, else the id; the role is `role`, else `token_role`, else `""`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "app_user")]
pub struct Model {
    /// The shop's id of them.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The name that the shop's backend gave.
    pub name: Option<String>,
    /// The role that the shop's backend gave.
    pub role: Option<String>,
    /// The name last seen in a token.
    pub token_name: Option<String>,
    /// The role last seen in a token.
    pub token_role: Option<String>,
    /// [`ACTIVE`] or [`SUSPENDED`].
    pub status: String,
    /// When their last socket closed.
    pub last_seen_at_ms: Option<i64>,
    /// When they were first heard of.
    pub created_at_ms: i64,
    /// Their seats.
    #[sea_orm(has_many)]
    pub participants: HasMany<super::participant::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
