//! What integration tests stand on: databases of their own.
//!
//! What lives here: starting and stopping what a test needs. What must not: assertions about Haggle.

pub mod postgres;

use tempfile::TempDir;

/// An SQLite file that does not exist yet, in a folder that goes with the returned guard.
pub fn sqlite() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("haggle.db").display());
    (folder, url)
}
