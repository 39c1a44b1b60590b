//! Requests that never quite come: heads and bodies a byte at a time, bodies announced and not sent.
//!
//! What lives here: what is refused for taking too long. What must not: readers that take nothing (other tests have them).

use std::time::{Duration, Instant};

use super::Besieged;
use super::raw::Raw;
use crate::support::rest::token;

/// How long a request may be on its way, with room for a busy machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(20);

/// Sends what there is, then a byte a while, until the server closes or has answered in full; what it said.
async fn drip(besieged: &Besieged, head: String, more: &[u8]) -> String {
    let mut raw = Raw::connect(besieged.server.address).await;
    raw.send(head.as_bytes()).await;
    let began = Instant::now();
    loop {
        if !more.is_empty() && !raw.offer(more).await {
            return raw.rest(Duration::from_secs(1)).await.unwrap_or_default();
        }
        if let Some(said) = raw.rest(Duration::from_millis(500)).await {
            return said;
        }
        // A body of unknown length goes on being skipped, as keep-alive has it; the answer is there all the same.
        if raw.so_far().ends_with('}') {
            return raw.so_far();
        }
        assert!(began.elapsed() < CLOSED_WITHIN, "still open after {CLOSED_WITHIN:?}: {head:.60}");
    }
}

#[actix_web::test]
async fn a_request_that_does_not_come_in_time_is_let_go() {
    let mut besieged = Besieged::start(&[]).await;
    let post = |extra: &str| {
        let bearer = token("alice");
        format!(
            "POST /v1/conversations/order:1/messages HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {bearer}\r\n\
             Content-Type: application/json\r\n{extra}\r\n"
        )
    };
    let rows = [
        drip(&besieged, "GET /healthz HTTP/1.1\r\n".into(), b"X"),
        drip(&besieged, "GET /healthz HTTP/1.1\r\nHost: a\r\n".into(), b"X: y\r\n"),
        drip(&besieged, String::new(), b""),
        drip(&besieged, post("Content-Length: 1000\r\n"), b""),
        drip(&besieged, post("Content-Length: 1000\r\n"), b" "),
        drip(&besieged, post("Transfer-Encoding: chunked\r\n"), b"1\r\n \r\n"),
        drip(&besieged, "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n".into(), b" "),
    ];
    let said = futures_util::future::join_all(rows).await;
    for (place, said) in said.iter().enumerate().filter(|(place, _)| (3..6).contains(place)) {
        assert!(said.contains("\"code\":\"invalid\""), "{place}: the body came too slowly, and the answer is {said}");
    }
    besieged.is_well("slow requests").await;
    besieged.end().await;
}
