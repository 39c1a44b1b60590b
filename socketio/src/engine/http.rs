//! The way in: checks a request as Node's server does, in the same order and with the same answers,
//! and hands it to its transport.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use actix::Actor as _;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::config::Config;
use super::connection::{Connection, Input, Service};
use super::cors::Cors;
use super::packet::Frame;
use super::registry::{Registry, new_id};
use super::request::{RequestHead, query_pairs};
use super::session::{CloseReason, Session};
use super::{polling, websocket};

/// Makes what lives above each session.
pub trait Factory: Send + Sync + 'static {
    /// What it makes.
    type Service: Service;

    /// Called in the thread where the session lives, before its first message.
    fn open(&self, session: &Arc<Session>) -> Self::Service;
}

/// A request is refused: 403, code 4.
#[derive(Debug, Clone)]
pub struct Refused {
    /// What the client is told.
    pub message: String,
}

impl Default for Refused {
    fn default() -> Self {
        Self { message: "Forbidden".to_owned() }
    }
}

type Check = dyn Fn(&HttpRequest) -> Result<(), Refused> + Send + Sync;
type Allow = dyn Fn(&HttpRequest) -> LocalBoxFuture<'static, Result<(), Refused>> + Send + Sync;
type Headers = dyn Fn(&HttpRequest, &mut HeaderMap) + Send + Sync;
type SameCaller = dyn Fn(&RequestHead, &HttpRequest) -> bool + Send + Sync;

/// An Engine.IO server: sessions, and what mounts it in an actix-web application. Build it once and
/// share it between the workers.
pub struct Engine<F> {
    config: Arc<Config>,
    factory: F,
    registry: Arc<Registry>,
    cors: Option<Cors>,
    check: Option<Box<Check>>,
    allow: Option<Box<Allow>>,
    initial_headers: Option<Box<Headers>>,
    same_caller: Box<SameCaller>,
}

impl<F> fmt::Debug for Engine<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.config)
            .field("sessions", &self.registry.len())
            .finish_non_exhaustive()
    }
}

impl<F: Factory> Engine<F> {
    /// A server with these settings.
    #[must_use]
    pub fn new(config: Config, factory: F) -> Self {
        Self {
            registry: Arc::new(Registry::new(config.max_sessions)),
            config: Arc::new(config),
            factory,
            cors: None,
            check: None,
            allow: None,
            initial_headers: None,
            same_caller: Box::new(same_authorization),
        }
    }

    /// Lets pages of other origins read the answers to polls.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = Some(cors);
        self
    }

    /// Checks every request, of a session or for a new one, on either transport: for a foreign
    /// `Origin`, say.
    #[must_use]
    pub fn check(mut self, check: impl Fn(&HttpRequest) -> Result<(), Refused> + Send + Sync + 'static) -> Self {
        self.check = Some(Box::new(check));
        self
    }

    /// Asks whether a session may be opened; may take its time.
    #[must_use]
    pub fn allow<A, R>(mut self, allow: A) -> Self
    where
        A: Fn(&HttpRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Refused>> + 'static,
    {
        self.allow = Some(Box::new(move |request| Box::pin(allow(request))));
        self
    }

    /// Adds headers, cookies for one, to the answer that opens a session.
    #[must_use]
    pub fn initial_headers(mut self, add: impl Fn(&HttpRequest, &mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.initial_headers = Some(Box::new(add));
        self
    }

    /// Tells whether a request comes from whoever opened the session, given that request's head.
    /// Without it a request is refused whose `Authorization` differs from the one then.
    #[must_use]
    pub fn same_caller(mut self, same: impl Fn(&RequestHead, &HttpRequest) -> bool + Send + Sync + 'static) -> Self {
        self.same_caller = Box::new(same);
        self
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.registry.len()
    }

    /// Whether there is no session, and nobody who still has to hear of the end of theirs.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.registry.is_quiet()
    }

    /// Takes no more sessions and closes those that there are: every WebSocket with a Close frame,
    /// every waiting poll with a close packet. Answers how many there were; returns at once.
    pub fn shutdown(&self) -> usize {
        let sessions = self.registry.shut();
        for session in &sessions {
            session.close(CloseReason::ServerShutdown);
        }
        sessions.len()
    }

    /// Mounts it in an application, at `path`: `/socket.io/`, say.
    pub fn configure(self: &Arc<Self>, path: &str) -> impl FnOnce(&mut web::ServiceConfig) + use<F> {
        let engine = Arc::clone(self);
        let resource = web::resource(path.to_owned());
        move |config| {
            config.service(resource.to(move |request: HttpRequest, payload: web::Payload| {
                let engine = Arc::clone(&engine);
                async move { engine.serve(request, payload).await }
            }));
        }
    }

    async fn serve(&self, request: HttpRequest, payload: web::Payload) -> HttpResponse {
        if let Some(cors) = self.cors.as_ref().filter(|_| request.method() == Method::OPTIONS) {
            let mut answer = HttpResponse::NoContent().finish();
            cors.apply_preflight(request.headers(), answer.headers_mut());
            return answer;
        }
        let mut answer = match self.verify(&request).await {
            Ok(Verified::Session(session)) => self.continue_session(session, &request, payload).await,
            Ok(Verified::Handshake) => self.handshake(&request, payload),
            Err(problem) => problem.answer(),
        };
        if let Some(cors) = &self.cors {
            cors.apply(request.headers(), answer.headers_mut());
        }
        answer
    }

    /// Checks in the order of Node's `verify`, so that each request gets the answer it gets there.
    async fn verify(&self, request: &HttpRequest) -> Result<Verified, Problem> {
        let query = query_pairs(request.query_string());
        let value = |name: &str| query.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let websocket = match value("transport") {
            Some("websocket") => true,
            Some("polling") => false,
            _ => return Err(Problem::UnknownTransport),
        };
        if let Some(check) = &self.check {
            check(request).map_err(Problem::Forbidden)?;
        }
        let upgrade = is_upgrade(request);
        let current = value("EIO") == Some("4");
        if let Some(id) = value("sid").filter(|id| !id.is_empty()) {
            let session = self.registry.get(id).ok_or(Problem::UnknownSession)?;
            let matches = if upgrade { websocket } else { websocket == session.is_websocket() };
            if !matches || !current {
                return Err(Problem::BadRequest);
            }
            if !(self.same_caller)(session.request(), request) {
                return Err(Problem::Forbidden(Refused::default()));
            }
            return Ok(Verified::Session(session));
        }
        if request.method() != Method::GET {
            return Err(Problem::BadMethod);
        }
        if websocket != upgrade {
            return Err(Problem::BadRequest);
        }
        if let Some(allow) = &self.allow {
            allow(request).await.map_err(Problem::Forbidden)?;
        }
        if current { Ok(Verified::Handshake) } else { Err(Problem::UnsupportedVersion) }
    }

    async fn continue_session(
        &self,
        session: Arc<Session>,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> HttpResponse {
        if is_upgrade(request) {
            return websocket::upgrade(session, request, payload);
        }
        match *request.method() {
            Method::GET if !session.is_websocket() => polling::poll(session, request).await,
            Method::POST if !session.is_websocket() => polling::post(session, request, payload).await,
            _ => HttpResponse::InternalServerError().finish(),
        }
    }

    fn handshake(&self, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
        let head = Arc::new(RequestHead::new(request));
        let session =
            Arc::new(Session::new(new_id().into(), Arc::clone(&self.config), head, Arc::clone(&self.registry)));
        if !self.registry.insert(&session) {
            return HttpResponse::ServiceUnavailable().finish();
        }
        let upgrade = is_upgrade(request);
        let open = Frame::Text(Bytes::from(self.open_packet(&session, upgrade)));
        let mut answer = if upgrade {
            let answer = websocket::open(&session, open, request, payload);
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                self.registry.remove(session.id(), None);
                return answer;
            }
            answer
        } else {
            polling::open(&open)
        };
        let service = self.factory.open(&session);
        let actor = Connection::new(Arc::clone(&session), service).start();
        session.attach(actor.recipient());
        if !session.is_open() {
            // Shut down in another thread, which found no actor to tell.
            session.tell(Input::Close(CloseReason::ServerShutdown));
        }
        self.add_initial_headers(&session, request, &mut answer);
        answer
    }

    fn open_packet(&self, session: &Session, upgrade: bool) -> String {
        let upgrades = if upgrade { "" } else { "\"websocket\"" };
        format!(
            "0{{\"sid\":\"{}\",\"upgrades\":[{upgrades}],\"pingInterval\":{},\"pingTimeout\":{},\"maxPayload\":{}}}",
            session.id(),
            self.config.ping_interval.as_millis(),
            self.config.ping_timeout.as_millis(),
            self.config.max_payload,
        )
    }

    fn add_initial_headers(&self, session: &Session, request: &HttpRequest, answer: &mut HttpResponse) {
        if let Some(name) = &self.config.cookie {
            let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Lax", session.id());
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                answer.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        if let Some(add) = &self.initial_headers {
            add(request, answer.headers_mut());
        }
    }
}

/// What a request is for.
enum Verified {
    Handshake,
    Session(Arc<Session>),
}

/// Why a request is not served, with Node's codes.
#[derive(Debug)]
pub(crate) enum Problem {
    UnknownTransport,
    UnknownSession,
    BadMethod,
    BadRequest,
    Forbidden(Refused),
    UnsupportedVersion,
}

impl Problem {
    pub(crate) fn answer(&self) -> HttpResponse {
        let (status, code, message) = match self {
            Self::UnknownTransport => (StatusCode::BAD_REQUEST, 0, "Transport unknown"),
            Self::UnknownSession => (StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
            Self::BadMethod => (StatusCode::BAD_REQUEST, 2, "Bad handshake method"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, 3, "Bad request"),
            Self::Forbidden(refused) => (StatusCode::FORBIDDEN, 4, refused.message.as_str()),
            Self::UnsupportedVersion => (StatusCode::BAD_REQUEST, 5, "Unsupported protocol version"),
        };
        let body = serde_json::json!({ "code": code, "message": message });
        HttpResponse::build(status).content_type("application/json").body(body.to_string())
    }
}

fn is_upgrade(request: &HttpRequest) -> bool {
    let upgrade = request.headers().get(header::UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn same_authorization(opening: &RequestHead, request: &HttpRequest) -> bool {
    let then = opening.header(header::AUTHORIZATION.as_str());
    let now = request.headers().get(header::AUTHORIZATION);
    match (then, now) {
        (Some(then), Some(now)) => then.as_bytes() == now.as_bytes(),
        _ => true,
    }
}
