//! The tables as SeaORM 2 entities, the same on SQLite and PostgreSQL.
//!
//! What lives here: one module a table, its columns and relations. What must not: queries and rules; the rules that
//! no writer may break are constraints and triggers of the migration. Times are milliseconds since 1970 UTC.

pub mod app_user;
pub mod conversation;
pub mod message;
pub mod node;
pub mod participant;
pub mod saved_socket;
pub mod subject;
