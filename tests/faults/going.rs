//! Going down in order, under load: once, asked twice, and with the database gone.

use std::time::{Duration, Instant};

use rstest::rstest;

use super::world::{Size, World};
use crate::support::On;
use crate::support::postgres::Cluster;

const SIZE: Size = Size { users: 12, conversations: 9, seats: 4, says: 80, window: 4, pause: Duration::from_millis(8) };
/// How long going down may take.
const DOWN_WITHIN: Duration = Duration::from_secs(10);

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_asked_to_go_under_load_goes_in_time_and_loses_nothing(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(1, 2)] times: usize,
) {
    let mut world = World::on(on, SIZE).await;
    let crowd = world.start(world.server.address);
    for round in 1..=2 {
        crowd.until(crowd.says() * round / 3).await;
        let began = Instant::now();
        for _ in 0..times {
            world.server.ask_to_go();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let status = world.server.gone(DOWN_WITHIN).await;
        assert!(status.success(), "{status} after {:?}", began.elapsed());
        world.server.restart().await;
    }
    world.close_clean(crowd).await;
}

#[rstest]
#[case::killed(true)]
#[case::halted(false)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_asked_to_go_while_the_database_is_away_goes_in_time(#[case] killed: bool) {
    let mut cluster = Cluster::start();
    let mut world = World::at(&cluster.database().await, &[], SIZE).await;
    let crowd = world.start(world.server.address);
    crowd.until(crowd.says() / 2).await;
    if killed {
        tokio::task::block_in_place(|| cluster.kill9());
    } else {
        cluster.stop_signal();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    world.server.ask_to_go();
    let status = world.server.gone(DOWN_WITHIN).await;
    assert!(status.success(), "{status} after {:?}", began.elapsed());
    if killed {
        tokio::task::block_in_place(|| cluster.restart());
    } else {
        cluster.cont();
    }
    world.server.restart().await;
    world.close_clean(crowd).await;
}
