//! Frames and JSON by hand: the fields that are needed are looked for, nothing is checked.

use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memmem::find;

use crate::Said;

/// A request: to join, or with a body to send.
pub struct Request<'a> {
    pub id: u32,
    pub conversation: i64,
    pub body: Option<&'a str>,
}

pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The token of a handshake, and the answer to it.
pub fn upgrade(head: &str) -> Option<(&str, String)> {
    let (_, token) = head.split_once("Authorization: Bearer ")?;
    let token = token.split("\r\n").next()?;
    // The accept key of the one key that the generator sends.
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    Some((token, answer.to_owned()))
}

/// The payload of the first frame, unmasked where it stands, and the frame's length; none while it is incomplete.
pub fn next(bytes: &mut [u8]) -> Option<(&[u8], usize)> {
    let length = usize::from(*bytes.get(1)? & 0x7F);
    let (length, start) = match length {
        126 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 8),
        127 => return None,
        short => (short, 6),
    };
    let end = start + length;
    if bytes.len() < end {
        return None;
    }
    let mask: [u8; 4] = bytes[start - 4..start].try_into().ok()?;
    let payload = &mut bytes[start..end];
    if mask != [0; 4] {
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
    }
    Some((payload, end))
}

pub fn request(payload: &[u8]) -> Option<Request<'_>> {
    let id = number(payload, br#""id":"#)? as u32;
    let conversation = number(payload, br#""conversation":"#)?;
    let name = br#""body":""#;
    let body = find(payload, name).and_then(|at| {
        let body = &payload[at + name.len()..];
        std::str::from_utf8(&body[..memchr::memchr(b'"', body)?]).ok()
    });
    Some(Request { id, conversation, body })
}

fn number(payload: &[u8], name: &[u8]) -> Option<i64> {
    let digits = &payload[find(payload, name)? + name.len()..];
    let digits = digits.iter().take_while(|digit| digit.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

pub fn message(said: &Said, id: i64) -> String {
    let Said { conversation, seq, body, created_at_ms, .. } = said;
    let user = &said.sender.user;
    format!(
        r#"{{"id":{id},"seq":{seq},"conversation":{conversation},"sender":{{"id":"{user}","name":"{user}"}},"body":"{body}","kind":"text","created_at":{created_at_ms}}}"#
    )
}

pub fn framed(text: String) -> Vec<u8> {
    let mut frame = Vec::with_capacity(text.len() + 4);
    frame.push(0x81);
    match text.len() {
        short @ ..=125 => frame.push(short as u8),
        long => {
            frame.push(126);
            frame.extend((long as u16).to_be_bytes());
        }
    }
    frame.extend(text.as_bytes());
    frame
}
