//! The machine's clock is stepped under load, by an hour and by a day, both ways.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rstest::rstest;

use super::verdict::judge;
use super::world::{Size, World};
use crate::support::On;

const SIZE: Size = Size { users: 9, conversations: 9, seats: 4, says: 60, window: 4, pause: Duration::from_millis(8) };

/// The library that lies about the time of day and not about how time passes: Debian's package `faketime`.
fn library() -> PathBuf {
    let found = ["x86_64", "aarch64"]
        .map(|machine| PathBuf::from(format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1")));
    found.into_iter().find(|path| path.exists()).expect("the package `faketime`: `make setup` installs it")
}

/// Says what time it is, in seconds from the truth.
fn step(file: &Path, seconds: i64) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{seconds:+}s")).expect("a file");
    std::fs::rename(new, file).expect("a file");
}

#[rstest]
#[case::an_hour(3_600)]
#[case::a_day(86_400)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_stepped_mixes_up_nothing(#[case] by: i64, #[values(On::Sqlite, On::Postgres)] on: On) {
    let (_database, url) = on.database().await;
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("clock");
    step(&told, 0);
    let (library, told_by) = (library(), told.to_string_lossy().into_owned());
    let env = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", told_by.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let world = World::at(&url, &env, SIZE).await;
    let crowd = world.start(world.server.address);
    for (round, seconds) in [by, 0, -by, 0].into_iter().enumerate() {
        crowd.until(crowd.says() * (round + 1) / 6).await;
        step(&told, seconds);
    }
    let evidence = world.evidence(crowd.rest().await).await;
    let times = || evidence.rows.iter().map(|row| row.created_at_ms);
    let span = times().max().unwrap() - times().min().unwrap();
    assert!(span > by * 1_900, "the server did not believe the clock: all was said within {span} ms");
    let verdict = judge(&evidence);
    assert_eq!(verdict.faults, [], "{verdict:?}");
}
