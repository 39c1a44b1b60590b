//! Bad links: between clients and the server, and between the server and its database.

use std::time::{Duration, Instant};

use rstest::rstest;

use super::evidence::PHRASE;
use super::proxy::{Proxy, Weather};
use super::world::{Size, World};
use crate::support::On;
use crate::support::postgres::Cluster;
use crate::support::server::Process;

const SIZE: Size = Size { users: 9, conversations: 9, seats: 4, says: 60, window: 4, pause: Duration::from_millis(10) };
/// How long it may take until somebody says something.
const SOON: Duration = Duration::from_secs(20);

#[rstest]
#[case::delayed(Weather::Delayed(Duration::from_millis(30)))]
#[case::throttled(Weather::Throttled(200_000))]
#[case::split(Weather::Split(3))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_link_is_slow_and_nothing_worse(#[case] weather: Weather) {
    let world = World::on(On::Sqlite, SIZE).await;
    let proxy = Proxy::before(world.server.address, weather).await;
    let crowd = world.start(proxy.address);
    world.close_clean(crowd).await;
}

/// Every third device's link fails again and again, in one of these ways; the others' stay.
#[rstest]
#[case::cut(None)]
#[case::blackholed(Some(Weather::Blackhole))]
#[case::half_closed(Some(Weather::HalfClosed))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_fail_lose_nothing(#[case] weather: Option<Weather>) {
    let world = World::on(On::Postgres, SIZE).await;
    let proxy = Proxy::before(world.server.address, Weather::Fair).await;
    let (good, bad) = (world.server.address, proxy.address);
    let crowd = world.start_by(|plan| if plan.user.ends_with(['0', '1', '5', '8']) { bad } else { good });
    for round in 1..=4 {
        crowd.until(crowd.says() * round / 5).await;
        let before = proxy.accepted();
        match weather {
            None => proxy.cut(),
            Some(weather) => {
                proxy.set(weather);
                tokio::time::sleep(Duration::from_millis(300)).await;
                proxy.set(Weather::Fair);
                proxy.cut();
            }
        }
        // Each of the five devices comes back.
        let began = Instant::now();
        while proxy.accepted() < before + 5 {
            assert!(began.elapsed() < SOON, "{} of 5 came back", proxy.accepted() - before);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    world.close_clean(crowd).await;
}

/// A server whose link to its PostgreSQL goes through a proxy.
async fn behind_a_proxy(cluster: &Cluster) -> (World, Proxy) {
    let url = cluster.database().await;
    let (before, database) = url.rsplit_once('/').expect("a database");
    let target = before.rsplit_once('@').expect("an address").1.parse().expect("an address");
    let proxy = Proxy::before(target, Weather::Fair).await;
    let through = format!("postgres://postgres@{}/{database}", proxy.address);
    let server = Process::on(&through, &[("HAGGLE_RATE_LIMITS", "off")]).await;
    (World::settle(server, &url, SIZE).await, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_cut_between_commit_and_its_answer_neither_loses_nor_doubles() {
    let cluster = Cluster::start();
    let (world, proxy) = behind_a_proxy(&cluster).await;
    let crowd = world.start(world.server.address);
    for round in 1..=5 {
        crowd.until(crowd.says() * round / 7).await;
        proxy.set_trap(PHRASE, true);
        assert!(proxy.caught(SOON).await, "nothing was written in time");
    }
    world.close_clean(crowd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_between_commit_and_acknowledgement_neither_loses_nor_doubles() {
    let cluster = Cluster::start();
    let (mut world, proxy) = behind_a_proxy(&cluster).await;
    let crowd = world.start(world.server.address);
    for round in 1..=3 {
        crowd.until(crowd.says() * round / 5).await;
        proxy.set_trap(PHRASE, false);
        assert!(proxy.caught(SOON).await, "nothing was written in time");
        world.server.kill9();
        proxy.cut();
        world.server.restart().await;
    }
    world.close_clean(crowd).await;
}

/// Everybody's acknowledgements come through, and the deliveries to half of them do not.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_between_commit_and_delivery_loses_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::on(on, SIZE).await;
    let proxy = Proxy::before(world.server.address, Weather::Fair).await;
    let (good, bad) = (world.server.address, proxy.address);
    let crowd = world.start_by(|plan| if plan.user.ends_with(['0', '1', '5', '8']) { bad } else { good });
    for round in 1..=3 {
        crowd.until(crowd.says() * round / 6).await;
        proxy.set(Weather::Blackhole);
        tokio::time::sleep(Duration::from_millis(150)).await;
        world.server.kill9();
        proxy.set(Weather::Fair);
        world.server.restart().await;
    }
    world.close_clean(crowd).await;
}
