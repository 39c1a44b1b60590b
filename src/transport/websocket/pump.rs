//! The pump: a thin actor between a WebSocket and its session, for what comes in. What goes out is `writer.rs`'s.
//!
//! What lives here: putting fragments together, and ending the connection with the right close code (RFC 6455 section 7.4.1).
//! What must not: bounds in time (the session has them), writing.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{CloseCode, CloseReason, Item, Message, ProtocolError};
use actix_web_actors::ws::WebsocketContext;
use bytes::{Bytes, BytesMut};

use super::MESSAGE_MAX;
use super::guard::{Fault, Tally};
use super::writer::NO_CODE;
use crate::actor::outbox::Outbox;
use crate::actor::outlet::Outlet;
use crate::actor::session::{Gone, Heard, Session};
use crate::vocabulary::{Call, Codec};

/// Fragments a message at most.
const FRAGMENTS_MAX: usize = 1_024;
/// How long a peer may take to answer a Close frame (RFC 6455 section 7.1.1): closing the socket at once could destroy the frame on
/// its way.
const FAREWELL: Duration = Duration::from_secs(2);

/// The pump of one connection.
pub(super) struct Pump {
    open: Option<Box<dyn FnOnce() -> Addr<Session>>>,
    session: Option<Addr<Session>>,
    outbox: Arc<Outbox>,
    codec: &'static dyn Codec,
    tally: Rc<Tally>,
    /// A message in fragments: what came so far, and of how many.
    fragments: Option<(BytesMut, usize)>,
    /// The Close frame is on its way; what still comes is not looked at.
    closing: bool,
}

impl Pump {
    /// A pump that opens its session when the connection stands.
    pub(super) fn new(
        open: Box<dyn FnOnce() -> Addr<Session>>,
        outbox: Arc<Outbox>,
        codec: &'static dyn Codec,
        tally: Rc<Tally>,
    ) -> Self {
        Self { open: Some(open), session: None, outbox, codec, tally, fragments: None, closing: false }
    }

    /// A whole text message came.
    fn text(&mut self, ctx: &mut WebsocketContext<Self>, text: &str) {
        let heard = Heard(self.codec.decode(&Call { name: "", body: text, ack: None, caller: None }));
        let Some(session) = &self.session else { return };
        match session.try_send(heard) {
            Ok(()) => {}
            // The session has much to do: nothing more is read from the peer until it has taken this.
            Err(SendError::Full(heard)) => ctx.wait(session.send(heard).into_actor(self).map(|_, _, _| ())),
            // It has ended without a word.
            Err(SendError::Closed(_)) => self.end(ctx, CloseCode::Error, "the session has ended"),
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

    /// Has the last frame written and waits for the peer's.
    fn end(&mut self, ctx: &mut WebsocketContext<Self>, code: CloseCode, reason: &str) {
        self.outbox.close(code.into(), reason);
        self.closing(ctx);
    }

    /// The last frame is on its way.
    fn closing(&mut self, ctx: &mut WebsocketContext<Self>) {
        if !self.closing {
            self.closing = true;
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

impl Actor for Pump {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.session = self.open.take().map(|open| open());
        let outbox = Arc::clone(&self.outbox);
        let closed = poll_fn(move |cx| outbox.poll_closed(cx));
        ctx.spawn(
            closed
                .into_actor(self)
                .map(|(), pump, ctx| if pump.outbox.is_over() { ctx.stop() } else { pump.closing(ctx) }),
        );
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.let_go();
    }
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
            Ok(Message::Ping(payload)) => self.outbox.pong(payload),
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Binary(_)) => self.end(ctx, CloseCode::Unsupported, "text frames only"),
            Ok(Message::Close(reason)) => {
                let CloseReason { code, description } = reason.unwrap_or_else(|| CloseCode::from(NO_CODE).into());
                self.outbox.close(code.into(), &description.unwrap_or_default());
                ctx.stop();
            }
            Err(error) => self.fail(ctx, &error),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
