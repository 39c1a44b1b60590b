//! What is said of a database that cannot be used, and what the one in use must be.

use std::time::Duration;

use haggle::store::{Options, Store, StoreError};
use sea_orm::{ConnectionTrait, Database, Statement};

use super::{Kind, OPTIONS, fixture};
use crate::support::postgres::{Cluster, database};

async fn refused(url: &str) -> StoreError {
    let options = Options { timeout: Duration::from_secs(2), ..OPTIONS };
    Store::connect(url, options).await.expect_err("this cannot work")
}

#[tokio::test]
async fn each_fault_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere").join("haggle.db");
    let absent = folder.path().join("haggle.db");
    let url = database().await;
    assert!(matches!(refused("mysql://localhost/haggle").await, StoreError::BadUrl(_)));
    assert!(matches!(refused("postgres://localhost:notaport/x").await, StoreError::BadUrl(_)));
    assert!(matches!(refused("sqlite::memory:").await, StoreError::BadUrl(_)));
    assert!(matches!(refused("postgres://u@127.0.0.1:9/x").await, StoreError::Unreachable(_)));
    assert!(matches!(refused(&format!("{url}_other")).await, StoreError::UnknownDatabase(_)));
    assert!(matches!(refused(&url.replace("postgres@", "stranger@")).await, StoreError::Refused(_)));
    let missing = refused(&format!("sqlite://{}?mode=rwc", missing.display())).await;
    assert!(matches!(missing, StoreError::FolderMissing(_)), "{missing}");
    let absent = refused(&format!("sqlite://{}", absent.display())).await;
    assert!(matches!(absent, StoreError::NotWritable(_)), "{absent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_is_unreachable() {
    let cluster = Cluster::start();
    let url = cluster.database().await;
    tokio::task::block_in_place(|| cluster.stop_signal());
    assert!(matches!(refused(&url).await, StoreError::Unreachable(_)));
}

/// SQLite before 3.51.3 can corrupt a database in WAL mode.
#[tokio::test]
async fn the_bundled_sqlite_is_new_enough() {
    let f = fixture(Kind::Sqlite).await;
    let db = Database::connect(&f.url).await.unwrap();
    let asked = Statement::from_string(db.get_database_backend(), "SELECT sqlite_version()");
    let version: String = db.query_one_raw(asked).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(parts >= vec![3, 51, 3], "{version}");
    let asked = Statement::from_string(db.get_database_backend(), "PRAGMA journal_mode");
    let mode: String = db.query_one_raw(asked).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(mode, "wal");
}
