//! TCP with nothing in between: bytes that no well-meaning client library would send.
//!
//! What lives here: the handshake, writing frames by hand, reading how a connection ends. What must not: cases.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// How long a connection may take to end once it must.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// A connection.
pub struct Raw {
    stream: TcpStream,
    /// Bytes read and not looked at yet.
    buffer: Vec<u8>,
}

/// How a WebSocket ended: what text came before, and the Close frame's code.
#[derive(Debug, Default)]
pub struct Ending {
    pub texts: Vec<String>,
    /// The payloads of the pongs.
    pub pongs: Vec<Vec<u8>>,
    pub close: Option<u16>,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self { stream, buffer: Vec::new() }
    }

    /// A WebSocket, with a user's token where one is given; it then stands in the request.
    pub async fn websocket(address: SocketAddr, token: Option<&str>) -> Self {
        let bearer = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        let (raw, head) = Self::upgrade(address, "/ws", &bearer).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    /// A WebSocket's handshake at a path, with more header lines; the answer's head.
    pub async fn upgrade(address: SocketAddr, path: &str, headers: &str) -> (Self, String) {
        let mut raw = Self::connect(address).await;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{headers}\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        raw.send(request.as_bytes()).await;
        let head = raw.head().await;
        (raw, head)
    }

    /// Writes bytes for as long as they are taken.
    pub async fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    /// Writes bytes; false when the peer takes no more.
    pub async fn offer(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// An HTTP answer's head.
    pub async fn head(&mut self) -> String {
        let by = Instant::now() + ENDS_WITHIN;
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.buffer.drain(..end + 4).collect();
                return String::from_utf8(head).expect("a head of text");
            }
            assert!(self.read(by).await, "no HTTP answer: {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    /// All that comes until the peer closes; `None` when it has not in time.
    pub async fn rest(&mut self, within: Duration) -> Option<String> {
        let by = Instant::now() + within;
        while Instant::now() < by {
            if !self.read(by).await && Instant::now() < by {
                return Some(String::from_utf8_lossy(&self.buffer).into_owned());
            }
        }
        None
    }

    /// What has come and was not looked at.
    pub fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    /// Reads frames until a Close frame or the end of the connection.
    pub async fn ending(&mut self) -> Ending {
        let mut ending = Ending::default();
        assert!(!self.until(&mut ending, |_| false).await, "the connection does not end; so far {ending:?}");
        ending
    }

    /// Reads frames until enough has come, a Close frame, or the end of the connection; whether it is still open.
    pub async fn until(&mut self, so_far: &mut Ending, enough: impl Fn(&Ending) -> bool) -> bool {
        let by = Instant::now() + ENDS_WITHIN;
        loop {
            while let Some((opcode, payload)) = self.take_frame() {
                match opcode {
                    0x1 => so_far.texts.push(String::from_utf8(payload).expect("text")),
                    0x8 => {
                        so_far.close = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                        return false;
                    }
                    0xa => so_far.pongs.push(payload),
                    _ => {}
                }
            }
            if enough(so_far) {
                return true;
            }
            if !self.read(by).await {
                return Instant::now() >= by;
            }
        }
    }

    /// Reads text frames until one holds these words.
    pub async fn text_with(&mut self, words: &str) -> String {
        let by = Instant::now() + ENDS_WITHIN;
        loop {
            while let Some((opcode, payload)) = self.take_frame() {
                let text = String::from_utf8_lossy(&payload).into_owned();
                assert_ne!(opcode, 0x8, "closed while waiting for {words}: {text}");
                if opcode == 0x1 && text.contains(words) {
                    return text;
                }
            }
            assert!(self.read(by).await, "nothing with `{words}` came");
        }
    }

    /// A whole frame of the server's, which are never masked.
    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.buffer.first()?, *self.buffer.get(1)?);
        let (length, head) = match second {
            126 => (usize::from(u16::from_be_bytes(*self.buffer.get(2..)?.first_chunk()?)), 4),
            127 => (usize::try_from(u64::from_be_bytes(*self.buffer.get(2..)?.first_chunk()?)).unwrap(), 10),
            short => (usize::from(short), 2),
        };
        if self.buffer.len() < head + length {
            return None;
        }
        let payload = self.buffer.drain(..head + length).skip(head).collect();
        Some((first & 0x0f, payload))
    }

    /// Reads once. False at the end, or when nothing came in time.
    async fn read(&mut self, by: Instant) -> bool {
        let mut chunk = [0; 16 * 1024];
        match timeout_at(by, self.stream.read(&mut chunk)).await {
            Ok(Ok(count)) if count > 0 => {
                self.buffer.extend_from_slice(&chunk[..count]);
                true
            }
            _ => false,
        }
    }
}

/// A masked frame as a client writes it: `first` is FIN, RSV and opcode (RFC 6455 section 5.2).
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The header of a masked frame that declares a length.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..=125 => header.push(0x80 | u8::try_from(length).unwrap()),
        126..=0xffff => {
            header.push(0x80 | 126);
            header.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            header.push(0x80 | 127);
            header.extend(length.to_be_bytes());
        }
    }
    header.extend(MASK);
    header
}

const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
