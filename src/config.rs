//! Every setting: what there is, put together from flags, environment, files and defaults, and as it may be shown.
//! Nothing here acts on a setting.

mod layers;
mod parse;
mod reader;
pub mod table;

use std::{collections::BTreeMap, fmt, path::Path, time::Duration};

use secrecy::SecretString;

use layers::{Gathered, Given};
use parse::REDACTED;
pub use parse::redacted_url;
use reader::Reader;
use table::{SETTINGS, Setting};

/// The bytes that a secret must have in production: as many as HMAC-SHA-256 puts out (RFC 7518, section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// How strict the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Makes up the secrets that are missing, hands out tokens, lets any localhost port in.
    Development,
    /// Starts only when everything that keeps strangers out is set.
    Production,
}

impl Mode {
    /// The word for it in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the default Socket.IO namespace `/` speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootVocabulary {
    /// The item vocabulary.
    Item,
    /// The book vocabulary.
    Book,
    /// The order vocabulary.
    Order,
    /// The group vocabulary.
    Group,
    /// The shop vocabulary.
    Shop,
}

impl RootVocabulary {
    /// The word for it in settings; its own namespace is this after a slash.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Book => "book",
            Self::Order => "order",
            Self::Group => "group",
            Self::Shop => "shop",
        }
    }
}

/// The effective settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How strict the server is.
    pub mode: Mode,
    /// The host name or address to listen on; an IPv6 address has no brackets.
    pub host: String,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// Where messages are kept.
    pub database_url: SecretString,
    /// The HS256 secret shared with the shop's backend.
    pub jwt_secret: SecretString,
    /// The `iss` that every token must carry, if any.
    pub jwt_issuer: Option<String>,
    /// The `aud` that every token must carry, if any.
    pub jwt_audience: Option<String>,
    /// The bearer key of the shop's backend.
    pub server_key: SecretString,
    /// The browser origins let in, as browsers spell them; `*` alone (development only) lets in all.
    pub allowed_origins: Vec<String>,
    /// What the namespace `/` speaks.
    pub root_vocabulary: RootVocabulary,
    /// The `tracing` filter.
    pub log: String,
    /// Whether rate limits and the connection limit per address apply.
    pub rate_limits: bool,
    /// How long a reader may take nothing before it is cut off.
    pub slow_reader: Duration,
    /// The bounds that an operator may move.
    pub limits: Limits,
}

/// The bounds that an operator may move. Each has a row in [`table::SETTINGS`] with its own bounds and default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages that a user may send in a second, in the long run. Default 50.
    pub messages_per_second: u32,
    /// Messages that a user may send at once. Default 200.
    pub messages_burst: u32,
    /// Conversations that a user may join in a second, in the long run. Default 50.
    pub joins_per_second: u32,
    /// Conversations that a user may join at once. Default 400.
    pub joins_burst: u32,
    /// How often a user may say in a second that they type, in the long run. Default 30.
    pub typing_per_second: u32,
    /// How often a user may say at once that they type. Default 150.
    pub typing_burst: u32,
    /// Connections that a user may open in a second, in the long run. Default 30.
    pub connects_per_second: u32,
    /// Connections that a user may open at once. Default 300.
    pub connects_burst: u32,
    /// All other commands that a user may give in a second, in the long run. Default 100.
    pub commands_per_second: u32,
    /// All other commands that a user may give at once. Default 400.
    pub commands_burst: u32,
    /// One address may do so many times what one user may. Default 50.
    pub address_factor: u32,
    /// Connections that one address may hold; not applied with rate limits off. Default 1,000.
    pub connections_per_address: u32,
    /// Connections that the server holds in all. Default 25,000.
    pub max_connections: u32,
    /// Bytes that may wait for one slow reader before it is cut off. Default 262,144.
    pub session_buffer_bytes: usize,
    /// How long a new connection may take to say who it is. Default 10 s.
    pub auth_timeout: Duration,
    /// Database connections for reading; the writers have their own. Default 8.
    pub database_connections: u32,
    /// How long a database call may take. Default 5 s.
    pub database_timeout: Duration,
    /// How long going down may take before what is left is dropped. Default 8 s.
    pub shutdown_timeout: Duration,
}

/// Everything that is wrong with the settings, in plain words with what to do; never with a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not right:\n  - {}", problems.join("\n  - "))]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    /// The problems, one to an entry.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl From<String> for ConfigError {
    fn from(problem: String) -> Self {
        let problems = vec![problem];
        Self { problems }
    }
}

/// Where each setting that is not at its default was set, by key: `--port`, `HAGGLE_PORT`, a file.
pub type Sources = BTreeMap<&'static str, String>;

impl Settings {
    /// Puts the settings together: `flags` (by key) over `env` over the `*.toml` files in `dir`, in name order, over
    /// the defaults. A `dir` that is not there holds no files.
    ///
    /// # Errors
    ///
    /// With everything that is wrong at once: unknown keys, values that make no sense, what production requires.
    pub fn load(
        flags: impl IntoIterator<Item = (String, String)>,
        env: impl Iterator<Item = (String, String)>,
        dir: &Path,
    ) -> Result<Self, ConfigError> {
        Self::load_with_sources(flags, env, dir).map(|(settings, _)| settings)
    }

    /// Like [`Settings::load`], and tells where each value was set.
    ///
    /// # Errors
    ///
    /// As [`Settings::load`].
    pub fn load_with_sources(
        flags: impl IntoIterator<Item = (String, String)>,
        env: impl Iterator<Item = (String, String)>,
        dir: &Path,
    ) -> Result<(Self, Sources), ConfigError> {
        let gathered = layers::gather(flags, env, dir, |before| Reader::quiet(before).mode().as_str());
        let sources = gathered.values.iter().map(|(key, given)| (*key, given.origin.clone())).collect();
        Self::read(gathered).map(|settings| (settings, sources))
    }

    fn read(gathered: Gathered) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(gathered);
        let settings = reader.settings();
        let problems = reader.into_problems();
        if problems.is_empty() { Ok(settings) } else { Err(ConfigError { problems }) }
    }

    /// The settings that a single file of this text gives, for fuzzing.
    ///
    /// # Errors
    ///
    /// As [`Settings::load`].
    #[cfg(any(test, fuzzing))]
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::read(layers::from_toml(text))
    }

    /// Settings for a test: development, a free port, fixed secrets of the right length, all else at its default.
    #[must_use]
    pub fn for_test(database_url: &str) -> Self {
        let flags = [
            ("port", "0"),
            ("jwt_secret", "a-jwt-secret-for-tests-only-0123456789"),
            ("server_key", "a-server-key-for-tests-only-0123456789"),
        ];
        let values = flags.map(|(key, text)| {
            let (text, origin) = (text.to_owned(), String::new());
            (key, Given { text, origin })
        });
        let problems = Vec::new();
        let values = values.into_iter().collect();
        let mut settings = Reader::new(Gathered { values, problems }).settings();
        settings.database_url = database_url.into();
        settings
    }

    /// Every setting with its value as it may be shown: in TOML, secrets left out.
    #[must_use]
    pub fn redacted(&self) -> Vec<(&'static Setting, String)> {
        SETTINGS.iter().map(|setting| (setting, self.shown(setting))).collect()
    }

    fn shown(&self, setting: &Setting) -> String {
        let limits = &self.limits;
        match setting.key {
            "mode" => quoted(self.mode.as_str()),
            "host" => quoted(&self.host),
            "port" => self.port.to_string(),
            "database_url" => quoted(&redacted_url(&self.database_url)),
            "jwt_issuer" => quoted(self.jwt_issuer.as_deref().unwrap_or_default()),
            "jwt_audience" => quoted(self.jwt_audience.as_deref().unwrap_or_default()),
            "allowed_origins" => quoted(&self.allowed_origins.join(",")),
            "root_vocabulary" => quoted(self.root_vocabulary.as_str()),
            "log" => quoted(&self.log),
            "rate_limits" => quoted(if self.rate_limits { "on" } else { "off" }),
            "slow_reader_seconds" => self.slow_reader.as_secs().to_string(),
            "messages_per_second" => limits.messages_per_second.to_string(),
            "messages_burst" => limits.messages_burst.to_string(),
            "joins_per_second" => limits.joins_per_second.to_string(),
            "joins_burst" => limits.joins_burst.to_string(),
            "typing_per_second" => limits.typing_per_second.to_string(),
            "typing_burst" => limits.typing_burst.to_string(),
            "connects_per_second" => limits.connects_per_second.to_string(),
            "connects_burst" => limits.connects_burst.to_string(),
            "commands_per_second" => limits.commands_per_second.to_string(),
            "commands_burst" => limits.commands_burst.to_string(),
            "address_factor" => limits.address_factor.to_string(),
            "connections_per_address" => limits.connections_per_address.to_string(),
            "max_connections" => limits.max_connections.to_string(),
            "session_buffer_bytes" => limits.session_buffer_bytes.to_string(),
            "auth_timeout_seconds" => limits.auth_timeout.as_secs().to_string(),
            "database_connections" => limits.database_connections.to_string(),
            "database_timeout_seconds" => limits.database_timeout.as_secs().to_string(),
            "shutdown_timeout_seconds" => limits.shutdown_timeout.as_secs().to_string(),
            _ => quoted(REDACTED),
        }
    }
}

/// A text as TOML writes it, which in quotes is as JSON does.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
