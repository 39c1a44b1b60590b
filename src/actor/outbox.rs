//! The plain WebSocket's way out of a session: frames wait here until its writer takes them.
//!
//! What lives here: the queue shared by a session, its pump and the connection's writer, its bound in bytes, and how long the peer has
//! taken nothing. What must not: actors, sockets. The writer is polled only while its socket takes bytes, so what waits here is what the
//! peer has not taken.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::outlet::{Full, Outlet};
use crate::vocabulary::Word;

/// What is written to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A text frame.
    Text(ByteString),
    /// A heartbeat.
    Ping,
    /// The answer to the peer's heartbeat, with what that said.
    Pong(Bytes),
    /// The last frame: a close code (RFC 6455 section 7.4) and a reason.
    Close(u16, String),
}

/// How many times the limit of events may wait in answers. An answer was asked for, and a page of history alone can be larger than
/// all events that may wait, so answers have a bound of their own, and are taken as long as it is not passed already.
const REPLY_FACTOR: usize = 16;

/// What one frame costs beside its bytes, so that empty frames are bounded too.
const FRAME_OVERHEAD_BYTES: usize = 64;

/// A queue that grew beyond so many frames is given back at once when it is empty; a smaller one when the session next looks at its deadlines.
const KEPT_MAX: usize = 64;

/// So many answers to heartbeats may wait; then the pump reads nothing more. What it has read by then is answered too.
const PONGS_ENOUGH: usize = 64;

/// A session's outgoing frames.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    writer: AtomicWaker,
    limit_bytes: usize,
    born: Instant,
    heard_ms: AtomicU64,
    /// The session has enough to do: the pump reads nothing more meanwhile.
    enough: AtomicBool,
    /// Answers to heartbeats wait: the pump reads nothing more until they are written.
    flooded: AtomicBool,
    reader: AtomicWaker,
    /// The last frame waits, or is out.
    closed: AtomicBool,
    /// The pump has ended, or the socket takes nothing more: the other is to end too.
    over: AtomicBool,
}

/// A frame that waits.
#[derive(Debug)]
struct Waiting {
    frame: Outgoing,
    /// What it counts as, and for how much.
    kind: Kind,
    bytes: usize,
}

/// Which bound a frame counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Event,
    Reply,
    /// None: there are few of these.
    Control,
}

#[derive(Debug)]
struct Queue {
    frames: VecDeque<Waiting>,
    event_bytes: usize,
    reply_bytes: usize,
    pongs: usize,
    waiting_since: Option<Instant>,
    closed: bool,
}

impl Outbox {
    /// An outbox that holds at most `limit_bytes` of events.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        let queue = Queue {
            frames: VecDeque::new(),
            event_bytes: 0,
            reply_bytes: 0,
            pongs: 0,
            waiting_since: None,
            closed: false,
        };
        Self {
            queue: Mutex::new(queue),
            writer: AtomicWaker::new(),
            limit_bytes,
            born: Instant::now(),
            heard_ms: AtomicU64::new(0),
            enough: AtomicBool::new(false),
            flooded: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            closed: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// The pump's side: ready when it may read, else registers to be woken.
    pub fn poll_reading(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.reader.register(cx.waker());
        // Once the last frame waits, the peer's answer to it is.
        let open = !self.closed.load(Ordering::Acquire);
        let enough = open && (self.enough.load(Ordering::Acquire) || self.flooded.load(Ordering::Acquire));
        if enough { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Notes that the peer was heard.
    pub fn heard(&self) {
        let ms = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_ms.store(ms, Ordering::Relaxed);
    }

    /// The pump's side: ready when the last frame waits to be written, or nothing can be written any more. It is woken with
    /// [`Outbox::poll_reading`].
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.reader.register(cx.waker());
        if self.closed.load(Ordering::Acquire) || self.is_over() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether the pump has ended, or nothing can be written any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The pump has ended, or nothing can be written any more.
    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }

    /// The writer's side: hands what waits to `write`, in order, until that says that it is enough. Registers to be woken where nothing
    /// waits.
    pub fn poll_take(&self, cx: &mut Context<'_>, mut write: impl FnMut(Outgoing) -> bool) -> Poll<()> {
        let mut queue = self.lock();
        if queue.frames.is_empty() {
            self.writer.register(cx.waker());
            return Poll::Pending;
        }
        while let Some(Waiting { frame, kind, bytes }) = queue.frames.pop_front() {
            match kind {
                Kind::Event => queue.event_bytes -= bytes,
                Kind::Reply => queue.reply_bytes -= bytes,
                Kind::Control => queue.pongs -= usize::from(matches!(frame, Outgoing::Pong(_))),
            }
            if write(frame) {
                break;
            }
        }
        if queue.frames.is_empty() {
            queue.waiting_since = None;
            if queue.frames.capacity() > KEPT_MAX {
                queue.frames = VecDeque::new();
            }
        } else {
            queue.waiting_since = Some(Instant::now());
        }
        if queue.pongs < PONGS_ENOUGH && self.flooded.swap(false, Ordering::AcqRel) {
            self.reader.wake();
        }
        Poll::Ready(())
    }

    /// Answers a heartbeat. While many answers wait, the pump reads nothing more.
    pub fn pong(&self, payload: Bytes) {
        let mut queue = self.lock();
        if queue.closed {
            return;
        }
        queue.pongs += 1;
        if queue.pongs >= PONGS_ENOUGH {
            self.flooded.store(true, Ordering::Release);
        }
        self.add(queue, Outgoing::Pong(payload), Kind::Control, 0);
    }

    fn add(&self, mut queue: MutexGuard<'_, Queue>, frame: Outgoing, kind: Kind, bytes: usize) {
        if queue.closed {
            return;
        }
        match kind {
            Kind::Event => queue.event_bytes += bytes,
            Kind::Reply => queue.reply_bytes += bytes,
            Kind::Control => {}
        }
        queue.closed = matches!(frame, Outgoing::Close(..));
        let (was_empty, closes) = (queue.frames.is_empty(), queue.closed);
        queue.frames.push_back(Waiting { frame, kind, bytes });
        queue.waiting_since.get_or_insert_with(Instant::now);
        drop(queue);
        if was_empty {
            self.writer.wake();
        }
        if closes {
            self.closed.store(true, Ordering::Release);
            self.reader.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held; if something did, the queue is still a queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet for Outbox {
    fn event(&self, frame: &ByteString, _: Option<&str>) -> Result<u64, Full> {
        let queue = self.lock();
        let bytes = frame.len() + FRAME_OVERHEAD_BYTES;
        if queue.event_bytes + bytes > self.limit_bytes {
            return Err(Full);
        }
        self.add(queue, Outgoing::Text(frame.clone()), Kind::Event, bytes);
        Ok(0)
    }

    fn reply(&self, word: Word, _: Option<u64>, _: Option<&str>) -> Result<(), Full> {
        let (Word::Event(frame) | Word::Answer(frame)) = word;
        let queue = self.lock();
        if queue.reply_bytes > self.limit_bytes.saturating_mul(REPLY_FACTOR) {
            return Err(Full);
        }
        let bytes = frame.len() + FRAME_OVERHEAD_BYTES;
        self.add(queue, Outgoing::Text(frame), Kind::Reply, bytes);
        Ok(())
    }

    fn ping(&self) {
        let queue = self.lock();
        if !queue.frames.iter().any(|waiting| waiting.frame == Outgoing::Ping) {
            self.add(queue, Outgoing::Ping, Kind::Control, 0);
        }
    }

    fn close(&self, code: u16, reason: &str) {
        self.add(self.lock(), Outgoing::Close(code, reason.to_owned()), Kind::Control, 0);
    }

    fn clear(&self) {
        let mut queue = self.lock();
        if !queue.closed {
            queue.frames.clear();
            (queue.event_bytes, queue.reply_bytes, queue.pongs) = (0, 0, 0);
            if self.flooded.swap(false, Ordering::AcqRel) {
                self.reader.wake();
            }
        }
    }

    fn rest(&self) {
        let mut queue = self.lock();
        if queue.frames.is_empty() {
            queue.frames = VecDeque::new();
        }
    }

    fn is_busy(&self) -> bool {
        let queue = self.lock();
        queue.event_bytes.max(queue.reply_bytes) > self.limit_bytes / 2
    }

    fn stalled_for(&self) -> Duration {
        self.lock().waiting_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn hold_reading(&self, enough: bool) {
        if self.enough.swap(enough, Ordering::AcqRel) && !enough {
            self.reader.wake();
        }
    }

    fn silent_for(&self) -> Duration {
        self.born.elapsed().saturating_sub(Duration::from_millis(self.heard_ms.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn take(outbox: &Outbox) -> Vec<Outgoing> {
        let mut frames = Vec::new();
        let _ = outbox.poll_take(&mut Context::from_waker(Waker::noop()), |frame| {
            frames.push(frame);
            false
        });
        frames
    }

    #[test]
    fn a_heartbeat_goes_out_though_something_waits_and_none_behind_another() {
        let outbox = Outbox::new(100);
        // In a busy room something waits whenever one looks: whoever only listens would never be asked whether they are there.
        assert_eq!(outbox.event(&"a".into(), None), Ok(0));
        outbox.ping();
        outbox.ping();
        assert_eq!(take(&outbox), [Outgoing::Text("a".into()), Outgoing::Ping]);
    }

    #[test]
    fn what_waits_is_bounded_and_comes_out_in_order() {
        let outbox = Outbox::new(2 * (FRAME_OVERHEAD_BYTES + 1));
        assert_eq!(outbox.event(&"a".into(), None), Ok(0));
        assert_eq!(outbox.event(&"b".into(), None), Ok(0));
        assert_eq!(outbox.event(&"c".into(), None), Err(Full));
        assert_eq!(take(&outbox), [Outgoing::Text("a".into()), Outgoing::Text("b".into())]);
        assert_eq!(outbox.event(&"c".into(), None), Ok(0), "what was taken no longer counts");
    }

    #[test]
    fn a_page_larger_than_the_limit_of_events_passes_and_cuts_nobody_off() {
        let outbox = Outbox::new(100);
        assert_eq!(outbox.reply(Word::Answer("x".repeat(5_000).into()), None, None), Ok(()));
        assert_eq!(outbox.event(&"a".into(), None), Ok(0), "an answer takes no room from events");
        assert!(outbox.is_busy());
        assert_eq!(
            outbox.reply(Word::Answer("y".into()), None, None),
            Err(Full),
            "answers that nobody reads are bounded too"
        );
    }

    #[test]
    fn reading_stops_while_the_session_has_enough_to_do() {
        let outbox = Outbox::new(100);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(outbox.poll_reading(&mut cx), Poll::Ready(()));
        outbox.hold_reading(true);
        assert_eq!(outbox.poll_reading(&mut cx), Poll::Pending);
        outbox.hold_reading(false);
        assert_eq!(outbox.poll_reading(&mut cx), Poll::Ready(()));
    }

    #[test]
    fn what_is_taken_in_parts_counts_until_it_is() {
        let outbox = Outbox::new(2 * (FRAME_OVERHEAD_BYTES + 1));
        assert_eq!(outbox.event(&"a".into(), None), Ok(0));
        assert_eq!(outbox.event(&"b".into(), None), Ok(0));
        let one = outbox.poll_take(&mut Context::from_waker(Waker::noop()), |frame| {
            assert_eq!(frame, Outgoing::Text("a".into()));
            true
        });
        assert_eq!(one, Poll::Ready(()));
        assert_eq!(outbox.event(&"c".into(), None), Ok(0));
        assert_eq!(outbox.event(&"d".into(), None), Err(Full));
        assert_eq!(take(&outbox), [Outgoing::Text("b".into()), Outgoing::Text("c".into())]);
    }

    #[test]
    fn reading_stops_while_many_answers_to_heartbeats_wait() {
        let outbox = Outbox::new(100);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 1..PONGS_ENOUGH {
            outbox.pong(Bytes::new());
        }
        assert_eq!(outbox.poll_reading(&mut cx), Poll::Ready(()));
        outbox.pong(Bytes::new());
        assert_eq!(outbox.poll_reading(&mut cx), Poll::Pending);
        assert_eq!(take(&outbox).len(), PONGS_ENOUGH);
        assert_eq!(outbox.poll_reading(&mut cx), Poll::Ready(()));
    }

    #[test]
    fn nothing_follows_a_close_frame() {
        let outbox = Outbox::new(1_000);
        assert_eq!(outbox.event(&"a".into(), None), Ok(0));
        outbox.close(1000, "done");
        assert_eq!(outbox.event(&"b".into(), None), Ok(0));
        assert_eq!(take(&outbox), [Outgoing::Text("a".into()), Outgoing::Close(1000, "done".into())]);
    }

    #[test]
    fn a_slow_reader_is_left_the_last_word_alone() {
        let outbox = Outbox::new(100);
        assert_eq!(outbox.event(&"a".into(), None), Ok(0));
        outbox.clear();
        assert_eq!(outbox.reply(Word::Answer("bye".into()), None, None), Ok(()));
        outbox.close(4408, "slow");
        assert_eq!(take(&outbox), [Outgoing::Text("bye".into()), Outgoing::Close(4408, "slow".into())]);
    }
}
