//! Sockets that may come back: what connection state recovery needs, and which processes are alive.

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

// Ids are compared byte by byte, as everywhere here; `state` is read and written whole.
const POSTGRES_UP: &str = "
CREATE TABLE node (
    id text COLLATE \"C\" PRIMARY KEY,
    alive_at_ms bigint NOT NULL
);
CREATE TABLE saved_socket (
    pid text COLLATE \"C\" PRIMARY KEY,
    session text COLLATE \"C\" NOT NULL,
    node text COLLATE \"C\" NOT NULL,
    namespace text COLLATE \"C\" NOT NULL,
    sid text NOT NULL,
    user_id text COLLATE \"C\" NOT NULL REFERENCES app_user,
    state text NOT NULL,
    left_at_ms bigint
) WITH (fillfactor = 70);
CREATE INDEX saved_socket_node ON saved_socket (node);
";
const SQLITE_UP: &str = "
CREATE TABLE node (
    id TEXT NOT NULL PRIMARY KEY,
    alive_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE saved_socket (
    pid TEXT NOT NULL PRIMARY KEY,
    session TEXT NOT NULL,
    node TEXT NOT NULL,
    namespace TEXT NOT NULL,
    sid TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES app_user (id),
    state TEXT NOT NULL,
    left_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX saved_socket_node ON saved_socket (node);
";
const DOWN: &str = "DROP TABLE saved_socket; DROP TABLE node;";

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20260201_000002_recovery"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_UP,
            DbBackend::Sqlite => SQLITE_UP,
            other => return Err(DbErr::Migration(format!("no schema for {other:?}"))),
        };
        manager.get_connection().execute_unprepared(sql).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(DOWN).await.map(drop)
    }
}
