//! WebSocket: a body that takes from the outbox straight into the server's write buffer, and a
//! reader that hands whole messages to the actor. Frames in are `frame`'s.
//!
//! There is no actor here: a pump with a mailbox of its own would cost each message another hop,
//! and freezes when its peer stops reading.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::ws::{self, OpCode};
use actix_web::body::{BodySize, MessageBody};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::connection::{Input, Source};
use super::frame::{FrameReader, Received, Violation};
use super::packet::{self, Frame, Packet};
use super::request::RequestHead;
use super::session::{CloseReason, Session};

/// How long a peer has to answer a Close frame before the connection is dropped.
const CLOSE_LINGER: Duration = Duration::from_secs(2);
/// How long what still comes after the end is read and dropped, so that the Close frame is not lost
/// with a reset.
const DISCARD: Duration = Duration::from_secs(5);
/// How long what a peer said before it went may take to be heard.
const READ_OUT: Duration = Duration::from_secs(5);
/// How long a WebSocket pauses after the answer to CONNECT. Node's server sends what follows in a later
/// turn of its loop, and clients have come to rely on it: without a pause both arrive in one segment.
const PAUSE: Duration = Duration::from_millis(4);
/// A Close frame without a code.
const CLOSE_FRAME: [u8; 2] = [0x88, 0];

/// Opens a session on a WebSocket.
pub(crate) fn open(
    session: &Arc<Session>,
    packet: Frame,
    request: &HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let link = {
        let mut outbox = session.outbox();
        let _ = outbox.push(&[packet]);
        outbox.open_link(true)
    };
    let head = Arc::clone(session.request());
    attach(session, link, head, request, payload)
}

/// Lets a WebSocket try to take over from polling.
pub(crate) fn upgrade(session: Arc<Session>, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
    let link = session.outbox().open_link(false);
    let head = Arc::new(RequestHead::new(request));
    attach(&session, link, head, request, payload)
}

fn attach(
    session: &Arc<Session>,
    link: Option<u64>,
    head: Arc<RequestHead>,
    request: &HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let mut answer = match ws::handshake(request.head()) {
        Ok(answer) => answer,
        Err(error) => {
            if let Some(id) = link {
                session.outbox().remove_link(id);
            }
            return HttpResponse::from_error(error);
        }
    };
    let Some(id) = link else {
        // Another WebSocket has it, or tries to: as in Node, this one is closed again.
        return answer.body(Bytes::from_static(&CLOSE_FRAME)).map_into_boxed_body().into();
    };
    session.registry().link_opened();
    let body = LinkBody { session: Arc::clone(session), id, linger: None, pause: None };
    let config = session.config();
    let reader = Reader {
        session: Arc::clone(session),
        id,
        active: session.is_websocket(),
        probed: false,
        payload,
        frames: FrameReader::new(session.max_payload(), config.max_fragments),
        head,
        bytes: 0,
    };
    actix_web::rt::spawn(reader.run());
    match answer.message_body(body) {
        Ok(answer) => answer.map_into_boxed_body().into(),
        Err(error) => HttpResponse::from_error(error),
    }
}

/// What the server writes to the WebSocket.
struct LinkBody {
    session: Arc<Session>,
    id: u64,
    /// Runs once a Close frame was sent.
    linger: Option<Pin<Box<Sleep>>>,
    /// Runs while nothing more is to be taken.
    pause: Option<Pin<Box<Sleep>>>,
}

impl LinkBody {
    /// Ends a pause that is over. Answers whether there is none.
    fn pause_is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.session.outbox().link_pauses() {
            return true;
        }
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
        if pause.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.pause = None;
        self.session.outbox().resume_link();
        true
    }
}

impl MessageBody for LinkBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = &mut *self;
        this.pause_is_over(cx);
        let (polled, closing) = {
            let mut outbox = this.session.outbox();
            let polled = outbox.poll_link(this.id, cx);
            (polled, outbox.link_ends(this.id))
        };
        if polled.is_pending() && closing {
            let linger = this.linger.get_or_insert_with(|| Box::pin(sleep(CLOSE_LINGER)));
            if linger.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
        }
        polled.map(|bytes| bytes.map(Ok))
    }
}

/// Nothing can be written any more. What the peer said before it went is still read: the session is the
/// reader's to close.
impl Drop for LinkBody {
    fn drop(&mut self) {
        self.session.registry().link_closed();
        self.session.outbox().remove_link(self.id);
    }
}

/// How reading came to its end.
enum End {
    /// The connection is gone.
    Gone,
    /// The peer closes, with this code.
    PeerCloses(Option<u16>),
    /// The peer broke the protocol.
    Violation(Violation),
    /// The session is over, or the upgrade was not completed: a Close frame is on its way.
    Ended,
}

/// Reads what the peer sends.
struct Reader {
    session: Arc<Session>,
    id: u64,
    /// Whether this is the session's transport.
    active: bool,
    probed: bool,
    payload: web::Payload,
    frames: FrameReader,
    head: Arc<RequestHead>,
    /// Bytes that have come.
    bytes: usize,
}

impl Reader {
    async fn run(mut self) {
        let (session, id) = (Arc::clone(&self.session), self.id);
        let gone = pin!(async move {
            poll_fn(|cx| session.outbox().poll_link_gone(id, cx)).await;
            // What an idle connection does not need is in a box of its own, here and below.
            Box::pin(sleep(READ_OUT)).await;
        });
        let end = match select(pin!(self.read()), gone).await {
            Either::Left((end, _)) => end,
            Either::Right(_) => Err(End::Gone),
        };
        match end {
            Err(End::Gone) => {
                if self.active {
                    self.session.close(CloseReason::TransportClose);
                }
            }
            Err(End::PeerCloses(code)) => {
                self.session.outbox().end_link(self.id, code);
                if self.active {
                    self.session.close(CloseReason::TransportClose);
                }
            }
            Err(End::Violation(violation)) => {
                self.session.outbox().end_link(self.id, Some(violation.close_code()));
                if self.active {
                    self.session.close(CloseReason::TransportError);
                }
                Box::pin(self.discard()).await;
            }
            Ok(()) | Err(End::Ended) => {
                self.session.outbox().end_link(self.id, None);
                Box::pin(self.discard()).await;
            }
        }
        self.session.outbox().link_done(self.id);
    }

    async fn read(&mut self) -> Result<(), End> {
        let upgrade_due = Instant::now() + self.session.config().upgrade_timeout;
        loop {
            let chunk = if self.active {
                self.payload.next().await
            } else {
                Box::pin(timeout_at(upgrade_due, self.payload.next())).await.map_err(|_| End::Ended)?
            };
            let Some(Ok(chunk)) = chunk else {
                return Err(End::Gone);
            };
            self.bytes = self.bytes.saturating_add(chunk.len());
            if self.session.stranger_max().is_some_and(|most| self.bytes > most) {
                return Err(End::Violation(Violation::TooBig));
            }
            self.frames.set_max_bytes(self.session.max_payload());
            self.frames.feed(&chunk);
            drop(chunk);
            self.deliver().await?;
        }
    }

    /// Hands over every message that is complete.
    async fn deliver(&mut self) -> Result<(), End> {
        let mut batch = VecDeque::new();
        let mut end = None;
        loop {
            match self.frames.read() {
                Ok(None) => break,
                Ok(Some(Received::Ping(payload))) => {
                    self.session.outbox().control(self.id, OpCode::Pong, &payload);
                }
                Ok(Some(Received::Close(code))) => {
                    end = Some(End::PeerCloses(code));
                    break;
                }
                Ok(Some(message)) if self.active => batch.push_back(message),
                Ok(Some(message)) => self.probe(&message)?,
                Err(violation) => {
                    end = Some(End::Violation(violation));
                    break;
                }
            }
        }
        if !batch.is_empty() {
            let actor = self.session.actor().ok_or(End::Ended)?;
            let input = Input::Packets(Source::Frames(batch), Arc::clone(&self.head));
            if !actor.send(input).await.unwrap_or(false) {
                return Err(end.unwrap_or(End::Ended));
            }
        }
        end.map_or(Ok(()), Err)
    }

    /// One step of the upgrade: `2probe`, answered with `3probe`, then `5`.
    fn probe(&mut self, message: &Received) -> Result<(), End> {
        let Received::Text(text) = message else {
            return Err(End::Ended);
        };
        let mut outbox = self.session.outbox();
        match packet::decode(text) {
            Ok(Packet::Ping(payload)) if payload == "probe" => {
                outbox.control(self.id, OpCode::Text, b"3probe");
                outbox.probed();
                self.probed = true;
                Ok(())
            }
            Ok(Packet::Upgrade) if self.probed && outbox.upgrade(self.id) => {
                self.active = true;
                Ok(())
            }
            _ => Err(End::Ended),
        }
    }

    async fn discard(&mut self) {
        let due = Instant::now() + DISCARD;
        while let Ok(Some(Ok(_))) = timeout_at(due, self.payload.next()).await {}
    }
}
