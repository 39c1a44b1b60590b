//! The writer: what a session has to say, as frames, straight from its outbox to the connection.
//!
//! What lives here: framing (RFC 6455 section 5), many frames a write. What must not: what comes in (`pump.rs`), bounds (the outbox).
//!
//! It is the body of the handshake's answer, polled only while the socket takes bytes, and by itself: a delivery wakes nothing that reads.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_http::ws::{CloseCode, CloseReason, OpCode, Parser};
use actix_web::body::{BodySize, MessageBody};
use bytes::{Bytes, BytesMut};

use crate::actor::outbox::{Outbox, Outgoing};
use crate::transport::gate::Passage;

/// Bytes that are enough for one write; what waits behind them follows in the next.
const WRITE_ENOUGH: usize = 32 * 1024;
/// A buffer that grew beyond this, for a single large frame, is not kept.
const BUFFER_MAX: usize = 256 * 1024;
/// The longest reason in a Close frame, in bytes (RFC 6455 section 5.5).
const REASON_MAX: usize = 123;
/// Stands for a Close frame without a code, and is never written (RFC 6455 section 7.1.5).
pub(super) const NO_CODE: u16 = 1005;

thread_local! {
    /// One buffer a thread: what was cut off it comes back when it is written.
    static WRITE: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// The way out of one connection.
pub(super) struct Writer {
    outbox: Arc<Outbox>,
    /// The connection counts until its last byte is out.
    _passage: Passage,
}

impl Writer {
    /// The way out of this outbox.
    pub(super) fn new(outbox: Arc<Outbox>, passage: Passage) -> Self {
        Self { outbox, _passage: passage }
    }
}

impl MessageBody for Writer {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        WRITE.with_borrow_mut(|buffer| {
            let taken = self.outbox.poll_take(cx, |frame| {
                write(buffer, frame);
                buffer.len() >= WRITE_ENOUGH
            });
            match taken {
                Poll::Ready(()) => {
                    let chunk = buffer.split().freeze();
                    if chunk.len() > BUFFER_MAX {
                        *buffer = BytesMut::new();
                    }
                    Poll::Ready(Some(Ok(chunk)))
                }
                Poll::Pending if self.outbox.is_over() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Nothing can be written any more: who reads is to end too.
        self.outbox.end();
    }
}

fn write(buffer: &mut BytesMut, frame: Outgoing) {
    match frame {
        Outgoing::Text(text) => Parser::write_message(buffer, text, OpCode::Text, true, false),
        Outgoing::Ping => Parser::write_message(buffer, b"", OpCode::Ping, true, false),
        Outgoing::Pong(payload) => Parser::write_message(buffer, payload, OpCode::Pong, true, false),
        Outgoing::Close(NO_CODE, _) => Parser::write_close(buffer, None, false),
        Outgoing::Close(code, reason) => {
            let reason = CloseReason { code: CloseCode::from(code), description: Some(shortened(&reason).to_owned()) };
            Parser::write_close(buffer, Some(reason), false);
        }
    }
}

/// As much of a reason as a Close frame takes.
fn shortened(reason: &str) -> &str {
    reason.split_at(reason.floor_char_boundary(REASON_MAX)).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(frame: Outgoing) -> Vec<u8> {
        let mut buffer = BytesMut::new();
        write(&mut buffer, frame);
        buffer.to_vec()
    }

    #[test]
    fn frames_are_written_as_rfc_6455_has_them() {
        assert_eq!(written(Outgoing::Text("hi".into())), b"\x81\x02hi");
        assert_eq!(written(Outgoing::Ping), b"\x89\x00");
        assert_eq!(written(Outgoing::Pong(Bytes::from_static(b"x"))), b"\x8a\x01x");
        assert_eq!(written(Outgoing::Close(NO_CODE, String::new())), b"\x88\x00");
        assert_eq!(written(Outgoing::Close(1001, "bye".into())), b"\x88\x05\x03\xe9bye");
        assert_eq!(written(Outgoing::Text("x".repeat(200).into())).get(..4), Some(&b"\x81\x7e\x00\xc8"[..]));
    }

    #[test]
    fn a_reason_is_cut_between_letters() {
        let long = format!("{}é", "x".repeat(REASON_MAX - 1));
        assert_eq!(shortened(&long), "x".repeat(REASON_MAX - 1));
        assert_eq!(written(Outgoing::Close(1000, long)).len(), 2 + 2 + REASON_MAX - 1);
    }
}
