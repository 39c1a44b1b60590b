//! Every parser that a peer's bytes reach, each as a function of bytes that panics when a promise of its own is broken.
//!
//! What lives here: the promises. `fuzz/fuzz_targets` hand them to libFuzzer, the test below to mutated seeds in `cargo test`; no other
//! build has this module. What must not: parsing.

use std::sync::LazyLock;

use bytes::Bytes;
use bytestring::ByteString;
use jsonwebtoken::{Algorithm, EncodingKey};
use secrecy::ExposeSecret;
use socketio::engine::frame::{FrameReader, Received, Violation};
use socketio::engine::packet::{Payload, SEPARATOR};
use socketio::packet::Packet;

use crate::auth::{TOKEN_MAX, Tokens};
use crate::config::Settings;
use crate::protocol::{Timestamp, UserId};
use crate::transport::websocket::guarded;
use crate::vocabulary::{Call, Incoming, Vocabulary};

/// What reads bytes, and panics when it reads them wrong.
pub type Target = fn(&[u8]);

/// All of them, each with the name of its corpus.
pub const TARGETS: [(&str, Target); 13] = [
    ("guard", guard),
    ("frames", frames),
    ("payload", payload),
    ("packet", packet),
    ("native", native),
    ("item", item),
    ("book", book),
    ("order", order),
    ("group", group),
    ("shop", shop),
    ("token", token),
    ("claims", claims),
    ("config", config),
];

/// Bytes of a message, and fragments, that the frame reader takes here: few, so that both bounds are met.
const FRAMES_MAX: (usize, usize) = (10_000, 8);
/// The secret that tokens are signed with here.
const SECRET: &str = "a-secret-for-fuzzing-of-32-bytes!!";
/// What stands in settings, and must not be shown.
const HIDDEN: &str = "hidden-hidden-hidden-hidden-hidden";

static TOKENS: LazyLock<Tokens> = LazyLock::new(|| Tokens::new(&SECRET.into(), None, None));

/// The native WebSocket: however its bytes are cut, the guard lets the same frames through and refuses the same one; what it lets
/// through the parser behind it takes, frame by frame.
pub fn guard(bytes: &[u8]) {
    let whole = guarded([Bytes::copy_from_slice(bytes)]);
    let cut = guarded(bytes.chunks(3).map(Bytes::copy_from_slice));
    assert_eq!(whole.fault, cut.fault, "where bytes are cut decides what is refused");
    assert!(whole.passed.is_empty() || whole.passed == bytes);
    let single = guarded(bytes.chunks(1).map(Bytes::copy_from_slice));
    assert_eq!(single.fault, whole.fault);
    assert!(bytes.starts_with(&single.passed));
    assert!(single.fault.is_some() || single.passed.len() == bytes.len());
    // The pump reads no more until it has dealt with as many frames as have passed: both must count alike.
    let mut behind = bytes::BytesMut::from(single.passed.as_slice());
    let max = crate::transport::websocket::MESSAGE_MAX;
    let mut parsed = 0;
    while let Some(frame) = actix_http::ws::Parser::parse(&mut behind, true, max).transpose() {
        assert!(frame.is_ok(), "the guard passed what the parser refuses: {:?}", frame.err());
        parsed += 1;
    }
    assert_eq!(parsed, single.frames);
}

/// The WebSocket of Socket.IO: however its bytes are cut, the same is read.
pub fn frames(bytes: &[u8]) {
    let whole = read([bytes].into_iter());
    assert_eq!(whole, read(bytes.chunks(3)));
    for received in &whole.0 {
        let length = match received {
            Received::Text(text) => text.len(),
            Received::Binary(bytes) => bytes.len(),
            Received::Ping(bytes) => bytes.len() + FRAMES_MAX.0 - 125,
            Received::Close(_) => 0,
        };
        assert!(length <= FRAMES_MAX.0, "{length} bytes in one message");
    }
}

fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Received>, Option<Violation>) {
    let mut reader = FrameReader::new(FRAMES_MAX.0, FRAMES_MAX.1);
    let mut received = Vec::new();
    for chunk in chunks {
        reader.feed(chunk);
        loop {
            match reader.read() {
                Ok(Some(one)) => received.push(one),
                Ok(None) => break,
                Err(violation) => return (received, Some(violation)),
            }
        }
    }
    (received, None)
}

/// The body of an Engine.IO POST: never in more packets than counted, and each is the same alone.
pub fn payload(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read: Vec<_> = Payload::new(ByteString::from(text)).collect();
    assert!(read.len() <= Payload::count(text));
    let alone = text.split(char::from(SEPARATOR)).map(|one| socketio::engine::packet::decode(&one.into()));
    for (read, alone) in read.iter().zip(alone) {
        assert_eq!(read, &alone);
    }
}

/// A Socket.IO packet: what is read can be looked at, and an event's name is none that means something to the libraries.
pub fn packet(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match socketio::packet::decode(&ByteString::from(text)) {
        Ok(Packet::Event { name, args, attachments, .. }) => {
            assert!(attachments <= 10 && name.is_none_or(|name| name != "connect" && name != "disconnect"));
            if let Ok(values) = args.values() {
                let again: Vec<serde_json::Value> =
                    serde_json::from_str(&format!("[{}]", args.as_json())).unwrap_or_default();
                assert_eq!(values, again, "the arguments as JSON are not the arguments");
            }
        }
        Ok(Packet::Ack { args, attachments, .. }) => {
            assert!(attachments <= 10);
            drop(args.values());
        }
        Ok(Packet::Connect { auth: Some(auth), .. }) => {
            assert!(auth.trim_start().starts_with('{'));
        }
        Ok(_) | Err(_) => {}
    }
}

/// A frame of the native vocabulary.
pub fn native(bytes: &[u8]) {
    let Ok(body) = std::str::from_utf8(bytes) else { return };
    decode(Vocabulary::Native, &Call { name: "", body, ack: None, caller: None });
}

/// An event of the item vocabulary.
pub fn item(bytes: &[u8]) {
    event(Vocabulary::Item, bytes);
}

/// An event of the book vocabulary.
pub fn book(bytes: &[u8]) {
    event(Vocabulary::Book, bytes);
}

/// An event of the order vocabulary.
pub fn order(bytes: &[u8]) {
    event(Vocabulary::Order, bytes);
}

/// An event of the group vocabulary.
pub fn group(bytes: &[u8]) {
    event(Vocabulary::Group, bytes);
}

/// An event of the shop vocabulary.
pub fn shop(bytes: &[u8]) {
    event(Vocabulary::Shop, bytes);
}

/// The event's name, a line's end, its arguments.
fn event(vocabulary: Vocabulary, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (name, args) = text.split_once('\n').unwrap_or((text, ""));
    let body = format!("[{args}]");
    let caller = UserId::parse("alice").ok();
    decode(vocabulary, &Call { name, body: &body, ack: Some(1), caller: caller.as_ref() });
    decode(vocabulary, &Call { name, body: &body, ack: None, caller: None });
}

/// Reads a call. A refusal is the client's own fault, never holds more than a line, and can be answered.
fn decode(vocabulary: Vocabulary, call: &Call<'_>) {
    let request = vocabulary.codec().decode(call);
    match request.incoming {
        Ok(Incoming::Auth(_) | Incoming::Command(_) | Incoming::Unknown) => {}
        Err(error) => {
            assert!(["invalid", "too_large", "forbidden", "unauthorized", "not_found"].contains(&error.code()));
            assert!(!error.to_string().contains(['\n', '\r', '\u{1b}', '\0']), "{error:?}");
            drop(vocabulary.codec().reply(&request.tag, &Err(error)));
        }
    }
}

/// Anything as a token: refused, since nobody here knows the secret.
pub fn token(bytes: &[u8]) {
    let Ok(token) = std::str::from_utf8(bytes) else { return };
    let verdict = TOKENS.verify(token);
    assert_eq!(verdict.err().map(|error| error.code()), Some("unauthorized"), "a token out of thin air passes");
}

/// A header, a line's end and claims, signed with the right secret: whoever is let in has a name that a user can have, for a time
/// that is not over, by a header that names HS256.
pub fn claims(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (header, claims) = text.split_once('\n').unwrap_or((r#"{"alg":"HS256"}"#, text));
    let message = format!("{}.{}", base64(header.as_bytes()), base64(claims.as_bytes()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap_or_default();
    let token = format!("{message}.{signature}");
    match TOKENS.verify(&token) {
        Ok(read) => {
            let header: serde_json::Value = serde_json::from_str(header).unwrap_or_default();
            assert!(token.len() <= TOKEN_MAX && header.get("alg").is_some_and(|alg| alg == "HS256"), "{header}");
            assert!(UserId::parse(read.user.as_str()).is_ok());
            assert!(read.expires_at_s + 1 >= Timestamp::now().0 / 1_000);
            for shown in [read.name, read.role].into_iter().flatten() {
                assert!(!shown.is_empty() && !shown.chars().any(char::is_control), "{shown:?}");
            }
        }
        Err(error) => assert_eq!(error.code(), "unauthorized"),
    }
}

/// Bytes as the parts of a token are written (RFC 7515 section 2: base64url without padding).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            let letter = LETTERS.get((bits >> (18 - 6 * place) & 63) as usize);
            text.extend(letter.copied().map(char::from));
        }
    }
    text
}

/// A file of settings: read or refused, each refusal on a line, and nothing shown of a secret.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // These open files.
    if text.contains("_file") {
        return;
    }
    let text = format!("server_key = \"{HIDDEN}\"\n{text}");
    match Settings::from_toml(&text) {
        Ok(settings) => {
            assert_eq!(settings.server_key.expose_secret(), HIDDEN);
            for (setting, shown) in settings.redacted() {
                assert!(!shown.contains(HIDDEN) && !shown.contains('\n'), "{}: {shown}", setting.key);
            }
        }
        Err(error) => assert!(!error.problems().is_empty()),
    }
}

#[cfg(test)]
mod tests;
