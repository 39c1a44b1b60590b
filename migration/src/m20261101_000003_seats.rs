//! A seat is found by its user and conversation together, whichever index the planner takes.

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

// PostgreSQL took the index of users for one seat too, since most users have few: for an agent with thousands of conversations each
// message read all their seats. SQLite's index holds the table's key already.
const POSTGRES_UP: &str = "
DROP INDEX participant_user;
CREATE INDEX participant_user ON participant (user_id, conversation_id);
";
const POSTGRES_DOWN: &str = "
DROP INDEX participant_user;
CREATE INDEX participant_user ON participant (user_id);
";

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261101_000003_seats"
    }
}

async fn on_postgres(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Postgres {
        manager.get_connection().execute_unprepared(sql).await?;
    }
    Ok(())
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        on_postgres(manager, POSTGRES_UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        on_postgres(manager, POSTGRES_DOWN).await
    }
}
