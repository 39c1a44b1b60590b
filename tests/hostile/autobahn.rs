//! The cases of the Autobahn test suite (25.10, `fuzzingclient`), by its own numbers, against both WebSockets: the suite itself runs on
//! Python 2 alone and wants an echo, so each case is a row here, and where it would be echoed, a request is answered.
//!
//! What lives here: how a case is tried, and the lists of sections 1 to 5, 7, 9, 10, 12 and 13. Section 6 is in `autobahn/text.rs`.

mod text;

use futures_util::future::join_all;

use super::Besieged;
use super::raw::{Ending, Raw, frame, header};
use crate::support::rest::token;

const PROTOCOL: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_LARGE: u16 = 1009;
/// Bytes that a request has besides its filling, in either WebSocket's words, at most.
const WORDS_MAX: usize = 100;
/// The largest message that each takes, in bytes.
const NATIVE_MAX: usize = haggle::transport::websocket::MESSAGE_MAX;
const SOCKETIO_MAX: usize = haggle::transport::socketio::MESSAGE_MAX;

/// Which of the WebSockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Native,
    SocketIo,
}

/// How what is sent is cut into writes.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Nowhere,
    Frames,
    Octets,
    By(usize),
}

/// What must come of it.
#[derive(Clone, Debug)]
enum Expect {
    /// These requests are answered and these pings, and a Close is answered by the same.
    Answers(Vec<usize>, Vec<Vec<u8>>),
    /// The connection ends with this code.
    Close(u16),
    /// It ends with one of these, whichever is seen first.
    CloseAny(&'static [u16]),
    /// The answer to a Close is one with this code, or without any, and nothing after it.
    Closed(Option<u16>),
    /// It is a WebSocket's message and none of this server's: native says so and goes on, Socket.IO ends the connection without a code.
    NoWord,
    /// It is a binary message: native takes none, Socket.IO none that was not announced.
    Binary,
}

/// One case.
#[derive(Clone, Debug)]
struct Case {
    number: String,
    frames: Vec<Vec<u8>>,
    cut: Cut,
    expect: Expect,
}

impl Case {
    fn new(number: impl Into<String>, frames: Vec<Vec<u8>>, expect: Expect) -> Self {
        Self { number: number.into(), frames, cut: Cut::Nowhere, expect }
    }

    fn cut(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }
}

impl Peer {
    async fn open(self, besieged: &Besieged, headers: &str) -> (Raw, String) {
        match self {
            Self::Native => {
                let headers = format!("Authorization: Bearer {}\r\n{headers}", token("alice"));
                Raw::upgrade(besieged.server.address, "/ws", &headers).await
            }
            Self::SocketIo => {
                Raw::upgrade(besieged.server.address, "/socket.io/?EIO=4&transport=websocket", headers).await
            }
        }
    }

    /// Says who it is, where the handshake did not.
    async fn join(self, raw: &mut Raw) {
        if self == Self::SocketIo {
            raw.send(&text(format!("40/shop,{}", serde_json::json!({ "token": token("alice") })).as_bytes())).await;
            raw.text_with("40/shop,").await;
        }
    }

    /// A request with a filling, which is looked at and ignored.
    fn request(self, number: usize, filling: &[u8]) -> Vec<u8> {
        let (before, after) = match self {
            Self::Native => {
                (format!("{{\"id\":{number},\"type\":\"leave\",\"conversation\":\"order:1\",\"x\":\""), "\"}")
            }
            // A namespace that nobody speaks: the refusal names it.
            Self::SocketIo => (format!("40/n{number},{{\"x\":\""), "\"}"),
        };
        [before.as_bytes(), filling, after.as_bytes()].concat()
    }

    /// A request of so many bytes.
    fn request_of(self, number: usize, length: usize) -> Vec<u8> {
        let words = self.request(number, b"").len();
        self.request(number, &vec![b'*'; length - words])
    }

    fn is_answer(self, number: usize, text: &str) -> bool {
        match self {
            Self::Native => text.contains("\"ok\":true") && text.contains(&format!("\"id\":{number},")),
            Self::SocketIo => text.starts_with(&format!("44/n{number},")),
        }
    }

    const fn max(self) -> usize {
        match self {
            Self::Native => NATIVE_MAX,
            Self::SocketIo => SOCKETIO_MAX,
        }
    }

    /// A message of so many bytes: answered, or too large.
    fn fits(self, length: usize) -> Expect {
        if length > self.max() { Expect::Close(TOO_LARGE) } else { answered(&[1]) }
    }
}

fn answered(numbers: &[usize]) -> Expect {
    Expect::Answers(numbers.to_vec(), Vec::new())
}

/// A text message in one frame.
fn text(payload: &[u8]) -> Vec<u8> {
    frame(0x81, payload)
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

/// A message in fragments of so many bytes; an empty message is one empty frame.
fn fragments(opcode: u8, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size).max(1);
    let piece = |number: usize| &payload[number * size..((number + 1) * size).min(payload.len())];
    let first = |number: usize| {
        let last = if number + 1 == count { 0x80 } else { 0 };
        if number == 0 { opcode | last } else { last }
    };
    (0..count).map(|number| frame(first(number), piece(number))).collect()
}

/// Sends a case and sees what comes of it.
async fn run(besieged: &Besieged, peer: Peer, case: Case) {
    let Case { number, frames, cut, expect } = case;
    let what = format!("case {number}, {peer:?}");
    let (mut raw, head) = peer.open(besieged, "").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{what}: {head}");
    peer.join(&mut raw).await;
    let whole = frames.concat();
    match cut {
        Cut::Nowhere => raw.send(&whole).await,
        Cut::Frames => in_pieces(&mut raw, frames.iter().map(Vec::as_slice)).await,
        Cut::Octets => in_pieces(&mut raw, whole.chunks(1)).await,
        Cut::By(size) => in_pieces(&mut raw, whole.chunks(size)).await,
    }
    let mut seen = Ending::default();
    match (expect, peer) {
        (Expect::Answers(numbers, pongs), _) => {
            let answers = |seen: &Ending, number| seen.texts.iter().filter(|text| peer.is_answer(number, text)).count();
            let enough = |seen: &Ending| {
                seen.pongs.len() >= pongs.len() && numbers.iter().all(|number| answers(seen, *number) > 0)
            };
            let open = raw.until(&mut seen, enough).await;
            assert!(open && enough(&seen) && seen.pongs == pongs, "{what}: {seen:?}");
            assert!(numbers.iter().all(|number| answers(&seen, *number) == 1), "{what}: {seen:?}");
            raw.send(&close(1000, b"")).await;
            assert_eq!(raw.ending().await.close, Some(1000), "{what}");
        }
        (Expect::Close(code), _) => assert_eq!(raw.ending().await.close, Some(code), "{what}"),
        (Expect::CloseAny(codes), _) => {
            let ending = raw.ending().await;
            assert!(ending.close.is_some_and(|code| codes.contains(&code)), "{what}: {ending:?}");
        }
        (Expect::Closed(code), _) => {
            let ending = raw.ending().await;
            assert_eq!((ending.close, ending.pongs.len()), (code, 0), "{what}");
            let after = raw.rest(std::time::Duration::from_secs(5)).await;
            assert_eq!(after.as_deref(), Some(""), "{what}: something follows the Close frame, or nothing ends it");
        }
        (Expect::NoWord, Peer::Native) => {
            let refused = |seen: &Ending| seen.texts.iter().any(|text| text.contains("\"code\":\"invalid\""));
            assert!(raw.until(&mut seen, refused).await && refused(&seen), "{what}: {seen:?}");
        }
        (Expect::Binary, Peer::Native) => assert_eq!(raw.ending().await.close, Some(1003), "{what}"),
        (Expect::NoWord | Expect::Binary, Peer::SocketIo) => assert_eq!(raw.ending().await.close, None, "{what}"),
    }
}

async fn in_pieces(raw: &mut Raw, pieces: impl Iterator<Item = &[u8]>) {
    for piece in pieces {
        raw.send(piece).await;
        tokio::task::yield_now().await;
    }
}

async fn run_all(cases: fn(Peer) -> Vec<Case>) {
    let mut besieged = Besieged::start(&[("HAGGLE_RATE_LIMITS", "off")]).await;
    for peer in [Peer::Native, Peer::SocketIo] {
        for some in cases(peer).chunks(20) {
            join_all(some.iter().map(|case| run(&besieged, peer, case.clone()))).await;
        }
        besieged.is_well("Autobahn's cases").await;
    }
    besieged.end().await;
}

/// 1: framing, text and binary, of each length that has a form of its own.
fn framing(peer: Peer) -> Vec<Case> {
    let mut all = vec![Case::new("1.1.1", vec![text(b"")], Expect::NoWord)];
    let lengths = [125, 126, 127, 128, 65_535, 65_536];
    for (place, length) in lengths.into_iter().enumerate() {
        let number = place + 2;
        all.push(Case::new(format!("1.1.{number}"), vec![text(&peer.request_of(1, length))], answered(&[1])));
        all.push(Case::new(format!("1.2.{number}"), vec![frame(0x82, &vec![0xfe; length])], Expect::Binary));
    }
    all.push(Case::new("1.1.8", vec![text(&peer.request_of(1, 65_536))], answered(&[1])).cut(Cut::By(997)));
    all.push(Case::new("1.2.1", vec![frame(0x82, b"")], Expect::Binary));
    all.push(Case::new("1.2.8", vec![frame(0x82, &[0xfe; 65_536])], Expect::Binary).cut(Cut::By(997)));
    all
}

/// 2: pings and pongs.
fn pings(_: Peer) -> Vec<Case> {
    let ping = |payload: &[u8]| frame(0x89, payload);
    let pongs =
        |payloads: &[&[u8]]| Expect::Answers(Vec::new(), payloads.iter().map(|payload| payload.to_vec()).collect());
    let binary: &[u8] = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff";
    let long: &[u8] = &[0xfe; 125];
    let ten: Vec<String> = (0..10).map(|number| format!("payload-{number}")).collect();
    let ten: Vec<&[u8]> = ten.iter().map(String::as_bytes).collect();
    let all_ten: Vec<_> = ten.iter().map(|payload| ping(payload)).collect();
    vec![
        Case::new("2.1", vec![ping(b"")], pongs(&[b""])),
        Case::new("2.2", vec![ping(b"Hello, world!")], pongs(&[b"Hello, world!"])),
        Case::new("2.3", vec![ping(binary)], pongs(&[binary])),
        Case::new("2.4", vec![ping(long)], pongs(&[long])),
        Case::new("2.5", vec![ping(&[0xfe; 126])], Expect::Close(PROTOCOL)),
        Case::new("2.6", vec![ping(long)], pongs(&[long])).cut(Cut::Octets),
        Case::new("2.7", vec![frame(0x8a, b"")], pongs(&[])),
        Case::new("2.8", vec![frame(0x8a, b"unsolicited pong payload")], pongs(&[])),
        Case::new("2.9", vec![frame(0x8a, b"unsolicited"), ping(b"ping")], pongs(&[b"ping"])),
        Case::new("2.10", all_ten.clone(), pongs(&ten)),
        Case::new("2.11", all_ten, pongs(&ten)).cut(Cut::Octets),
    ]
}

/// 3: reserved bits, and 4: reserved opcodes.
fn reserved(peer: Peer) -> Vec<Case> {
    let hello = peer.request(1, b"");
    let (said, ping) = (|| text(&hello), || frame(0x89, b""));
    let with = |first: u8, payload: &[u8]| vec![said(), frame(first, payload), ping()];
    let refused = || Expect::Close(PROTOCOL);
    let mut all = vec![
        Case::new("3.1", vec![frame(0x81 | 0x10, &hello)], refused()),
        Case::new("3.2", with(0x81 | 0x20, &hello), refused()),
        Case::new("3.3", with(0x81 | 0x30, &hello), refused()).cut(Cut::Frames),
        Case::new("3.4", with(0x81 | 0x40, &hello), refused()).cut(Cut::Octets),
        Case::new("3.5", vec![frame(0x82 | 0x50, &[0xff; 8])], refused()),
        Case::new("3.6", vec![frame(0x89 | 0x60, b"Hello, world!")], refused()),
        Case::new("3.7", vec![frame(0x88 | 0x70, b"")], refused()),
    ];
    for (section, opcodes) in [(1, 3..=7_u8), (2, 11..=15)] {
        for (place, opcode) in opcodes.enumerate() {
            let first = 0x80 | opcode;
            let frames = match place {
                0 => vec![frame(first, b"")],
                1 => vec![frame(first, b"reserved opcode payload")],
                2 => with(first, b""),
                _ => with(first, b"reserved opcode payload"),
            };
            let cut = if place == 4 { Cut::Octets } else { Cut::Nowhere };
            all.push(Case::new(format!("4.{section}.{}", place + 1), frames, refused()).cut(cut));
        }
    }
    all
}

/// 5: fragments.
fn fragmentation(peer: Peer) -> Vec<Case> {
    let hello = peer.request(1, b"");
    let (one, two) = hello.split_at(10);
    let (start, rest, end) =
        (|part: &[u8]| frame(0x01, part), |part: &[u8]| frame(0x00, part), |part: &[u8]| frame(0x80, part));
    let ping = |payload: &[u8]| frame(0x89, payload);
    let refused = || Expect::Close(PROTOCOL);
    let with_ping = vec![start(one), ping(b"ping payload"), end(two)];
    let ponged = || Expect::Answers(vec![1], vec![b"ping payload".to_vec()]);
    let nothing_to_continue = |first: u8| vec![frame(first, b"non-continuation payload"), text(&hello)];
    let five: Vec<&[u8]> = hello.chunks(hello.len().div_ceil(5)).collect();
    let with_pings = vec![
        start(five[0]),
        rest(five[1]),
        ping(b"pongme 1!"),
        rest(five[2]),
        rest(five[3]),
        ping(b"pongme 2!"),
        end(five[4]),
    ];
    let two_pongs = || Expect::Answers(vec![1], vec![b"pongme 1!".to_vec(), b"pongme 2!".to_vec()]);
    let twice = |first: u8| {
        let once = [frame(first, b"fragment1"), start(one), end(two)];
        [once.clone(), once].concat()
    };
    vec![
        Case::new("5.1", vec![frame(0x09, b"fragment1"), end(b"fragment2")], refused()),
        Case::new("5.2", vec![frame(0x0a, b"fragment1"), end(b"fragment2")], refused()),
        Case::new("5.3", vec![start(one), end(two)], answered(&[1])),
        Case::new("5.4", vec![start(one), end(two)], answered(&[1])).cut(Cut::Frames),
        Case::new("5.5", vec![start(one), end(two)], answered(&[1])).cut(Cut::Octets),
        Case::new("5.6", with_ping.clone(), ponged()),
        Case::new("5.7", with_ping.clone(), ponged()).cut(Cut::Frames),
        Case::new("5.8", with_ping, ponged()).cut(Cut::Octets),
        Case::new("5.9", nothing_to_continue(0x80), refused()),
        Case::new("5.10", nothing_to_continue(0x80), refused()).cut(Cut::Frames),
        Case::new("5.11", nothing_to_continue(0x80), refused()).cut(Cut::Octets),
        Case::new("5.12", nothing_to_continue(0x00), refused()),
        Case::new("5.13", nothing_to_continue(0x00), refused()).cut(Cut::Frames),
        Case::new("5.14", nothing_to_continue(0x00), refused()).cut(Cut::Octets),
        Case::new("5.15", vec![start(one), end(two), rest(b"fragment3"), text(b"fragment4")], refused()),
        Case::new("5.16", twice(0x00), refused()),
        Case::new("5.17", twice(0x80), refused()),
        Case::new("5.18", vec![start(one), text(two)], refused()),
        Case::new("5.19", with_pings.clone(), two_pongs()),
        Case::new("5.20", with_pings, two_pongs()).cut(Cut::Frames),
    ]
}

/// 7: closing.
fn closing(peer: Peer) -> Vec<Case> {
    let hello = peer.request(1, b"");
    let (one, two) = hello.split_at(10);
    let normal = || close(1000, b"");
    let large = peer.request_of(1, 64 * 1_024);
    let mut all = vec![
        Case::new("7.1.1", vec![text(&hello), normal()], Expect::Closed(Some(1000))),
        Case::new("7.1.2", vec![normal(), normal()], Expect::Closed(Some(1000))),
        Case::new("7.1.3", vec![normal(), frame(0x89, b"")], Expect::Closed(Some(1000))),
        Case::new("7.1.4", vec![normal(), text(&hello)], Expect::Closed(Some(1000))),
        Case::new("7.1.5", vec![frame(0x01, one), normal(), frame(0x80, two)], Expect::Closed(Some(1000))),
        Case::new("7.1.6", vec![text(&large), text(&hello), normal(), frame(0x89, b"")], Expect::Closed(Some(1000))),
        Case::new("7.3.1", vec![frame(0x88, b"")], Expect::Closed(None)),
        Case::new("7.3.2", vec![frame(0x88, b"a")], Expect::Close(PROTOCOL)),
        Case::new("7.3.3", vec![normal()], Expect::Closed(Some(1000))),
        Case::new("7.3.4", vec![close(1000, b"Hello World!")], Expect::Closed(Some(1000))),
        Case::new("7.3.5", vec![close(1000, &[b'*'; 123])], Expect::Closed(Some(1000))),
        Case::new("7.3.6", vec![close(1000, &[b'*'; 124])], Expect::Close(PROTOCOL)),
        Case::new(
            "7.5.1",
            vec![close(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited")],
            Expect::Close(PROTOCOL),
        ),
    ];
    let codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    for (place, code) in codes.into_iter().enumerate() {
        all.push(Case::new(format!("7.7.{}", place + 1), vec![close(code, b"")], Expect::Closed(Some(code))));
    }
    for (place, code) in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].into_iter().enumerate() {
        all.push(Case::new(format!("7.9.{}", place + 1), vec![close(code, b"")], Expect::Close(PROTOCOL)));
    }
    all.push(Case::new("7.13.1", vec![close(5000, b"")], Expect::Close(PROTOCOL)));
    all.push(Case::new("7.13.2", vec![close(65_535, b"")], Expect::Close(PROTOCOL)));
    all
}

/// 9: limits, and 10: fragments as a library makes them. What is over this server's limits is refused as too large.
fn limits(peer: Peer) -> Vec<Case> {
    const KIB: usize = 1_024;
    const MIB: usize = 1_024 * 1_024;
    let mut all = Vec::new();
    for (place, length) in [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB].into_iter().enumerate() {
        let number = place + 1;
        let whole = peer.request_of(1, length.min(MIB));
        // Over a megabyte the header says enough.
        let sent = |first| if length > MIB { header(first, length as u64) } else { frame(first, &whole) };
        all.push(Case::new(format!("9.1.{number}"), vec![sent(0x81)], peer.fits(length)));
        let binary = if length > peer.max() { Expect::Close(TOO_LARGE) } else { Expect::Binary };
        all.push(Case::new(format!("9.2.{number}"), vec![sent(0x82)], binary));
    }
    let four = peer.request_of(1, 4 * MIB);
    for (place, size) in [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB].into_iter().enumerate() {
        all.push(Case::new(format!("9.3.{}", place + 1), fragments(1, &four, size), Expect::Close(TOO_LARGE)));
        let binary = match peer {
            // The first fragment says that it is binary, and all that come with it are too large.
            Peer::Native => Expect::CloseAny(&[1003, TOO_LARGE]),
            Peer::SocketIo => Expect::Close(TOO_LARGE),
        };
        all.push(Case::new(format!("9.4.{}", place + 1), fragments(2, &four, size), binary));
    }
    for (place, size) in [64, 128, 256, 512, KIB, 2 * KIB].into_iter().enumerate() {
        // The suite's megabyte is too large; so is its start, and the largest that is not goes through in the same pieces.
        let (fits, over) = (peer.request_of(1, peer.max().min(64 * KIB)), peer.max() + 1);
        all.push(Case::new(format!("9.5.{}", place + 1), vec![text(&fits)], answered(&[1])).cut(Cut::By(size)));
        let too_large = vec![frame(0x82, &vec![0; over])];
        all.push(Case::new(format!("9.6.{}", place + 1), too_large, Expect::Close(TOO_LARGE)).cut(Cut::By(size)));
    }
    for (place, length) in [0, 16, 64, 256, KIB, 4 * KIB].into_iter().enumerate() {
        let thousand: Vec<_> =
            (1..=1_000).map(|number| text(&peer.request_of(number, length.max(WORDS_MAX)))).collect();
        // The suite sends the next when the last has come back. So many namespaces, or requests, at once are no less.
        let expect = answered(&(1..=1_000).collect::<Vec<_>>());
        all.push(Case::new(format!("9.7.{}", place + 1), thousand, expect));
    }
    all.push(Case::new("10.1.1", fragments(1, &peer.request_of(1, 65_536), 1_300), answered(&[1])));
    all
}

#[actix_web::test]
async fn framing_is_as_the_suite_has_it() {
    run_all(framing).await;
}

#[actix_web::test]
async fn pings_are_answered_as_the_suite_has_it() {
    run_all(pings).await;
}

#[actix_web::test]
async fn what_is_reserved_is_refused_as_the_suite_has_it() {
    run_all(reserved).await;
}

#[actix_web::test]
async fn fragments_are_as_the_suite_has_it() {
    run_all(fragmentation).await;
}

#[actix_web::test]
async fn closing_is_as_the_suite_has_it() {
    run_all(closing).await;
}

#[actix_web::test]
async fn limits_are_kept_in_the_suites_cases() {
    run_all(limits).await;
}

#[actix_web::test]
async fn text_is_utf8_as_the_suite_has_it() {
    run_all(text::cases).await;
}

/// 12 and 13: compression, in every way that the suite offers it. None is negotiated, and so its bit is a reserved one.
#[actix_web::test]
async fn compression_is_not_negotiated_however_it_is_offered() {
    let besieged = Besieged::start(&[("HAGGLE_RATE_LIMITS", "off")]).await;
    let offers = [
        "permessage-deflate",
        "permessage-deflate; client_no_context_takeover; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=15; client_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=8, permessage-deflate",
        "permessage-bzip2, permessage-snappy, x-webkit-deflate-frame",
        "permessage-deflate; server_max_window_bits=99; x=\"\\\"",
    ];
    for peer in [Peer::Native, Peer::SocketIo] {
        for offer in offers {
            let (mut raw, head) = peer.open(&besieged, &format!("Sec-WebSocket-Extensions: {offer}\r\n")).await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{offer}: {head}");
            assert!(!head.to_ascii_lowercase().contains("sec-websocket-extensions"), "{offer}: {head}");
            // As `deflate` has it: a text message with the first reserved bit.
            raw.send(&frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00")).await;
            assert_eq!(raw.ending().await.close, Some(PROTOCOL), "{offer}, {peer:?}");
        }
    }
    besieged.end().await;
}
