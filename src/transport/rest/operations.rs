//! Operations: whether the server lives and is ready, its metrics, its description, and development's tokens.
//!
//! What lives here: the routes that operators and machines ask. What must not: anything of a conversation.

use std::time::Duration;

use actix_web::{HttpResponse, get, web};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::problem::{Problem, ProblemBody};
use crate::error::ChatError;
use crate::protocol::{UserId, model};
use crate::transport::Shared;

/// How long a token of development lasts.
const DEVELOPMENT_TOKEN_LASTS: Duration = Duration::from_secs(12 * 60 * 60);

/// The description of the native WebSocket vocabulary (AsyncAPI 3).
const ASYNCAPI: &str = include_str!("../../../docs/asyncapi.json");

/// Mounts the routes; the one that hands out tokens in development alone.
pub fn configure(config: &mut ServiceConfig, development: bool) {
    config.service(healthz).service(readyz).service(metrics).service(asyncapi);
    if development {
        config.service(token);
    }
}

/// The process answers.
#[utoipa::path(tag = "operations", responses((status = 200, description = "it does")))]
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// The database is reachable, the schema current, and the server is not going down.
#[utoipa::path(tag = "operations", responses(
    (status = 200, description = "ready"),
    (status = 503, description = "not ready", body = ProblemBody, content_type = "application/problem+json")))]
#[get("/readyz")]
async fn readyz(shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    if shared.gate.is_draining() {
        return Err(ChatError::unavailable().into());
    }
    shared.chat.ready().await?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n"))
}

/// Prometheus text format.
#[utoipa::path(tag = "operations", responses((status = 200, description = "all metrics", body = String, content_type = "text/plain")))]
#[get("/metrics")]
async fn metrics(handle: web::Data<PrometheusHandle>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
}

/// The description of the native WebSocket vocabulary.
#[utoipa::path(tag = "operations", responses((status = 200, description = "AsyncAPI 3", content_type = "application/json")))]
#[get("/asyncapi.json")]
async fn asyncapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(ASYNCAPI)
}

/// Whose token.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TokenQuery {
    /// The shop's id of the user.
    #[serde(rename = "userId")]
    user_id: String,
    /// A name.
    name: Option<String>,
    /// A role.
    role: Option<String>,
}

/// A token for anybody: development alone.
#[utoipa::path(tag = "development", params(TokenQuery), responses(
    (status = 200, description = "`{token}`, good for 12 hours"),
    (status = 400, description = "refused", body = ProblemBody, content_type = "application/problem+json")))]
#[get("/dev/token")]
async fn token(shared: web::Data<Shared>, query: web::Query<TokenQuery>) -> Result<HttpResponse, Problem> {
    let user = UserId::parse(&query.user_id)?;
    let name = query.name.as_deref().filter(|name| !name.is_empty()).map(model::name).transpose()?;
    let role = query.role.as_deref().filter(|role| !role.is_empty()).map(model::word).transpose()?;
    let token = shared.tokens.sign(&user, name.as_deref(), role.as_deref(), DEVELOPMENT_TOKEN_LASTS)?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(serde_json::json!({ "token": token })))
}
