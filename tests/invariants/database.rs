//! PostgreSQL killed or halted under load: nothing hangs, nothing acknowledged is lost, and all goes on by itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::assert_kept;
use crate::support::client::Socket;
use crate::support::postgres::Cluster;
use crate::support::rest::token;
use crate::support::server::Process;
use crate::support::socketio::SocketIo;

/// Nothing may hang for longer.
const HANGS_MAX: Duration = Duration::from_secs(10);
/// How soon readiness turns, with something for the asking itself on a busy machine.
const TURNS_WITHIN: Duration = Duration::from_millis(2_500);

struct Load {
    stop: tokio::sync::oneshot::Sender<()>,
    speaking: tokio::task::JoinHandle<Spoken>,
}

#[derive(Default)]
struct Spoken {
    acknowledged: Vec<Value>,
    refused: usize,
    slowest: Duration,
}

impl Load {
    /// Says one thing after another, each again until it is stored.
    fn begin(mut socket: Socket, id: i64, name: usize) -> Self {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let speaking = tokio::spawn(async move {
            let mut spoken = Spoken::default();
            for n in 0.. {
                let send =
                    json!({ "conversation": id, "body": format!("{name} {n}"), "client_id": format!("{n} {name}") });
                loop {
                    let began = Instant::now();
                    let reply = socket.ask("send", send.clone()).await;
                    spoken.slowest = spoken.slowest.max(began.elapsed());
                    if reply.code().is_empty() {
                        spoken.acknowledged.push(reply.ok()["message"].take());
                        break;
                    }
                    assert_eq!(reply.code(), "unavailable");
                    spoken.refused += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                if stopped.try_recv().is_ok() {
                    break;
                }
            }
            spoken
        });
        Self { stop, speaking }
    }

    async fn end(self) -> Spoken {
        self.stop.send(()).unwrap();
        self.speaking.await.unwrap()
    }
}

/// Waits until readiness is as it should be, and tells how long that took.
async fn until_ready_is(server: &Process, status: u16) -> Duration {
    let began = Instant::now();
    while server.status("/readyz").await != Some(status) {
        assert!(began.elapsed() < HANGS_MAX, "readiness did not turn to {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

/// Hurts the database in the middle of a conversation, heals it, and sees whether all goes on.
async fn survives(timeout_s: &str, hurt: impl AsyncFnOnce(&mut Cluster), heal: impl AsyncFnOnce(&mut Cluster)) {
    let mut cluster = Cluster::start();
    let url = cluster.database().await;
    let env = [("HAGGLE_RATE_LIMITS", "off"), ("HAGGLE_DATABASE_TIMEOUT_SECONDS", timeout_s)];
    let server = Process::on(&url, &env).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut bob = server.joined("bob", id).await;
    let mut idle = server.joined("bob", id).await;
    let mut load = Vec::new();
    for name in 0..4 {
        load.push(Load::begin(server.joined("alice", id).await, id, name));
    }
    bob.messages(100).await;

    hurt(&mut cluster).await;
    let took = until_ready_is(&server, 503).await;
    assert!(took < TURNS_WITHIN, "not ready only after {took:?}");
    let alive = server.status("/healthz").await;
    assert_eq!(alive, Some(200), "the process answers whatever becomes of the database");
    for path in [format!("/v1/conversations/{id}/messages"), "/v1/conversations".to_owned()] {
        let began = Instant::now();
        let answer = server.user("bob").get(&path).await;
        assert_eq!(answer.verdict(), (503, "unavailable"), "{path}");
        assert!(began.elapsed() < HANGS_MAX, "{path} hung for {:?}", began.elapsed());
    }
    let began = Instant::now();
    assert_eq!(idle.ask("send", json!({ "conversation": id, "body": "x" })).await.code(), "unavailable");
    assert!(began.elapsed() < HANGS_MAX, "a send hung for {:?}", began.elapsed());

    heal(&mut cluster).await;
    let took = until_ready_is(&server, 200).await;
    assert!(took < TURNS_WITHIN, "ready only after {took:?}");
    let mut acknowledged = Vec::new();
    for load in load {
        let spoken = load.end().await;
        assert!(spoken.refused > 0, "the database was away and nobody noticed");
        assert!(spoken.slowest < HANGS_MAX, "a send hung for {:?}", spoken.slowest);
        acknowledged.extend(spoken.acknowledged);
    }
    let history = server.messages("bob", id).await;
    // Each of alice's texts is there once; the one of bob's that was `unavailable` may be.
    assert_kept(&history, &acknowledged);
    assert!(history.len() - acknowledged.len() <= 1, "{} of {}", acknowledged.len(), history.len());
    // Bob never lost his connection, and has heard all of it, in order, without asking.
    let heard = bob.messages(history.len() - 100).await;
    assert_eq!(heard, history[100..]);
    assert_eq!(
        server.user("alice").get("/v1/unread").await.ok()["total"].as_i64().unwrap() as usize,
        history.len() - acknowledged.len()
    );
    assert!(!server.log().contains("postgres://"), "the database's URL is in the log");
}

#[tokio::test]
async fn a_killed_database_is_survived() {
    survives("2", async |cluster| cluster.kill9(), async |cluster| cluster.restart()).await;
}

#[tokio::test]
async fn a_halted_database_is_survived() {
    survives("3", async |cluster| cluster.stop_signal(), async |cluster| cluster.cont()).await;
}

/// The database stores a message and cannot say so. Sent again it is the same message, and the others hear it.
#[tokio::test]
async fn a_message_whose_outcome_was_not_known_is_heard_once_it_is_sent_again() {
    let cluster = Cluster::start();
    let url = cluster.database().await;
    let server = Process::on(&url, &[("HAGGLE_DATABASE_TIMEOUT_SECONDS", "1")]).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut alice, mut bob) = (server.joined("alice", id).await, server.joined("bob", id).await);
    let mut phone = server.socket("alice").await;
    alice.say(id, "first").await;
    bob.expect("message").await;
    cluster.stop_signal();
    let send = json!({ "conversation": id, "body": "unknown", "client_id": "one" });
    assert_eq!(alice.ask("send", send.clone()).await.code(), "unavailable");
    cluster.cont();
    // What was on its way to the database has arrived when it is in the history.
    while server.messages("bob", id).await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stored = alice.ask("send", send.clone()).await.ok()["message"].take();
    assert_eq!(stored["seq"], 2);
    assert_eq!(bob.expect("message").await["message"], stored, "answered as stored, but the others never heard it");
    alice.ask("send", send).await.ok();
    let third = alice.say(id, "third").await;
    assert_eq!(bob.expect("message").await["message"], third, "heard twice");
    assert_eq!(server.messages("bob", id).await.len(), 3);
    let own = bob.say(id, "hello").await;
    assert_eq!(own["seq"], 4);
    let unread = phone.expect("unread").await;
    assert_eq!(unread["count"], 1, "one's own message counts as unread: {unread}");
}

/// The database stores a message and cannot say so, and its sender never comes back. The others hear it all the same.
#[tokio::test]
async fn a_message_whose_outcome_was_not_known_is_heard_though_it_is_never_sent_again() {
    let cluster = Cluster::start();
    let url = cluster.database().await;
    let server = Process::on(&url, &[("HAGGLE_DATABASE_TIMEOUT_SECONDS", "1")]).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut alice, mut bob) = (server.joined("alice", id).await, server.joined("bob", id).await);
    let mut phone = server.socket("bob").await;
    alice.say(id, "first").await;
    bob.expect("message").await;
    phone.expect("unread").await;
    cluster.stop_signal();
    let send = json!({ "conversation": id, "body": "unknown", "client_id": "one" });
    assert_eq!(alice.ask("send", send).await.code(), "unavailable");
    drop(alice);
    cluster.cont();
    while server.messages("bob", id).await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut late = server.socket("bob").await;
    let joined = late.ask("join", json!({ "conversation": id, "after": 1 })).await.ok();
    assert_eq!(joined["last_seq"], 2, "the room knows less than the database");
    assert_eq!(late.expect("message").await["message"]["body"], "unknown");
    let heard = bob.expect("message").await;
    assert_eq!((&heard["message"]["seq"], &heard["message"]["body"]), (&json!(2), &json!("unknown")));
    assert_eq!(phone.expect("unread").await["count"], 2);
    let own = bob.say(id, "hello").await;
    assert_eq!(own["seq"], 3);
}

/// A refused CONNECT ends the official client for good; from a transport that closes it comes back by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_connects_by_socket_io_while_the_database_is_away_is_sent_off_to_come_back() {
    let mut cluster = Cluster::start();
    let url = cluster.database().await;
    let server = Process::on(&url, &[("HAGGLE_DATABASE_TIMEOUT_SECONDS", "2")]).await;
    let id = server.conversation("group:1", &["alice", "bob"]).await;
    cluster.kill9();
    until_ready_is(&server, 503).await;
    let mut alice = SocketIo::open(server.address, "/group").await;
    let auth = json!({ "token": token("alice") });
    assert_eq!(alice.joins(&auth).await, None, "it was refused, and would never come back");
    cluster.restart();
    until_ready_is(&server, 200).await;
    let mut alice = SocketIo::connect(server.address, "/group", &auth).await.expect("a socket");
    assert_eq!(alice.ask("join_chat", &json!({ "chatId": id })).await["chatId"], id);
}
