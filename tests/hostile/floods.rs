//! Too much of anything: bytes, fragments, pings, requests, sockets.
//!
//! What lives here: what is refused for its amount. What must not: what is refused for its form.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use haggle::transport::websocket::INTRODUCTION_MAX;
use serde_json::json;

use super::raw::{Raw, frame, header};
use super::{Besieged, GROWTH_MAX};
use crate::support::rest::token;

const TOO_LARGE: u16 = 1009;
const TEXT: u8 = 0x81;

#[actix_web::test]
async fn a_message_that_is_too_large_is_refused_as_soon_as_it_says_so() {
    let mut besieged = Besieged::start(&[]).await;
    let token = token("alice");
    let lengths = [64 * 1024 + 1, 10 * 1024 * 1024, 1 << 40, u64::MAX / 2, u64::MAX];
    for length in lengths {
        for token in [Some(token.as_str()), None] {
            let mut raw = Raw::websocket(besieged.server.address, token).await;
            // The header alone; not a byte of what it declares.
            raw.send(&header(TEXT, length)).await;
            assert_eq!(raw.ending().await.close, Some(TOO_LARGE), "{length} bytes declared");
        }
    }
    // Whoever has not said who they are has a token to send, and no more.
    let mut raw = Raw::websocket(besieged.server.address, None).await;
    raw.send(&header(TEXT, INTRODUCTION_MAX as u64 + 1)).await;
    assert_eq!(raw.ending().await.close, Some(TOO_LARGE));
    besieged.is_well("declaring too much").await;
    let megabyte = vec![b'x'; 1024 * 1024];
    for declared in [10 * 1024 * 1024, 1 << 40] {
        let mut raw = Raw::websocket(besieged.server.address, Some(&token)).await;
        raw.send(&header(TEXT, declared)).await;
        for _ in 0..100 {
            if !raw.offer(&megabyte).await {
                break;
            }
        }
        assert_eq!(raw.ending().await.close, Some(TOO_LARGE), "{declared} bytes declared and sent");
        besieged.is_well("sending too much").await;
    }
    besieged.end().await;
}

#[actix_web::test]
async fn a_message_in_too_many_or_too_large_fragments_is_refused() {
    let mut besieged = Besieged::start(&[]).await;
    let token = token("alice");
    let tiny = [frame(0x01, b"{"), frame(0x00, b" ").repeat(100_000)].concat();
    let empty = [frame(0x01, b""), frame(0x00, b"").repeat(100_000)].concat();
    let large = [frame(0x01, b"{"), frame(0x00, &[b' '; 60_000]).repeat(200)].concat();
    for (what, bytes) in [("one-byte fragments", tiny), ("empty fragments", empty), ("large fragments", large)] {
        for token in [Some(token.as_str()), None] {
            let mut raw = Raw::websocket(besieged.server.address, token).await;
            raw.send(&bytes).await;
            assert_eq!(raw.ending().await.close, Some(TOO_LARGE), "{what}");
        }
        besieged.is_well(what).await;
    }
    besieged.end().await;
}

#[actix_web::test]
async fn pings_by_the_hundred_thousand_are_answered_and_harm_nobody() {
    let mut besieged = Besieged::start(&[]).await;
    let mut raw = Raw::websocket(besieged.server.address, Some(&token("alice"))).await;
    let pings = [frame(0x89, b"x").repeat(100_000), frame(0x8a, b"").repeat(100_000)].concat();
    raw.send(&pings).await;
    besieged.is_well("pings that nobody reads the answers of").await;
    raw.send(&frame(0x88, &[3, 232])).await;
    let ending = raw.ending().await;
    assert_eq!((ending.pongs.len(), ending.close), (100_000, Some(1000)));
    besieged.end().await;
}

#[actix_web::test]
async fn tiny_frames_from_a_peer_that_reads_nothing_are_no_longer_read_and_memory_stays_flat() {
    let mut besieged = Besieged::start(&[]).await;
    // The smallest of all, and requests that each take the database's time.
    let floods = [("empty frames", frame(TEXT, b"")), ("requests", frame(TEXT, br#"{"type":"conversations"}"#))];
    for (what, one) in floods {
        let mut raw = Raw::websocket(besieged.server.address, Some(&token("mallory"))).await;
        // More than the kernel takes in for a server that does not read.
        let flood = one.repeat(24 * 1024 * 1024 / one.len());
        // Never reads: the server must stop reading, and hold no more than its bounds meanwhile.
        let sent = tokio::time::timeout(Duration::from_secs(3), raw.send(&flood)).await;
        besieged.is_well(what).await;
        assert!(sent.is_err(), "{what}: all of it was taken from a peer that reads no answer");
        drop(raw);
        besieged.is_well(what).await;
    }
    besieged.end().await;
}

#[actix_web::test]
async fn large_frames_ahead_of_a_busy_session_are_bounded() {
    let mut besieged = Besieged::start(&[]).await;
    let body = "x".repeat(60_000);
    let frame = frame(TEXT, json!({ "type": "leave", "extra": body }).to_string().as_bytes());
    let flood = frame.repeat(200);
    let mut senders: Vec<_> = Vec::new();
    for _ in 0..20 {
        senders.push(Raw::websocket(besieged.server.address, Some(&token("mallory"))).await);
    }
    // 240 MB from sockets that read nothing.
    let sending = join_all(senders.iter_mut().map(|raw| raw.send(&flood)));
    drop(tokio::time::timeout(Duration::from_secs(8), sending).await);
    besieged.is_well("large frames").await;
    besieged.end().await;
}

#[actix_web::test]
async fn a_thousand_sockets_that_say_nothing_are_closed_in_time() {
    let mut besieged = Besieged::start(&[("HAGGLE_AUTH_TIMEOUT_SECONDS", "2")]).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        let opening = (0..50).map(|_| Raw::websocket(besieged.server.address, None));
        silent.extend(join_all(opening).await);
    }
    besieged.is_well("a thousand sockets").await;
    let endings = join_all(silent.iter_mut().map(Raw::ending)).await;
    for ending in endings {
        assert_eq!(ending.close, Some(4401), "{ending:?}");
        assert!(ending.texts.iter().any(|text| text.contains("\"bye\"")), "{ending:?}");
    }
    let open = besieged.server.anybody().get("/metrics").await.text;
    let open = open.lines().find(|line| line.starts_with("haggle_connections ")).unwrap_or_default().to_owned();
    assert_eq!(open, "haggle_connections 1", "the neighbour alone is left");
    besieged.end().await;
}

#[actix_web::test]
async fn sockets_cut_off_in_the_middle_of_anything_leave_nothing_behind() {
    let mut besieged = Besieged::start(&[]).await;
    let token = token("alice");
    let beginnings: [&[u8]; 4] = [b"\x81", b"\x81\xfe\xff", &header(TEXT, 60_000), &frame(0x01, b"{")];
    for _ in 0..25 {
        for beginning in beginnings {
            let mut raw = Raw::websocket(besieged.server.address, Some(&token)).await;
            raw.send(beginning).await;
        }
    }
    let began = Instant::now();
    loop {
        let metrics = besieged.server.anybody().get("/metrics").await.text;
        if metrics.lines().any(|line| line == "haggle_connections 1") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "sessions outlive their sockets");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    besieged.is_well("a hundred cut off").await;
    assert!(besieged.server.resident_bytes() < besieged.resident_before + GROWTH_MAX);
    besieged.end().await;
}
