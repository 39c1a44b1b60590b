//! The pages and scripts, embedded in the binary, and the headers that keep them safe.
//!
//! What lives here: serving what is in `web/`, and setting up development's demo order when its page is asked for.
//! What must not: HTML (it is in `web/`), or rules of the chat.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, get, web};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::Shared;
use super::rest::problem::Problem;
use crate::error::ChatError;
use crate::protocol::UserId;
use crate::protocol::command::{Provision, PutConversation, PutSubject, PutUser};

/// Scripts, styles and connections of the server itself alone; nothing inline, nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is in `web/`.
#[derive(RustEmbed)]
#[folder = "web"]
#[include = "*.html"]
#[include = "js/**/*.js"]
#[include = "css/*.css"]
struct Files;

/// Mounts the pages.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(index).service(docs).service(asset);
}

/// In development the demo, in production that Haggle runs.
#[get("/")]
async fn index(request: HttpRequest, shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    if !shared.development {
        return serve(&request, "production.html");
    }
    for call in demo() {
        shared.chat.provision(call).await?;
    }
    serve(&request, "index.html")
}

/// The description of the REST API, to read and to try.
#[get("/docs")]
async fn docs(request: HttpRequest) -> Result<HttpResponse, Problem> {
    serve(&request, "docs.html")
}

/// A script or a style.
#[get("/{folder:js|css}/{name:.+}")]
async fn asset(request: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    // In development files are read from the folder, where dots would lead out of this part of it.
    if path.1.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return Err(ChatError::NotFound("page").into());
    }
    serve(&request, &format!("{}/{}", path.0, path.1))
}

fn serve(request: &HttpRequest, path: &str) -> Result<HttpResponse, Problem> {
    let file: EmbeddedFile = Files::get(path).ok_or(ChatError::NotFound("page"))?;
    let hash: String = file.metadata.sha256_hash().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{hash}\"");
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_FRAME_OPTIONS, "DENY"));
    if known {
        return Ok(response.finish());
    }
    Ok(response.content_type(content_type(path)).body(file.data.into_owned()))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The demo order of development, with a customer and an agent.
fn demo() -> [Provision; 4] {
    let (customer, agent) = (UserId::stored("demo-customer"), UserId::stored("demo-agent"));
    let user = |id: &UserId, name: &str, role: &str| {
        Provision::User(PutUser { id: id.clone(), name: Some(name.into()), role: Some(role.into()), active: None })
    };
    let order: (std::sync::Arc<str>, std::sync::Arc<str>) = ("order".into(), "demo".into());
    [
        user(&customer, "Alice", "customer"),
        user(&agent, "Bob", "agent"),
        Provision::Subject(PutSubject {
            kind: order.0.clone(),
            id: order.1.clone(),
            title: Some("Order 1042: two armchairs".into()),
            owner: None,
            url: None,
            image_url: None,
        }),
        Provision::Conversation(PutConversation {
            key: "order:demo".into(),
            kind: None,
            title: None,
            subject: Some(order),
            participants: vec![(customer, Some("buyer".into())), (agent, Some("agent".into()))],
        }),
    ]
}
