//! WebSocket frames in: bytes to whole messages, with a bound on each thing that a peer may declare.
//! Pure; no I/O. Parsing and unmasking are `actix_http`'s, the bounds are ours.
//!
//! Source: RFC 6455, section 5.

use actix_http::ws::{OpCode, Parser, ProtocolError};
use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;

/// Why a peer's frames cannot be read further; each is a Close code of RFC 6455, section 7.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// 1002: not a frame, not masked, reserved bits or opcodes, a fragment out of order.
    Protocol,
    /// 1007: text that is not UTF-8.
    InvalidText,
    /// 1009: longer, or in more fragments, than allowed.
    TooBig,
}

impl Violation {
    /// The Close code that tells the peer.
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::InvalidText => 1007,
            Self::TooBig => 1009,
        }
    }
}

/// What a peer sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole text message.
    Text(ByteString),
    /// A whole binary message.
    Binary(Bytes),
    /// A ping, to be answered with its payload.
    Ping(Bytes),
    /// A Close frame with its code, if any; nothing follows.
    Close(Option<u16>),
}

/// Most bytes in a control frame (RFC 6455, section 5.5).
const MAX_CONTROL_BYTES: u64 = 125;

/// A message of which some fragments have come.
#[derive(Debug)]
struct Partial {
    text: bool,
    bytes: BytesMut,
    fragments: usize,
}

/// Turns a peer's bytes into messages. Holds no more than one message and its last frame.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    partial: Option<Box<Partial>>,
    max_bytes: usize,
    max_fragments: usize,
}

impl FrameReader {
    /// A reader for messages of at most `max_bytes` in at most `max_fragments`.
    #[must_use]
    pub fn new(max_bytes: usize, max_fragments: usize) -> Self {
        Self { buffer: BytesMut::new(), partial: None, max_bytes, max_fragments }
    }

    /// From the next frame on, messages may have so many bytes.
    pub fn set_max_bytes(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
    }

    /// Takes what arrived.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole message or control frame; `None` until more arrives.
    ///
    /// # Errors
    /// The peer broke RFC 6455 or a bound: nothing more can be read.
    pub fn read(&mut self) -> Result<Option<Received>, Violation> {
        loop {
            self.check_header()?;
            let parsed = Parser::parse(&mut self.buffer, true, self.max_bytes);
            let Some((finished, opcode, payload)) = parsed.map_err(|error| violation(&error))? else {
                if self.buffer.is_empty() {
                    // An idle connection keeps no buffer.
                    self.buffer = BytesMut::new();
                }
                return Ok(None);
            };
            let payload = payload.unwrap_or_default();
            match opcode {
                OpCode::Ping => return Ok(Some(Received::Ping(payload.freeze()))),
                OpCode::Pong => {}
                OpCode::Close => return close(&payload).map(Some),
                OpCode::Text | OpCode::Binary if self.partial.is_some() => {
                    return Err(Violation::Protocol);
                }
                OpCode::Text | OpCode::Binary if finished => {
                    return whole(opcode == OpCode::Text, payload).map(Some);
                }
                OpCode::Text | OpCode::Binary => {
                    let text = opcode == OpCode::Text;
                    self.partial = Some(Box::new(Partial { text, bytes: payload, fragments: 1 }));
                }
                OpCode::Continue => {
                    if let Some(received) = self.fragment(finished, &payload)? {
                        return Ok(Some(received));
                    }
                }
                OpCode::Bad => return Err(Violation::Protocol),
            }
        }
    }

    fn fragment(&mut self, finished: bool, payload: &[u8]) -> Result<Option<Received>, Violation> {
        let mut partial = self.partial.take().ok_or(Violation::Protocol)?;
        partial.fragments += 1;
        let too_long = partial.bytes.len() + payload.len() > self.max_bytes;
        if too_long || partial.fragments > self.max_fragments {
            return Err(Violation::TooBig);
        }
        partial.bytes.extend_from_slice(payload);
        if finished {
            return whole(partial.text, partial.bytes).map(Some);
        }
        self.partial = Some(partial);
        Ok(None)
    }

    /// Checks what a frame declares before the parser waits for, and keeps, that many bytes.
    fn check_header(&self) -> Result<(), Violation> {
        let mut header = self.buffer.as_ref();
        if header.remaining() < 2 {
            return Ok(());
        }
        let first = header.get_u8();
        let second = header.get_u8();
        let (finished, opcode) = (first & 0x80 != 0, first & 0x0f);
        if first & 0x70 != 0 || second & 0x80 == 0 {
            return Err(Violation::Protocol);
        }
        match opcode {
            0..=2 => {}
            // Control frames (section 5.5) are short and whole: no length follows.
            8..=10 if finished && u64::from(second & 0x7f) <= MAX_CONTROL_BYTES => return Ok(()),
            // Others are reserved (section 5.2). The parser would say so only once the length is there.
            _ => return Err(Violation::Protocol),
        }
        let declared = match second & 0x7f {
            126 if header.remaining() < 2 => return Ok(()),
            126 => u64::from(header.get_u16()),
            127 if header.remaining() < 8 => return Ok(()),
            127 => header.get_u64(),
            short => u64::from(short),
        };
        if declared > self.max_bytes as u64 {
            return Err(Violation::TooBig);
        }
        Ok(())
    }
}

fn whole(text: bool, bytes: BytesMut) -> Result<Received, Violation> {
    if !text {
        return Ok(Received::Binary(bytes.freeze()));
    }
    ByteString::try_from(bytes.freeze()).map(Received::Text).map_err(|_| Violation::InvalidText)
}

fn close(payload: &[u8]) -> Result<Received, Violation> {
    match payload {
        [] => Ok(Received::Close(None)),
        [_] => Err(Violation::Protocol),
        [high, low, reason @ ..] => match u16::from_be_bytes([*high, *low]) {
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) if std::str::from_utf8(reason).is_ok() => {
                Ok(Received::Close(Some(code)))
            }
            _ => Err(Violation::Protocol),
        },
    }
}

fn violation(error: &ProtocolError) -> Violation {
    match error {
        ProtocolError::Overflow => Violation::TooBig,
        _ => Violation::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..=125 => bytes.push(0x80 | short as u8),
            long => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(long as u16).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&KEY);
        bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Received>, Violation> {
        read_cut(bytes, bytes.len().max(1))
    }

    fn read_cut(bytes: &[u8], cut: usize) -> Result<Vec<Received>, Violation> {
        let mut reader = FrameReader::new(1000, 4);
        let mut received = Vec::new();
        for chunk in bytes.chunks(cut) {
            reader.feed(chunk);
            while let Some(one) = reader.read()? {
                received.push(one);
            }
        }
        Ok(received)
    }

    #[test]
    fn messages_fragments_and_controls_are_read() {
        let bytes =
            [frame(0x01, b"h\xc3"), frame(0x89, b"p"), frame(0x80, b"\xa9"), frame(0x82, &[7]), frame(0x88, &[3, 233])];
        assert_eq!(
            read(&bytes.concat()).unwrap(),
            [
                Received::Ping(Bytes::from_static(b"p")),
                Received::Text("hé".into()),
                Received::Binary(Bytes::from_static(&[7])),
                Received::Close(Some(1001)),
            ]
        );
    }

    #[test]
    fn each_violation_has_its_close_code() {
        let unmasked = vec![0x81, 0x01, b'a'];
        let huge = vec![0x81, 0x80 | 127, 0, 0, 1, 0, 0, 0, 0, 0];
        let fragments = [frame(0x01, b"a"), frame(0, b"a"), frame(0, b"a"), frame(0, b"a"), frame(0, b"a")].concat();
        for (bytes, code) in [
            (frame(0xc1, b"a"), 1002),
            (unmasked, 1002),
            (frame(0x83, b"a"), 1002),
            (frame(0x80, b"a"), 1002),
            (frame(0x09, b"a"), 1002),
            (frame(0x89, &[0; 126]), 1002),
            ([frame(0x01, b"a"), frame(0x81, b"a")].concat(), 1002),
            (frame(0x88, &[1]), 1002),
            (frame(0x88, &[3, 237]), 1002),
            (frame(0x88, b"\x03\xe8\xff"), 1002),
            (frame(0x81, b"\xff"), 1007),
            (frame(0x82, &[0; 1001]), 1009),
            (huge, 1009),
            (fragments, 1009),
            // Several at once: the reserved opcode counts, however much of the length has arrived.
            (vec![0x84, 0xfe, 0x59, 0x01, 0, 0], 1002),
            (vec![0x09, 0xfe, 0x59, 0x01, 0, 0], 1002),
        ] {
            for cut in 1..=bytes.len().min(5) {
                assert_eq!(read_cut(&bytes, cut).unwrap_err().close_code(), code, "{bytes:?} by {cut}");
            }
            assert_eq!(read(&bytes).unwrap_err().close_code(), code, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_changes_nothing(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5),
            cut in 1_usize..50,
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|message| frame(0x82, message)).collect();
            let mut reader = FrameReader::new(1000, 4);
            let mut received = Vec::new();
            for chunk in bytes.chunks(cut) {
                reader.feed(chunk);
                while let Some(one) = reader.read().unwrap() {
                    received.push(one);
                }
            }
            let sent: Vec<_> = messages.into_iter().map(|message| Received::Binary(message.into())).collect();
            prop_assert_eq!(received, sent);
        }

        #[test]
        fn any_bytes_are_read_or_refused_however_they_are_cut(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in 1_usize..9,
        ) {
            prop_assert_eq!(read_cut(&bytes, cut), read(&bytes));
        }
    }
}
