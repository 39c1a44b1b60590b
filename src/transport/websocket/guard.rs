//! The guard: reads frame headers as they stream by, before the parser buffers what they announce.
//!
//! What lives here: refusing a frame that declares too much (the parser looks only once all of it is there) or breaks the protocol
//! (the parser would fail at the same bytes again and again), and passing nothing while the pump has whole frames before it. What must not: parsing
//! payloads, or deciding what a message means.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

use super::MESSAGE_MAX;
use crate::actor::outbox::Outbox;

/// The longest header: two bytes, a 64-bit length, a mask.
const HEADER_MAX: usize = 14;
/// The shortest header that a client writes: two bytes and a mask.
const HEADER_MIN: u64 = 6;
/// The longest payload of a control frame (RFC 6455 section 5.5).
const CONTROL_MAX: u64 = 125;

/// Why the guard lets nothing more through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A frame declares, or a message in fragments comes to, more than it may.
    Size,
    /// A frame breaks RFC 6455 section 5.
    Protocol,
}

/// What the guard and its pump tell each other.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Whole frames that passed.
    passed: Cell<u64>,
    /// Frames that the pump has dealt with.
    handled: Cell<u64>,
    fault: Cell<Option<Fault>>,
}

impl Tally {
    /// The pump has dealt with a frame.
    pub(super) fn handled(&self) {
        self.handled.set(self.handled.get() + 1);
    }

    /// Why the connection ends, where it is for a frame that the guard refused.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }
}

/// A payload stream under guard. After a fault it swallows what still comes, so that the peer can read why.
pub(super) struct Guard<S> {
    inner: S,
    outbox: Arc<Outbox>,
    tally: Rc<Tally>,
    place: Place,
    /// A message in fragments is open.
    fragmented: bool,
    /// Bytes that the fragments of the open message have declared.
    declared: u64,
    /// Bytes that may still come, headers included, until the first message is whole; `None` from then on.
    first: Option<u64>,
}

/// Where in a frame the stream stands (RFC 6455 section 5.2).
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// In a header: its bytes so far.
    Header(Vec<u8>),
    /// In a payload: bytes still to come.
    Payload(u64),
}

impl<S> Guard<S> {
    /// `first_max` is how many bytes may come, pings and all, until the first message is whole: what a stranger may have the server hold.
    pub(super) fn new(inner: S, outbox: Arc<Outbox>, tally: Rc<Tally>, first_max: Option<usize>) -> Self {
        let (place, first) = (Place::Header(Vec::new()), first_max.map(|bytes| bytes as u64));
        Self { inner, outbox, tally, place, fragmented: false, declared: 0, first }
    }

    /// Walks over a chunk.
    fn inspect(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            match &mut self.place {
                Place::Header(header) => {
                    rest = after;
                    header.push(*byte);
                    if let [first, second] = header.as_slice() {
                        let (first, second) = (*first, *second);
                        self.judge(first, second)?;
                    } else if let Some(length) = declared(header) {
                        let control = header.first().is_some_and(|first| first & 0x08 != 0);
                        self.weigh(control, length)?;
                        self.enter(length);
                    }
                }
                Place::Payload(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    let left = *left - here as u64;
                    rest = rest.split_at(here).1;
                    self.enter(left);
                }
            }
        }
        Ok(())
    }

    /// Judges a frame by its first two bytes: reserved bits, opcode, mask, and whether it may stand here.
    fn judge(&mut self, first: u8, second: u8) -> Result<(), Fault> {
        let (last, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
        let (masked, length) = (second & 0x80 != 0, u64::from(second & 0x7f));
        let fits = match opcode {
            0 => self.fragmented,
            1 | 2 => !self.fragmented,
            8..=10 => last && length <= CONTROL_MAX,
            _ => false,
        };
        if reserved != 0 || !masked || !fits {
            return Err(Fault::Protocol);
        }
        if opcode < 8 {
            self.fragmented = !last;
        }
        Ok(())
    }

    /// Judges a frame by its length, and its message by that of all its fragments.
    fn weigh(&mut self, control: bool, length: u64) -> Result<(), Fault> {
        if let Some(left) = &mut self.first {
            *left = left.checked_sub(length.saturating_add(HEADER_MIN)).ok_or(Fault::Size)?;
        }
        if control {
            return Ok(());
        }
        self.declared = self.declared.saturating_add(length);
        if self.declared > MESSAGE_MAX as u64 {
            return Err(Fault::Size);
        }
        if !self.fragmented {
            (self.declared, self.first) = (0, None);
        }
        Ok(())
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

/// The payload length that a masked header declares; `None` while the header is incomplete.
fn declared(header: &[u8]) -> Option<u64> {
    const MASK: usize = 4;
    let [_, second, rest @ ..] = header else { return None };
    let (length, extended) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(rest.first_chunk().copied()?)), 2),
        127 => (u64::from_be_bytes(rest.first_chunk().copied()?), 8),
        short => (u64::from(short), 0),
    };
    // Refused as soon as the length is known; otherwise the mask belongs to the header too.
    (length > MESSAGE_MAX as u64 || rest.len() >= extended + MASK).then_some(length)
}

impl<S> Stream for Guard<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let swallowing = self.tally.fault().is_some();
            if !swallowing && self.tally.passed.get() > self.tally.handled.get() {
                // The parser has whole frames that the pump has not dealt with. It asks again after each.
                return Poll::Pending;
            }
            if !swallowing {
                ready!(self.outbox.poll_reading(cx));
            }
            let chunk = match Pin::new(&mut self.inner).poll_next(cx) {
                Poll::Ready(Some(Ok(_))) if swallowing => continue,
                Poll::Ready(Some(Err(_))) if swallowing => return Poll::Ready(None),
                Poll::Ready(Some(Ok(chunk))) => chunk,
                other => return other,
            };
            return match self.inspect(&chunk) {
                Ok(()) => Poll::Ready(Some(Ok(chunk))),
                Err(fault) => {
                    self.tally.fault.set(Some(fault));
                    Poll::Ready(Some(Err(PayloadError::Overflow)))
                }
            };
        }
    }
}

/// What the guard made of a peer's bytes, for fuzzing.
#[cfg(any(test, fuzzing))]
#[derive(Debug)]
pub struct Guarded {
    /// The bytes that it let through.
    pub passed: Vec<u8>,
    /// The whole frames among them.
    pub frames: u64,
    /// What it refused, in words.
    pub fault: Option<String>,
}

/// Hands chunks to a guard before a pump that keeps up.
#[cfg(any(test, fuzzing))]
pub fn guarded(chunks: impl IntoIterator<Item = Bytes>) -> Guarded {
    use futures_util::{FutureExt, StreamExt, stream};
    let tally = Rc::new(Tally::default());
    let chunks = stream::iter(chunks).map(Ok);
    let guard = Guard::new(chunks, Arc::new(Outbox::new(0)), Rc::clone(&tally), None);
    let keeping_up = guard.inspect(|_| tally.handled.set(tally.passed.get()));
    let passed: Option<Vec<_>> = keeping_up.filter_map(async |item| item.ok()).collect().now_or_never();
    let fault = tally.fault().map(|fault| format!("{fault:?}"));
    Guarded { passed: passed.unwrap_or_default().concat(), frames: tally.passed.get(), fault }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    fn guard(chunks: &[&[u8]]) -> (Vec<Result<usize, ()>>, Rc<Tally>) {
        guard_at_first(None, chunks)
    }

    fn guard_at_first(first_max: Option<usize>, chunks: &[&[u8]]) -> (Vec<Result<usize, ()>>, Rc<Tally>) {
        let tally = Rc::new(Tally::default());
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let guard = Guard::new(stream::iter(chunks), Arc::new(Outbox::new(0)), Rc::clone(&tally), first_max);
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
        assert_eq!(tally.fault(), Some(Fault::Size));
        let (passed, tally) = guard(&[&huge[..5], &huge[5..]]);
        assert_eq!(passed, [Ok(5), Err(())], "wherever the header is cut");
        assert_eq!(tally.fault(), Some(Fault::Size));
    }

    #[test]
    fn nothing_more_is_read_while_the_pump_has_whole_frames_before_it() {
        let tally = Rc::new(Tally::default());
        let chunks = [&b"\x81\x80\0\0\0\0\x81\x80\0\0\0\0\x81"[..], b"\x80\0\0\0\0", b"\x81"];
        let chunks = chunks.map(|chunk| Ok(Bytes::from_static(chunk)));
        let mut guard = Guard::new(stream::iter(chunks), Arc::new(Outbox::new(0)), Rc::clone(&tally), None);
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
        assert_eq!(guard(&[&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1]]).1.fault(), Some(Fault::Size));
    }

    #[test]
    fn a_first_message_that_must_be_small_is_and_those_after_it_need_not_be() {
        let frame = |first: u8, length: u8| {
            let mut frame = vec![first, 0x80 | length, 1, 2, 3, 4];
            frame.resize(6 + usize::from(length), 0);
            frame
        };
        let fault = |frames: &[Vec<u8>]| guard_at_first(Some(106), &[&frames.concat()]).1.fault();
        assert_eq!(fault(&[frame(0x81, 100), frame(0x81, 125)]), None);
        assert_eq!(fault(&[frame(0x81, 101)]), Some(Fault::Size));
        assert_eq!(fault(&[frame(0x01, 50), frame(0x80, 44), frame(0x81, 125)]), None);
        assert_eq!(fault(&[frame(0x01, 50), frame(0x80, 45)]), Some(Fault::Size));
        assert_eq!(fault(&[frame(0x01, 50), frame(0x00, 40), frame(0x00, 1)]), Some(Fault::Size));
        assert_eq!(fault(&[frame(0x89, 100), frame(0x89, 0)]), Some(Fault::Size), "pings count");
        assert_eq!(fault(&vec![frame(0x00, 0); 17]), Some(Fault::Protocol));
        assert_eq!(fault(&[frame(0x01, 0), vec![frame(0x00, 0); 17].concat()]), Some(Fault::Size), "headers count");
    }

    #[test]
    fn fragments_are_together_no_larger_than_a_message_may_be() {
        let half = |first: u8| [vec![first, 0xfe, 0x80, 0, 0, 0, 0, 0], vec![0; 0x8000]].concat();
        assert_eq!(guard(&[&half(0x01), &half(0x80), &half(0x81)]).1.fault(), None);
        assert_eq!(guard(&[&half(0x01), &half(0x00), &[0x80, 0x81, 0, 0, 0, 0]]).1.fault(), Some(Fault::Size));
    }

    #[test]
    fn what_breaks_the_protocol_is_refused_by_its_header_and_what_follows_is_swallowed() {
        let good = [0x81, 0x80, 1, 2, 3, 4];
        for (bad, why) in [
            ([0xc1, 0x80, 1, 2, 3, 4], "a reserved bit"),
            ([0x83, 0x80, 1, 2, 3, 4], "a reserved opcode"),
            ([0x81, 0x00, 1, 2, 3, 4], "no mask"),
            ([0x80, 0x80, 1, 2, 3, 4], "a continuation of nothing"),
            ([0x09, 0x80, 1, 2, 3, 4], "a control frame in fragments"),
            ([0x89, 0xfe, 1, 2, 3, 4], "a control frame over 125 bytes"),
        ] {
            let (passed, tally) = guard(&[&good, &bad, &good]);
            assert_eq!((passed, tally.fault()), (vec![Ok(6), Err(())], Some(Fault::Protocol)), "{why}");
        }
        let (_, tally) = guard(&[&[0x01, 0x80, 1, 2, 3, 4], &good]);
        assert_eq!(tally.fault(), Some(Fault::Protocol), "a new message inside one in fragments");
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
