//! kill -9 of the server at random points, again and again.

use std::time::{Duration, Instant};

use rstest::rstest;

use super::verdict::Verdict;
use super::world::{Size, World};
use crate::support::On;
use crate::support::server::Process;

/// How soon a server must be ready again.
pub const READY_WITHIN: Duration = Duration::from_secs(2);

/// A run with the server killed so many times, spread over it: the verdict, and the longest that it took to be ready again.
pub async fn killed(world: &mut World, kills: usize) -> (Verdict, Duration) {
    let crowd = world.start(world.server.address);
    let mut slowest = Duration::ZERO;
    for kill in 1..=kills {
        crowd.until(crowd.says() * kill / (kills + 1)).await;
        world.server.kill9();
        let began = Instant::now();
        world.server.restart().await;
        slowest = slowest.max(began.elapsed());
    }
    (world.close(crowd).await, slowest)
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_five_times_under_load_loses_doubles_and_mixes_up_nothing(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let size = Size { users: 9, conversations: 9, seats: 4, says: 250, window: 8, pause: Duration::from_millis(4) };
    let (_folder, url) = on.database().await;
    let server = Process::on(&url, &[("HAGGLE_RATE_LIMITS", "off")]).await;
    let mut world = World::settle(server, &url, size).await;
    let (verdict, slowest) = killed(&mut world, 5).await;
    assert_eq!(verdict.faults, [], "{verdict:?}");
    assert!(verdict.acknowledged > 1_000 && verdict.stints > 40, "too little happened: {verdict:?}");
    assert!(slowest < READY_WITHIN, "it took {slowest:?} to be ready again");
}
