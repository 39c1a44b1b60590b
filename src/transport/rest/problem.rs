//! Refusals over HTTP: `application/problem+json` (RFC 9457) with this server's `code`.
//!
//! What lives here: the one way from a `ChatError` to a response. What must not: deciding on errors.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ChatError;

/// A refusal on its way out.
#[derive(Debug)]
pub struct Problem(ChatError);

/// Its body.
#[derive(Serialize, ToSchema)]
pub struct ProblemBody {
    /// Always `about:blank`: the code says what it is.
    r#type: &'static str,
    /// The kind, in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// This occurrence, in words.
    detail: String,
    /// The stable code.
    code: &'static str,
    /// Seconds to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl From<ChatError> for Problem {
    fn from(error: ChatError) -> Self {
        Self(error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Problem {
    /// What was refused, for vocabularies that have an envelope of their own.
    #[must_use]
    pub const fn error(&self) -> &ChatError {
        &self.0
    }

    /// The response.
    #[must_use]
    pub fn response(&self) -> HttpResponse {
        let row = self.0.row();
        let retry_after = self.0.retry_after();
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = retry_after {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        let body = ProblemBody {
            r#type: "about:blank",
            title: row.title,
            status: row.status,
            detail: self.0.to_string(),
            code: row.code,
            retry_after,
        };
        response.content_type("application/problem+json").body(serde_json::to_string(&body).unwrap_or_default())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}
