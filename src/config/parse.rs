//! What a setting's text means: each kind of value read, checked and shown. Knows no layers and no modes.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// What is shown instead of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// The query parameters of a database URL that hold a secret.
const SECRET_PARAMETERS: &[&str] = &["password", "sslpassword"];

/// Reads one of `words`, exactly as spelled.
pub(super) fn choice(text: &str, words: &[&'static str]) -> Result<&'static str, String> {
    let text = text.trim();
    let found = words.iter().find(|word| **word == text);
    found.copied().ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        format!("`{text}` is none of {}", words.join(", "))
    })
}

/// Reads `on` or `off`, or TOML's `true` or `false`.
pub(super) fn on_off(text: &str) -> Result<bool, String> {
    match text.trim() {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        other => Err(format!("`{other}` is neither `on` nor `off`")),
    }
}

/// Reads a whole number within bounds, both included.
pub(super) fn whole(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.replace('_', "");
    let number = digits.parse().ok();
    number.filter(|n| (min..=max).contains(n)).ok_or_else(|| {
        let hint = if text.starts_with("tcp://") {
            ". Kubernetes sets such a variable for a service of the same name; `enableServiceLinks: false` in the pod \
             ends that"
        } else {
            ""
        };
        format!("`{text}` is not a whole number from {min} to {max}{hint}")
    })
}

/// Reads a host name or an IP address; the brackets of an IPv6 address may be there.
pub(super) fn host(text: &str) -> Result<String, String> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let is_address = bare.parse::<IpAddr>().is_ok();
    if is_address || (bare == text && !text.contains([':', '/']) && Host::parse(text).is_ok()) {
        return Ok(bare.to_owned());
    }
    Err(format!("`{text}` is not a host name or an IP address; it takes no scheme and no port (HAGGLE_PORT has that)"))
}

/// Reads a database URL; the answer names the text only where no password can be in it.
pub(super) fn database_url(text: &str) -> Result<SecretString, String> {
    let text = text.trim();
    let scheme = text.split(':').next().unwrap_or_default();
    match scheme {
        "sqlite" => {}
        "postgres" | "postgresql" => {
            Url::parse(text).map_err(|error| {
                format!(
                    "it is not a URL ({error}); it looks like postgres://user:password@host:5432/name, and \
                     `@ : / ? # %` in a password are written percent-encoded, `@` as %40"
                )
            })?;
        }
        _ => {
            return Err("it must begin with postgres:// or sqlite://, for example \
                        postgres://user:password@host:5432/name or sqlite://haggle.db?mode=rwc"
                .to_owned());
        }
    }
    Ok(text.into())
}

/// A database URL as it may be shown: all but the passwords in it.
#[must_use]
pub fn redacted_url(url: &SecretString) -> String {
    let text = url.expose_secret();
    if text.starts_with("sqlite:") {
        return text.to_owned();
    }
    let Ok(mut url) = Url::parse(text) else {
        return REDACTED.to_owned();
    };
    if url.password().is_some() && url.set_password(Some("redacted")).is_err() {
        return REDACTED.to_owned();
    }
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if pairs.iter().any(|(key, _)| is_secret_parameter(key)) {
        let shown = pairs.iter().map(|(key, value)| {
            let hidden = is_secret_parameter(key);
            (key.as_str(), if hidden { "redacted" } else { value })
        });
        url.query_pairs_mut().clear().extend_pairs(shown);
    }
    url.into()
}

fn is_secret_parameter(key: &str) -> bool {
    SECRET_PARAMETERS.contains(&key)
}

/// Reads a comma-separated list of origins, each in the form in which browsers send it. `*` stays `*`. All that is
/// wrong is told, not only the first.
pub(super) fn origins(text: &str) -> (Vec<String>, Vec<String>) {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for part in parts {
        match origin(part) {
            Ok(origin) if good.contains(&origin) => {}
            Ok(origin) => good.push(origin),
            Err(error) => wrong.push(error),
        }
    }
    (good, wrong)
}

fn origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let wrong = |why: &str| format!("`{text}` {why}");
    let form = "is not an origin; one looks like https://shop.example or http://localhost:8080";
    let url = Url::parse(text).map_err(|_| wrong(form))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !text.contains("://") {
        return Err(wrong(form));
    }
    if url.host_str().is_some_and(|host| host.contains('*')) {
        return Err(wrong("has a `*` in it; name each origin in full"));
    }
    let origin = url.origin().ascii_serialization();
    let after_host = text.splitn(4, '/').nth(3);
    if after_host.is_some_and(str::is_empty) {
        return Err(wrong(&format!("ends with a slash; browsers send it without: {origin}")));
    }
    if after_host.is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(&format!("has more than scheme, host and port; browsers send {origin}")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has a user name in it, which no origin has"));
    }
    Ok(origin)
}

#[cfg(test)]
mod tests;
