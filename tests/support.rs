//! What integration tests stand on: databases, servers and clients of their own.
//!
//! What lives here: starting and stopping what a test needs. What must not: assertions about Haggle.

pub mod client;
pub mod postgres;
pub mod rest;
pub mod server;
pub mod socketio;

use tempfile::TempDir;

/// The databases that every promise holds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

impl On {
    /// The URL of a new, empty database, and the folder that it goes with.
    pub async fn database(self) -> (Option<TempDir>, String) {
        match self {
            Self::Sqlite => {
                let (folder, url) = sqlite();
                (Some(folder), url)
            }
            Self::Postgres => (None, postgres::database().await),
        }
    }
}

/// An SQLite file that does not exist yet, in a folder that goes with the returned guard.
pub fn sqlite() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("haggle.db").display());
    (folder, url)
}
