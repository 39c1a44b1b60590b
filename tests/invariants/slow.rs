//! 7 and 8: whoever stops reading is cut off in time, costs a bounded number of bytes, slows nobody, and comes back to
//! their cursor.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use super::{say_all, seqs};
use crate::support::On;
use crate::support::client::{Closed, Socket};
use crate::support::rest::{Api, token};
use crate::support::server::{Process, Server};

/// How long a message may take to the others while somebody stalls: generous for a machine that does much else.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A socket of a user that joins and reads nothing more.
async fn stalled(server: &Api, user: &str, id: i64) -> Socket {
    let mut socket = Socket::small(server.address, 4_096).await;
    socket.ask("auth", json!({ "token": token(user) })).await.ok();
    socket.ask("join", json!({ "conversation": id })).await.ok();
    socket
}

/// Reads on until somebody is offline.
async fn until_gone(socket: &mut Socket, user: &str) {
    let gone = json!(false);
    loop {
        let presence = socket.expect("presence").await;
        if presence["user_id"] == user && presence["online"] == gone {
            return;
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_burst_larger_than_what_may_wait_cuts_off_nobody_who_reads(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    let mut bob = server.joined("bob", id).await;
    // As many and as long as anybody may send at once: 3 MB.
    let texts: Vec<_> = (0..200).map(|n| format!("{n:03} {}", "\u{1F980}".repeat(3_900))).collect();
    let (said, heard) = tokio::join!(say_all(&mut alice, id, texts.into_iter()), bob.messages(200));
    assert!(said == heard, "heard something else than was said");
    assert_eq!(alice.say(id, "next").await, bob.messages(1).await[0]);
}

#[rstest]
#[tokio::test]
async fn whoever_reads_nothing_is_cut_off_in_time_and_comes_back_to_the_cursor(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start_with(on, |settings| settings.slow_reader = Duration::from_secs(2)).await;
    let id = server.conversation("order:1", &["alice", "bob", "carol"]).await;
    let (mut alice, mut bob) = (server.joined("alice", id).await, server.joined("bob", id).await);
    let began = Instant::now();
    let mut carol = stalled(&server, "carol", id).await;
    alice.say(id, "hello").await;
    // Both read meanwhile, so both answer the server's pings.
    tokio::join!(until_gone(&mut alice, "carol"), until_gone(&mut bob, "carol"));
    let took = began.elapsed();
    assert!(took > Duration::from_millis(1_500) && took < Duration::from_secs(6), "cut off after {took:?}");
    assert_eq!(alice.say(id, "still").await["seq"], 2);
    assert_eq!(seqs(&bob.messages(2).await), [1, 2]);
    let Closed::Frame(code, _) = carol.closed().await else { panic!("no Close frame") };
    assert_eq!(code, 4408);
    let bye = carol.expect("bye").await;
    assert_eq!((&bye["code"], &bye["reconnect"]), (&json!("slow_reader"), &json!(true)));
    let mut carol = server.socket("carol").await;
    carol.ask("join", json!({ "conversation": id, "after": 0 })).await.ok();
    assert_eq!(seqs(&carol.messages(2).await), [1, 2]);
}

#[rstest]
#[tokio::test]
async fn what_waits_for_a_stalled_reader_is_bounded_and_nobody_else_feels_it(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    const STALLED: usize = 20;
    const FLOOD: usize = 1_000;
    let env = [("HAGGLE_RATE_LIMITS", "off"), ("HAGGLE_SLOW_READER_SECONDS", "3")];
    let server = Process::start(on, &env).await;
    let names: Vec<String> = (0..STALLED).map(|n| format!("stalled{n}")).collect();
    let people: Vec<&str> = names.iter().map(String::as_str).chain(["alice", "bob"]).collect();
    let id = server.conversation("order:1", &people).await;
    let (mut alice, mut bob) = (server.joined("alice", id).await, server.joined("bob", id).await);
    let mut stuck = Vec::new();
    for name in &names {
        stuck.push(stalled(&server, name, id).await);
    }
    // What any load makes it hold is not what those who stall cost.
    let warm = say_all(&mut alice, id, (0..300).map(|n| format!("warm {n} {}", "x".repeat(3_900))));
    tokio::join!(warm, bob.messages(300));
    let before = server.resident_bytes();
    let mut slowest = Duration::ZERO;
    for round in 0..FLOOD / 50 {
        let began = Instant::now();
        let said = say_all(&mut alice, id, (0..50).map(|n| format!("{round} {n} {}", "x".repeat(3_900))));
        let (_, heard) = tokio::join!(said, bob.messages(50));
        assert_eq!(heard.len(), 50);
        slowest = slowest.max(began.elapsed());
    }
    let grown = server.resident_bytes().saturating_sub(before);
    // All that was said is 4 MB, for 20 who do not read 80 MB.
    assert!(grown < 50 * 1_024 * 1_024, "{grown} bytes wait for those who do not read");
    assert!(slowest < AT_ONCE, "50 messages took {slowest:?} while others stalled");
    let all_gone = async |socket: &mut Socket| {
        let mut gone = 0;
        while gone < STALLED {
            gone += usize::from(socket.expect("presence").await["online"] == false);
        }
    };
    tokio::join!(all_gone(&mut alice), all_gone(&mut bob));
    let metrics = server.anybody().get("/metrics").await.text;
    assert!(metrics.contains("haggle_connections 2\n"), "{metrics}");
    // One of them comes back for what it missed.
    drop(stuck);
    let mut back = server.socket(&names[0]).await;
    back.ask("join", json!({ "conversation": id, "after": 0 })).await.ok();
    let heard = back.messages(300 + FLOOD).await;
    assert_eq!(seqs(&heard), (1..=i64::try_from(300 + FLOOD).unwrap()).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn answers_that_nobody_reads_are_bounded_too(#[values(On::Sqlite)] on: On) {
    let env = [("HAGGLE_RATE_LIMITS", "off"), ("HAGGLE_SLOW_READER_SECONDS", "3")];
    let server = Process::start(on, &env).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    say_all(&mut alice, id, (0..200).map(|n| format!("{n} {}", "x".repeat(3_900)))).await;
    let mut bob = server.socket("bob").await;
    assert_eq!(bob.ask("conversations", json!({})).await.ok()["ok"], true);
    let mut greedy = stalled(&server, "bob", id).await;
    let before = server.resident_bytes();
    // Each answer has 800 kB; a thousand of them would be 800 MB.
    let asking = async {
        for _ in 0..1_000 {
            greedy.try_begin("history", json!({ "conversation": id, "limit": 200 })).await;
        }
    };
    drop(tokio::time::timeout(Duration::from_secs(5), asking).await);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 100 * 1_024 * 1_024, "{grown} bytes of answers wait for one who does not read them");
    assert_eq!(alice.say(id, "still").await["seq"], 201);
}
