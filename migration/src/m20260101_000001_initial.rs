//! Users, subjects, conversations, participants, messages, and the triggers that no writer gets past.

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

const POSTGRES_UP: &str = include_str!("m20260101_000001_initial/postgres.sql");
const SQLITE_UP: &str = include_str!("m20260101_000001_initial/sqlite.sql");
const TABLES_DOWN: &str = "DROP TABLE message; DROP TABLE participant; DROP TABLE conversation; DROP TABLE subject; \
                           DROP TABLE app_user;";
const FUNCTIONS_DOWN: &str = "DROP FUNCTION haggle_refuse(); DROP FUNCTION haggle_message_inserted(); \
                              DROP FUNCTION haggle_conversation_updated();";

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20260101_000001_initial"
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
        let connection = manager.get_connection();
        connection.execute_unprepared(TABLES_DOWN).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            connection.execute_unprepared(FUNCTIONS_DOWN).await?;
        }
        Ok(())
    }
}
