//! What can go wrong with a database, told to people (`StoreError`) and to clients (`ChatError`).
//!
//! What lives here: the classification of driver errors. What must not: retries; each caller decides on those.

use sea_orm::sqlx::Error as Driver;
use sea_orm::{DbErr, RuntimeErr};

use crate::error::ChatError;

/// Why the database cannot be used, in words for whoever runs the server. Never holds a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is not one of a supported database.
    #[error("the database URL is not valid: {0}")]
    BadUrl(String),
    /// Nothing listens there, the name does not resolve, or no answer came in time.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// User or password are wrong, or the user may not connect.
    #[error("the database refused the user or password: {0}")]
    Refused(String),
    /// The server has no database of this name.
    #[error("the server has no such database: {0}")]
    UnknownDatabase(String),
    /// The folder of the SQLite file does not exist.
    #[error("the folder of the database file does not exist: {0}")]
    FolderMissing(String),
    /// The SQLite file does not exist and the URL does not say `mode=rwc`, or it cannot be written.
    #[error("the database file cannot be opened for writing: {0}")]
    NotWritable(String),
    /// The schema is of a newer version of this program, or a migration failed.
    #[error("the schema cannot be brought up to date: {0}")]
    Schema(String),
    /// Anything else.
    #[error("the database failed: {0}")]
    Other(String),
}

/// Inside the store: an answer for the client already, or an error of the database to be classified and logged.
#[derive(Debug)]
pub(super) enum Failure {
    Chat(ChatError),
    Database(DbErr),
}

impl From<ChatError> for Failure {
    fn from(error: ChatError) -> Self {
        Self::Chat(error)
    }
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

/// How a driver's error is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The connection is of no use any more; what was under way may or may not have happened.
    Broken,
    /// The database could not do it now; the connection is fine and nothing was stored.
    Busy,
    /// A race with another writer: the same again sees what the other wrote.
    Race,
    /// The statement or a value in it is at fault.
    Data,
}

/// What a client hears.
pub(super) fn answer(error: &DbErr) -> ChatError {
    match trouble(error) {
        Trouble::Data => ChatError::Internal,
        Trouble::Broken | Trouble::Busy | Trouble::Race => ChatError::unavailable(),
    }
}

pub(super) fn trouble(error: &DbErr) -> Trouble {
    match error {
        DbErr::ConnectionAcquire(_) => Trouble::Busy,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => driver_trouble(error),
        DbErr::Conn(_) => Trouble::Broken,
        _ => Trouble::Data,
    }
}

/// SQLSTATE classes: PostgreSQL manual, appendix A; SQLite: numeric (extended) result codes, primary in the low byte.
pub(super) fn driver_trouble(error: &Driver) -> Trouble {
    let Driver::Database(database) = error else {
        return match error {
            Driver::PoolTimedOut => Trouble::Busy,
            Driver::ColumnDecode { .. } | Driver::ColumnNotFound(_) | Driver::Encode(_) | Driver::Decode(_) => {
                Trouble::Data
            }
            _ => Trouble::Broken,
        };
    };
    let code = database.code().unwrap_or_default();
    if let Some(primary) = sqlite_code(&**database, &code) {
        return match primary {
            SQLITE_BUSY | SQLITE_LOCKED | SQLITE_FULL => Trouble::Busy,
            SQLITE_CONSTRAINT | SQLITE_ERROR | SQLITE_MISMATCH | SQLITE_TOOBIG | SQLITE_RANGE => Trouble::Data,
            _ => Trouble::Broken,
        };
    }
    match code.as_ref() {
        "40001" | "40P01" | "23505" => Trouble::Race,
        "57014" | "55P03" => Trouble::Busy,
        "25006" | "58030" => Trouble::Broken,
        code if code.starts_with("08") || code.starts_with("57") || code.starts_with("XX") => Trouble::Broken,
        code if code.starts_with("53") => Trouble::Busy,
        _ => Trouble::Data,
    }
}

const SQLITE_ERROR: u32 = 1;
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_READONLY: u32 = 8;
const SQLITE_FULL: u32 = 13;
const SQLITE_CANTOPEN: u32 = 14;
const SQLITE_TOOBIG: u32 = 18;
const SQLITE_CONSTRAINT: u32 = 19;
const SQLITE_MISMATCH: u32 = 20;
const SQLITE_RANGE: u32 = 25;

fn sqlite_code(error: &dyn sea_orm::sqlx::error::DatabaseError, code: &str) -> Option<u32> {
    error.try_downcast_ref::<sea_orm::SqlxSqliteError>()?;
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

/// The error of a first connection, for whoever runs the server.
pub(super) fn opening(error: &DbErr) -> StoreError {
    let text = plain(error);
    let (DbErr::Conn(RuntimeErr::SqlxError(driver))
    | DbErr::Exec(RuntimeErr::SqlxError(driver))
    | DbErr::Query(RuntimeErr::SqlxError(driver))) = error
    else {
        return match error {
            DbErr::ConnectionAcquire(_) => StoreError::Unreachable("no answer in time".to_owned()),
            _ => StoreError::Other(text),
        };
    };
    opening_driver(driver)
}

pub(super) fn opening_driver(error: &Driver) -> StoreError {
    let text = driver_plain(error);
    match error {
        Driver::Configuration(_) => StoreError::BadUrl(text),
        Driver::Io(_) | Driver::Tls(_) | Driver::PoolTimedOut | Driver::Protocol(_) => StoreError::Unreachable(text),
        Driver::Database(database) => {
            let code = database.code().unwrap_or_default();
            match sqlite_code(&**database, &code) {
                Some(SQLITE_CANTOPEN | SQLITE_READONLY) => StoreError::NotWritable(text),
                Some(_) => StoreError::Other(text),
                None => match code.as_ref() {
                    "28P01" | "28000" => StoreError::Refused(text),
                    "3D000" => StoreError::UnknownDatabase(text),
                    "57P03" | "53300" => StoreError::Unreachable(text),
                    _ => StoreError::Other(text),
                },
            }
        }
        _ => StoreError::Other(text),
    }
}

/// The error without the values of the row at fault: PostgreSQL puts those into `DETAIL`, which is left out.
pub(super) fn plain(error: &DbErr) -> String {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => driver_plain(error),
        other => other.to_string(),
    }
}

pub(super) fn driver_plain(error: &Driver) -> String {
    match error {
        Driver::Database(database) => database.message().to_owned(),
        Driver::PoolTimedOut => "no answer in time".to_owned(),
        other => other.to_string(),
    }
}
