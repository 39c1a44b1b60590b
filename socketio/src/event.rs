//! What a socket hears: events, and its end.

use actix::dev::SendError;
use actix::{Message, Recipient};
use bytestring::ByteString;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::engine::{CloseReason, EmitError};
use crate::packet::{self, Args, EventBuilder};
use crate::socket::Socket;

/// Why a socket left its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client left the namespace.
    ClientDisconnect,
    /// The server took the client out of the namespace.
    ServerDisconnect,
    /// The whole session ended.
    Connection(CloseReason),
}

impl DisconnectReason {
    /// The name that Node gives it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientDisconnect => "client namespace disconnect",
            Self::ServerDisconnect => "server namespace disconnect",
            Self::Connection(reason) => reason.as_str(),
        }
    }

    /// Whether the client may recover its state: nobody asked for the end, and no protocol was broken.
    #[must_use]
    pub fn is_recoverable(self) -> bool {
        match self {
            Self::ClientDisconnect | Self::ServerDisconnect => false,
            Self::Connection(reason) => reason != CloseReason::ParseError,
        }
    }
}

/// An event from a client.
#[derive(Debug)]
pub struct Event {
    /// Its name. A number, which Node lets pass, is its digits.
    pub name: ByteString,
    /// Its arguments and attachments.
    pub args: Args,
    /// Set when the client waits for an answer.
    pub ack: Option<Ack>,
}

/// Answers one event; dropped, the client hears nothing.
#[derive(Debug)]
pub struct Ack {
    socket: Socket,
    id: u64,
}

/// An answer, or a packet of one's own, could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendFailure {
    /// It cannot be written.
    #[error(transparent)]
    Encode(#[from] packet::EncodeError),
    /// The socket does not take it.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

impl Ack {
    pub(crate) fn new(socket: Socket, id: u64) -> Self {
        Self { socket, id }
    }

    /// The number that the client gave it: for those who write the packet themselves.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Answers with the arguments and attachments of `answer`, whose name is not used. Answers with
    /// the packet's ticket, see [`Socket::flushed`].
    ///
    /// # Errors
    /// An argument is not JSON, or the socket is gone.
    pub fn send(self, answer: &EventBuilder) -> Result<u64, SendFailure> {
        let packet = packet::ack(self.socket.namespace(), self.id, answer)?;
        Ok(self.socket.emit_encoded(&packet)?)
    }
}

/// What reaches a socket's sink: an actix message, so that an actor can be the sink.
#[derive(Debug)]
pub enum SocketEvent {
    /// CONNECT is answered: what is emitted from now on has a ticket, and may be paced by
    /// [`Session::wait_below`](crate::engine::Session::wait_below).
    Connected,
    /// The client says something.
    Event(Event),
    /// The socket has left its namespace; nothing follows.
    Disconnected(DisconnectReason),
}

impl Message for SocketEvent {
    type Result = ();
}

/// Takes what a socket hears, in order. Lives in the connection's thread.
pub trait Sink: 'static {
    /// CONNECT is answered. Called once, first.
    fn connected(&mut self) {}
    /// Takes an event. The connection's next one waits for the future, if there is one: that is how
    /// a slow application slows its clients.
    fn event(&mut self, event: Event) -> Option<LocalBoxFuture<'static, ()>>;
    /// The socket is over. Called once, last.
    fn disconnected(&mut self, reason: DisconnectReason);
}

impl Sink for Recipient<SocketEvent> {
    fn event(&mut self, event: Event) -> Option<LocalBoxFuture<'static, ()>> {
        match self.try_send(SocketEvent::Event(event)) {
            Ok(()) | Err(SendError::Closed(_)) => None,
            Err(SendError::Full(event)) => Some(self.send(event).map(|_| ()).boxed_local()),
        }
    }

    fn connected(&mut self) {
        tell(self, SocketEvent::Connected);
    }

    fn disconnected(&mut self, reason: DisconnectReason) {
        tell(self, SocketEvent::Disconnected(reason));
    }
}

/// Tells what must not be lost, whether or not there is room in the mailbox now.
fn tell(recipient: &Recipient<SocketEvent>, event: SocketEvent) {
    if let Err(SendError::Full(event)) = recipient.try_send(event) {
        let told = recipient.send(event);
        actix::spawn(async move { _ = told.await });
    }
}
