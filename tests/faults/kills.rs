//! kill -9 of the server at random points, again and again.

use std::time::{Duration, Instant};

use rstest::rstest;

use super::verdict::Verdict;
use super::world::{Size, World};
use crate::support::On;
use crate::support::rest::token;
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
    let mut world = World::on(on, size).await;
    let (verdict, slowest) = killed(&mut world, 5).await;
    assert_eq!(verdict.faults, [], "{verdict:?}");
    assert!(verdict.acknowledged > 1_000 && verdict.stints > 40, "too little happened: {verdict:?}");
    assert!(slowest < READY_WITHIN, "it took {slowest:?} to be ready again");
}

/// Engine.IO by polling, a request at a time.
struct Poller {
    http: reqwest::Client,
    url: String,
}

impl Poller {
    async fn join(server: &Process, user: &str) -> (Self, String) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let base = format!("http://{}/socket.io/?EIO=4&transport=polling", server.address);
        let opened = http.get(&base).send().await.unwrap().text().await.unwrap();
        let opened: serde_json::Value = serde_json::from_str(&opened[1..]).unwrap();
        let poller = Self { http, url: format!("{base}&sid={}", opened["sid"].as_str().unwrap()) };
        let auth = serde_json::json!({ "token": token(user) });
        let joins = poller.http.post(&poller.url).body(format!("40/group,{auth}")).send().await.unwrap();
        assert_eq!(joins.status(), 200);
        let mut heard = String::new();
        while !heard.contains("40/group") {
            heard += &poller.poll().await;
        }
        (poller, heard)
    }

    async fn poll(&self) -> String {
        self.http.get(&self.url).send().await.unwrap().text().await.unwrap()
    }
}

#[rstest]
#[tokio::test]
async fn a_polls_answer_that_its_client_may_not_have_is_told_again_after_a_kill(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let mut server = Process::start(on, &[]).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (bob, _) = Poller::join(&server, "bob").await;
    server.user("alice").say(id, "first").await.ok();
    assert!(bob.poll().await.contains("first"));
    // The next poll shows that bob has the answer to the one before; nothing shows that he has the answer to this one.
    let (heard, said) = tokio::join!(bob.poll(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.user("alice").say(id, "second").await
    });
    said.ok();
    assert!(heard.contains("second"));
    // As long as it takes until what was received is written.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    server.kill9();
    server.restart().await;
    let (bob, mut heard) = Poller::join(&server, "bob").await;
    while !heard.contains("second") {
        heard += &tokio::time::timeout(Duration::from_secs(5), bob.poll()).await.expect("the second is told again");
    }
    assert!(!heard.contains("first"), "what bob has is told again: {heard}");
}
