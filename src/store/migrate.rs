//! Bringing the schema up to date, safely from several processes at once.
//!
//! What lives here: the lock and the transaction around the migrations. What must not: the migrations.

use std::time::Duration;

use migration::{Migration, Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};

use super::failure::{opening, plain};
use super::{Store, StoreError};

/// Which way the schema goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// All pending migrations.
    Up,
    /// The newest applied one is taken back.
    Down,
}

/// Names the lock among all advisory locks of the database: "haggle" in ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(114784820031589)";
/// How long migrations may take, waiting for another process's included.
const MIGRATE_WITHIN: Duration = Duration::from_secs(600);

impl Store {
    /// Migrates in one transaction under a lock, and answers with the names of what was done.
    ///
    /// # Errors
    /// `Schema` when a migration fails or the database is of a newer version; nothing is changed then.
    pub async fn migrate(&self, direction: Direction) -> Result<Vec<String>, StoreError> {
        match tokio::time::timeout(MIGRATE_WITHIN, self.migrate_locked(direction)).await {
            Ok(done) => done,
            Err(_) => Err(StoreError::Schema("it took too long".to_owned())),
        }
    }

    async fn migrate_locked(&self, direction: Direction) -> Result<Vec<String>, StoreError> {
        let writing = self.inner.begin().await.map_err(|error| opening(&error))?;
        let transaction = &writing.transaction;
        let work = async {
            if self.inner.backend == DbBackend::Postgres {
                transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
                transaction.execute_unprepared(LOCK).await?;
            }
            let before = names(Migrator::get_applied_migrations(transaction).await?);
            match direction {
                Direction::Up => Migrator::up(transaction, None).await?,
                Direction::Down => Migrator::down(transaction, Some(1)).await?,
            }
            let after = names(Migrator::get_applied_migrations(transaction).await?);
            Ok::<_, DbErr>((before, after))
        };
        let (before, after) = work.await.map_err(|error| StoreError::Schema(plain(&error)))?;
        writing.commit().await.map_err(|error| StoreError::Schema(plain(&error)))?;
        let (more, less) = if direction == Direction::Up { (after, before) } else { (before, after) };
        Ok(more.into_iter().filter(|name| !less.contains(name)).collect())
    }

    /// The migrations that this program has and the database has not.
    ///
    /// # Errors
    /// `Schema` when the database is of a newer version, `Unreachable` when it does not answer.
    pub async fn pending(&self) -> Result<Vec<String>, StoreError> {
        match tokio::time::timeout(self.inner.options.timeout, pending(&self.inner.pool())).await {
            Ok(pending) => pending.map_err(|error| match error {
                DbErr::Custom(text) => StoreError::Schema(text),
                error => opening(&error),
            }),
            Err(_) => Err(StoreError::Unreachable("no answer in time".to_owned())),
        }
    }
}

pub(super) async fn pending(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    Ok(names(Migrator::get_pending_migrations_read_only(db).await?))
}

fn names(migrations: Vec<Migration>) -> Vec<String> {
    migrations.iter().map(|migration| migration.name().to_owned()).collect()
}
