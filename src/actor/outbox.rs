//! The plain WebSocket's way out of a session: frames wait here until its pump takes them.
//!
//! What lives here: the queue shared by a session and its pump, its bound in bytes, and how long the peer has taken nothing.
//! What must not: actors, sockets. The pump is polled only while its socket takes bytes, so what waits here is what the peer
//! has not taken.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::outlet::{Full, Outlet};
use crate::vocabulary::Word;

/// What a pump writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A text frame.
    Text(ByteString),
    /// A heartbeat.
    Ping,
    /// The last frame: a close code (RFC 6455 section 7.4) and a reason of at most 123 bytes.
    Close(u16, String),
}

/// How many times the limit of events may wait in answers. An answer was asked for, and a page of history alone can be larger than
/// all events that may wait, so answers have a bound of their own, and are taken as long as it is not passed already.
const REPLY_FACTOR: usize = 16;

/// What one frame costs beside its bytes, so that empty frames are bounded too.
const FRAME_OVERHEAD_BYTES: usize = 64;

/// A session's outgoing frames.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    pump: AtomicWaker,
    limit_bytes: usize,
    born: Instant,
    heard_ms: AtomicU64,
    /// The session has enough to do: the pump reads nothing more meanwhile.
    enough: AtomicBool,
    reader: AtomicWaker,
}

#[derive(Debug)]
struct Queue {
    frames: Vec<Outgoing>,
    event_bytes: usize,
    reply_bytes: usize,
    waiting_since: Option<Instant>,
    closed: bool,
}

impl Outbox {
    /// An outbox that holds at most `limit_bytes` of events.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        let queue = Queue { frames: Vec::new(), event_bytes: 0, reply_bytes: 0, waiting_since: None, closed: false };
        Self {
            queue: Mutex::new(queue),
            pump: AtomicWaker::new(),
            limit_bytes,
            born: Instant::now(),
            heard_ms: AtomicU64::new(0),
            enough: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        }
    }

    /// The pump's side: ready when it may read, else registers to be woken.
    pub fn poll_reading(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.reader.register(cx.waker());
        if self.enough.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Notes that the peer was heard.
    pub fn heard(&self) {
        let ms = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_ms.store(ms, Ordering::Relaxed);
    }

    /// The pump's side: takes all that waits, or registers to be woken.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Vec<Outgoing>> {
        self.pump.register(cx.waker());
        let mut queue = self.lock();
        if queue.frames.is_empty() {
            return Poll::Pending;
        }
        queue.event_bytes = 0;
        queue.reply_bytes = 0;
        queue.waiting_since = None;
        Poll::Ready(mem::take(&mut queue.frames))
    }

    fn add(&self, mut queue: MutexGuard<'_, Queue>, frame: Outgoing) {
        if queue.closed {
            return;
        }
        queue.closed = matches!(frame, Outgoing::Close(..));
        let was_empty = queue.frames.is_empty();
        queue.frames.push(frame);
        queue.waiting_since.get_or_insert_with(Instant::now);
        drop(queue);
        if was_empty {
            self.pump.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held; if something did, the queue is still a queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet for Outbox {
    fn event(&self, frame: &ByteString, _: Option<&str>) -> Result<u64, Full> {
        let mut queue = self.lock();
        let bytes = frame.len() + FRAME_OVERHEAD_BYTES;
        if queue.event_bytes + bytes > self.limit_bytes {
            return Err(Full);
        }
        queue.event_bytes += bytes;
        self.add(queue, Outgoing::Text(frame.clone()));
        Ok(0)
    }

    fn reply(&self, word: Word, _: Option<u64>, _: Option<&str>) -> Result<(), Full> {
        let (Word::Event(frame) | Word::Answer(frame)) = word;
        let mut queue = self.lock();
        if queue.reply_bytes > self.limit_bytes.saturating_mul(REPLY_FACTOR) {
            return Err(Full);
        }
        queue.reply_bytes += frame.len() + FRAME_OVERHEAD_BYTES;
        self.add(queue, Outgoing::Text(frame));
        Ok(())
    }

    fn ping(&self) {
        let queue = self.lock();
        if !queue.frames.contains(&Outgoing::Ping) {
            self.add(queue, Outgoing::Ping);
        }
    }

    fn close(&self, code: u16, reason: &str) {
        self.add(self.lock(), Outgoing::Close(code, reason.to_owned()));
    }

    fn clear(&self) {
        let mut queue = self.lock();
        if !queue.closed {
            queue.frames.clear();
            queue.event_bytes = 0;
            queue.reply_bytes = 0;
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
        match outbox.poll_take(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frames) => frames,
            Poll::Pending => Vec::new(),
        }
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
