//! Bytes that are no WebSocket messages (RFC 6455): each ends its connection with the right Close code.
//!
//! What lives here: frames that the protocol forbids. What must not: how many or how large (in `floods`).

use std::time::Duration;

use super::Besieged;
use super::raw::{Raw, frame, header};
use crate::support::rest::token;

const PROTOCOL: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const NOT_UTF8: u16 = 1007;

/// What is sent, and the Close code that it is answered with.
fn cases() -> Vec<(&'static str, Vec<u8>, u16)> {
    let unmasked = || vec![0x81, 2, b'h', b'i'];
    let close = |payload: &[u8]| frame(0x88, payload);
    let mut cases = vec![
        ("an unmasked frame", unmasked(), PROTOCOL),
        ("an unmasked frame after a good ping", [frame(0x89, b""), unmasked()].concat(), PROTOCOL),
        ("a continuation without a start", frame(0x80, b"x"), PROTOCOL),
        ("a continuation without a start that goes on", frame(0x00, b"x"), PROTOCOL),
        ("a start within a message", [frame(0x01, b"a"), frame(0x01, b"b")].concat(), PROTOCOL),
        ("a whole text within a message", [frame(0x01, b"a"), frame(0x81, b"b")].concat(), PROTOCOL),
        ("a ping in fragments", frame(0x09, b"x"), PROTOCOL),
        ("a close in fragments", frame(0x08, &[3, 232]), PROTOCOL),
        ("a ping of 126 bytes", frame(0x89, &[b'x'; 126]), PROTOCOL),
        ("a pong of 126 bytes", frame(0x8a, &[b'x'; 126]), PROTOCOL),
        ("a close of 126 bytes", close(&[3; 126]), PROTOCOL),
        ("a close of one byte", close(&[3]), PROTOCOL),
        ("a close with words that are no UTF-8", close(&[3, 232, 0xff]), PROTOCOL),
        ("a binary frame", frame(0x82, b"{}"), UNSUPPORTED),
        ("a binary frame in fragments", frame(0x02, b"{}"), UNSUPPORTED),
        ("an empty binary frame", frame(0x82, b""), UNSUPPORTED),
        ("invalid UTF-8", frame(0x81, b"{\"id\":\xff}"), NOT_UTF8),
        ("a lone surrogate as UTF-8", frame(0x81, b"\xed\xa0\x80"), NOT_UTF8),
        ("an overlong spelling", frame(0x81, b"\xc0\xaf"), NOT_UTF8),
        ("a character cut off", frame(0x81, b"\xf0\x9f\x98"), NOT_UTF8),
        (
            "fragments that are invalid UTF-8 together",
            [frame(0x01, b"{\"a\":\"\xf0\x9f"), frame(0x00, b"\xff"), frame(0x80, b"\"}")].concat(),
            NOT_UTF8,
        ),
    ];
    for rsv in [0x10, 0x20, 0x40, 0x70] {
        cases.push(("a reserved bit", frame(0x81 | rsv, b"{}"), PROTOCOL));
    }
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        cases.push(("a reserved opcode", frame(0x80 | opcode, b"{}"), PROTOCOL));
        // Refused for its first byte, before what it declares has come.
        cases.push(("the header of a reserved opcode", header(0x80 | opcode, 60_000), PROTOCOL));
    }
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535_u16] {
        cases.push(("a close with a code that nobody may send", close(&code.to_be_bytes()), PROTOCOL));
    }
    cases
}

#[actix_web::test]
async fn what_the_protocol_forbids_ends_the_connection_with_its_code() {
    let mut besieged = Besieged::start(&[]).await;
    let token = token("alice");
    // By somebody known, and by nobody; all at once, so that they are each other's neighbours too.
    let both = cases().into_iter().flat_map(|case| [(case.clone(), Some(token.as_str())), (case, None)]);
    let address = besieged.server.address;
    let ended = both.map(async |((what, bytes, code), token)| {
        let mut raw = Raw::websocket(address, token).await;
        raw.send(&bytes).await;
        let ending = raw.ending().await;
        assert_eq!(ending.close, Some(code), "{what}: {bytes:02x?}");
        // The peer never closes its side, and is let go all the same.
        assert!(raw.rest(Duration::from_secs(5)).await.is_some(), "{what}: the connection was left open");
    });
    futures_util::future::join_all(ended).await;
    besieged.is_well("what the protocol forbids").await;
    besieged.end().await;
}

#[actix_web::test]
async fn a_close_is_answered_with_the_same_code() {
    let besieged = Besieged::start(&[]).await;
    for (payload, code) in [(&b""[..], None), (&[3, 232], Some(1000)), (b"\x0f\xa0bye", Some(4000))] {
        let mut raw = Raw::websocket(besieged.server.address, Some(&token("alice"))).await;
        raw.send(&frame(0x88, payload)).await;
        assert_eq!(raw.ending().await.close, code, "{payload:?}");
    }
    besieged.end().await;
}

#[actix_web::test]
async fn a_frame_cut_anywhere_is_still_one_frame() {
    let besieged = Besieged::start(&[]).await;
    let mut raw = Raw::websocket(besieged.server.address, Some(&token("alice"))).await;
    for byte in frame(0x81, br#"{"id":77,"type":"conversations"}"#) {
        raw.send(&[byte]).await;
    }
    raw.text_with("\"id\":77").await;
    // A character may be cut in two by fragments, and control frames may stand between them.
    raw.send(&frame(0x01, b"{\"id\":78,\"x\":\"\xf0\x9f")).await;
    raw.send(&frame(0x89, b"ping")).await;
    raw.send(&frame(0x80, b"\x98\x80\",\"type\":\"conversations\"}")).await;
    raw.text_with("\"id\":78").await;
    besieged.end().await;
}
