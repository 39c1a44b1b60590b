//! A Socket.IO client's socket that may come back, by the private id that the client holds.

use sea_orm::entity::prelude::*;

/// One socket. Whoever takes it removes it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "saved_socket")]
pub struct Model {
    /// What its client recovers by.
    #[sea_orm(primary_key, auto_increment = false)]
    pub pid: String,
    /// Which session it is now; what another one writes changes nothing.
    pub session: String,
    /// The process that has it open.
    pub node: String,
    /// Its namespace.
    pub namespace: String,
    /// What its client calls it.
    pub sid: String,
    /// Whose it is.
    pub user_id: String,
    /// Where it stands, as JSON.
    pub state: String,
    /// When it was cut off, in milliseconds since 1970 UTC; nothing while it is open.
    pub left_at_ms: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
