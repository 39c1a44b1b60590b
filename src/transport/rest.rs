//! REST: who calls, in which shape, and how refusals look. The routes are in a file a vocabulary.
//!
//! What lives here: extractors shared by all routes, and the rules that hold for every request. What must not: rules of the chat.

pub mod book;
mod envelope;
pub mod native;
pub mod operations;
pub mod order;
pub mod problem;
pub mod provisioning;
pub mod shop;

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue, UPGRADE};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;
use metrics::histogram;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::{Instrument, debug, info_span};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, Paths};

use self::problem::Problem;
use super::Shared;
use super::origin::Verdict;
use super::{credentials, gate};
use crate::auth;
use crate::error::ChatError;
use crate::protocol::{Caller, SessionId};

/// The largest JSON body of a user's call, in bytes.
pub const BODY_MAX: usize = 64 * 1024;
/// The largest JSON body of the shop's backend, in bytes: 10,000 participants fit.
pub const PROVISIONING_BODY_MAX: usize = 4 * 1024 * 1024;

/// How long a body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// The user who calls, by the token in the header or the cookie.
pub struct User(pub Caller);

impl FromRequest for User {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let shared = shared(&request)?;
            let origin = shared.origins.judge(request.headers());
            let reads = matches!(*request.method(), Method::GET | Method::HEAD);
            let token = credentials::bearer(&request)
                .or_else(|| credentials::cookie(&request, origin, reads))
                .ok_or_else(|| ChatError::unauthorized("a token is needed: Authorization: Bearer <token>"))?;
            let claims = shared.tokens.verify(&token)?;
            let person = shared.chat.known(&claims).await?;
            Ok(Self(Caller { person, address: gate::address(&request) }))
        })
    }
}

/// The shop's backend calls, by the server key.
pub struct Shop;

impl FromRequest for Shop {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = shared(request).and_then(|shared| {
            let key = credentials::bearer(request).unwrap_or_default();
            let refused = || ChatError::unauthorized("the server key is needed: Authorization: Bearer <server key>");
            if auth::is_server_key(&key, &shared.server_key) { Ok(Self) } else { Err(refused().into()) }
        });
        ready(known)
    }
}

/// What the application put there for everyone.
fn shared(request: &HttpRequest) -> Result<web::Data<Shared>, Problem> {
    request.app_data::<web::Data<Shared>>().cloned().ok_or_else(|| ChatError::Internal.into())
}

/// A JSON body of at most `MAX` bytes, refused in this server's own words.
pub struct Json<T, const MAX: usize = BODY_MAX>(pub T);

impl<T: DeserializeOwned + 'static, const MAX: usize> FromRequest for Json<T, MAX> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let typed = request.headers().get("content-type").and_then(|value| value.to_str().ok());
        let json = typed.is_some_and(|typed| {
            typed.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        });
        let body = web::Payload::from_request(request, payload);
        Box::pin(async move {
            if !json {
                return Err(ChatError::invalid("the body must be JSON: Content-Type: application/json").into());
            }
            let body = body.await.map_err(|_| ChatError::invalid("the body cannot be read"))?;
            let late = |_| ChatError::invalid("the body did not come in time");
            let bytes = match timeout(BODY_WITHIN, body.to_bytes_limited(MAX)).await.map_err(late)? {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(_)) => return Err(ChatError::invalid("the body cannot be read").into()),
                Err(_) => return Err(ChatError::TooLarge(format!("the body has at most {MAX} bytes").into()).into()),
            };
            let text = std::str::from_utf8(&bytes).map_err(|_| ChatError::invalid("the body is not UTF-8"))?;
            // An array could stand for the fields in their order; nobody means that.
            if !text.trim_ascii_start().starts_with('{') {
                return Err(ChatError::invalid("the body must be a JSON object").into());
            }
            let value = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
            Ok(Self(value))
        })
    }
}

fn unreadable(error: &serde_json::Error) -> ChatError {
    crate::vocabulary::native::unreadable(error)
}

/// How query strings and paths that cannot be read are refused.
pub fn configure_extractors(config: &mut web::ServiceConfig) {
    config
        .app_data(web::QueryConfig::default().error_handler(|_, _| {
            Problem::from(ChatError::invalid("the query cannot be read: a parameter has the wrong form")).into()
        }))
        .app_data(web::PathConfig::default().error_handler(|_, _| {
            Problem::from(ChatError::invalid("the path cannot be read: a part of it has the wrong form")).into()
        }));
}

/// The description of the REST API before its routes are added.
#[must_use]
pub fn openapi() -> OpenApi {
    let bearer = || SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let mut api = OpenApi::new(
        Info::builder()
            .title("Haggle")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(
                "Conversations about what is being sold. Users call with a JWT of the shop's, the shop's backend with the \
                 server key. The WebSocket at /ws is described in /asyncapi.json.",
            ))
            .build(),
        Paths::new(),
    );
    let mut components = Components::new();
    components.add_security_scheme("user", bearer());
    components.add_security_scheme("shop", bearer());
    api.components = Some(components);
    api
}

/// What no route answers to.
///
/// # Errors
/// `not_found`, always.
pub async fn nothing_here() -> Result<HttpResponse, Problem> {
    Err(ChatError::NotFound("route").into())
}
/// A request that may write, for as long as it is under way: going down waits for it.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(all))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What holds for every request: HEAD is answered as GET without the body, foreign origins write nothing, each has an id that the answer and the log carry, each is timed.
///
/// # Errors
/// Whatever the handler's are.
pub async fn attend(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let began = Instant::now();
    let id = SessionId::random().to_string();
    let span = info_span!("request", %id, method = %request.method(), path = request.path());
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    // The connection knows what it was asked and leaves the body out (RFC 9110 section 9.3.2). An upgrade is asked for by GET alone.
    if *request.method() == Method::HEAD && !request.headers().contains_key(UPGRADE) {
        request.head_mut().method = Method::GET;
    }
    let shared = request.app_data::<web::Data<Shared>>();
    let foreign = shared.is_some_and(|shared| shared.origins.judge(request.headers()) == Verdict::Foreign);
    let _under_way = shared.filter(|_| writes).map(|shared| UnderWay::begin(&shared.writing));
    let response = if writes && foreign {
        let problem = Problem::from(ChatError::forbidden("this origin may not write"));
        request.error_response(problem).map_into_right_body()
    } else {
        next.call(request).instrument(span.clone()).await?.map_into_left_body()
    };
    let mut response = envelope::put(response);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    let (seconds, status) = (began.elapsed().as_secs_f64(), response.status().as_u16());
    histogram!("haggle_http_request_seconds").record(seconds);
    span.in_scope(|| debug!(status, seconds, "answered"));
    Ok(response)
}
