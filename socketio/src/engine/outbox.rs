//! What waits to be sent to one peer, and which transport may take it. A plain state machine behind
//! the session's lock: no I/O, no timers.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};

use super::packet::Frame;

/// Bytes that one turn hands to the server at most; more frames follow in the next.
const WRITE_CHUNK: usize = 64 * 1024;
/// Bytes of pongs and probe answers that may wait; a peer that floods pings gets no more of them.
const MAX_CONTROL_BYTES: usize = 4 * 1024;
/// Tasks that may wait for a flush at a time; one beyond is told at once.
const MAX_FLUSH_WAITERS: usize = 64;

/// What ends the waiting poll of a peer that has asked to close; others are told to.
pub(crate) const LAST_WORDS_TO_LEAVER: &str = "6";

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// The session, or the socket on it, is over.
    #[error("the connection is closed")]
    Closed,
    /// More bytes waited than allowed: the session was ended for it.
    #[error("the peer does not read")]
    SlowReader,
}

/// How far the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Closed, but what waits is still sent.
    Closing,
    /// Nothing more is sent but the Close frame or the close packet.
    Closed,
}

/// One WebSocket, attached to the session or probing.
#[derive(Debug)]
struct Link {
    id: u64,
    active: bool,
    /// Encoded control frames and probe answers, sent before messages.
    control: BytesMut,
    /// Set when the socket is to be closed, with the code to say, if any.
    end: Option<Option<u16>>,
    close_sent: bool,
    done: bool,
    waker: Option<Waker>,
    /// Wakes its reader when it is gone.
    reader: Option<Waker>,
}

/// The answer to a poll.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PollAnswer {
    /// A payload with everything that waited, and the ticket that it reaches up to.
    Payload(Vec<u8>, u64),
    /// The session went over to WebSocket, or is over: another request took its place.
    Gone,
}

#[derive(Debug)]
struct PollSlot {
    id: u64,
    waker: Option<Waker>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: VecDeque<Frame>,
    /// Tickets of queued frames after which a WebSocket pauses.
    pauses: VecDeque<u64>,
    /// Whether a WebSocket pauses now.
    paused: bool,
    bytes: usize,
    max_bytes: usize,
    max_frames: usize,
    phase: Phase,
    /// Whether a WebSocket is the transport.
    upgraded: bool,
    link: Option<Link>,
    poll: Option<PollSlot>,
    /// What ends a waiting poll if nothing else does: `1` or `6`.
    last_words: &'static str,
    /// Whether a poll that comes after the end is told of it.
    tells_polls: bool,
    /// A poll was told of the end.
    end_told: bool,
    /// Until the next upgrade step a poll is answered with a noop.
    hurry_polls: bool,
    next_id: u64,
    pushed: u64,
    handed: u64,
    flushed: u64,
    /// The ticket up to which polls were answered, and up to which their client has shown that it has the answer.
    answered: u64,
    received: u64,
    waiting_since: Option<Instant>,
    /// When the peer counts as gone unless its pong has come.
    expires: Option<Instant>,
    flush_waiters: Vec<Waker>,
}

impl Outbox {
    pub(crate) fn new(max_bytes: usize, max_frames: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            pauses: VecDeque::new(),
            paused: false,
            bytes: 0,
            max_bytes,
            max_frames,
            phase: Phase::Open,
            upgraded: false,
            link: None,
            poll: None,
            last_words: "1",
            tells_polls: true,
            end_told: false,
            hurry_polls: false,
            next_id: 0,
            pushed: 0,
            handed: 0,
            flushed: 0,
            answered: 0,
            received: 0,
            waiting_since: None,
            expires: None,
            flush_waiters: Vec::new(),
        }
    }

    /// Queues frames that belong together. Answers with the ticket of the last: it is flushed when
    /// [`Outbox::flushed`] has reached it.
    pub(crate) fn push(&mut self, frames: &[Frame]) -> Result<u64, EmitError> {
        if self.phase != Phase::Open {
            return Err(EmitError::Closed);
        }
        let more: usize = frames.iter().map(Frame::len).sum();
        if self.bytes + more > self.max_bytes || self.queue.len() + frames.len() > self.max_frames {
            return Err(EmitError::SlowReader);
        }
        if self.queue.is_empty() {
            self.waiting_since = Some(Instant::now());
        }
        self.bytes += more;
        self.pushed += frames.len() as u64;
        self.queue.extend(frames.iter().cloned());
        self.wake_transport();
        Ok(self.pushed)
    }

    /// Like [`Outbox::push`], but after the first of these frames a WebSocket pauses.
    pub(crate) fn push_apart(&mut self, frames: &[Frame]) -> Result<u64, EmitError> {
        let before = self.pushed;
        let pushed = self.push(frames)?;
        self.pauses.push_back(before + 1);
        Ok(pushed)
    }

    fn wake_transport(&mut self) {
        let waker = if self.upgraded {
            self.link.as_mut().and_then(|link| link.waker.take())
        } else {
            self.poll.as_mut().and_then(|poll| poll.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wake_all(&mut self) {
        let link = self.link.as_mut().and_then(|link| link.waker.take());
        let poll = self.poll.as_mut().and_then(|poll| poll.waker.take());
        for waker in link.into_iter().chain(poll).chain(self.flush_waiters.drain(..)) {
            waker.wake();
        }
    }

    /// Whether a frame pushed now would leave at once: nothing waits, and the transport is there.
    pub(crate) fn is_writable(&self) -> bool {
        let there = if self.upgraded { self.link.is_some() } else { self.poll.is_some() };
        self.phase == Phase::Open && self.queue.is_empty() && there
    }

    /// Sets when the peer counts as gone.
    pub(crate) fn expire_at(&mut self, at: Instant) {
        self.expires = Some(at);
    }

    /// Whether the peer counts as gone, even if the timer that should say so is late.
    pub(crate) fn is_expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= Instant::now())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether it was the peer who asked for the end.
    pub(crate) fn is_closed_by_peer(&self) -> bool {
        self.phase != Phase::Open && self.last_words == LAST_WORDS_TO_LEAVER
    }

    /// How long frames have waited with none taken.
    pub(crate) fn stalled_for(&self) -> Duration {
        self.waiting_since.map(|since| since.elapsed()).unwrap_or_default()
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.bytes
    }

    /// The ticket up to which frames were taken by the transport.
    pub(crate) fn flushed(&self) -> u64 {
        self.flushed
    }

    /// Registers a task to be woken at the next flush or close; refuses beyond the bound.
    pub(crate) fn wait_for_flush(&mut self, cx: &Context<'_>) -> bool {
        if self.flush_waiters.len() >= MAX_FLUSH_WAITERS {
            self.flush_waiters.retain(|waker| !waker.will_wake(cx.waker()));
        }
        if self.flush_waiters.len() >= MAX_FLUSH_WAITERS {
            return false;
        }
        self.flush_waiters.push(cx.waker().clone());
        true
    }

    /// The ticket up to which the peer has frames, as far as the transport can show it: a poll's answer, once it polls again.
    pub(crate) fn received(&self) -> u64 {
        if self.upgraded { self.flushed } else { self.received }
    }

    fn mark_flushed(&mut self, upto: u64) {
        if upto > self.flushed {
            self.flushed = upto;
            for waker in self.flush_waiters.drain(..) {
                waker.wake();
            }
        }
    }

    /// An idle connection keeps no queue.
    pub(crate) fn rest(&mut self) {
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let frame = self.queue.pop_front();
        match &frame {
            Some(frame) => {
                self.bytes -= frame.len();
                self.handed += 1;
                self.paused = self.pauses.pop_front_if(|after| *after <= self.handed).is_some();
                self.waiting_since = Some(Instant::now());
            }
            None => {
                self.waiting_since = None;
                if self.queue.capacity() > 16 {
                    self.rest();
                }
            }
        }
        frame
    }

    /// Ends the session: with what waits still sent (`drain`) or dropped, and `last_words` for a
    /// waiting poll, and for one that comes later if `tells_polls`. Only the first call counts, but
    /// for a drain that a later call cuts short.
    pub(crate) fn close(&mut self, drain: bool, last_words: &'static str, tells_polls: bool) {
        if self.phase == Phase::Open {
            self.last_words = last_words;
            self.tells_polls = tells_polls;
        }
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = if drain { Phase::Closing } else { Phase::Closed };
        if !drain {
            self.queue = VecDeque::new();
            self.pauses = VecDeque::new();
            self.bytes = 0;
            self.waiting_since = None;
        }
        if let Some(link) = &mut self.link {
            link.end.get_or_insert(None);
        }
        self.wake_all();
    }
}

/// Polling.
impl Outbox {
    /// Takes the place of the waiting poll, if it is free and the session not over.
    pub(crate) fn open_poll(&mut self) -> Option<u64> {
        if self.poll.is_some() || (!self.is_open() && !self.tells_polls) {
            return None;
        }
        self.next_id += 1;
        self.received = self.answered;
        self.poll = Some(PollSlot { id: self.next_id, waker: None });
        Some(self.next_id)
    }

    /// Frees the place. Answers whether it was still this poll's.
    pub(crate) fn close_poll(&mut self, id: u64) -> bool {
        let own = self.poll.as_ref().is_some_and(|poll| poll.id == id);
        if own {
            self.poll = None;
        }
        own
    }

    /// Whether the session is over and a poll that comes later is to be told of it.
    pub(crate) fn owes_the_end(&self) -> bool {
        !self.is_open() && self.tells_polls && !self.end_told && !self.upgraded
    }

    /// Whether a waiting poll should soon be ended, for the upgrade's sake.
    pub(crate) fn hurries_polls(&self) -> bool {
        self.hurry_polls
    }

    /// The answer to the poll, once there is one. `hurry` asks for a noop if nothing waits.
    pub(crate) fn poll_answer(&mut self, id: u64, hurry: bool, cx: &Context<'_>) -> Poll<PollAnswer> {
        let Some(poll) = self.poll.as_mut().filter(|poll| poll.id == id) else {
            return Poll::Ready(PollAnswer::Gone);
        };
        poll.waker = Some(cx.waker().clone());
        if self.upgraded {
            // It came after the upgrade, or its client did not wait for it as it should have.
            return Poll::Ready(PollAnswer::Gone);
        }
        let mut payload = Vec::new();
        while let Some(frame) = self.take() {
            frame.append_to_payload(&mut payload);
        }
        if hurry && payload.is_empty() && self.phase == Phase::Open {
            payload.extend_from_slice(b"6");
        } else if self.phase != Phase::Open && payload.is_empty() {
            // Never behind anything: the official client ends at once and hears what came in the same payload only when it is
            // connected again, too late to say that it was told. The poll that it sends next is told.
            let last_words = Frame::Text(Bytes::from_static(self.last_words.as_bytes()));
            last_words.append_to_payload(&mut payload);
            self.end_told = true;
        }
        if payload.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(PollAnswer::Payload(payload, self.handed))
    }

    /// The answer was given to the server to write.
    pub(crate) fn poll_written(&mut self, upto: u64) {
        self.answered = upto;
        self.mark_flushed(upto);
    }
}

/// WebSocket.
impl Outbox {
    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded
    }

    /// Attaches a WebSocket: as the transport (`active`), or to probe. `None` if there is one.
    pub(crate) fn open_link(&mut self, active: bool) -> Option<u64> {
        if self.link.is_some() || self.upgraded || self.phase != Phase::Open {
            return None;
        }
        self.next_id += 1;
        self.upgraded = active;
        self.link = Some(Link {
            id: self.next_id,
            active,
            control: BytesMut::new(),
            end: None,
            close_sent: false,
            done: false,
            waker: None,
            reader: None,
        });
        Some(self.next_id)
    }

    fn link(&mut self, id: u64) -> Option<&mut Link> {
        self.link.as_mut().filter(|link| link.id == id)
    }

    /// Sends a control frame, or the probe's answer, ahead of what waits.
    pub(crate) fn control(&mut self, id: u64, opcode: OpCode, payload: &[u8]) {
        let Some(link) = self.link(id) else { return };
        if link.control.len() < MAX_CONTROL_BYTES {
            Parser::write_message(&mut link.control, payload, opcode, true, false);
        }
        if let Some(waker) = link.waker.take() {
            waker.wake();
        }
    }

    /// The probe was seen: polls are ended soon, so that the client can go on.
    pub(crate) fn probed(&mut self) {
        self.hurry_polls = true;
        if let Some(waker) = self.poll.as_mut().and_then(|poll| poll.waker.take()) {
            waker.wake();
        }
    }

    /// Makes the probing WebSocket the transport; `false` if it cannot be any more.
    pub(crate) fn upgrade(&mut self, id: u64) -> bool {
        let open = self.phase == Phase::Open;
        let Some(link) = self.link(id).filter(|link| open && link.end.is_none()) else {
            return false;
        };
        link.active = true;
        self.upgraded = true;
        self.hurry_polls = false;
        self.wake_all();
        true
    }

    /// Sends a Close frame on this WebSocket and takes nothing more from it.
    pub(crate) fn end_link(&mut self, id: u64, code: Option<u16>) {
        if let Some(link) = self.link(id) {
            link.end.get_or_insert(code);
            if let Some(waker) = link.waker.take() {
                waker.wake();
            }
        }
    }

    /// Nothing more is read from this WebSocket: its body may end.
    pub(crate) fn link_done(&mut self, id: u64) {
        if let Some(link) = self.link(id) {
            link.done = true;
            if let Some(waker) = link.waker.take() {
                waker.wake();
            }
        }
    }

    /// Whether a Close frame was asked for on this WebSocket, or it is gone.
    pub(crate) fn link_ends(&mut self, id: u64) -> bool {
        self.link(id).is_none_or(|link| link.end.is_some())
    }

    /// Whether this WebSocket has to pause before it takes more.
    pub(crate) fn link_pauses(&self) -> bool {
        self.upgraded && self.paused
    }

    /// Ends the pause.
    pub(crate) fn resume_link(&mut self) {
        self.paused = false;
    }

    /// Forgets this WebSocket, and wakes its reader.
    pub(crate) fn remove_link(&mut self, id: u64) {
        let Some(link) = self.link.take_if(|link| link.id == id) else {
            return;
        };
        self.hurry_polls = false;
        if let Some(reader) = link.reader {
            reader.wake();
        }
    }

    /// Ready once nothing can be written to this WebSocket any more.
    pub(crate) fn poll_link_gone(&mut self, id: u64, cx: &Context<'_>) -> Poll<()> {
        let Some(link) = self.link(id) else {
            return Poll::Ready(());
        };
        match &mut link.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            None => link.reader = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// The next bytes for the WebSocket: everything that waits, in one piece; `None` at its end.
    pub(crate) fn poll_link(&mut self, id: u64, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        // Asked again, the server has taken what it was given before.
        if self.upgraded {
            self.mark_flushed(self.handed);
        }
        let Some(link) = self.link(id) else {
            return Poll::Ready(None);
        };
        if link.close_sent {
            if link.done {
                return Poll::Ready(None);
            }
            link.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let active = link.active;
        let mut buffer = std::mem::take(&mut link.control);
        while active && !self.paused && buffer.len() < WRITE_CHUNK {
            match self.take() {
                Some(Frame::Text(bytes)) => Parser::write_message(&mut buffer, bytes, OpCode::Text, true, false),
                Some(Frame::Binary(bytes)) => Parser::write_message(&mut buffer, bytes, OpCode::Binary, true, false),
                None => break,
            }
        }
        let drained = !active || self.queue.is_empty();
        let Some(link) = self.link(id) else {
            return Poll::Ready(None);
        };
        if let Some(code) = link.end.filter(|_| drained) {
            let payload = code.map(u16::to_be_bytes);
            let payload = payload.as_ref().map(|bytes| bytes.as_slice()).unwrap_or_default();
            Parser::write_message(&mut buffer, payload, OpCode::Close, true, false);
            link.close_sent = true;
        }
        if buffer.is_empty() {
            link.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Some(buffer.freeze()))
    }
}
