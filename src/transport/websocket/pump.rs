//! The pump: a thin actor between a WebSocket and its session. Bytes to requests one way, waiting frames to bytes the other.
//!
//! What lives here: putting fragments together, and ending the connection with the right close code (RFC 6455 section 7.4.1).
//! What must not: timers or bounds in time, for an actor of `actix-web-actors` stands still while its peer reads nothing.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{CloseCode, CloseReason, Item, Message, ProtocolError};
use actix_web_actors::ws::WebsocketContext;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;

use super::MESSAGE_MAX;
use super::guard::{Fault, Tally};
use crate::actor::outbox::{Outbox, Outgoing};
use crate::actor::session::{Gone, Heard, Session};
use crate::transport::gate::Passage;
use crate::vocabulary::{Call, Codec};

/// Fragments a message at most.
const FRAGMENTS_MAX: usize = 1_024;
/// How long a peer may take to answer a Close frame (RFC 6455 section 7.1.1): closing the socket at once could destroy the frame on
/// its way.
const FAREWELL: Duration = Duration::from_secs(2);
/// The longest reason in a Close frame, in bytes (RFC 6455 section 5.5).
const REASON_MAX: usize = 123;

/// The pump of one connection.
pub(super) struct Pump {
    open: Option<Box<dyn FnOnce() -> Addr<Session>>>,
    session: Option<Addr<Session>>,
    outbox: Arc<Outbox>,
    codec: &'static dyn Codec,
    tally: Rc<Tally>,
    /// A message in fragments: what came so far, and of how many.
    fragments: Option<(BytesMut, usize)>,
    /// The Close frame is written; what still comes is not looked at.
    closing: bool,
    _passage: Passage,
}

/// What waits in an outbox, as a stream.
struct Waiting(Arc<Outbox>);

impl Stream for Waiting {
    type Item = Vec<Outgoing>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_take(cx).map(Some)
    }
}

impl Pump {
    /// A pump that opens its session when the connection stands.
    pub(super) fn new(
        open: Box<dyn FnOnce() -> Addr<Session>>,
        outbox: Arc<Outbox>,
        codec: &'static dyn Codec,
        tally: Rc<Tally>,
        passage: Passage,
    ) -> Self {
        Self {
            open: Some(open),
            session: None,
            outbox,
            codec,
            tally,
            fragments: None,
            closing: false,
            _passage: passage,
        }
    }

    /// A whole text message came.
    fn text(&mut self, ctx: &mut WebsocketContext<Self>, text: &str) {
        let heard = Heard(self.codec.decode(&Call { name: "", body: text, ack: None, caller: None }));
        let Some(session) = &self.session else { return };
        match session.try_send(heard) {
            Ok(()) => {}
            // The session has much to do: nothing more is read from the peer until it has taken this.
            Err(SendError::Full(heard)) => ctx.wait(session.send(heard).into_actor(self).map(|_, _, _| ())),
            Err(SendError::Closed(_)) => {}
        }
    }

    fn fragment(&mut self, ctx: &mut WebsocketContext<Self>, item: Item) {
        let (bytes, last) = match item {
            Item::FirstText(bytes) => {
                self.fragments = Some((BytesMut::new(), 0));
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
            Item::FirstBinary(_) => return self.end(ctx, CloseCode::Unsupported, "text frames only"),
        };
        let Some((message, count)) = &mut self.fragments else {
            return self.end(ctx, CloseCode::Protocol, "a continuation of nothing");
        };
        *count += 1;
        if message.len() + bytes.len() > MESSAGE_MAX || *count > FRAGMENTS_MAX {
            return self.end(ctx, CloseCode::Size, "the message is too large");
        }
        message.extend_from_slice(&bytes);
        if last && let Some((message, _)) = self.fragments.take() {
            self.whole(ctx, message.freeze());
        }
    }

    /// A message in fragments is whole: only now can it be told whether it is UTF-8.
    fn whole(&mut self, ctx: &mut WebsocketContext<Self>, message: Bytes) {
        match std::str::from_utf8(&message) {
            Ok(text) => self.text(ctx, text),
            Err(_) => self.end(ctx, CloseCode::Invalid, "a text message is UTF-8"),
        }
    }

    /// Writes the last frame and waits for the peer's.
    fn end(&mut self, ctx: &mut WebsocketContext<Self>, code: CloseCode, reason: &str) {
        if !self.closing {
            self.closing = true;
            ctx.close(Some(CloseReason { code, description: Some(shortened(reason)) }));
            ctx.run_later(FAREWELL, |_, ctx| ctx.stop());
            self.let_go();
        }
    }

    /// The session has nothing more to do here.
    fn let_go(&mut self) {
        if let Some(session) = self.session.take() {
            // Not try_send: one message a connection, and a session without a pump must end.
            session.do_send(Gone::default());
        }
    }

    fn fail(&mut self, ctx: &mut WebsocketContext<Self>, error: &ProtocolError) {
        match error {
            _ if self.tally.fault() == Some(Fault::Size) => self.end(ctx, CloseCode::Size, "the frame is too large"),
            _ if self.tally.fault() == Some(Fault::Protocol) => {
                self.end(ctx, CloseCode::Protocol, "this breaks the WebSocket protocol")
            }
            ProtocolError::Overflow => self.end(ctx, CloseCode::Size, "the frame is too large"),
            ProtocolError::Io(error) if error.to_string().contains("UTF-8") || error.to_string().contains("utf-8") => {
                self.end(ctx, CloseCode::Invalid, "a text message is UTF-8");
            }
            // The connection broke, or a Close frame was malformed.
            _ => self.end(ctx, CloseCode::Protocol, "this breaks the WebSocket protocol"),
        }
    }
}

/// As much of a reason as a Close frame takes.
fn shortened(reason: &str) -> String {
    let mut bytes = 0;
    let fits = |c: &char| {
        bytes += c.len_utf8();
        bytes <= REASON_MAX
    };
    reason.chars().take_while(fits).collect()
}

impl Actor for Pump {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.session = self.open.take().map(|open| open());
        ctx.add_stream(Waiting(Arc::clone(&self.outbox)));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.let_go();
    }
}

impl StreamHandler<Vec<Outgoing>> for Pump {
    fn handle(&mut self, frames: Vec<Outgoing>, ctx: &mut Self::Context) {
        for frame in frames {
            match frame {
                Outgoing::Text(text) => ctx.text(text),
                Outgoing::Ping => ctx.ping(b""),
                Outgoing::Close(code, reason) => self.end(ctx, CloseCode::from(code), &reason),
            }
        }
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}

impl StreamHandler<Result<Message, ProtocolError>> for Pump {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        self.tally.handled();
        self.outbox.heard();
        match message {
            Ok(Message::Close(_)) | Err(_) if self.closing => ctx.stop(),
            _ if self.closing => {}
            Ok(Message::Text(text)) => self.text(ctx, &text),
            Ok(Message::Continuation(item)) => self.fragment(ctx, item),
            Ok(Message::Ping(payload)) => ctx.pong(&payload),
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Binary(_)) => self.end(ctx, CloseCode::Unsupported, "text frames only"),
            Ok(Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Err(error) => self.fail(ctx, &error),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
