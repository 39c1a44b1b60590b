//! Tokens in, claims out: JSON Web Tokens (RFC 7519) signed with the secret that the shop's backend shares.
//!
//! What lives here: checking and signing tokens, comparing the server key. What must not: where in a request a token stands
//! (transport), or who exists (the database).

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::error::ChatError;
use crate::protocol::command::Claims;
use crate::protocol::ids::SAFE_INTEGER_MAX;
use crate::protocol::model::NAME_MAX;
use crate::protocol::{Timestamp, UserId};

/// The longest token that is looked at, in bytes.
pub const TOKEN_MAX: usize = 8 * 1024;

/// Checks and signs tokens.
pub struct Tokens {
    decoding: DecodingKey,
    encoding: EncodingKey,
    validation: Validation,
    issuer: Option<String>,
    audience: Option<String>,
}

/// The claims as the token spells them. A claim given twice is refused: two readers could take it for two users.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    sub: Option<Value>,
    user_id: Option<Value>,
    id: Option<Value>,
    name: Option<Value>,
    display_name: Option<Value>,
    username: Option<Value>,
    role: Option<Value>,
    exp: Number,
    nbf: Option<Number>,
    iss: Option<Value>,
    aud: Option<Value>,
}

/// The claims of a token that this server signs.
#[derive(Serialize)]
struct Signed<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    iat: i64,
    exp: i64,
}

impl Tokens {
    /// Tokens under this secret; `issuer` and `audience` are demanded where given.
    #[must_use]
    pub fn new(secret: &SecretString, issuer: Option<String>, audience: Option<String>) -> Self {
        let secret = secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.validate_aud = audience.is_some();
        let mut required = vec!["exp"];
        if let Some(issuer) = &issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        Self {
            decoding: DecodingKey::from_secret(secret),
            encoding: EncodingKey::from_secret(secret),
            validation,
            issuer,
            audience,
        }
    }

    /// Checks a token's signature, times, issuer and audience, and reads who it names.
    ///
    /// # Errors
    /// `unauthorized`, with a reason that holds nothing of the token.
    pub fn verify(&self, token: &str) -> Result<Claims, ChatError> {
        use jsonwebtoken::errors::ErrorKind;
        if token.is_empty() || token.len() > TOKEN_MAX {
            return Err(ChatError::unauthorized("the token is empty or too long"));
        }
        let wire = decode::<Wire>(token, &self.decoding, &self.validation).map_err(|error| {
            ChatError::unauthorized(match error.kind() {
                ErrorKind::ExpiredSignature => "the token has expired",
                ErrorKind::ImmatureSignature => "the token is not valid yet",
                ErrorKind::InvalidSignature => "the token is signed with another secret",
                ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "the token must be signed with HS256",
                ErrorKind::InvalidIssuer => "the token's issuer is not the one expected",
                ErrorKind::InvalidAudience => "the token's audience is not the one expected",
                ErrorKind::MissingRequiredClaim(_) => "the token lacks a claim that is required",
                _ => "the token is malformed",
            })
        })?;
        if wire.header.crit.is_some() {
            // RFC 7515 section 4.1.11: what must be understood and is not makes the token invalid.
            return Err(ChatError::unauthorized("the token demands extensions that are not known here"));
        }
        wire.claims.claims()
    }

    /// Signs a token, for development.
    ///
    /// # Errors
    /// `internal` when the library refuses, which it has no reason to.
    pub fn sign(
        &self,
        user: &UserId,
        name: Option<&str>,
        role: Option<&str>,
        lasts: Duration,
    ) -> Result<String, ChatError> {
        let now = Timestamp::now().0 / 1_000;
        let lasts = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
        let claims = Signed {
            sub: user.as_str(),
            name,
            role,
            iss: self.issuer.as_deref(),
            aud: self.audience.as_deref(),
            iat: now,
            exp: now.saturating_add(lasts),
        };
        encode(&Header::default(), &claims, &self.encoding).map_err(|_| ChatError::Internal)
    }
}

impl Wire {
    fn claims(self) -> Result<Claims, ChatError> {
        for (claim, listable) in [(&self.iss, false), (&self.aud, true)] {
            let well_typed = match claim {
                None | Some(Value::String(_)) => true,
                Some(Value::Array(all)) => listable && all.iter().all(Value::is_string),
                Some(_) => false,
            };
            if !well_typed {
                return Err(ChatError::unauthorized("the token's issuer or audience is malformed"));
            }
        }
        if self.nbf.is_some_and(|nbf| seconds(&nbf).is_none()) {
            return Err(ChatError::unauthorized("the token's nbf is malformed"));
        }
        let expires_at_s = seconds(&self.exp).ok_or_else(|| ChatError::unauthorized("the token's exp is malformed"))?;
        if expires_at_s <= Timestamp::now().0 / 1_000 {
            return Err(ChatError::unauthorized("the token has expired"));
        }
        let user = [self.sub, self.user_id, self.id].into_iter().flatten().find(|id| !id.is_null());
        let user = match user {
            Some(Value::String(text)) => UserId::parse(&text),
            // Shops that count their users sign the number.
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => UserId::parse(&number.to_string()),
            _ => Err(ChatError::invalid("")),
        };
        let user = user.map_err(|_| ChatError::unauthorized("the token names no user (sub, userId or id)"))?;
        let name = [self.name, self.display_name, self.username].into_iter().flatten().find_map(|text| shown(&text));
        let role = self.role.as_ref().and_then(shown);
        Ok(Claims { user, name, role, expires_at_s })
    }
}

/// A NumericDate (RFC 7519 section 2) in whole seconds; a fraction is cut off, so that nothing holds longer than it says.
fn seconds(number: &Number) -> Option<i64> {
    let seconds = match number.as_i64() {
        Some(seconds) => seconds,
        #[expect(clippy::cast_possible_truncation, reason = "out of range saturates and is refused below")]
        None => number.as_f64()?.floor() as i64,
    };
    (0..=SAFE_INTEGER_MAX).contains(&seconds).then_some(seconds)
}

/// A name or role as others will see it: without control characters, cut to [`NAME_MAX`] bytes; `None` where nothing is left.
fn shown(value: &Value) -> Option<Arc<str>> {
    let mut text: String = value.as_str()?.chars().filter(|c| !c.is_control()).collect();
    while text.len() > NAME_MAX {
        text.pop();
    }
    let text = text.trim();
    (!text.is_empty()).then(|| text.into())
}

/// Whether a bearer is the server key, in a time that does not tell how much of it is right.
#[must_use]
pub fn is_server_key(bearer: &str, key: &SecretString) -> bool {
    let (given, key) = (bearer.as_bytes(), key.expose_secret().as_bytes());
    let differing = given.iter().zip(key).fold(given.len() ^ key.len(), |sum, (a, b)| sum | usize::from(a ^ b));
    std::hint::black_box(differing) == 0 && !key.is_empty()
}

#[cfg(test)]
mod tests;
