//! Where in an HTTP request a token stands: `Authorization: Bearer`, the WebSocket subprotocol pair, the cookie. Never the query.
//!
//! What lives here: finding it and judging whether it counts there. What must not: checking it (auth does).

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

use super::origin::Verdict;

/// The native vocabulary's WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "haggle.v1";
/// What stands before a token offered as a subprotocol.
const SUBPROTOCOL_BEARER: &str = "bearer.";
/// The cookie that may carry a token.
pub const COOKIE: &str = "haggle_token";

/// The token in `Authorization: Bearer` (RFC 6750 section 2.1).
#[must_use]
pub fn bearer(request: &HttpRequest) -> Option<String> {
    bearer_in(request.headers().get(AUTHORIZATION)?.to_str().ok()?).map(str::to_owned)
}

/// The token in the value of an `Authorization` header.
#[must_use]
pub fn bearer_in(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The token in the subprotocol pair `haggle.v1, bearer.<token>`, the one place where a browser's script can put it.
#[must_use]
pub fn subprotocol(request: &HttpRequest) -> Option<String> {
    let offered: Vec<&str> = request
        .headers()
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(',').map(str::trim))
        .collect();
    if !offered.contains(&SUBPROTOCOL) {
        return None;
    }
    offered.iter().find_map(|protocol| protocol.strip_prefix(SUBPROTOCOL_BEARER)).map(str::to_owned)
}

/// The token in the cookie, where it counts: from an allowed origin, and without any only on what changes nothing.
#[must_use]
pub fn cookie(request: &HttpRequest, origin: Verdict, changes_nothing: bool) -> Option<String> {
    match origin {
        Verdict::Allowed => {}
        Verdict::Absent if changes_nothing => {}
        Verdict::Absent | Verdict::Foreign => return None,
    }
    request.cookie(COOKIE).map(|cookie| cookie.value().to_owned())
}
