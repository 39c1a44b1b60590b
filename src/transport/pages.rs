//! The pages and scripts, embedded in the binary, and the headers that keep them safe.
//!
//! What lives here: serving what is in `web/`; the page of an item is in `pages/item.rs`, development's sample shop in
//! `pages/demo.rs`. What must not: HTML (it is in `web/`), or rules of the chat.

mod demo;
mod html;
mod item;
mod names;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get, web};
use rust_embed::{EmbeddedFile, RustEmbed};
use tracing::warn;

use super::Shared;
use super::rest::problem::Problem;
use crate::error::ChatError;

/// Scripts, styles and connections of the server itself alone; nothing inline, nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where the official Socket.IO client is missing. It is not in the repository: it is another project's work.
const NO_BUNDLE: &str = "The Socket.IO client is not in this build of Haggle.\n\n\
    `scripts/setup` copies it from the npm package socket.io-client into web/vendor/; then build again. The image has it.\n";

/// What is in `web/`. The official Socket.IO client is there when it was when this was built.
#[derive(RustEmbed)]
#[folder = "web"]
#[include = "*.html"]
#[include = "js/**/*.js"]
#[include = "css/*.css"]
#[include = "vendor/*.js"]
struct Files;

/// Mounts the pages; before Socket.IO, which takes all else below `/socket.io/`.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(index).service(docs).service(asset).service(bundle).service(chat).service(item::page);
}

/// The standalone chat page of the `order` vocabulary; its script reads the order and the user from the address.
#[get("/chat.html")]
async fn chat(request: HttpRequest) -> Result<HttpResponse, Problem> {
    serve(&request, "chat.html")
}

/// The official Socket.IO client, as Node serves it beside the protocol.
#[get(r"/socket.io/{name:socket\.io(?:\.esm)?(?:\.min)?\.js}")]
async fn bundle(request: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, Problem> {
    let path = format!("vendor/{name}");
    if Files::get(&path).is_none() {
        warn!(%name, "a page asks for the Socket.IO client, and it is not in this build: run scripts/setup, then build again");
        return Ok(HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body(NO_BUNDLE));
    }
    serve(&request, &path)
}

/// In development the demo, in production that Haggle runs.
#[get("/")]
async fn index(request: HttpRequest, shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    if !shared.development {
        return serve(&request, "production.html");
    }
    demo::set_up(&shared.chat).await?;
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
    safe(&mut response).insert_header((ETAG, tag)).insert_header((CACHE_CONTROL, "no-cache"));
    if known {
        return Ok(response.finish());
    }
    Ok(response.content_type(content_type(path)).body(file.data.into_owned()))
}

/// Adds the headers that keep a page safe.
fn safe(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "application/octet-stream",
    }
}
