//! The one table of settings: name, meaning, default and kind. Flags, variables, file keys, help, `haggle config`,
//! `config/haggle.toml` and the README all come from it. No reading of values here.

use Kind::{Choice, DatabaseUrl, Filter, Host, OnOff, Origins, Secret, Text, Whole};

/// What a setting's value looks like, and so how it is checked and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of the words listed.
    Choice(&'static [&'static str]),
    /// `on` or `off`.
    OnOff,
    /// A whole number within the bounds, both included.
    Whole {
        /// The smallest that is accepted.
        min: u64,
        /// The largest that is accepted.
        max: u64,
    },
    /// Any text.
    Text,
    /// A host name or an IP address, without a port.
    Host,
    /// A `tracing` filter.
    Filter,
    /// A comma-separated list of browser origins.
    Origins,
    /// A `postgres://` or `sqlite://` URL: a secret, of which only the password is hidden.
    DatabaseUrl,
    /// A secret, never shown.
    Secret,
}

/// One setting as an operator knows it.
#[derive(Debug)]
pub struct Setting {
    /// The key in `config/*.toml`; the variable and the flag are spelled after it.
    pub key: &'static str,
    /// What it does, with its unit.
    pub meaning: &'static str,
    /// The built-in value; empty where there is none.
    pub default: &'static str,
    /// What holds when nothing is set, where `default` alone does not say it.
    pub otherwise: &'static str,
    /// How its value is checked and shown.
    pub kind: Kind,
}

impl Setting {
    /// The environment variable: `HAGGLE_` and the key in capitals.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_uppercase())
    }

    /// The flag without its two dashes: the key with dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The key that names a file holding the value; secrets alone have one.
    #[must_use]
    pub fn file_key(&self) -> Option<String> {
        self.is_secret().then(|| format!("{}_file", self.key))
    }

    /// Whether the value, or a part of it, must not be shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Secret | DatabaseUrl)
    }

    /// The default in words, for help texts and tables.
    #[must_use]
    pub fn default_in_words(&self) -> &'static str {
        if self.otherwise.is_empty() { self.default } else { self.otherwise }
    }
}

/// The setting of this key.
#[must_use]
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// What every variable of ours begins with.
pub const PREFIX: &str = "HAGGLE_";

const A_DAY_S: u64 = 86_400;

const RATE: Kind = Whole { min: 1, max: 1_000_000 };

const fn plain(key: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Setting {
    Setting { key, meaning, default, otherwise: "", kind }
}

const fn optional(key: &'static str, kind: Kind, otherwise: &'static str, meaning: &'static str) -> Setting {
    Setting { key, meaning, default: "", otherwise, kind }
}

/// Every setting, in the order in which it is shown.
pub static SETTINGS: &[Setting] = &[
    plain(
        "mode",
        Choice(&["development", "production"]),
        "development",
        "how strict to be: `development` makes up secrets and hands out tokens, `production` does neither",
    ),
    plain("host", Host, "127.0.0.1", "address to listen on; `0.0.0.0` for every IPv4 interface"),
    plain("port", Whole { min: 0, max: 65_535 }, "3000", "port to listen on; 0 takes a free one"),
    plain(
        "database_url",
        DatabaseUrl,
        "sqlite://haggle.db?mode=rwc",
        "`postgres://user:password@host/name` or `sqlite://path?mode=rwc`; `DATABASE_URL` is its second name",
    ),
    optional(
        "jwt_secret",
        Secret,
        "a random one per start in development; required in production",
        "HS256 secret shared with the shop's backend, 32 bytes or more",
    ),
    optional("jwt_issuer", Text, "not checked", "the `iss` that every token must carry"),
    optional("jwt_audience", Text, "not checked", "the `aud` that every token must carry"),
    optional(
        "server_key",
        Secret,
        "a random one per start in development; required in production",
        "bearer key of the shop's backend for the provisioning API, 32 bytes or more",
    ),
    optional(
        "allowed_origins",
        Origins,
        "same origin only; in development also any localhost port",
        "comma-separated browser origins for CORS, WebSocket and polling, each `scheme://host[:port]`",
    ),
    plain(
        "root_vocabulary",
        Choice(&["item", "book", "order", "group", "shop"]),
        "shop",
        "what the default Socket.IO namespace `/` speaks: `item`, `book`, `order`, `group` or `shop`",
    ),
    plain("log", Filter, "info", "a `tracing` filter: a level, or `target=level` pairs with commas"),
    plain("rate_limits", OnOff, "on", "`on` or `off` (for load tests behind a limiter of one's own)"),
    plain(
        "slow_reader_seconds",
        Whole { min: 1, max: A_DAY_S },
        "30",
        "how long, in seconds, a reader may take nothing before it is cut off",
    ),
    plain("messages_per_second", RATE, "50", "messages that a user may send in a second, in the long run"),
    plain("messages_burst", RATE, "200", "messages that a user may send at once"),
    plain("joins_per_second", RATE, "50", "conversations that a user may join in a second, in the long run"),
    plain("joins_burst", RATE, "400", "conversations that a user may join at once"),
    plain("typing_per_second", RATE, "30", "how often a user may say in a second that they type, in the long run"),
    plain("typing_burst", RATE, "150", "how often a user may say at once that they type"),
    plain(
        "connects_per_second",
        RATE,
        "30",
        "connections that a user may open in a second, in the long run; on Socket.IO each namespace is one",
    ),
    plain("connects_burst", RATE, "300", "connections that a user may open at once"),
    plain("commands_per_second", RATE, "100", "all other commands that a user may give in a second, in the long run"),
    plain("commands_burst", RATE, "400", "all other commands that a user may give at once"),
    plain(
        "address_factor",
        Whole { min: 1, max: 100_000 },
        "50",
        "one address may do so many times what one user may, for all who share it",
    ),
    plain(
        "connections_per_address",
        Whole { min: 1, max: 1_000_000 },
        "1000",
        "connections that one address may hold; not applied with rate limits off",
    ),
    plain("max_connections", Whole { min: 1, max: 1_000_000 }, "25000", "connections that the server holds in all"),
    plain(
        "session_buffer_bytes",
        Whole { min: 16_384, max: 67_108_864 },
        "262144",
        "bytes that may wait for one slow reader before it is cut off",
    ),
    plain(
        "auth_timeout_seconds",
        Whole { min: 1, max: 300 },
        "10",
        "how long, in seconds, a new connection may take to say who it is",
    ),
    plain(
        "database_connections",
        Whole { min: 1, max: 1_000 },
        "8",
        "database connections for reading; the writers have their own",
    ),
    plain(
        "database_timeout_seconds",
        Whole { min: 1, max: 300 },
        "5",
        "how long, in seconds, a database call may take before it counts as `unavailable`",
    ),
    plain(
        "shutdown_timeout_seconds",
        Whole { min: 1, max: 300 },
        "8",
        "how long, in seconds, going down may take before what is left is dropped",
    ),
];
