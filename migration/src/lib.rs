//! The schema: its migrations, in order.
//!
//! What lives here: one module a migration, in SQL for each database where the schema builder cannot say it (triggers,
//! partial indexes, collations). What must not: who runs them and under which lock; the store does that.

use sea_orm_migration::MigrationTrait;
pub use sea_orm_migration::{Migration, MigratorTrait};

mod m20260101_000001_initial;
mod m20260201_000002_recovery;
mod m20261101_000003_seats;

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20260101_000001_initial::Migration),
            Box::new(m20260201_000002_recovery::Migration),
            Box::new(m20261101_000003_seats::Migration),
        ]
    }
}
