//! A server process that says that it is alive: after it was killed, its sockets may come back for a while.

use sea_orm::entity::prelude::*;

/// One process.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "node")]
pub struct Model {
    /// Random, given at its start.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// When it last said so, in milliseconds since 1970 UTC.
    pub alive_at_ms: i64,
}

impl ActiveModelBehavior for ActiveModel {}
