//! A client asks to join a namespace: what the application's connect handler sees, and what it
//! may answer.

use std::future::Future;
use std::sync::Arc;

use actix::Recipient;
use bytestring::ByteString;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::Decision;
use crate::engine::{RequestHead, Session, new_id};
use crate::event::{Sink, SocketEvent};
use crate::namespace::Members;
use crate::packet::{ArgsError, Encoded};
use crate::recovery::{Claim, Recovered};
use crate::server::Shared;
use crate::socket::{Socket, may_be_held};

/// The client may not join: it gets `connect_error` with this message and data.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// What went wrong.
    pub message: String,
    /// More about it.
    pub data: Option<Value>,
}

impl Refusal {
    /// A refusal without data.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// Adds data.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }
}

/// The client may join.
pub struct Accepted {
    pub(crate) sink: Box<dyn Sink>,
}

impl std::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accepted").finish_non_exhaustive()
    }
}

impl Accepted {
    /// What the socket hears goes to `sink`, which is ready: CONNECT is answered after this.
    #[must_use]
    pub fn new(sink: impl Sink) -> Self {
        Self { sink: Box::new(sink) }
    }
}

impl From<Recipient<SocketEvent>> for Accepted {
    fn from(recipient: Recipient<SocketEvent>) -> Self {
        Self::new(recipient)
    }
}

/// Decides who may join a namespace.
pub(crate) type Handler = dyn Fn(Connecting) -> LocalBoxFuture<'static, Result<Accepted, Refusal>> + Send + Sync;

/// Boxes a connect handler.
pub(crate) fn boxed<H, R>(handler: H) -> Arc<Handler>
where
    H: Fn(Connecting) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Accepted, Refusal>> + 'static,
{
    Arc::new(move |connecting| Box::pin(handler(connecting)))
}

/// Where a client is to be connected to.
pub(crate) struct Target {
    pub(crate) handler: Arc<Handler>,
    pub(crate) members: Arc<Members>,
}

/// A client that asks to join a namespace.
#[derive(Debug)]
pub struct Connecting {
    handshake: Handshake,
}

/// How a socket came to be: itself, what the client said for itself, and the request that brought
/// it. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Handshake {
    socket: Socket,
    auth: Option<ByteString>,
    request: Arc<RequestHead>,
    offset: Option<String>,
}

impl std::ops::Deref for Connecting {
    type Target = Handshake;

    fn deref(&self) -> &Handshake {
        &self.handshake
    }
}

/// What a client's `auth` says to get its state back.
#[derive(Deserialize)]
struct Claimed {
    pid: String,
    /// Empty where it has heard no event yet.
    #[serde(default)]
    offset: String,
}

impl Connecting {
    /// What is known of the client; it may be kept.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }
}

impl Handshake {
    /// The socket. What is emitted on it while connecting reaches the client after it has joined.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The handshake's `auth`, as JSON: always an object, `{}` if the client sent none.
    #[must_use]
    pub fn auth_json(&self) -> &str {
        self.auth.as_deref().unwrap_or("{}")
    }

    /// The handshake's `auth`.
    ///
    /// # Errors
    /// It is not a `T`.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        Ok(serde_json::from_str(self.auth_json())?)
    }

    /// The request that brought this CONNECT packet: a POST, or the WebSocket's own. Its headers,
    /// cookies and origin are to be judged, not those of the session's first request.
    #[must_use]
    pub fn request(&self) -> &RequestHead {
        &self.request
    }

    /// Where a recovered client's knowledge ends: the last offset that it has seen.
    #[must_use]
    pub fn offset(&self) -> Option<&str> {
        self.offset.as_deref()
    }

    /// The request that opened the session.
    #[must_use]
    pub fn opening_request(&self) -> &RequestHead {
        self.socket.session().request()
    }
}

/// A CONNECT packet before recovery has been looked at.
pub(crate) struct Undecided {
    target: Target,
    auth: Option<ByteString>,
    session: Arc<Session>,
    request: Arc<RequestHead>,
}

impl Undecided {
    pub(crate) fn new(
        target: Target,
        auth: Option<ByteString>,
        session: Arc<Session>,
        request: Arc<RequestHead>,
    ) -> Self {
        Self { target, auth, session, request }
    }

    pub(crate) async fn decide(self, shared: Arc<Shared>) -> Decision {
        let (socket, offset) = self.enter(&shared).await;
        let mut joining = Joining(Some(socket.clone()));
        let handshake = Handshake { socket: socket.clone(), auth: self.auth, request: self.request, offset };
        let result = (self.target.handler)(Connecting { handshake }).await;
        joining.0 = None;
        Decision::new(shared, socket, result)
    }

    /// The socket, in its namespace and its rooms: with its state from before if that is found, and
    /// then with the last offset that its client has seen.
    async fn enter(&self, shared: &Arc<Shared>) -> (Socket, Option<String>) {
        let claimed = self.auth.as_deref().and_then(|auth| serde_json::from_str::<Claimed>(auth).ok());
        let (Some(store), Some(claimed)) = (&shared.store, claimed) else {
            return (self.join(shared, None), None);
        };
        let mut taken = store.take(Claim {
            namespace: self.target.members.name(),
            pid: &claimed.pid,
            offset: &claimed.offset,
            auth: self.auth_json(),
            request: &self.request,
        });
        {
            // A store in memory answers at once: nothing is emitted between what was missed and the
            // socket's being in its rooms.
            let _order = self.target.members.in_order();
            if let Some(state) = (&mut taken).now_or_never() {
                return self.recovered(shared, &claimed, state);
            }
        }
        let state = taken.await;
        self.recovered(shared, &claimed, state)
    }

    fn recovered(&self, shared: &Arc<Shared>, claimed: &Claimed, state: Option<Recovered>) -> (Socket, Option<String>) {
        let config = &shared.config.engine;
        let fits = |state: &Recovered| {
            let frames = state.missed.iter().map(|packet| packet.frames().len()).sum();
            // Sent anyway it would end the connection, and with it every attempt to recover.
            may_be_held(config, frames, state.missed.iter().map(Encoded::len).sum())
        };
        match state.filter(fits) {
            Some(state) => (self.join(shared, Some((&claimed.pid, state))), Some(claimed.offset.clone())),
            None => (self.join(shared, None), None),
        }
    }

    fn join(&self, shared: &Arc<Shared>, recovered: Option<(&str, Recovered)>) -> Socket {
        let new = |identity, missed: &[Encoded]| {
            let (session, members) = (Arc::clone(&self.session), Arc::clone(&self.target.members));
            let socket = Socket::new(identity, missed, session, members, shared.store.clone());
            socket.members().add(&socket);
            socket
        };
        let Some((pid, state)) = recovered else {
            return new((new_id().into(), shared.store.is_some().then(|| new_id().into()), false), &[]);
        };
        let socket = new((state.sid.into(), Some(pid.into()), true), &state.missed);
        for room in &state.rooms {
            socket.join(room);
        }
        socket
    }

    fn auth_json(&self) -> &str {
        self.auth.as_deref().unwrap_or("{}")
    }
}

/// Takes a socket out of its rooms again if its handler panics.
struct Joining(Option<Socket>);

impl Drop for Joining {
    fn drop(&mut self) {
        if let Some(socket) = self.0.take() {
            socket.members().remove(&socket);
        }
    }
}
