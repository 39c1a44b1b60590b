//! 10: going down, the server refuses what is new, keeps and answers what is under way, says goodbye and ends with 0.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::assert_kept;
use crate::support::On;
use crate::support::client::{Closed, Socket};
use crate::support::rest::token;
use crate::support::server::Process;

/// How long going down may take.
const DOWN_WITHIN: Duration = Duration::from_secs(10);

/// Sends without pause until the server goes; what was acknowledged, and how it ended.
async fn speak(mut socket: Socket, id: i64, name: usize) -> (Vec<Value>, Value, Closed) {
    let mut acknowledged = Vec::new();
    for round in 0.. {
        let mut ids = Vec::new();
        for n in 0..10 {
            let send = json!({ "conversation": id, "body": format!("{name} {round} {n}") });
            ids.push(socket.try_begin("send", send).await);
        }
        for id in ids {
            let Some(reply) = socket.maybe_answer(id).await else {
                let closed = socket.closed().await;
                return (acknowledged, socket.expect("bye").await, closed);
            };
            match reply.code() {
                "" => acknowledged.push(reply.ok()["message"].take()),
                code => assert_eq!(code, "unavailable"),
            }
        }
    }
    unreachable!("the server goes before that")
}

fn assert_goodbye(bye: &Value, closed: &Closed) {
    assert_eq!((&bye["code"], &bye["reconnect"]), (&json!("unavailable"), &json!(true)), "{bye}");
    let wait = bye["retry_after"].as_f64().expect("how long to wait");
    assert!(wait > 0.0 && wait <= 10.0, "{bye}");
    assert!(matches!(closed, Closed::Frame(1_001, _)), "{closed:?}");
}

#[rstest]
#[tokio::test]
async fn sigterm_under_load_loses_nothing_and_says_goodbye_to_all(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut server = Process::start(on, &[("HAGGLE_RATE_LIMITS", "off")]).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut speaking = Vec::new();
    for name in 0..4 {
        let socket = server.joined("alice", id).await;
        speaking.push(tokio::spawn(speak(socket, id, name)));
    }
    let mut bob = server.joined("bob", id).await;
    let mut anonymous = Socket::anonymous(server.address).await;
    bob.messages(200).await;
    let began = Instant::now();
    server.ask_to_go();
    let mut acknowledged = Vec::new();
    let mut waits = Vec::new();
    for socket in speaking {
        let (stored, bye, closed) = socket.await.unwrap();
        assert_goodbye(&bye, &closed);
        waits.push(bye["retry_after"].to_string());
        acknowledged.extend(stored);
    }
    for socket in [&mut bob, &mut anonymous] {
        let closed = socket.closed().await;
        assert_goodbye(&socket.expect("bye").await, &closed);
    }
    waits.dedup();
    assert!(waits.len() > 1, "all are asked to come back at the same moment: {waits:?}");
    let status = server.gone(DOWN_WITHIN).await;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < DOWN_WITHIN, "{:?}", began.elapsed());
    server.restart().await;
    let history = server.messages("bob", id).await;
    assert_kept(&history, &acknowledged);
    assert!(acknowledged.len() >= 200);
}

/// An HTTP connection that is kept open.
async fn keep_alive(server: &Process) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(ask_on(&mut stream, "/readyz").await, 200);
    stream
}

async fn ask_on(stream: &mut TcpStream, path: &str) -> u16 {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: haggle\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let read = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[rstest]
#[tokio::test]
async fn a_stalled_reader_and_an_idle_connection_do_not_keep_it_up(#[values(On::Sqlite, On::Postgres)] on: On) {
    // One database goes with the default of 30 s, by which a stalled reader outlasts going down.
    let patience = if on == On::Sqlite { "30" } else { "3" };
    let env = [("HAGGLE_RATE_LIMITS", "off"), ("HAGGLE_SLOW_READER_SECONDS", patience)];
    let mut server = Process::start(on, &env).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    let mut stalled = Socket::small(server.address, 4_096).await;
    stalled.ask("auth", json!({ "token": token("bob") })).await.ok();
    stalled.ask("join", json!({ "conversation": id })).await.ok();
    super::say_all(&mut alice, id, (0..600).map(|n| format!("{n} {}", "x".repeat(3_900)))).await;
    let (mut probe, mut idle) = (keep_alive(&server).await, keep_alive(&server).await);
    let began = Instant::now();
    server.ask_to_go();
    let closed = alice.closed().await;
    assert_goodbye(&alice.expect("bye").await, &closed);
    assert_eq!(ask_on(&mut probe, "/readyz").await, 503, "ready while going down");
    // So are those who ask on a new connection, as load balancers do; and no socket comes in any more.
    let late = tokio::time::timeout(Duration::from_secs(2), async {
        let mut fresh = TcpStream::connect(server.address).await.unwrap();
        ask_on(&mut fresh, "/readyz").await
    });
    assert_eq!(late.await.ok(), Some(503), "a new connection is not told");
    let late = Socket::with_headers(server.address, &[]).await;
    assert_eq!(late.err().map(|(status, _)| status), Some(503), "a new socket came in");
    let status = server.gone(DOWN_WITHIN).await;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < DOWN_WITHIN, "{:?}", began.elapsed());
    let mut rest = Vec::new();
    drop(idle.read_to_end(&mut rest).await);
    server.restart().await;
    assert_eq!(server.messages("bob", id).await.len(), 600);
}
