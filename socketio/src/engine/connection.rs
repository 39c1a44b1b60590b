//! The actor behind a session: reads packets, beats the heart, closes. Knows no transport's bytes and
//! nothing of what messages mean.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::prelude::*;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

use super::frame::Received;
use super::packet::{self, Frame, InvalidPacket, Message as Said, Packet, Payload};
use super::request::RequestHead;
use super::session::{CloseReason, Session};

/// Packets read in one turn of the loop; then others have theirs.
const PACKETS_PER_TURN: usize = 256;
/// How much before its time a pong is overdue: timers are late by a turn, and a client that counts
/// interval and timeout together must find the session closed.
const PONG_SLACK: Duration = Duration::from_millis(10);
/// How many times in the span of its limit a stalled reader is looked for.
const STALL_CHECKS: u32 = 8;

/// What lives above a session: an application, or Socket.IO. It lives in the session's actor, on
/// one thread.
pub trait Service: Unpin + 'static {
    /// What its own futures come back with.
    type Outcome: 'static;

    /// The session is open.
    fn opened(&mut self, work: &mut Work<Self::Outcome>);
    /// A message came, carried by `request`: the POST, or the WebSocket's own request.
    fn message(&mut self, message: Said, request: &Arc<RequestHead>, work: &mut Work<Self::Outcome>);
    /// A future of its own is done.
    fn outcome(&mut self, outcome: Self::Outcome, work: &mut Work<Self::Outcome>);
    /// A handle of its own asked for attention, see [`Session::poke`]; `close` tells that the whole
    /// session is to be closed.
    fn poked(&mut self, close: bool, work: &mut Work<Self::Outcome>);
    /// The session is over. Called once.
    fn closed(&mut self, reason: CloseReason);
}

/// What a [`Service`] asks its actor to do once it has returned.
#[derive(Default)]
pub struct Work<O> {
    before_next: Option<LocalBoxFuture<'static, O>>,
    beside: Vec<LocalBoxFuture<'static, O>>,
    close: Option<CloseReason>,
}

impl<O> std::fmt::Debug for Work<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("close", &self.close).finish_non_exhaustive()
    }
}

impl<O> Work<O> {
    fn new() -> Self {
        Self { before_next: None, beside: Vec::new(), close: None }
    }

    /// The next message waits until this is done: how a slow handler slows its peer.
    pub fn before_next(&mut self, future: LocalBoxFuture<'static, O>) {
        self.before_next = Some(future);
    }

    /// Runs beside whatever else comes.
    pub fn beside(&mut self, future: LocalBoxFuture<'static, O>) {
        self.beside.push(future);
    }

    /// Closes the session.
    pub fn close(&mut self, reason: CloseReason) {
        self.close.get_or_insert(reason);
    }
}

/// Packets that came together.
#[derive(Debug)]
pub(crate) enum Source {
    Post(Payload),
    Frames(VecDeque<Received>),
}

impl Source {
    fn next(&mut self) -> Option<Result<Packet, InvalidPacket>> {
        match self {
            Self::Post(payload) => payload.next(),
            Self::Frames(frames) => loop {
                return match frames.pop_front()? {
                    Received::Text(text) => Some(packet::decode(&text)),
                    Received::Binary(bytes) => Some(Ok(Packet::Message(Said::Binary(bytes)))),
                    // Answered by the transport.
                    Received::Ping(_) | Received::Close(_) => continue,
                };
            },
        }
    }
}

/// What reaches the actor.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub(crate) enum Input {
    /// Packets; answered, once they are all taken, with whether the session is still open.
    Packets(Source, Arc<RequestHead>),
    /// A handle asks the service to look after what has changed; `true` to close everything.
    Poke(bool),
    /// The end.
    Close(CloseReason),
}

#[derive(Message)]
#[rtype(result = "()")]
struct Continue;

/// See the module's documentation.
pub(crate) struct Connection<S: Service> {
    session: Arc<Session>,
    service: S,
    sources: VecDeque<(Source, Arc<RequestHead>)>,
    waiters: Vec<oneshot::Sender<bool>>,
    /// A message is being handled that the next one waits for.
    busy: bool,
    /// A `Continue` is on its way.
    yielded: bool,
    closed: bool,
    timer: SpawnHandle,
    pong: Option<Pong>,
}

/// A pong that is awaited.
struct Pong {
    /// Whether another packet has put it off already, as it may once.
    put_off: bool,
}

impl<S: Service> Connection<S> {
    pub(crate) fn new(session: Arc<Session>, service: S) -> Self {
        Self {
            session,
            service,
            sources: VecDeque::new(),
            waiters: Vec::new(),
            busy: false,
            yielded: false,
            closed: false,
            timer: SpawnHandle::default(),
            pong: None,
        }
    }

    /// Calls into the service and does what it asks for.
    fn with_service(&mut self, ctx: &mut Context<Self>, call: impl FnOnce(&mut S, &mut Work<S::Outcome>)) {
        let mut work = Work::new();
        call(&mut self.service, &mut work);
        self.carry_out(work, ctx);
    }

    fn carry_out(&mut self, work: Work<S::Outcome>, ctx: &mut Context<Self>) {
        for future in work.beside {
            ctx.spawn(wrap_future(future).map(|outcome, act: &mut Self, ctx: &mut Context<Self>| {
                if !act.closed {
                    act.with_service(ctx, |service, work| service.outcome(outcome, work));
                }
            }));
        }
        if let Some(future) = work.before_next {
            self.busy = true;
            ctx.spawn(wrap_future(future).map(|outcome, act: &mut Self, ctx: &mut Context<Self>| {
                act.busy = false;
                if !act.closed {
                    act.with_service(ctx, |service, work| service.outcome(outcome, work));
                }
                act.run(ctx);
            }));
        }
        if let Some(reason) = work.close {
            self.close(reason, ctx);
        }
    }

    /// Reads packets until there are none, one must be waited for, or others should have a turn.
    fn run(&mut self, ctx: &mut Context<Self>) {
        let mut left = PACKETS_PER_TURN;
        while !self.busy && !self.closed {
            let Some((source, request)) = self.sources.front_mut() else {
                break;
            };
            if left == 0 {
                if !std::mem::replace(&mut self.yielded, true) {
                    ctx.notify(Continue);
                }
                return;
            }
            left -= 1;
            match source.next() {
                None => {
                    self.sources.pop_front();
                }
                Some(Ok(packet)) => {
                    let request = Arc::clone(request);
                    self.packet(packet, &request, ctx);
                }
                Some(Err(InvalidPacket)) => self.close(CloseReason::ParseError, ctx),
            }
        }
        if self.closed || !self.busy {
            let open = !self.closed;
            for waiter in self.waiters.drain(..) {
                let _ = waiter.send(open);
            }
        }
    }

    fn packet(&mut self, packet: Packet, request: &Arc<RequestHead>, ctx: &mut Context<Self>) {
        if !matches!(packet, Packet::Pong(_)) {
            self.put_off_pong(ctx);
        }
        match packet {
            Packet::Message(message) => {
                self.with_service(ctx, |service, work| service.message(message, request, work));
            }
            Packet::Pong(_) => {
                self.pong = None;
                self.schedule_ping(Instant::now() + self.session.config().ping_interval, ctx);
            }
            // Only a server pings.
            Packet::Ping(_) => self.close(CloseReason::TransportError, ctx),
            Packet::Close => self.close(CloseReason::TransportClose, ctx),
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => {}
        }
    }

    fn pong_timeout(&self) -> Duration {
        self.session.config().ping_timeout.saturating_sub(PONG_SLACK)
    }

    fn schedule_ping(&mut self, due: Instant, ctx: &mut Context<Self>) {
        ctx.cancel_future(self.timer);
        self.session.outbox().expire_at(due + self.pong_timeout());
        self.timer = ctx.run_later(until(due), move |act, ctx| act.ping(due, ctx));
    }

    fn ping(&mut self, due: Instant, ctx: &mut Context<Self>) {
        let _ = self.session.send(&[Frame::Text(Bytes::from_static(b"2"))]);
        let due = due + self.pong_timeout();
        self.pong = Some(Pong { put_off: false });
        self.await_pong(due, ctx);
    }

    fn await_pong(&mut self, due: Instant, ctx: &mut Context<Self>) {
        ctx.cancel_future(self.timer);
        self.session.outbox().expire_at(due);
        self.timer = ctx.run_later(until(due), |act, ctx| {
            if act.busy || !act.sources.is_empty() {
                // The pong may be behind what we have not read: that is not the peer's fault.
                let due = Instant::now() + act.session.config().ping_timeout;
                act.await_pong(due, ctx);
            } else {
                act.close(CloseReason::PingTimeout, ctx);
            }
        });
    }

    /// Another packet shows that the peer lives: the pong may take its time once more.
    fn put_off_pong(&mut self, ctx: &mut Context<Self>) {
        if let Some(pong) = self.pong.as_mut().filter(|pong| !pong.put_off) {
            let due = Instant::now() + self.session.config().ping_timeout;
            pong.put_off = true;
            self.await_pong(due, ctx);
        }
    }

    fn close(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        let lingers = reason.is_told_to_polls() && !self.session.is_websocket();
        self.end(reason, lingers.then(|| self.session.config().close_timeout));
        ctx.stop();
    }

    fn end(&mut self, reason: CloseReason, linger: Option<Duration>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.session.shut(reason);
        self.session.registry().remove(self.session.id(), linger);
        self.sources.clear();
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(false);
        }
        self.service.closed(reason);
    }
}

/// One that is dropped in the middle of its work had a handler that panicked, or its thread ends:
/// nobody else would take its session out of the registry, and its sockets out of their rooms.
impl<S: Service> Drop for Connection<S> {
    fn drop(&mut self) {
        let end = AssertUnwindSafe(|| self.end(CloseReason::ForcedServerClose, None));
        // A second panic, in the application's `disconnected`, would end the process.
        drop(catch_unwind(end));
    }
}

fn until(due: Instant) -> Duration {
    due.saturating_duration_since(Instant::now())
}

impl<S: Service> Actor for Connection<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.schedule_ping(Instant::now() + self.session.config().ping_interval, ctx);
        let limit = self.session.config().slow_reader_timeout;
        ctx.run_interval(limit / STALL_CHECKS, move |act, ctx| {
            let mut outbox = act.session.outbox();
            let stalled = outbox.stalled_for() >= limit;
            outbox.rest();
            drop(outbox);
            if stalled {
                act.close(CloseReason::SlowReader, ctx);
            } else if act.sources.is_empty() {
                // An idle connection keeps no queue.
                act.sources = VecDeque::new();
            }
        });
        self.with_service(ctx, |service, work| service.opened(work));
    }
}

impl<S: Service> Handler<Input> for Connection<S> {
    type Result = Response<bool>;

    fn handle(&mut self, input: Input, ctx: &mut Self::Context) -> Self::Result {
        match input {
            Input::Packets(source, request) if !self.closed => {
                self.sources.push_back((source, request));
                self.run(ctx);
                if self.closed || (!self.busy && self.sources.is_empty()) {
                    return Response::reply(!self.closed);
                }
                let (waiter, taken) = oneshot::channel();
                self.waiters.push(waiter);
                Response::fut(async move { taken.await.unwrap_or(false) })
            }
            Input::Packets(..) => Response::reply(false),
            Input::Poke(close) => {
                if !self.closed {
                    self.with_service(ctx, |service, work| service.poked(close, work));
                }
                Response::reply(!self.closed)
            }
            Input::Close(reason) => {
                self.close(reason, ctx);
                Response::reply(false)
            }
        }
    }
}

impl<S: Service> Handler<Continue> for Connection<S> {
    type Result = ();

    fn handle(&mut self, _: Continue, ctx: &mut Self::Context) {
        self.yielded = false;
        self.run(ctx);
    }
}
