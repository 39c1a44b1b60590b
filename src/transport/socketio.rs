//! Socket.IO at `/socket.io/`: each vocabulary in the namespace of its name, one of them in `/` too. Lets a client in and puts its
//! session behind it.
//!
//! What lives here: the handshake; the way out is in `socketio/emitter.rs`, coming back in
//! `socketio/recoverer.rs`. What must not: Engine.IO and Socket.IO themselves (the
//! crate `socketio`), a vocabulary's words, rules of the chat.

mod emitter;
mod recoverer;

use std::net::IpAddr;
use std::sync::Arc;

use actix::Addr;
use actix::dev::SendError;
use actix_web::web;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, ready};
use serde::Deserialize;
use serde_json::json;
use socketio::engine::{CloseReason, Refused, RequestHead};
use socketio::{Accepted, Config, Connecting, DisconnectReason, Event, Handshake, Refusal, Sink, SocketIo};
use tokio::sync::oneshot;

use self::emitter::Emitter;
use self::recoverer::{Recoverer, Stand};
use super::gate::{self, Passage};
use super::origin::Verdict;
use super::{Shared, credentials};
use crate::actor::session::{Arrival, Connected, Gone, Heard, Session};
use crate::chat::Limit;
use crate::error::ChatError;
use crate::protocol::UserId;
use crate::protocol::command::Claims;
use crate::vocabulary::{Call, Codec, Vocabulary};

/// Where Socket.IO clients look for a server.
pub const PATH: &str = "/socket.io/";
/// The largest POST and the largest message that a client may send, in bytes.
pub const MESSAGE_MAX: usize = 128 * 1024;

/// The same for whoever is in no namespace yet and has only tokens to bring; on a WebSocket all that may come until then.
pub const STRANGER_MAX: usize = 32 * 1024;

/// The Socket.IO server of all vocabularies; `root` is spoken in `/`.
#[must_use]
pub fn server(shared: &web::Data<Shared>, root: Vocabulary) -> SocketIo {
    let mut config = Config { connect_timeout: shared.patience.anonymous, ..Config::default() };
    config.engine.max_payload = MESSAGE_MAX;
    config.engine.max_stranger_payload = Some(STRANGER_MAX);
    // No vocabulary has any; they are taken and passed over.
    config.max_attachment_bytes = MESSAGE_MAX;
    config.engine.max_outgoing_bytes = emitter::most_bytes(shared.session_buffer_bytes);
    config.engine.slow_reader_timeout = shared.patience.slow_reader;
    let origins = shared.origins.clone();
    let check = move |request: &actix_web::HttpRequest| match origins.judge(request.headers()) {
        Verdict::Foreign => Err(Refused { message: "this origin may not connect".to_owned() }),
        Verdict::Absent | Verdict::Allowed => Ok(()),
    };
    let chat = shared.chat.clone();
    let allow = move |request: &actix_web::HttpRequest| {
        let admitted = chat.admit(None, gate::address(request), Limit::Handshake);
        ready(admitted.map_err(|error| Refused { message: error.to_string() }))
    };
    let recoverer = Arc::new(Recoverer::new(shared.clone()));
    let mut server = SocketIo::builder(config)
        .engine(move |engine| engine.check(check).allow(allow))
        .recovery(Arc::clone(&recoverer) as _);
    let spoken = Vocabulary::ON_SOCKET_IO.iter().map(|vocabulary| (format!("/{}", vocabulary.name()), *vocabulary));
    for (namespace, vocabulary) in spoken.chain([("/".to_owned(), root)]) {
        let recoverer = Arc::clone(&recoverer);
        server =
            server.namespace(&namespace, move |connecting| connect(Arc::clone(&recoverer), vocabulary, connecting));
    }
    server.build()
}

/// A client asks to join a namespace.
async fn connect(
    recoverer: Arc<Recoverer>,
    vocabulary: Vocabulary,
    connecting: Connecting,
) -> Result<Accepted, Refusal> {
    let shared = recoverer.shared();
    let handshake = connecting.handshake();
    if shared.gate.is_draining() {
        // A refusal would end the client for good; from a transport that closes it comes back by itself.
        handshake.socket().session().close(CloseReason::ServerShutdown);
        return Err(refusal(&ChatError::unavailable()));
    }
    let recovery = recoverer.identify(handshake.socket());
    let (claims, address, passage) = admit(shared, handshake).map_err(|error| refusal(&error))?;
    let user = claims.user.clone();
    let codec = vocabulary.codec();
    let emitter = Arc::new(Emitter::new(handshake.socket().clone(), shared.session_buffer_bytes));
    let (asking, answer) = oneshot::channel();
    let door = Arc::new(shared.chat.clone());
    let outlet = Arc::<Emitter>::clone(&emitter);
    let arrival = Arrival::Asking(claims, asking, recovery.map(Box::new));
    let session = Session::open(codec, outlet, door, shared.patience, address, arrival);
    let place = handshake.socket().pid().map(|pid| recoverer.stand(pid, session.clone().recipient()));
    let mut ear = Ear { session, codec, user, emitter, _passage: passage, _place: place };
    match answer.await.unwrap_or_else(|_| Err(ChatError::unavailable())) {
        Ok(()) => Ok(Accepted::new(ear)),
        Err(error) => {
            ear.let_go(Gone::default());
            if matches!(error, ChatError::Unavailable(_)) {
                // A refusal would end the client for good, and the database may be back in a moment.
                handshake.socket().session().close(CloseReason::ServerShutdown);
            }
            Err(refusal(&error))
        }
    }
}

/// Whose token the client brings, where it is, and a place for its connection.
fn admit(shared: &Shared, handshake: &Handshake) -> Result<(Claims, Option<IpAddr>, Passage), ChatError> {
    let token = token(shared, handshake.auth_json(), handshake.request(), handshake.opening_request());
    let address = gate::address_of(handshake.request());
    let (claims, passage) = shared.let_in(token.as_deref(), address)?;
    let claims = claims.ok_or_else(|| {
        ChatError::unauthorized("a token is needed: auth.token, or the header Authorization: Bearer <token>")
    })?;
    Ok((claims, address, passage))
}

/// The token: in `auth`, else in the header, else in the cookie of the request that carries CONNECT, from an allowed origin.
fn token(shared: &Shared, auth: &str, request: &RequestHead, opening: &RequestHead) -> Option<String> {
    #[derive(Deserialize)]
    struct Auth {
        token: Option<String>,
    }
    if let Some(token) = serde_json::from_str::<Auth>(auth).ok().and_then(|auth| auth.token) {
        return Some(token);
    }
    let header = request.header("authorization").or_else(|| opening.header("authorization"));
    if let Some(token) = header.and_then(credentials::bearer_in) {
        return Some(token.to_owned());
    }
    let allowed = request.origin().is_some_and(|origin| shared.origins.allows(origin, request.header("host")));
    allowed.then(|| request.cookie(credentials::COOKIE).map(str::to_owned)).flatten()
}

/// What `connect_error` tells.
fn refusal(error: &ChatError) -> Refusal {
    let mut data = json!({ "code": error.code() });
    if let (Some(seconds), Some(data)) = (error.retry_after(), data.as_object_mut()) {
        data.insert("retryAfter".to_owned(), seconds.into());
    }
    Refusal::new(error.to_string()).data(data)
}

/// What a client says, on its way to its session.
struct Ear {
    session: Addr<Session>,
    codec: &'static dyn Codec,
    user: UserId,
    emitter: Arc<Emitter>,
    _passage: Passage,
    _place: Option<Stand>,
}

impl Ear {
    /// The session has nothing more to do here.
    fn let_go(&mut self, gone: Gone) {
        // Not try_send: one message a connection, and a session without a client must end.
        self.session.do_send(gone);
    }
}

impl Sink for Ear {
    fn connected(&mut self) {
        // Not try_send: one message a connection, without which it would stay silent.
        self.session.do_send(Connected);
    }

    fn event(&mut self, event: Event) -> Option<LocalBoxFuture<'static, ()>> {
        let body = format!("[{}]", event.args.as_json());
        let ack = event.ack.as_ref().map(socketio::Ack::id);
        let call = Call { name: &event.name, body: &body, ack, caller: Some(&self.user) };
        let heard = Heard(self.codec.decode(&call));
        match self.session.try_send(heard) {
            Ok(()) => self.emitter.reading(),
            // The session has much to do: nothing more is read from the client until it has taken this.
            Err(SendError::Full(heard)) => Some(self.session.send(heard).map(|_| ()).boxed_local()),
            Err(SendError::Closed(_)) => None,
        }
    }

    fn disconnected(&mut self, reason: DisconnectReason) {
        let too_slow = reason == DisconnectReason::Connection(CloseReason::SlowReader);
        self.let_go(Gone { comes_back: reason.is_recoverable(), too_slow });
    }
}
