//! Each vocabulary as a shop's front end would use it: real `socket.io-client` and `fetch`, against the binary, on both databases.
//!
//! What lives here: running the scripts in `vocabularies/` with Node.js, one a vocabulary. What must not: assertions; the
//! scripts have them.

use std::process::Stdio;
use std::time::Duration;

use rstest::rstest;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::On;

/// How long one script may take.
const WITHIN: Duration = Duration::from_secs(180);

#[rstest]
#[tokio::test]
async fn a_front_end_walks_the_whole_system(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values("book", "group", "item", "order", "shop")] vocabulary: &str,
) {
    run(on, &format!("{vocabulary}.mjs")).await;
}

#[rstest]
#[tokio::test]
async fn a_client_that_is_cut_off_finds_everything_as_it_was(#[values(On::Sqlite, On::Postgres)] on: On) {
    run(on, "recovery.mjs").await;
}

/// Runs a script of `tests/vocabularies/`; it starts the servers that it needs on the database that it is given.
async fn run(on: On, script: &str) {
    let (_folder, url) = on.database().await;
    let script = format!("{}/tests/vocabularies/{script}", env!("CARGO_MANIFEST_DIR"));
    let ran = Command::new("node")
        .args(["--test", "--test-reporter=spec", &script])
        .env("HAGGLE_BIN", env!("CARGO_BIN_EXE_haggle"))
        .env("TEST_DATABASE_URL", url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ran = timeout(WITHIN, ran).await.expect("the script ends in time").expect("node runs");
    let text = format!("{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{script} failed on {on:?}:\n{text}");
}
