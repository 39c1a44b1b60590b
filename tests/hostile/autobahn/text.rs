//! Section 6 of the Autobahn suite: text that is UTF-8 and text that is not, whole, in fragments, octet by octet.
//!
//! What lives here: the byte sequences, in the suite's order. What must not: how a case is tried.

use super::{Case, Cut, Expect, NOT_UTF8, Peer, answered, fragments, text};
use crate::hostile::raw::frame;

/// κόσμε, of which 6.2 to 6.6 make their cases.
const KOSME: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
/// The first code point that there is not, as UTF-8 would write it.
const BEYOND: &[u8] = b"\xf4\x90\x80\x80";
/// Sequences whose last byte is missing: 6.14, and 6.15 all of them.
const CUT_OFF: [&[u8]; 10] = [
    b"\xc0",
    b"\xe0\x80",
    b"\xf0\x80\x80",
    b"\xf8\x80\x80\x80",
    b"\xfc\x80\x80\x80\x80",
    b"\xdf",
    b"\xef\xbf",
    b"\xf7\xbf\xbf",
    b"\xfb\xbf\xbf\xbf",
    b"\xfd\xbf\xbf\xbf\xbf",
];

pub(super) fn cases(peer: Peer) -> Vec<Case> {
    let mut all = empty(peer);
    all.extend(whole_and_cut(peer));
    for (section, valid, rows) in sequences().into_iter().chain(broken()) {
        for (place, bytes) in rows.iter().enumerate() {
            let expect = match (section, bytes.as_slice()) {
                // UTF-8, and no JSON.
                (_, [0]) => Expect::NoWord,
                _ if valid.contains(&(place + 1)) => answered(&[1]),
                _ => Expect::Close(NOT_UTF8),
            };
            all.push(Case::new(format!("6.{section}.{}", place + 1), vec![text(&peer.request(1, bytes))], expect));
        }
    }
    all
}

/// 6.1: empty messages, and empty fragments around one that is not.
fn empty(peer: Peer) -> Vec<Case> {
    let hello = peer.request(1, b"");
    vec![
        Case::new("6.1.1", vec![text(b"")], Expect::NoWord),
        Case::new("6.1.2", vec![frame(0x01, b""), frame(0x00, b""), frame(0x80, b"")], Expect::NoWord),
        Case::new("6.1.3", vec![frame(0x01, b""), frame(0x00, &hello), frame(0x80, b"")], answered(&[1])),
    ]
}

/// 6.2 to 6.4: valid and invalid, whole and in fragments and chops.
fn whole_and_cut(peer: Peer) -> Vec<Case> {
    let hello = peer.request(1, "Hello-µ@ßöäüàá-UTF-8!!".as_bytes());
    let bad = [KOSME, b"\xed\xa0\x80", b"edited"].concat();
    let bad = peer.request(1, &bad);
    let refused = || Expect::Close(NOT_UTF8);
    // Fail-fast: the suite lets a server wait for the end of the message, and this one does.
    let (before, rest) = (peer.request(1, KOSME), [BEYOND, b"edited"].concat());
    let before = &before[..before.len() - 2];
    let cut = |at: usize| {
        let whole = [before, &rest, b"\"}"].concat();
        let (first, last) = whole.split_at(before.len() + 1);
        let (second, third) = last.split_at(at);
        (first.to_vec(), second.to_vec(), third.to_vec())
    };
    let frames = |at| {
        let (first, second, third) = cut(at);
        vec![frame(0x01, &first), frame(0x00, &second), frame(0x80, &third)]
    };
    let whole = {
        let (first, second, third) = cut(3);
        vec![text(&[first, second, third].concat())]
    };
    let kosme = peer.request(1, KOSME);
    vec![
        Case::new("6.2.1", vec![text(&hello)], answered(&[1])),
        Case::new("6.2.2", fragments(1, &hello, hello.len() / 2), answered(&[1])),
        Case::new("6.2.3", fragments(1, &hello, 1), answered(&[1])),
        Case::new("6.2.4", fragments(1, &kosme, 1), answered(&[1])),
        Case::new("6.3.1", vec![text(&bad)], refused()),
        Case::new("6.3.2", fragments(1, &bad, 1), refused()),
        Case::new("6.4.1", frames(3), refused()).cut(Cut::Frames),
        Case::new("6.4.2", frames(1), refused()).cut(Cut::Frames),
        Case::new("6.4.3", whole.clone(), refused()).cut(Cut::By(20)),
        Case::new("6.4.4", whole, refused()).cut(Cut::Octets),
    ]
}

/// A section, which of its rows are valid, and the rows.
type Section = (usize, Vec<usize>, Vec<Vec<u8>>);

/// 6.5 to 6.11.
fn sequences() -> Vec<Section> {
    let rows = |rows: &[&[u8]]| rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
    let prefixes = (1..=KOSME.len()).map(|end| KOSME[..end].to_vec()).collect();
    vec![
        (
            5,
            (1..=5).collect(),
            rows(&[
                b"hello\x24world",
                b"hello\xc2\xa2world",
                b"hello\xe2\x82\xacworld",
                b"hello\xf0\xa4\xad\xa2world",
                KOSME,
            ]),
        ),
        (6, vec![2, 5, 7, 9, 11], prefixes),
        (7, (1..=4).collect(), rows(&[b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"])),
        (8, vec![], rows(&[b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"])),
        (9, (1..=4).collect(), rows(&[b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"])),
        (10, vec![], rows(&[b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"])),
        (
            11,
            (1..=4).collect(),
            rows(&[b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf", BEYOND]),
        ),
    ]
}

/// 6.12 to 6.23: sequences that are cut off, overlong or nobody's, and code points that are valid for all that.
fn broken() -> Vec<Section> {
    let rows = |rows: &[&[u8]]| rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
    let continuations = (0x80..0xbf).collect::<Vec<u8>>();
    let lonely = |from: u8, to: u8| (from..to).flat_map(|byte| [byte, b' ']).collect::<Vec<u8>>();
    let mut unexpected: Vec<Vec<u8>> = vec![b"\x80".to_vec(), b"\xbf".to_vec()];
    unexpected.extend((2..=6).map(|length| b"\x80\xbf".repeat(3)[..length].to_vec()));
    unexpected.push(continuations);
    vec![
        (12, vec![], unexpected),
        (
            13,
            vec![],
            vec![lonely(0xc0, 0xdf), lonely(0xe0, 0xef), lonely(0xf0, 0xf7), lonely(0xf8, 0xfb), lonely(0xfc, 0xfd)],
        ),
        (14, vec![], rows(&CUT_OFF)),
        (15, vec![], vec![CUT_OFF.concat()]),
        (16, vec![], rows(&[b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"])),
        (
            17,
            vec![],
            rows(&[
                b"\xc0\xaf",
                b"\xe0\x80\xaf",
                b"\xf0\x80\x80\xaf",
                b"\xf8\x80\x80\x80\xaf",
                b"\xfc\x80\x80\x80\x80\xaf",
            ]),
        ),
        (
            18,
            vec![],
            rows(&[
                b"\xc1\xbf",
                b"\xe0\x9f\xbf",
                b"\xf0\x8f\xbf\xbf",
                b"\xf8\x87\xbf\xbf\xbf",
                b"\xfc\x83\xbf\xbf\xbf\xbf",
            ]),
        ),
        (
            19,
            vec![],
            rows(&[
                b"\xc0\x80",
                b"\xe0\x80\x80",
                b"\xf0\x80\x80\x80",
                b"\xf8\x80\x80\x80\x80",
                b"\xfc\x80\x80\x80\x80\x80",
            ]),
        ),
        (20, vec![], surrogates()),
        (21, vec![], paired_surrogates()),
        (22, (1..=34).collect(), non_characters()),
        (23, (1..=7).collect(), (0xb9..=0xbf).map(|last| vec![0xef, 0xbf, last]).collect()),
    ]
}

fn surrogates() -> Vec<Vec<u8>> {
    let tails = [b"\xa0\x80", b"\xad\xbf", b"\xae\x80", b"\xaf\xbf", b"\xb0\x80", b"\xbe\x80", b"\xbf\xbf"];
    tails.iter().map(|tail| [b"\xed", tail.as_slice()].concat()).collect()
}

fn paired_surrogates() -> Vec<Vec<u8>> {
    let (high, low) =
        ([b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf"], [b"\xed\xb0\x80", b"\xed\xbf\xbf"]);
    high.iter().flat_map(|high| low.iter().map(|low| [high.as_slice(), low.as_slice()].concat())).collect()
}

/// The last two code points of every plane: no characters, and valid UTF-8.
fn non_characters() -> Vec<Vec<u8>> {
    let last_two = |plane: u32| [plane << 16 | 0xfffe, plane << 16 | 0xffff];
    let written = |point: u32| char::from_u32(point).expect("a code point").to_string().into_bytes();
    (0..=16).flat_map(last_two).map(written).collect()
}
