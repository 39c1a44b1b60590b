//! Opening connections: the settings each kind of database needs to keep what it said it kept.
//!
//! What lives here: URLs and per-connection settings. What must not: statements.

use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{Connection, PgConnection, SqliteConnection};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbBackend, DbErr};

use super::failure::{Trouble, opening, opening_driver, trouble};
use super::{Options, StoreError};

/// How long to wait before a new SQLite file that is locked is tried again.
const LOCKED_STEP: Duration = Duration::from_millis(25);

/// Which database the URL means.
pub(super) fn backend(url: &str) -> Result<DbBackend, StoreError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        url.parse::<PgConnectOptions>().map_err(|error| opening_driver(&error))?;
        return Ok(DbBackend::Postgres);
    }
    if !url.starts_with("sqlite:") {
        return Err(StoreError::BadUrl("it begins with postgres:// or sqlite://".to_owned()));
    }
    let options = url.parse::<SqliteConnectOptions>().map_err(|error| opening_driver(&error))?;
    let file = options.get_filename();
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(StoreError::BadUrl("a database in memory would lose its messages".to_owned()));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(StoreError::FolderMissing(folder.display().to_string()));
    }
    Ok(DbBackend::Sqlite)
}

/// The pool for reads and provisioning; fails where the database is not there.
pub(super) async fn pool(url: &str, backend: DbBackend, options: Options) -> Result<DatabaseConnection, StoreError> {
    let connecting = open(settings(url, backend, options, options.connections), backend);
    match tokio::time::timeout(options.timeout, connecting).await {
        Ok(connected) => connected.map_err(|error| opening(&error)),
        Err(_) => Err(StoreError::Unreachable("no answer in time".to_owned())),
    }
}

/// The same pool for PostgreSQL, which connects when it is first asked.
pub(super) fn lazy(url: &str, options: Options) -> Result<DatabaseConnection, StoreError> {
    use futures_util::FutureExt as _;
    let mut settings = settings(url, DbBackend::Postgres, options, options.connections);
    settings.connect_lazy(true);
    let connected = Database::connect(settings).now_or_never();
    connected.unwrap_or_else(|| Err(sea_orm::DbErr::Custom("not lazy".to_owned()))).map_err(|error| opening(&error))
}

/// SQLite's one connection for a writer.
pub(super) async fn sqlite_writer(url: &str, options: Options) -> Result<DatabaseConnection, StoreError> {
    let settings = settings(url, DbBackend::Sqlite, options, 1);
    open(settings, DbBackend::Sqlite).await.map_err(|error| opening(&error))
}

/// Opens connections. Where several processes open a new SQLite file at once, all but one find it locked while that one makes it
/// a WAL file, for which SQLite does not wait: they try again, until whoever waits for them gives up.
async fn open(settings: ConnectOptions, backend: DbBackend) -> Result<DatabaseConnection, DbErr> {
    loop {
        match Database::connect(settings.clone()).await {
            Err(error) if backend == DbBackend::Sqlite && trouble(&error) == Trouble::Busy => {
                tokio::time::sleep(LOCKED_STEP).await;
            }
            done => return done,
        }
    }
}

/// PostgreSQL's one connection for a writer, outside any pool: a pool tests a connection by a round trip after each
/// use, and keeps one that was given up on.
pub(super) async fn postgres_writer(url: &str, options: Options) -> Result<PgConnection, sea_orm::sqlx::Error> {
    use sea_orm::sqlx::ConnectOptions as _;
    let settings = url.parse::<PgConnectOptions>()?.disable_statement_logging();
    // Every join of the writer's statements probes an index once a row, in the order of the rows. Said outright, the
    // plan neither waits for statistics nor changes with them.
    let settings = postgres(settings, options.timeout).options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
    ]);
    PgConnection::connect_with(&settings).await
}

fn settings(url: &str, backend: DbBackend, options: Options, connections: u32) -> ConnectOptions {
    // SeaORM knows PostgreSQL by this scheme alone.
    let url = url.replacen("postgresql://", "postgres://", 1);
    let mut settings = ConnectOptions::new(url);
    settings
        .max_connections(connections)
        .acquire_timeout(options.timeout.mul_f32(ACQUIRE_SHARE))
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        // The pool tests each connection after use; before use it is tested again only where it was idle since.
        .test_before_acquire(false);
    let timeout = options.timeout;
    if backend == DbBackend::Postgres {
        settings.map_sqlx_postgres_opts(move |settings| postgres(settings, timeout));
        settings.map_sqlx_postgres_pool_opts(|pool| {
            pool.before_acquire(|connection, used| {
                Box::pin(async move {
                    if used.idle_for >= TEST_AFTER_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
        });
    } else {
        settings.map_sqlx_sqlite_opts(move |settings| sqlite(settings, timeout));
        settings.map_sqlx_sqlite_pool_opts(|pool| pool.after_release(|connection, _| Box::pin(is_clean(connection))));
    }
    settings
}

/// A connection that was idle for so long is asked whether it is still there before it is used.
const TEST_AFTER_IDLE: Duration = Duration::from_millis(250);

/// The share of the timeout after which waiting for a connection, the server's own statement timeout and SQLite's wait
/// for its lock give up: before the guard around the call does, so that what failed is known.
const ACQUIRE_SHARE: f32 = 0.8;

fn postgres(settings: PgConnectOptions, timeout: Duration) -> PgConnectOptions {
    let limit = timeout.mul_f32(ACQUIRE_SHARE).as_millis().to_string();
    settings.application_name("haggle").options([
        ("synchronous_commit", "on"),
        ("statement_timeout", &limit),
        ("idle_in_transaction_session_timeout", &limit),
        ("jit", "off"),
    ])
}

/// Whether a connection may be used again. When a transaction fails for want of disk, SQLite may have ended it by itself or not; the
/// driver loses count, and what came next would be written inside a transaction that nobody ever commits.
async fn is_clean(connection: &mut SqliteConnection) -> Result<bool, sea_orm::sqlx::Error> {
    if connection.is_in_transaction() {
        // The way back may be under way in the driver's own thread: the answer to this comes after it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

fn sqlite(settings: SqliteConnectOptions, timeout: Duration) -> SqliteConnectOptions {
    settings
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(timeout.mul_f32(ACQUIRE_SHARE))
}
