//! WebSocket frames and what the peers say in them, written and read by hand: the generator has one core for up to
//! two million deliveries a second.
//!
//! What lives here: bytes. What must not: sockets, time, and what a scenario makes of a message.

use memchr::{memchr, memmem};

/// What every body begins with, before the number of its message. It stands nowhere else in what a peer sends.
const MARK: u8 = b'~';
/// Digits of a message's number in its body.
const DIGITS: usize = 8;

/// What a client of this peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Haggle's native protocol, which the limit speaks too.
    Native,
    /// Socket.IO over WebSocket in Haggle's `group` vocabulary.
    Group,
    /// Socket.IO over WebSocket with the events of the peers: `join`, `send`, `message`.
    Plain,
}

/// What a frame's payload says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The answer to the request of this number.
    Reply(u32),
    /// The request of this number was refused.
    Refused,
    /// A message of somebody else.
    Message,
    /// Engine.IO asks whether we are there.
    Ping,
    /// Engine.IO is open.
    Opened,
    /// Socket.IO has taken the token.
    Connected,
    /// Anything else: who came, who went.
    Other,
}

impl Dialect {
    /// The request that opens the WebSocket.
    pub(crate) fn upgrade(self, port: u16, token: &str) -> String {
        let (path, token) = match self {
            Self::Native => ("/ws", format!("Authorization: Bearer {token}\r\n")),
            Self::Group | Self::Plain => ("/socket.io/?EIO=4&transport=websocket", String::new()),
        };
        format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{token}\r\n"
        )
    }

    /// Whether the token goes in a Socket.IO CONNECT.
    pub(crate) fn is_socketio(self) -> bool {
        self != Self::Native
    }

    /// A request to join, with the number 0.
    pub(crate) fn join(self, conversation: u64, after: Option<u64>) -> String {
        let after = after.map(|after| format!(r#","after":{after}"#)).unwrap_or_default();
        match self {
            Self::Native => format!(r#"{{"id":0,"type":"join","conversation":{conversation}{after}}}"#),
            Self::Group => format!(r#"420["join_chat",{{"chatId":{conversation}}}]"#),
            Self::Plain => format!(r#"420["join",{{"conversation":{conversation}}}]"#),
        }
    }

    /// A request to send, framed: its number is the message's, which its body begins with.
    pub(crate) fn send(self, conversation: u64, number: u32, fill: &str) -> Vec<u8> {
        let body = format!("{}{number:0DIGITS$}{fill}", char::from(MARK));
        let text = match self {
            Self::Native => {
                format!(r#"{{"id":{number},"type":"send","conversation":{conversation},"body":"{body}"}}"#)
            }
            Self::Group => {
                format!(r#"42{number}["send_message",{{"chatId":{conversation},"content":"{body}"}}]"#)
            }
            Self::Plain => format!(r#"42{number}["send",{{"conversation":{conversation},"body":"{body}"}}]"#),
        };
        framed(text.as_bytes())
    }

    /// What a frame's payload says.
    pub(crate) fn read(self, payload: &[u8]) -> Heard {
        match self {
            Self::Native => native(payload),
            Self::Group => socketio(payload, br#"["receive_message""#),
            Self::Plain => socketio(payload, br#"["message""#),
        }
    }
}

fn native(payload: &[u8]) -> Heard {
    if payload.starts_with(br#"{"type":"message""#) {
        return Heard::Message;
    }
    if let Some(rest) = payload.strip_prefix(br#"{"id":"#) {
        let (number, rest) = digits(rest);
        return if rest.starts_with(br#","ok":true"#) { Heard::Reply(number) } else { Heard::Refused };
    }
    Heard::Other
}

fn socketio(payload: &[u8], message: &[u8]) -> Heard {
    if let Some(rest) = payload.strip_prefix(b"42") {
        return if rest.starts_with(message) { Heard::Message } else { Heard::Other };
    }
    if let Some(rest) = payload.strip_prefix(b"43") {
        let (number, rest) = digits(rest);
        return if rest.starts_with(br#"[{"error""#) { Heard::Refused } else { Heard::Reply(number) };
    }
    match payload {
        [b'2', ..] => Heard::Ping,
        [b'0', ..] => Heard::Opened,
        [b'4', b'0', ..] => Heard::Connected,
        [b'4', b'4', ..] => Heard::Refused,
        _ => Heard::Other,
    }
}

fn digits(text: &[u8]) -> (u32, &[u8]) {
    let mut number = 0_u32;
    let mut rest = text;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        number = number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
        rest = after;
    }
    (number, rest)
}

/// The number of the message that a payload carries.
pub(crate) fn number(payload: &[u8]) -> Option<u32> {
    let (_, from) = payload.split_at_checked(memchr(MARK, payload)? + 1)?;
    Some(digits(from.get(..DIGITS)?).0)
}

/// A message's place in its conversation, where the peer says it.
pub(crate) fn seq(payload: &[u8]) -> Option<u64> {
    let name = br#""seq":"#;
    let (_, from) = payload.split_at_checked(memmem::find(payload, name)? + name.len())?;
    Some(u64::from(digits(from).0))
}

/// A text frame as a client sends it. The mask is zero, which is as good as any other where nobody is attacked.
pub(crate) fn framed(payload: &[u8]) -> Vec<u8> {
    frame(0x81, payload)
}

/// The answer to a WebSocket ping.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    frame(0x8A, payload)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 8);
    frame.push(first);
    match u8::try_from(payload.len()) {
        Ok(short @ ..=125) => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 126);
            // No request of a scenario is as long as 64 KB.
            frame.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// One frame of a server, unmasked and unfragmented as all peers send them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) opcode: u8,
    pub(crate) payload: &'a [u8],
}

/// The first frame of what has come, and what follows it; none while it is incomplete.
pub(crate) fn next(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (&[first, length], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match length & 0x7F {
        126 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk::<8>()?;
            (usize::try_from(u64::from_be_bytes(*length)).ok()?, rest)
        }
        short => (usize::from(short), rest),
    };
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((Frame { opcode: first & 0x0F, payload }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        let mut bytes = vec![0x81, 3, b'a', b'b', b'c', 0x81, 126, 0, 200];
        bytes.extend([b'x'; 200]);
        let (frame, rest) = next(&bytes).unwrap();
        assert_eq!((frame.opcode, frame.payload), (1, &b"abc"[..]));
        assert_eq!(next(rest).unwrap(), (Frame { opcode: 1, payload: &[b'x'; 200] }, &[][..]));
        assert!((0..5).all(|cut| next(&bytes[..cut]).is_none()));
    }

    #[test]
    fn what_a_peer_says_is_known_by_its_first_bytes() {
        let rows = [
            (Dialect::Native, r#"{"type":"message","conversation":1}"#, Heard::Message),
            (Dialect::Native, r#"{"id":17,"ok":true,"message":{}}"#, Heard::Reply(17)),
            (Dialect::Native, r#"{"id":17,"ok":false}"#, Heard::Refused),
            (Dialect::Native, r#"{"type":"presence"}"#, Heard::Other),
            (Dialect::Group, r#"42["receive_message",{}]"#, Heard::Message),
            (Dialect::Group, r#"42["message_sent",{}]"#, Heard::Other),
            (Dialect::Group, r#"439[{"messageId":1}]"#, Heard::Reply(9)),
            (Dialect::Group, r#"439[{"error":"no"}]"#, Heard::Refused),
            (Dialect::Plain, r#"42["message",{}]"#, Heard::Message),
            (Dialect::Plain, "2", Heard::Ping),
            (Dialect::Plain, r#"0{"sid":"x"}"#, Heard::Opened),
            (Dialect::Plain, r#"40{"sid":"x"}"#, Heard::Connected),
            (Dialect::Plain, r#"44{"message":"no"}"#, Heard::Refused),
        ];
        for (dialect, payload, heard) in rows {
            assert_eq!(dialect.read(payload.as_bytes()), heard, "{payload}");
        }
    }

    #[test]
    fn a_message_is_found_again_by_its_number() {
        let sent = Dialect::Native.send(7, 42, "fill");
        assert_eq!(number(&sent), Some(42));
        assert_eq!(seq(br#"{"id":9,"seq":12,"x":1}"#), Some(12));
        assert_eq!(number(b"nothing"), None);
    }
}
