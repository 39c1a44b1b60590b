//! One session: what its transports, its actor and the application's handles share across threads.
//! Decides nothing about packets; that is `connection`'s.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;

use actix::Recipient;

use super::config::Config;
use super::connection::Input;
use super::outbox::{EmitError, LAST_WORDS_TO_LEAVER, Outbox};
use super::packet::Frame;
use super::registry::Registry;
use super::request::RequestHead;

/// Why a session ended. The text of each is what Node calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed its transport, or the connection went away.
    TransportClose,
    /// The peer broke HTTP or WebSocket rules: overlapping requests, a cancelled poll, bad frames.
    TransportError,
    /// No pong came in time.
    PingTimeout,
    /// The peer sent what is no packet.
    ParseError,
    /// The application closed it.
    ForcedClose,
    /// The layer above closed it for a breach of its protocol.
    ForcedServerClose,
    /// More waited for the peer than allowed, or for longer.
    SlowReader,
    /// The server goes down.
    ServerShutdown,
}

impl CloseReason {
    /// The name that Node gives it; `slow reader` has none there.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::ForcedServerClose => "forced server close",
            Self::SlowReader => "slow reader",
            Self::ServerShutdown => "server shutting down",
        }
    }

    /// Whether the peer hears of the end by its next poll: it has done nothing wrong.
    pub(crate) fn is_told_to_polls(self) -> bool {
        matches!(self, Self::ForcedClose | Self::ForcedServerClose | Self::ServerShutdown)
    }
}

/// A handle on one session, shared by reference; it may outlive the session.
#[derive(Debug)]
pub struct Session {
    id: Box<str>,
    config: Arc<Config>,
    request: Arc<RequestHead>,
    registry: Arc<Registry>,
    outbox: Mutex<Outbox>,
    /// Whether a POST is under way.
    posting: AtomicBool,
    /// Whether the client may send as much as anybody.
    trusted: AtomicBool,
    actor: OnceLock<Recipient<Input>>,
}

impl Session {
    pub(crate) fn new(id: Box<str>, config: Arc<Config>, request: Arc<RequestHead>, registry: Arc<Registry>) -> Self {
        let outbox = Mutex::new(Outbox::new(config.max_outgoing_bytes, config.max_outgoing_packets));
        let (posting, trusted) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { id, config, request, registry, outbox, posting, trusted, actor: OnceLock::new() }
    }

    /// The session id. It lets anyone take the session's place: do not show it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The request that opened it.
    #[must_use]
    pub fn request(&self) -> &Arc<RequestHead> {
        &self.request
    }

    /// Its server's settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Queues one message or more that belong together, in order; answers with the last one's
    /// ticket, see [`Session::flushed`].
    ///
    /// # Errors
    /// The session is over, or this would be more than [`Config::max_outgoing_bytes`], which ends it.
    pub fn send(&self, frames: &[Frame]) -> Result<u64, EmitError> {
        let sent = self.outbox().push(frames);
        self.sent(sent)
    }

    /// Like [`Session::send`], but on a WebSocket the first frame is read by itself: a client that
    /// starts to listen for events only once it is connected misses none.
    pub(crate) fn send_apart(&self, frames: &[Frame]) -> Result<u64, EmitError> {
        let sent = self.outbox().push_apart(frames);
        self.sent(sent)
    }

    fn sent(&self, sent: Result<u64, EmitError>) -> Result<u64, EmitError> {
        if sent == Err(EmitError::SlowReader) {
            self.close(CloseReason::SlowReader);
        }
        sent
    }

    /// The ticket up to which frames were taken by the transport: handed to the HTTP server, which
    /// writes them in the same turn unless the peer has stopped reading (then up to its write buffer,
    /// 32 KB, is still with it).
    #[must_use]
    pub fn flushed(&self) -> u64 {
        self.outbox().flushed()
    }

    /// The ticket up to which the peer has frames, as far as the transport can show it: on a WebSocket what was flushed, on polling
    /// what was answered before the newest poll came. An answer that was under way when its client was cut off does not count.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.outbox().received()
    }

    /// Bytes that wait for the peer.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.outbox().waiting_bytes()
    }

    /// Whether what is sent now leaves at once.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.outbox().is_writable()
    }

    /// Whether it is still open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outbox().is_open()
    }

    /// Whether its transport is a WebSocket.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        self.outbox().is_upgraded()
    }

    /// Waits until the frame of this ticket was taken by the transport.
    ///
    /// # Errors
    /// The session ended before.
    pub async fn wait_flushed(&self, ticket: u64) -> Result<(), EmitError> {
        self.wait_until(|outbox| outbox.flushed() >= ticket).await
    }

    /// Waits until fewer than `bytes` wait for the peer: how to send a lot without being cut off.
    ///
    /// # Errors
    /// The session ended before.
    pub async fn wait_below(&self, bytes: usize) -> Result<(), EmitError> {
        self.wait_until(|outbox| outbox.waiting_bytes() < bytes).await
    }

    async fn wait_until(&self, reached: impl Fn(&Outbox) -> bool) -> Result<(), EmitError> {
        poll_fn(|cx| {
            let mut outbox = self.outbox();
            if reached(&outbox) {
                Poll::Ready(Ok(()))
            } else if !outbox.is_open() || !outbox.wait_for_flush(cx) {
                Poll::Ready(Err(EmitError::Closed))
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Ends the session. What waits is still sent, but to a slow reader. Returns at once.
    pub fn close(&self, reason: CloseReason) {
        self.shut(reason);
        self.tell(Input::Close(reason));
    }

    /// Lets nothing more in or out: at once, whichever thread the actor is on.
    pub(crate) fn shut(&self, reason: CloseReason) {
        let drain = !matches!(reason, CloseReason::PingTimeout | CloseReason::SlowReader);
        let last_words = if reason == CloseReason::TransportClose { LAST_WORDS_TO_LEAVER } else { "1" };
        self.outbox().close(drain, last_words, reason.is_told_to_polls());
    }

    /// From now on the client may send [`Config::max_payload`] at once, no longer [`Config::max_stranger_payload`].
    pub fn trust(&self) {
        self.trusted.store(true, Ordering::Release);
    }

    /// Bytes that a POST or a message may have now.
    pub(crate) fn max_payload(&self) -> usize {
        self.stranger_max().map_or(self.config.max_payload, |bytes| bytes.min(self.config.max_payload))
    }

    /// What is allowed a stranger, while the client is one.
    pub(crate) fn stranger_max(&self) -> Option<usize> {
        self.config.max_stranger_payload.filter(|_| !self.trusted.load(Ordering::Acquire))
    }

    /// Calls the service's `poked`, in its thread, soon. Not bounded: for what happens a bounded
    /// number of times.
    pub fn poke(&self, close: bool) {
        self.tell(Input::Poke(close));
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a POST as under way; `false` if one is.
    pub(crate) fn begin_post(&self) -> bool {
        !self.posting.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_posting(&self) -> bool {
        self.posting.load(Ordering::Acquire)
    }

    pub(crate) fn end_post(&self) {
        self.posting.store(false, Ordering::Release);
    }

    pub(crate) fn attach(&self, actor: Recipient<Input>) {
        let _ = self.actor.set(actor);
    }

    pub(crate) fn actor(&self) -> Option<&Recipient<Input>> {
        self.actor.get()
    }

    /// Tells the actor something that this side says a bounded number of times.
    pub(crate) fn tell(&self, input: Input) {
        if let Some(actor) = self.actor.get() {
            actor.do_send(input);
        }
    }
}
