//! Connection state recovery: what must be remembered so that a client that was cut off finds its
//! rooms again and hears what it missed. Source: Socket.IO protocol, revision 5, and `socket.io` 4.8.

mod memory;

use std::fmt::Debug;

use futures_util::future::LocalBoxFuture;

pub use memory::MemoryStore;

use crate::engine::RequestHead;
use crate::packet::Encoded;

/// A socket's state, to be found again by its `pid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSocket {
    /// Its namespace.
    pub namespace: String,
    /// Its public id.
    pub sid: String,
    /// Its private id.
    pub pid: String,
    /// The rooms it was in.
    pub rooms: Vec<String>,
}

/// A socket's state, found again.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Its public id.
    pub sid: String,
    /// Its rooms.
    pub rooms: Vec<String>,
    /// What it missed, in order.
    pub missed: Vec<Encoded>,
}

/// What a client says to get its state back, before it is believed.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The namespace that it asks to join.
    pub namespace: &'a str,
    /// The private id that it was given before.
    pub pid: &'a str,
    /// The last offset that it has seen; empty where it has heard no event yet.
    pub offset: &'a str,
    /// Its `auth`, as JSON: whose state it is may have to be checked.
    pub auth: &'a str,
    /// The request that brought this CONNECT packet.
    pub request: &'a RequestHead,
}

/// An event that left through the crate's own sockets and rooms.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its namespace.
    pub namespace: String,
    /// Its offset, from [`RecoveryStore::offset`].
    pub offset: String,
    /// The rooms that it went to; empty for all.
    pub rooms: Vec<String>,
    /// The rooms that did not get it.
    pub except: Vec<String>,
    /// The packet, with its offset.
    pub packet: Encoded,
}

/// Keeps what recovery needs. An application with a database of its own implements it there; one
/// that knows better what each client missed implements only `opened`, `closed` and `take`, puts the
/// offsets into its packets itself, and emits what was missed once the socket is connected.
///
/// `offset` and `record`, and the first step of `take`, are called while the namespace is locked: they
/// must not emit there.
pub trait RecoveryStore: Debug + Send + Sync + 'static {
    /// The offset for the next event emitted through the crate's own sockets and rooms; `None` if
    /// those are not recorded (the default).
    fn offset(&self) -> Option<String> {
        None
    }

    /// Records an event that is about to be emitted.
    fn record(&self, event: Recorded) {
        let _ = event;
    }

    /// A socket has connected, so that one may be recovered after the server was killed.
    fn opened(&self, socket: &SavedSocket) {
        let _ = socket;
    }

    /// A socket has left; `recoverable` tells whether it may come back.
    fn closed(&self, socket: SavedSocket, recoverable: bool);

    /// Finds a socket's state and takes it away in one step, so that no two connections recover it.
    /// `None` makes it a new socket. Called before the connect handler, which sees the outcome in
    /// [`Socket::is_recovered`](crate::Socket::is_recovered) and may still refuse.
    fn take<'a>(&'a self, claim: Claim<'a>) -> LocalBoxFuture<'a, Option<Recovered>>;
}
