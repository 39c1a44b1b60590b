//! Whether the database can be used: reachable, let in, of the right version, with which migrations.

mod postgres;
mod sqlite;

use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectOptions, Database, sqlx};
use secrecy::ExposeSecret;

use super::{Check, Mark};
use crate::config::{Settings, redacted_url};

const NAME: &str = "database";

/// What there is to be found out before anything is connected to.
enum Place {
    /// The database can be asked.
    There(String),
    /// It is not there yet; the first start makes it.
    NotYet(String),
}

/// Looks at the database and, if it can be used, at its migrations.
pub(super) async fn examine(settings: &Settings) -> Vec<Check> {
    let url = settings.database_url.expose_secret();
    let timeout = settings.limits.database_timeout;
    let place = if url.starts_with("sqlite:") { sqlite::look(url) } else { postgres::look(url, timeout).await };
    let shown = redacted_url(&settings.database_url);
    match place {
        Err(trouble) => {
            let rest = Check::new("migrations", Mark::Note, "looked at once the database can be reached");
            vec![Check::new(NAME, Mark::Wrong, format!("{shown}: {trouble}")), rest]
        }
        Ok(Place::NotYet(text)) => {
            let rest = Check::new("migrations", Mark::Note, "all pending; `haggle serve` applies them");
            vec![Check::new(NAME, Mark::Well, format!("{shown}: {text}")), rest]
        }
        Ok(Place::There(text)) => {
            vec![Check::new(NAME, Mark::Well, format!("{shown}: {text}")), migrations(url, timeout).await]
        }
    }
}

/// The innermost reason: what is around it says again what is said here.
fn root_cause(error: &sqlx::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

async fn migrations(url: &str, timeout: Duration) -> Check {
    let name = "migrations";
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).connect_timeout(timeout).acquire_timeout(timeout).sqlx_logging(false);
    let pending = async {
        let connection = Database::connect(options).await?;
        let pending = Migrator::get_pending_migrations_read_only(&connection).await;
        connection.close().await?;
        pending
    };
    match tokio::time::timeout(timeout, pending).await {
        Ok(Ok(pending)) if pending.is_empty() => Check::new(name, Mark::Well, "all applied"),
        Ok(Ok(pending)) => {
            let text = format!("{} pending; `haggle serve` or `haggle migrate` applies them", pending.len());
            Check::new(name, Mark::Note, text)
        }
        Ok(Err(error)) => {
            let text = format!("cannot be read ({error}): is this Haggle's own database, and of no newer version?");
            Check::new(name, Mark::Wrong, text)
        }
        Err(_) => {
            let text = format!("cannot be read within {} s: is someone holding locks?", timeout.as_secs());
            Check::new(name, Mark::Wrong, text)
        }
    }
}

#[cfg(test)]
mod tests;
