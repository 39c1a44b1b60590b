//! Which browser origins may come in (RFC 6454): the server's own, those configured, in development any of this machine.
//!
//! What lives here: judging an `Origin` header. What must not: what is refused for it.

use std::collections::HashSet;

use actix_web::http::header::{HOST, HeaderMap, ORIGIN};
use url::{Host, Url};

/// The origins that may come in.
#[derive(Clone, Debug)]
pub struct Origins {
    allowed: HashSet<String>,
    any: bool,
    development: bool,
}

/// What a request's `Origin` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is none: no browser page asked, or it asked for a page of its own.
    Absent,
    /// One that may come in.
    Allowed,
    /// Any other, `null` and malformed ones included.
    Foreign,
}

impl Origins {
    /// The origins as configured: as browsers spell them, `*` for all.
    #[must_use]
    pub fn new(allowed: &[String], development: bool) -> Self {
        let any = allowed.iter().any(|origin| origin == "*");
        Self { allowed: allowed.iter().cloned().collect(), any, development }
    }

    /// Judges a request by its headers.
    #[must_use]
    pub fn judge(&self, headers: &HeaderMap) -> Verdict {
        let mut origins = headers.get_all(ORIGIN);
        let Some(origin) = origins.next() else { return Verdict::Absent };
        // Two origins cannot both be right.
        let allowed = origins.next().is_none()
            && origin
                .to_str()
                .is_ok_and(|origin| self.allows(origin, headers.get(HOST).and_then(|host| host.to_str().ok())));
        if allowed { Verdict::Allowed } else { Verdict::Foreign }
    }

    /// Whether an origin may come in to a server that the request calls `host`.
    #[must_use]
    pub fn allows(&self, origin: &str, host: Option<&str>) -> bool {
        if self.any {
            return true;
        }
        let Ok(url) = Url::parse(origin) else { return false };
        // A browser's origin is scheme, host and port alone, just as it is written here.
        if !matches!(url.scheme(), "http" | "https")
            || url.origin().ascii_serialization() != origin.to_ascii_lowercase()
        {
            return false;
        }
        self.allowed.contains(&url.origin().ascii_serialization())
            || host.is_some_and(|host| is_own(&url, host))
            || self.development && is_this_machine(&url)
    }
}

/// Whether an origin is that of the server itself. Behind a TLS proxy the server does not know its own scheme, so either's default
/// port counts as none.
fn is_own(origin: &Url, host: &str) -> bool {
    let Ok(own) = Url::parse(&format!("{}://{host}", origin.scheme())) else { return false };
    own.host().is_some() && own.host() == origin.host() && own.port_or_known_default() == origin.port_or_known_default()
}

fn is_this_machine(origin: &Url) -> bool {
    match origin.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_the_configured_and_in_development_this_machine_may_come_in() {
        let production = Origins::new(&["https://shop.example".into()], false);
        let development = Origins::new(&[], true);
        let host = Some("chat.example:8080");
        let rows = [
            ("https://shop.example", true, false),
            ("http://chat.example:8080", true, true),
            ("https://chat.example:8080", true, true),
            ("http://localhost:5173", false, true),
            ("http://127.0.0.1:1", false, true),
            ("http://[::1]:9", false, true),
            ("http://shop.example", false, false),
            ("https://shop.example:444", false, false),
            ("https://shop.example.evil.example", false, false),
            ("https://evil-shop.example", false, false),
            ("https://shop.example/", false, false),
            ("https://shop.example@evil.example", false, false),
            ("http://localhost.evil.example", false, false),
            ("http://chat.example", false, false),
            ("null", false, false),
            ("", false, false),
            ("file://", false, false),
            ("chrome-extension://abc", false, false),
        ];
        for (origin, in_production, in_development) in rows {
            assert_eq!(production.allows(origin, host), in_production, "production: {origin}");
            assert_eq!(development.allows(origin, host), in_development, "development: {origin}");
        }
    }

    #[test]
    fn a_star_lets_everyone_in() {
        assert!(Origins::new(&["*".into()], true).allows("https://anywhere.example", None));
    }
}
