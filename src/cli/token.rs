//! `haggle token`: a JWT for trying things out. How tokens are checked is no business of this file.

use std::time::Duration;

use clap::ArgMatches;

use crate::auth::Tokens;
use crate::config::{Settings, Sources};
use crate::protocol::UserId;

/// The longest that a token may hold: ten years, past which an operator has mistyped the unit.
const MAX_TTL: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Makes the token that the arguments ask for.
pub(super) fn issue(matches: &ArgMatches, settings: &Settings, sources: &Sources) -> Result<String, String> {
    if !sources.contains_key("jwt_secret") {
        return Err("no JWT secret is configured, and the random one that each development server makes up for \
                    itself cannot be known here. Start the server with a secret and give this command the same one, \
                    for example HAGGLE_JWT_SECRET=\"$(openssl rand -hex 32)\"; or, in development, ask the running \
                    server: GET /dev/token?userId=ID"
            .to_owned());
    }
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let ttl = ttl(text("ttl").unwrap_or_default())?;
    let user = UserId::parse(text("sub").unwrap_or_default()).map_err(|error| format!("--sub: {error}"))?;
    let tokens = Tokens::new(&settings.jwt_secret, settings.jwt_issuer.clone(), settings.jwt_audience.clone());
    tokens.sign(&user, text("name"), text("role"), ttl).map_err(|error| format!("no token: {error}"))
}

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = humantime::parse_duration(text)
        .map_err(|error| format!("--ttl: `{text}` is not a time such as 90s, 1h or 7d ({error})"))?;
    if ttl < Duration::from_secs(1) || ttl > MAX_TTL {
        return Err(format!("--ttl: `{text}` is not between 1s and ten years"));
    }
    Ok(ttl)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ttl;

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(ttl("1h"), Ok(Duration::from_secs(3_600)));
        assert_eq!(ttl("1h 30m"), Ok(Duration::from_secs(5_400)));
        for wrong in ["", "1", "-1h", "0s", "11years", "soon"] {
            assert!(ttl(wrong).is_err(), "{wrong} was taken");
        }
    }
}
