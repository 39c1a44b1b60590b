//! A thousand who never say who they are, on each kind of connection, each holding on to as much of the server as it lets them.
//!
//! What lives here: what they cost and when they are let go. What must not: what they are told (in `floods` and `frames`).

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;

use haggle::transport::socketio::STRANGER_MAX;
use haggle::transport::websocket::INTRODUCTION_MAX;

use super::Besieged;
use super::polling::Polling;
use super::raw::{Raw, frame, header};

const STRANGERS: usize = 1_000;
/// Bytes of memory that one of them may hold (the promise), and how long (what is set here), with room for a busy machine.
const EACH_MAX: u64 = 256 * 1024;
const AUTH_TIMEOUT_S: u64 = 6;
const LET_GO_WITHIN: Duration = Duration::from_secs(AUTH_TIMEOUT_S + 9);

async fn besieged() -> Besieged {
    let timeout = AUTH_TIMEOUT_S.to_string();
    Besieged::start(&[("HAGGLE_AUTH_TIMEOUT_SECONDS", &timeout), ("HAGGLE_RATE_LIMITS", "off")]).await
}

/// What each stranger costs now, in bytes.
fn each(besieged: &Besieged) -> u64 {
    besieged.server.resident_bytes().saturating_sub(besieged.resident_before) / STRANGERS as u64
}

async fn until_the_neighbour_is_alone(besieged: &Besieged, began: Instant) {
    loop {
        let metrics = besieged.server.anybody().get("/metrics").await.text;
        let sockets = std::fs::read_dir(format!("/proc/{}/fd", besieged.server.id())).expect("a process").count();
        if metrics.lines().any(|line| line == "haggle_connections 1") && sockets < 200 {
            return;
        }
        assert!(began.elapsed() < LET_GO_WITHIN, "{sockets} files are open after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// So many WebSockets at a path that each send these bytes and wait.
async fn hold(besieged: &mut Besieged, path: &str, sent: &[u8]) {
    let began = Instant::now();
    let address = besieged.server.address;
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS / 50 {
        let opening = (0..50).map(async |_| {
            let (mut raw, head) = Raw::upgrade(address, path, "").await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            tokio::time::timeout(Duration::from_secs(2), raw.send(sent)).await.ok();
            raw
        });
        strangers.extend(join_all(opening).await);
    }
    let each = each(besieged);
    eprintln!("{path}, {} bytes sent: {} KiB each", sent.len(), each / 1024);
    assert!(each < EACH_MAX, "{path}: {} KiB each", each / 1024);
    let endings = join_all(strangers.iter_mut().map(async |raw| raw.rest(LET_GO_WITHIN).await.is_some())).await;
    assert_eq!(endings.iter().filter(|ended| !**ended).count(), 0, "{path}: some were not let go");
    assert!(began.elapsed() >= Duration::from_secs(AUTH_TIMEOUT_S), "{path}: let go before their time");
    until_the_neighbour_is_alone(besieged, began).await;
    besieged.neighbour.ask("conversations", serde_json::json!({})).await.ok();
}

/// As many bytes as may come, of a message that is not whole: pings first, then one large piece.
fn almost(bytes: usize) -> Vec<u8> {
    let pings = frame(0x89, &[b' '; 120]).repeat(20);
    let length = bytes - pings.len() - 200;
    [pings, header(0x81, length as u64), vec![b' '; length - 1]].concat()
}

#[actix_web::test]
async fn a_thousand_native_sockets_that_begin_a_message_and_never_end_it() {
    let mut besieged = besieged().await;
    hold(&mut besieged, "/ws", &almost(INTRODUCTION_MAX)).await;
    besieged.resident_before = besieged.server.resident_bytes();
    besieged.end().await;
}

#[actix_web::test]
async fn a_thousand_native_sockets_that_send_fragments_without_end() {
    let mut besieged = besieged().await;
    let fragments = [frame(0x01, &[b' '; 9_000]), frame(0x00, b" ").repeat(1_000)].concat();
    hold(&mut besieged, "/ws", &fragments).await;
    besieged.resident_before = besieged.server.resident_bytes();
    besieged.end().await;
}

#[actix_web::test]
async fn a_thousand_socket_io_sockets_that_begin_a_message_and_never_end_it() {
    let mut besieged = besieged().await;
    hold(&mut besieged, "/socket.io/?EIO=4&transport=websocket", &almost(STRANGER_MAX)).await;
    besieged.resident_before = besieged.server.resident_bytes();
    besieged.end().await;
}

#[actix_web::test]
async fn a_thousand_polling_sessions_that_join_nothing() {
    let mut besieged = besieged().await;
    let (began, address) = (Instant::now(), besieged.server.address);
    let mut sessions = Vec::new();
    for _ in 0..STRANGERS / 50 {
        sessions.extend(join_all((0..50).map(|_| Polling::open(address, &[]))).await);
    }
    // A noop as long as a body may be: nothing of it may stay.
    let body = "6".repeat(STRANGER_MAX);
    for some in sessions.chunks(50) {
        join_all(some.iter().map(|session| session.post(&body))).await;
    }
    // And another that does not end.
    let mut posting = Vec::new();
    for session in &sessions {
        let mut raw = Raw::connect(address).await;
        let path = session.url.split_once(&address.to_string()).expect("an address").1;
        let length = STRANGER_MAX;
        raw.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").as_bytes()).await;
        raw.send(&body.as_bytes()[100..]).await;
        posting.push(raw);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let each = each(&besieged);
    eprintln!("polling: {} KiB each", each / 1024);
    assert!(each < EACH_MAX, "polling: {} KiB each", each / 1024);
    tokio::time::sleep(Duration::from_secs(AUTH_TIMEOUT_S + 2).saturating_sub(began.elapsed())).await;
    for some in sessions.chunks(50) {
        for (status, body) in join_all(some.iter().map(|session| session.call(Method::POST, "6"))).await {
            assert_eq!(status, 400, "a session of nobody's is still there: {body}");
        }
    }
    drop((sessions, posting));
    until_the_neighbour_is_alone(&besieged, began).await;
    besieged.resident_before = besieged.server.resident_bytes();
    besieged.end().await;
}
