//! Engine.IO packets as bytes: pure, stateless translation both ways. No I/O, no session state.
//!
//! Source: Engine.IO protocol, revision 4, "Packet encoding".

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

/// What separates the packets of one HTTP payload.
pub const SEPARATOR: u8 = 0x1e;

/// Accepts base64 with or without padding, as Node does.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an application says or hears in one message packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

/// One packet, as a peer sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// `0`: opens a session; only a server sends it.
    Open(ByteString),
    /// `1`: asks to close the transport.
    Close,
    /// `2`: a ping with its payload; a client sends it only as `2probe`.
    Ping(ByteString),
    /// `3`: a pong with its payload.
    Pong(ByteString),
    /// `4`, a WebSocket binary frame, or `b` and base64: a message.
    Message(Message),
    /// `5`: completes an upgrade.
    Upgrade,
    /// `6`: nothing.
    Noop,
}

/// The bytes are no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Engine.IO packet")]
pub struct InvalidPacket;

/// Reads one text packet: a WebSocket text frame, or one part of an HTTP payload.
///
/// # Errors
/// An unknown type, no type at all, or bad base64.
pub fn decode(text: &ByteString) -> Result<Packet, InvalidPacket> {
    let mut chars = text.chars();
    let kind = chars.next().ok_or(InvalidPacket)?;
    let rest = || text.slice_ref(chars.as_str());
    Ok(match kind {
        '0' => Packet::Open(rest()),
        '1' => Packet::Close,
        '2' => Packet::Ping(rest()),
        '3' => Packet::Pong(rest()),
        '4' => Packet::Message(Message::Text(rest())),
        '5' => Packet::Upgrade,
        '6' => Packet::Noop,
        'b' => {
            let bytes = BASE64.decode(chars.as_str()).map_err(|_| InvalidPacket)?;
            Packet::Message(Message::Binary(bytes.into()))
        }
        _ => return Err(InvalidPacket),
    })
}

/// One packet on its way out, encoded once and shared by reference between any number of peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A whole text packet, its type included.
    Text(Bytes),
    /// The bytes of a binary message; on a poll they are written as `b` and base64.
    Binary(Bytes),
}

impl Frame {
    /// A message packet that says `text`.
    #[must_use]
    pub fn message(text: &str) -> Self {
        let mut bytes = BytesMut::with_capacity(text.len() + 1);
        bytes.put_u8(b'4');
        bytes.put_slice(text.as_bytes());
        Self::Text(bytes.freeze())
    }

    /// What it counts against the bound of waiting bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has no bytes: an empty binary message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends it to an HTTP payload, after a separator unless it is the first.
    pub fn append_to_payload(&self, payload: &mut Vec<u8>) {
        if !payload.is_empty() {
            payload.push(SEPARATOR);
        }
        match self {
            Self::Text(bytes) => payload.extend_from_slice(bytes),
            Self::Binary(bytes) => {
                payload.push(b'b');
                payload.extend_from_slice(BASE64.encode(bytes).as_bytes());
            }
        }
    }
}

impl From<Message> for Frame {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::message(&text),
            Message::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// The packets of one HTTP payload, read one by one so that a payload of many costs no more memory
/// than a payload of one.
#[derive(Debug, Clone)]
pub struct Payload {
    rest: Option<ByteString>,
}

impl Payload {
    /// The packets in `text`.
    #[must_use]
    pub fn new(text: ByteString) -> Self {
        Self { rest: Some(text) }
    }

    /// How many packets there are, without reading them.
    #[must_use]
    pub fn count(text: &str) -> usize {
        text.bytes().filter(|byte| *byte == SEPARATOR).count() + 1
    }
}

impl Iterator for Payload {
    type Item = Result<Packet, InvalidPacket>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let packet = match rest.split_once(char::from(SEPARATOR)) {
            Some((first, others)) => {
                self.rest = Some(rest.slice_ref(others));
                decode(&rest.slice_ref(first))
            }
            None => decode(&rest),
        };
        if packet.is_err() {
            self.rest = None;
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Packet {
        Packet::Message(Message::Text(text.into()))
    }

    #[test]
    fn a_payload_of_text_and_binary_is_read_in_order() {
        let packets: Vec<_> = Payload::new("4hello\u{1e}bAQIDBA==\u{1e}4\u{1e}2probe".into()).collect();
        assert_eq!(
            packets,
            [
                Ok(text("hello")),
                Ok(Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4])))),
                Ok(text("")),
                Ok(Packet::Ping("probe".into())),
            ]
        );
    }

    #[test]
    fn what_is_no_packet_is_refused_and_ends_the_payload() {
        for wrong in ["", "7", "abc", "b*", "€"] {
            assert_eq!(decode(&wrong.into()), Err(InvalidPacket), "{wrong}");
        }
        let packets: Vec<_> = Payload::new("4a\u{1e}x\u{1e}4b".into()).collect();
        assert_eq!(packets, [Ok(text("a")), Err(InvalidPacket)]);
    }

    #[test]
    fn frames_are_written_with_literal_bytes() {
        let mut payload = Vec::new();
        Frame::message("hé").append_to_payload(&mut payload);
        Frame::Binary(Bytes::from_static(&[0, 255])).append_to_payload(&mut payload);
        assert_eq!(payload, "4hé\u{1e}bAP8=".as_bytes());
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(messages in prop::collection::vec(prop_oneof![
            "[^\u{1e}]{0,20}".prop_map(|text| Message::Text(text.into())),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Message::Binary(bytes.into())),
        ], 1..8)) {
            let mut payload = Vec::new();
            for message in &messages {
                Frame::from(message.clone()).append_to_payload(&mut payload);
            }
            let payload = ByteString::try_from(payload).unwrap();
            prop_assert_eq!(Payload::count(&payload), messages.len());
            let read: Vec<_> = Payload::new(payload).collect();
            let sent: Vec<_> = messages.into_iter().map(|message| Ok(Packet::Message(message))).collect();
            prop_assert_eq!(read, sent);
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let read = Payload::new(text.clone().into()).count();
            prop_assert!(read <= Payload::count(&text));
        }
    }
}
