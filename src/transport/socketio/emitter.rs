//! A session's way out to one Socket.IO client: words become packets of its namespace.
//!
//! What lives here: framing (Socket.IO protocol, revision 5: `42/shop,["name",…]`, `43/shop,7[…]`) and the bound on what waits. What
//! must not: the transport's own queue, heartbeats, deadlines (the crate `socketio` has them).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use socketio::engine::{CloseReason, EmitError};
use socketio::{Encoded, Socket};
use tokio::sync::Notify;

use crate::actor::outlet::{Full, Outlet};
use crate::protocol::event::{CLOSE_GOING_DOWN, CLOSE_SLOW_READER};
use crate::vocabulary::Word;

/// How many times the limit of events may wait in answers: an answer was asked for, and a page of history alone can be larger than all
/// events that may wait.
const REPLY_FACTOR: usize = 16;
/// The longest head of a packet: its types, a namespace of ours, an acknowledgement's number.
const HEAD_BYTES: usize = 64;

/// What may wait for one client in all, where this many bytes of events may.
pub(super) fn most_bytes(limit_bytes: usize) -> usize {
    limit_bytes.saturating_mul(REPLY_FACTOR + 1)
}

/// The way out to one client.
pub(super) struct Emitter {
    socket: Socket,
    limit_bytes: usize,
    written: AtomicU64,
    /// The ticket of the last answer: until it is flushed, more may wait.
    answered: AtomicU64,
    /// The session has enough to do: nothing more is read meanwhile.
    enough: Arc<(AtomicBool, Notify)>,
}

impl Emitter {
    pub(super) fn new(socket: Socket, limit_bytes: usize) -> Self {
        Self {
            socket,
            limit_bytes,
            written: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            enough: Arc::new((AtomicBool::new(false), Notify::new())),
        }
    }

    /// Waits until the session takes more, where it does not now.
    pub(super) fn reading(&self) -> Option<LocalBoxFuture<'static, ()>> {
        if !self.enough.0.load(Ordering::Acquire) {
            return None;
        }
        let enough = Arc::clone(&self.enough);
        let waiting = async move {
            loop {
                let freed = enough.1.notified();
                if !enough.0.load(Ordering::Acquire) {
                    return;
                }
                freed.await;
            }
        };
        Some(waiting.boxed_local())
    }

    fn head(&self, kind: &str, room: usize) -> BytesMut {
        let mut packet = BytesMut::with_capacity(room + HEAD_BYTES);
        packet.put(kind.as_bytes());
        let namespace = self.socket.namespace();
        if namespace != "/" {
            packet.put(namespace.as_bytes());
            packet.put_u8(b',');
        }
        packet
    }

    fn event_packet(&self, frame: &ByteString, offset: Option<&str>) -> Bytes {
        let mut packet = self.head("42", frame.len() + offset.map_or(0, str::len));
        packet.put_u8(b'[');
        packet.put(frame.as_bytes().as_ref());
        if let Some(offset) = offset {
            packet.put(&b",\""[..]);
            packet.put(offset.as_bytes());
            packet.put_u8(b'"');
        }
        packet.put_u8(b']');
        packet.freeze()
    }

    fn answer_packet(&self, payload: &ByteString, ack: u64) -> Bytes {
        let mut packet = self.head("43", payload.len());
        packet.put(ack.to_string().as_bytes());
        packet.put_u8(b'[');
        packet.put(payload.as_bytes().as_ref());
        packet.put_u8(b']');
        packet.freeze()
    }

    fn emit(&self, packet: Bytes, limit: usize) -> Result<u64, Full> {
        if self.socket.session().waiting_bytes() + packet.len() > limit {
            return Err(Full);
        }
        match self.socket.emit_encoded(&Encoded::from_text(packet)) {
            Ok(ticket) => {
                self.written.store(ticket, Ordering::Relaxed);
                Ok(ticket)
            }
            Err(EmitError::SlowReader) => Err(Full),
            // It is gone, and says so itself: what is written now is never flushed.
            Err(EmitError::Closed) => Ok(u64::MAX),
        }
    }
}

impl Outlet for Emitter {
    fn event(&self, frame: &ByteString, offset: Option<&str>) -> Result<u64, Full> {
        // A page of history that waits is not the listener's slowness.
        let answering = self.answered.load(Ordering::Relaxed) > self.socket.flushed();
        let limit = if answering { most_bytes(self.limit_bytes) } else { self.limit_bytes };
        self.emit(self.event_packet(frame, offset), limit)
    }

    fn reply(&self, word: Word, ack: Option<u64>, offset: Option<&str>) -> Result<(), Full> {
        let packet = match (&word, ack) {
            (Word::Event(frame), _) => self.event_packet(frame, offset),
            (Word::Answer(payload), Some(ack)) => self.answer_packet(payload, ack),
            (Word::Answer(_), None) => return Ok(()),
        };
        let ticket = self.emit(packet, most_bytes(self.limit_bytes))?;
        self.answered.store(ticket, Ordering::Relaxed);
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn flushed(&self) -> u64 {
        self.socket.flushed()
    }

    fn received(&self) -> u64 {
        self.socket.received()
    }

    fn close(&self, code: u16, _: &str) {
        match code {
            // Clients come back by themselves where they were not told to go.
            CLOSE_GOING_DOWN => self.socket.session().close(CloseReason::ServerShutdown),
            CLOSE_SLOW_READER => self.socket.session().close(CloseReason::SlowReader),
            _ => self.socket.disconnect(false),
        }
    }

    fn is_busy(&self) -> bool {
        self.socket.session().waiting_bytes() > self.limit_bytes / 2
    }

    fn hold_reading(&self, enough: bool) {
        self.enough.0.store(enough, Ordering::Release);
        if !enough {
            self.enough.1.notify_waiters();
        }
    }
}
