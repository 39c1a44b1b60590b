//! What a log keeps of those who want to write into it: each line is the server's own, whatever stands in names, titles, paths and
//! headers, and a terminal that shows it obeys nobody.
//!
//! What lives here: the log of a running server, which is JSON. How lines are written on a terminal is tested in `telemetry`.

use serde_json::{Value, json};

use super::polling::Polling;
use super::raw::Raw;
use super::{Besieged, SAID};
use crate::hostile::forge::{claims_with, token_of};
use crate::support::client::Socket;
use crate::support::socketio::SocketIo;

/// A line that the server never wrote.
const FORGED: &str = "{\"timestamp\":\"2026-01-01T00:00:00Z\",\"level\":\"ERROR\",\"message\":\"forged-forged\"}";

/// Text that would begin a line of its own, colour it, hide it or turn it round.
fn poison() -> Vec<String> {
    let all = [
        format!("x\n{FORGED}\ny"),
        format!("x\r\n{FORGED}\r\ny"),
        format!("x\r{FORGED}"),
        format!("x\u{2028}{FORGED}\u{2029}"),
        format!("x\u{85}{FORGED}"),
        format!("\u{1b}[2J\u{1b}[1;31m{FORGED}\u{1b}]0;title\u{7}"),
        format!("\u{9b}31m{FORGED}\u{202e}\u{200b}\u{8}\u{7f}"),
        format!("\"}}\n{FORGED}"),
    ];
    all.into()
}

/// Headers with what HTTP lets stand in one, raw bytes among it.
async fn raw_requests(besieged: &Besieged, poison: &str) {
    let one_line = poison.replace(['\n', '\r'], "\t");
    let percent: String = poison.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let c1: String = poison.chars().filter(|c| *c as u32 > 0x7f).collect();
    let requests = [
        format!("GET /v1/conversations/{percent} HTTP/1.1\r\n"),
        format!("GET /{percent}?{percent} HTTP/1.1\r\n"),
        format!("GET /x{c1} HTTP/1.1\r\n"),
        format!("GET /{} HTTP/1.1\r\n", one_line.replace([' ', '\t'], "")),
        format!(
            "GET /healthz HTTP/1.1\r\nUser-Agent: {one_line}\r\nReferer: {one_line}\r\nX-Request-Id: {one_line}\r\n"
        ),
        format!(
            "GET /healthz HTTP/1.1\r\nX-Forwarded-For: {one_line}\r\nX-Forwarded-Host: {one_line}\r\nForwarded: for={one_line}\r\n"
        ),
        format!("GET /ws HTTP/1.1\r\nOrigin: {one_line}\r\nSec-WebSocket-Protocol: {one_line}\r\n"),
        format!("{} / HTTP/1.1\r\n", one_line.replace([' ', '\t'], "")),
    ];
    for request in requests {
        let mut raw = Raw::connect(besieged.server.address).await;
        raw.send(format!("{request}Host: a\r\nConnection: close\r\n\r\n").as_bytes()).await;
        raw.rest(std::time::Duration::from_secs(5)).await.expect("an end");
    }
}

/// Every name that somebody gives.
async fn names(besieged: &Besieged, poison: &str) {
    let server = &besieged.server;
    server.shop().put("/v1/users/carol", json!({ "name": poison, "role": poison })).await;
    server.shop().put("/v1/subjects/item/1", json!({ "title": poison, "owner_id": "bob", "url": poison })).await;
    let body =
        json!({ "title": poison, "participants": [{ "user_id": "alice", "role": poison }, { "user_id": poison }] });
    server.shop().put("/v1/conversations/order:1", body).await;
    server
        .user("alice")
        .post("/v1/conversations", json!({ "title": poison, "participants": [{ "user_id": "bob" }] }))
        .await;
    let named = token_of(r#"{"alg":"HS256"}"#, claims_with(&format!(",\"name\":{}", json!(poison))));
    let mut socket = Socket::anonymous(server.address).await;
    socket.ask("auth", json!({ "token": named })).await.ok();
    for kind in ["send", poison] {
        socket.ask(kind, json!({ "conversation": besieged.conversation, "body": poison, "client_id": poison })).await;
    }
    socket.ask("join", json!({ "conversation": poison })).await;
    let mut shop = SocketIo::connect(server.address, "/shop", &json!({ "token": named })).await.expect("alice");
    shop.ask(poison, &json!({ "conversationId": poison })).await;
    shop.ask(
        "chat:send_message",
        &json!({ "conversationId": besieged.conversation, "message": poison, "messageType": poison }),
    )
    .await;
    let mut nobody = Polling::open(server.address, &[]).await;
    assert!(nobody.connect(&format!("/{}", poison.replace(',', ";")), &json!({ "token": poison })).await.is_err());
}

#[actix_web::test]
async fn no_line_of_the_log_is_anybody_elses() {
    let mut besieged =
        Besieged::start(&[("HAGGLE_LOG", "trace,sqlx=info,h2=info"), ("HAGGLE_RATE_LIMITS", "off")]).await;
    for poison in poison() {
        raw_requests(&besieged, &poison).await;
        names(&besieged, &format!("{SAID}{poison}")).await;
    }
    besieged.is_well("poisoned names").await;
    let log = besieged.server.log();
    assert!(log.lines().count() > 100, "the log tells of it");
    for line in log.lines() {
        let read: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("this is no line of ours: {line}"));
        assert!(read["timestamp"].is_string() && read["level"].is_string() && read["target"].is_string(), "{line}");
        assert_ne!(read["message"], "forged-forged", "{line}");
        let hidden = |c: char| {
            c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!line.chars().any(hidden), "a terminal would obey this: {}", line.escape_debug());
    }
    besieged.end().await;
}
