//! The guard: reads frame headers as they stream by, before the parser buffers what they announce.
//!
//! What lives here: refusing a frame that declares too much (the parser looks only once all of it is there), and passing no more than
//! the pump keeps up with. What must not: parsing payloads, or deciding what a message means.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

use super::MESSAGE_MAX;

/// What the guard and its pump tell each other.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Whole frames that passed.
    passed: Cell<u64>,
    /// Frames that the pump has dealt with.
    handled: Cell<u64>,
    /// A frame declared more than [`MESSAGE_MAX`].
    oversized: Cell<bool>,
}

impl Tally {
    /// The pump has dealt with a frame.
    pub(super) fn handled(&self) {
        self.handled.set(self.handled.get() + 1);
    }

    /// Whether the connection ends because of a frame that declared too much.
    pub(super) fn oversized(&self) -> bool {
        self.oversized.get()
    }
}

/// A payload stream under guard.
pub(super) struct Guard<S> {
    inner: S,
    tally: Rc<Tally>,
    place: Place,
}

/// Where in a frame the stream stands (RFC 6455 section 5.2).
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// In a header: its bytes so far.
    Header(Vec<u8>),
    /// In a payload: bytes still to come.
    Payload(u64),
}

/// The longest header: two bytes, a 64-bit length, a mask.
const HEADER_MAX: usize = 14;

impl<S> Guard<S> {
    pub(super) fn new(inner: S, tally: Rc<Tally>) -> Self {
        Self { inner, tally, place: Place::Header(Vec::new()) }
    }

    /// Walks over a chunk. False when a frame in it declares too much.
    fn inspect(&mut self, chunk: &[u8]) -> bool {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            match &mut self.place {
                Place::Header(header) => {
                    rest = after;
                    header.push(*byte);
                    let Some(length) = declared(header) else { continue };
                    if length > MESSAGE_MAX as u64 {
                        return false;
                    }
                    self.enter(length);
                }
                Place::Payload(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    let left = *left - here as u64;
                    rest = rest.split_at(here).1;
                    self.enter(left);
                }
            }
        }
        true
    }

    fn enter(&mut self, left: u64) {
        if left == 0 {
            self.tally.passed.set(self.tally.passed.get() + 1);
            self.place = Place::Header(Vec::with_capacity(HEADER_MAX));
        } else {
            self.place = Place::Payload(left);
        }
    }
}

/// The payload length that a complete header declares; `None` while it is incomplete.
fn declared(header: &[u8]) -> Option<u64> {
    let [_, second, rest @ ..] = header else { return None };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (length, extended) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(rest.first_chunk().copied()?)), 2),
        127 => (u64::from_be_bytes(rest.first_chunk().copied()?), 8),
        short => (u64::from(short), 0),
    };
    // Refused as soon as the length is known; otherwise the mask belongs to the header too.
    (length > MESSAGE_MAX as u64 || rest.len() >= extended + mask).then_some(length)
}

impl<S> Stream for Guard<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let tally = &self.tally;
        if tally.oversized() {
            return Poll::Ready(None);
        }
        if tally.passed.get() > tally.handled.get() {
            // The parser has whole frames that the pump has not dealt with. It asks again after each.
            return Poll::Pending;
        }
        let chunk = match Pin::new(&mut self.inner).poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => chunk,
            other => return other,
        };
        if self.inspect(&chunk) {
            Poll::Ready(Some(Ok(chunk)))
        } else {
            self.tally.oversized.set(true);
            Poll::Ready(Some(Err(PayloadError::Overflow)))
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    fn guard(chunks: &[&[u8]]) -> (Vec<Result<usize, ()>>, Rc<Tally>) {
        let tally = Rc::new(Tally::default());
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let guard = Guard::new(stream::iter(chunks), Rc::clone(&tally));
        let seen = Rc::clone(&tally);
        let passed = guard.map(|item| {
            // As a pump that keeps up.
            seen.handled.set(seen.passed.get());
            item.map(|chunk| chunk.len()).map_err(drop)
        });
        (futures_util::FutureExt::now_or_never(passed.collect()).unwrap_or_default(), tally)
    }

    #[test]
    fn a_frame_that_declares_too_much_is_refused_before_a_byte_of_it_comes() {
        let huge = [0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0];
        let (passed, tally) = guard(&[&huge]);
        assert_eq!(passed, [Err(())]);
        assert!(tally.oversized());
        let (passed, tally) = guard(&[&huge[..5], &huge[5..]]);
        assert_eq!(passed, [Ok(5), Err(())], "wherever the header is cut");
        assert!(tally.oversized());
    }

    #[test]
    fn nothing_more_is_read_while_the_pump_has_whole_frames_before_it() {
        let tally = Rc::new(Tally::default());
        let chunks = [&b"\x81\x80\0\0\0\0\x81\x80\0\0\0\0\x81"[..], b"\x80\0\0\0\0", b"\x81"];
        let chunks = chunks.map(|chunk| Ok(Bytes::from_static(chunk)));
        let mut guard = Guard::new(stream::iter(chunks), Rc::clone(&tally));
        let mut read = || futures_util::FutureExt::now_or_never(guard.next()).map(|item| item.is_some());
        assert_eq!(read(), Some(true), "two frames and the beginning of a third");
        assert_eq!(read(), None);
        tally.handled();
        assert_eq!(read(), None);
        tally.handled();
        assert_eq!(read(), Some(true), "the rest of the third is waited for");
        assert_eq!(read(), None);
        tally.handled();
        assert_eq!(read(), Some(true));
        assert_eq!(read(), Some(false), "the end");
    }

    #[test]
    fn the_largest_message_passes_and_one_byte_more_does_not() {
        let mut frame = vec![0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4];
        frame.resize(14 + MESSAGE_MAX, 0);
        let (passed, tally) = guard(&[&frame]);
        assert_eq!((passed, tally.passed.get()), (vec![Ok(frame.len())], 1));
        assert!(guard(&[&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1]]).1.oversized());
    }

    proptest! {
        #[test]
        fn frames_are_counted_however_they_are_cut(lengths in prop::collection::vec(0_usize..300, 1..20), cut in 1_usize..40) {
            let mut bytes = Vec::new();
            for length in &lengths {
                bytes.push(0x81);
                match u8::try_from(*length) {
                    Ok(short) if short < 126 => bytes.push(0x80 | short),
                    _ => {
                        bytes.push(0x80 | 126);
                        bytes.extend(u16::try_from(*length).unwrap_or(0).to_be_bytes());
                    }
                }
                bytes.extend([1, 2, 3, 4]);
                bytes.extend(std::iter::repeat_n(0xff, *length));
            }
            let chunks: Vec<&[u8]> = bytes.chunks(cut).collect();
            let (_, tally) = guard(&chunks);
            prop_assert_eq!(tally.passed.get(), lengths.len() as u64);
        }
    }
}
