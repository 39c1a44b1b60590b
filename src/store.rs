//! The database: reads, the shop's provisioning, and the batch writer.
//!
//! What lives here: `Store` (a pool of connections for reads and provisioning), `Writer` (a connection of its own for
//! messages and cursors) and the guard around every call. What must not: who may do what, beyond "is a participant",
//! and anything of actors or wires.
//!
//! Every call ends within [`Options::timeout`]: a database that does not answer is `unavailable`, never a hang.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::ChatError;

mod arrivals;
mod between;
mod connect;
mod conversations;
mod desk;
mod failure;
mod gather;
mod history;
mod migrate;
mod provision;
mod recovery;
mod rooms;
mod rows;
mod sql;
mod topics;
mod users;
mod writer;

pub use arrivals::{Arrived, Extent};
pub use between::Opened;
pub use conversations::LISTED_PARTICIPANTS_MAX;
pub use desk::Seated;
pub use failure::StoreError;
pub use migrate::Direction;
pub use provision::{DIRECT, GROUP};
pub use recovery::{ALIVE_EVERY_MS, RECOVERABLE_MS, SavedSocket, Saving, SocketState, TakenSocket};
pub use rooms::{RoomRow, Seat};
pub use topics::{PLACES_MAX, Place};
pub use users::{Known, PARTNERS_IN, PARTNERS_MAX};
pub use writer::{Append, Appended, Cursor, CursorMove, Writer};

use failure::Failure;
use gather::Gathering;

/// How to talk to the database.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections for reads and provisioning at most; each writer has one more.
    pub connections: u32,
    /// How long any call may take before it is answered with `unavailable`.
    pub timeout: Duration,
}

/// Readers and provisioning writes. Cheap to clone: all clones share one pool.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    url: String,
    backend: DbBackend,
    options: Options,
    /// Replaced whole when the server stops answering, so that no dead connection is waited for.
    pool: RwLock<DatabaseConnection>,
    /// SQLite takes one writer at a time: within the process they queue here, in order, instead of polling the file.
    writing: Arc<Mutex<()>>,
    /// The database was last seen failing: the way down and up is logged once each.
    down: AtomicBool,
    /// Reads that many ask for at once.
    coming: Arc<Gathering<arrivals::Coming>>,
    waking: Arc<Gathering<rooms::Waking>>,
    naming: Arc<Gathering<history::Naming>>,
}

/// A transaction that writes; on SQLite it also holds the process's turn to write.
struct Writing {
    transaction: DatabaseTransaction,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Store {
    /// Connects, and fails where that is not possible.
    ///
    /// # Errors
    /// What is wrong with the URL, the server or the file, in words.
    pub async fn connect(url: &str, options: Options) -> Result<Self, StoreError> {
        let backend = connect::backend(url)?;
        let pool = connect::pool(url, backend, options).await?;
        let inner = Inner {
            url: url.to_owned(),
            backend,
            options,
            pool: RwLock::new(pool),
            writing: Arc::default(),
            down: AtomicBool::new(false),
            coming: Arc::default(),
            waking: Arc::default(),
            naming: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A writer with a connection of its own.
    ///
    /// # Errors
    /// As [`Store::connect`].
    pub async fn writer(&self) -> Result<Writer, StoreError> {
        Writer::connect(Arc::clone(&self.inner)).await
    }

    /// Whether the database answers within [`READY_WITHIN`] and its schema is this program's.
    ///
    /// # Errors
    /// `unavailable` otherwise.
    pub async fn ready(&self) -> Result<(), ChatError> {
        let limit = READY_WITHIN.min(self.inner.options.timeout);
        let pending = self.inner.within(limit, async { Ok(migrate::pending(&self.db()).await?) }).await?;
        if pending.is_empty() { Ok(()) } else { Err(ChatError::unavailable()) }
    }

    /// Closes all connections of the pool, waiting for calls under way, at most [`Options::timeout`].
    pub async fn close(&self) {
        let pool = self.inner.pool();
        if tokio::time::timeout(self.inner.options.timeout, pool.close_by_ref()).await.is_err() {
            tracing::warn!("the database did not let go of its connections in time");
        }
    }

    /// Guards one call: it ends within the timeout, and what fails is logged and classified once.
    async fn call<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, ChatError> {
        self.inner.within(self.inner.options.timeout, work).await
    }

    fn db(&self) -> DatabaseConnection {
        self.inner.pool()
    }

    fn sql(&self, postgres: &'static str, sqlite: &'static str) -> &'static str {
        if self.inner.backend == DbBackend::Postgres { postgres } else { sqlite }
    }

    /// A statement of these values; `$1` and on are their places on both databases.
    fn statement(&self, sql: &'static str, values: impl IntoIterator<Item = sea_orm::Value>) -> Statement {
        Statement::from_sql_and_values(self.inner.backend, sql, values)
    }
}

impl Writing {
    async fn commit(self) -> Result<(), DbErr> {
        self.transaction.commit().await
    }
}

/// The statements that page through messages and conversations, each with its name: for those who look at their plans.
#[must_use]
pub fn paging() -> [(&'static str, &'static str); 6] {
    let [before, after] = history::PAGES;
    let [list, unread] = conversations::LISTS;
    [
        ("history", before),
        ("history after", after),
        ("conversations", list),
        ("unread", unread),
        ("places", topics::PLACES),
        ("room", rooms::ROOM),
    ]
}

/// How long the database may take to prove that it is there.
pub const READY_WITHIN: Duration = Duration::from_secs(1);

impl Inner {
    fn pool(&self) -> DatabaseConnection {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins a transaction that will write.
    async fn begin(&self) -> Result<Writing, DbErr> {
        let immediate = match self.backend {
            DbBackend::Sqlite => Some(SqliteTransactionMode::Immediate),
            _ => None,
        };
        let turn = match self.backend {
            DbBackend::Sqlite => Some(Arc::clone(&self.writing).lock_owned().await),
            _ => None,
        };
        let options = TransactionOptions { sqlite_transaction_mode: immediate, ..TransactionOptions::default() };
        Ok(Writing { transaction: self.pool().begin_with_options(options).await?, _turn: turn })
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, ChatError> {
        let pool = self.pool();
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(done)) => {
                self.seen_up();
                Ok(done)
            }
            Ok(Err(Failure::Chat(error))) => Err(error),
            Ok(Err(Failure::Database(error))) => {
                let answer = failure::answer(&error);
                match answer {
                    ChatError::Unavailable(_) => self.seen_down(&failure::plain(&error)),
                    _ => tracing::error!(error = failure::plain(&error), "the database refused a statement"),
                }
                Err(answer)
            }
            Err(_) => {
                self.seen_down("no answer in time");
                self.replace(&pool, limit);
                Err(ChatError::unavailable())
            }
        }
    }

    /// Puts a fresh pool in the place of one that did not answer: the server's own `statement_timeout` ends a slow
    /// statement earlier, so a connection that is silent for longer may be silent for ever.
    fn replace(&self, silent: &DatabaseConnection, limit: Duration) {
        if self.backend != DbBackend::Postgres || limit < self.options.timeout {
            return;
        }
        let Ok(fresh) = connect::lazy(&self.url, self.options) else { return };
        let mut pool = self.pool.write().unwrap_or_else(PoisonError::into_inner);
        if std::ptr::eq(pool.get_postgres_connection_pool().options(), silent.get_postgres_connection_pool().options())
        {
            let old = std::mem::replace(&mut *pool, fresh);
            let limit = self.options.timeout;
            drop(tokio::spawn(async move { tokio::time::timeout(limit, old.close_by_ref()).await }));
        }
    }

    fn seen_up(&self) {
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::info!("the database answers again");
        }
    }

    fn seen_down(&self, error: &str) {
        if !self.down.swap(true, Ordering::Relaxed) {
            tracing::warn!(error, "the database is unavailable");
        }
    }
}
