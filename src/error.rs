//! `ChatError`, the only error a client ever sees, and the one table from it to codes.
//!
//! What lives here: the variants, their stable `code`, HTTP status, WebSocket close code and wording.
//! What must not: how an answer is written (each vocabulary does that) or any type of a library.

use std::borrow::Cow;
use std::time::Duration;

/// Why a command was refused. Cheap to clone; the text is for people and never holds a token or a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// No valid token: absent, malformed, badly signed, expired.
    #[error("{0}")]
    Unauthorized(Cow<'static, str>),
    /// The caller is known and may not: suspended, a foreign origin, somebody else's id.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// Absent, or not the caller's to see; the two are told alike, so that ids cannot be probed.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The request cannot be understood or breaks a rule; the text says which.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// A text, frame or body over its limit.
    #[error("{0}")]
    TooLarge(Cow<'static, str>),
    /// Too many requests; try again after this long.
    #[error("too many requests; try again in {} s", seconds_up(*.0))]
    RateLimited(Duration),
    /// Nothing was stored, or the outcome is unknown: send again with the same client id after this long.
    #[error("the service is unavailable; try again in {} s", seconds_up(*.0))]
    Unavailable(Duration),
    /// A fault of the server; the log has the cause.
    #[error("internal error")]
    Internal,
}

/// One row of the table: how an error leaves the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The stable code that clients compare.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// WebSocket close code, where the error ends a connection (RFC 6455 section 7.4.2, private use).
    pub close: u16,
    /// A short title of the kind, the same for each occurrence (RFC 9457 `title`).
    pub title: &'static str,
}

/// The table of all codes, in the order of the variants.
pub const TABLE: [Row; 8] = [
    Row { code: "unauthorized", status: 401, close: 4401, title: "Unauthorized" },
    Row { code: "forbidden", status: 403, close: 4403, title: "Forbidden" },
    Row { code: "not_found", status: 404, close: 4404, title: "Not found" },
    Row { code: "invalid", status: 400, close: 4400, title: "Invalid request" },
    Row { code: "too_large", status: 413, close: 1009, title: "Too large" },
    Row { code: "rate_limited", status: 429, close: 4429, title: "Too many requests" },
    Row { code: "unavailable", status: 503, close: 4503, title: "Unavailable" },
    Row { code: "internal", status: 500, close: 1011, title: "Internal error" },
];

/// What `Unavailable` asks a client to wait when nothing better is known.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

impl ChatError {
    /// The error's row of the table.
    #[must_use]
    pub const fn row(&self) -> &'static Row {
        let [unauthorized, forbidden, not_found, invalid, too_large, rate_limited, unavailable, internal] = &TABLE;
        match self {
            Self::Unauthorized(_) => unauthorized,
            Self::Forbidden(_) => forbidden,
            Self::NotFound(_) => not_found,
            Self::Invalid(_) => invalid,
            Self::TooLarge(_) => too_large,
            Self::RateLimited(_) => rate_limited,
            Self::Unavailable(_) => unavailable,
            Self::Internal => internal,
        }
    }

    /// The stable code, e.g. `not_found`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.row().code
    }

    /// Whole seconds to wait before trying again, at least 1, where waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited(wait) | Self::Unavailable(wait) => Some(seconds_up(*wait)),
            _ => None,
        }
    }

    /// `Unavailable` with the usual wait.
    #[must_use]
    pub const fn unavailable() -> Self {
        Self::Unavailable(RETRY_AFTER)
    }

    /// `Invalid` with this text.
    pub fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(text.into())
    }

    /// `Forbidden` with this text.
    pub fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Forbidden(text.into())
    }

    /// `Unauthorized` with this text.
    pub fn unauthorized(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Unauthorized(text.into())
    }
}

/// Rounded up to whole seconds, never 0: a client that waits that long has waited enough.
fn seconds_up(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_code_and_status_that_clients_rely_on() {
        let rows = [
            (ChatError::unauthorized("x"), "unauthorized", 401),
            (ChatError::forbidden("x"), "forbidden", 403),
            (ChatError::NotFound("conversation"), "not_found", 404),
            (ChatError::invalid("x"), "invalid", 400),
            (ChatError::TooLarge("x".into()), "too_large", 413),
            (ChatError::RateLimited(RETRY_AFTER), "rate_limited", 429),
            (ChatError::unavailable(), "unavailable", 503),
            (ChatError::Internal, "internal", 500),
        ];
        for (error, code, status) in rows {
            assert_eq!((error.code(), error.row().status), (code, status));
        }
    }

    #[test]
    fn waiting_is_told_in_whole_seconds_and_never_zero() {
        assert_eq!(ChatError::RateLimited(Duration::from_millis(20)).retry_after(), Some(1));
        assert_eq!(ChatError::RateLimited(Duration::from_millis(1_001)).retry_after(), Some(2));
        assert_eq!(ChatError::NotFound("conversation").retry_after(), None);
    }
}
