//! The database dies or halts under load: what clients hear, that nothing hangs, and that all of it heals.

use std::time::{Duration, Instant};

use haggle::protocol::command::Page;
use haggle::protocol::{ConversationRef, Seq};
use haggle::store::{Appended, Direction, Options, Store};

use super::{page_of, put, say, user};
use crate::support::postgres::Cluster;

const OPTIONS: Options = Options { connections: 3, timeout: Duration::from_secs(1) };
/// Nothing may take longer: twice the timeout.
const NEVER: Duration = Duration::from_secs(2);

fn place(answer: Appended) -> Seq {
    let (Appended::Stored { seq, .. } | Appended::Repeated { seq, .. }) = answer;
    seq
}

async fn store(cluster: &Cluster) -> Store {
    let store = Store::connect(&cluster.database().await, OPTIONS).await.unwrap();
    store.migrate(Direction::Up).await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_that_was_acknowledged_and_is_found_again() {
    let mut cluster = Cluster::start();
    let store = store(&cluster).await;
    let (id, _) = store.put_conversation(&put("order:1", &["alice", "bob"])).await.unwrap();
    let mut writer = store.writer().await.unwrap();
    let load = tokio::spawn(async move {
        let (mut acknowledged, mut refused, mut slowest) = (Vec::new(), 0, Duration::ZERO);
        // Sends again with the same client id until it is acknowledged, as a client would.
        for batch in 0..100 {
            let rows: Vec<_> = (0..10).map(|n| say(id, "alice", Some(&format!("{batch}-{n}")), "hello")).collect();
            loop {
                let start = Instant::now();
                let (answers, _) = writer.write(&rows, &[]).await;
                slowest = slowest.max(start.elapsed());
                let places: Result<Vec<Seq>, _> = answers.into_iter().map(|answer| answer.map(place)).collect();
                match places {
                    Ok(places) => break acknowledged.extend(places),
                    Err(error) => assert_eq!(error.code(), "unavailable"),
                }
                refused += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (acknowledged, refused, slowest)
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::task::block_in_place(|| cluster.kill9());
    assert_eq!(store.ready().await.unwrap_err().code(), "unavailable");
    assert_eq!(store.unread(&user("alice")).await.unwrap_err().code(), "unavailable");
    tokio::task::block_in_place(|| cluster.restart());
    let (acknowledged, refused, slowest) = load.await.unwrap();
    assert!(refused > 0, "the server was killed in the middle of it");
    assert!(slowest < NEVER, "a write took {slowest:?}");
    store.ready().await.unwrap();
    let stored = store.replay(id, Seq(0), Seq(i64::MAX), 10_000).await.unwrap();
    assert_eq!(acknowledged, (1..=1_000).map(Seq).collect::<Vec<_>>(), "each is acknowledged once, in order");
    assert_eq!(stored.iter().map(|message| message.seq).collect::<Vec<_>>(), acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halted_server_hangs_nobody() {
    let cluster = Cluster::start();
    let store = store(&cluster).await;
    let (id, _) = store.put_conversation(&put("order:1", &["alice", "bob"])).await.unwrap();
    let mut writer = store.writer().await.unwrap();
    assert!(writer.write(&[say(id, "alice", Some("1"), "x")], &[]).await.0[0].is_ok());
    tokio::task::block_in_place(|| cluster.stop_signal());
    let alice = user("alice");
    let name = ConversationRef::Id(id);
    // The first call finds a connection that was fine, the second has to make one.
    for _ in 0..2 {
        let start = Instant::now();
        let row = [say(id, "alice", Some("2"), "x")];
        let newest = page_of(&name, Page::Newest, 10);
        let (write, page, ready) = tokio::join!(writer.write(&row, &[]), store.history(&alice, &newest), store.ready());
        assert_eq!(write.0[0].as_ref().unwrap_err().code(), "unavailable");
        assert_eq!(page.unwrap_err().code(), "unavailable");
        assert_eq!(ready.unwrap_err().code(), "unavailable");
        assert!(start.elapsed() < NEVER, "an answer took {:?}", start.elapsed());
    }
    tokio::task::block_in_place(|| cluster.cont());
    let start = Instant::now();
    while store.ready().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "it does not come back");
    }
    let (stored, _) = writer.write(&[say(id, "alice", Some("2"), "x")], &[]).await;
    assert_eq!(stored[0].clone().map(place), Ok(Seq(2)), "sent again under the same client id, it is stored once");
    assert_eq!(store.history(&alice, &page_of(&name, Page::Newest, 10)).await.unwrap().messages.len(), 2);
}
