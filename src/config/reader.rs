//! From what was gathered to checked settings, and the rules that only hold in production. Where values come from is
//! for `layers`, what a single one means for `parse`.

use std::{collections::BTreeMap, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Limits, MIN_SECRET_BYTES, Mode, RootVocabulary, Settings,
    layers::{Gathered, Given},
    parse,
    table::{self, Kind},
};
use crate::telemetry;

/// Reads what was gathered into settings, and goes on after a problem so that all of them are told.
pub(super) struct Reader {
    values: BTreeMap<&'static str, Given>,
    problems: Vec<String>,
}

impl Reader {
    pub(super) fn new(gathered: Gathered) -> Self {
        let Gathered { values, problems } = gathered;
        Self { values, problems }
    }

    /// A reader whose problems nobody will hear of.
    pub(super) fn quiet(gathered: &Gathered) -> Self {
        let (values, problems) = (gathered.values.clone(), Vec::new());
        Self { values, problems }
    }

    /// All that was wrong on the way.
    pub(super) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    /// Reads every setting; what cannot be read is a problem, and an empty value takes its place.
    pub(super) fn settings(&mut self) -> Settings {
        let mode = self.mode();
        Settings {
            mode,
            host: self.read("host", parse::host),
            port: self.whole("port"),
            database_url: self.read("database_url", parse::database_url),
            jwt_secret: self.secret("jwt_secret", mode),
            jwt_issuer: self.text("jwt_issuer"),
            jwt_audience: self.text("jwt_audience"),
            server_key: self.server_key(mode),
            allowed_origins: self.origins(mode),
            root_vocabulary: self.root_vocabulary(),
            log: self.read("log", |text| telemetry::filter(text).map(|_| text.to_owned())),
            rate_limits: self.read("rate_limits", parse::on_off),
            slow_reader: self.seconds("slow_reader_seconds"),
            limits: Limits {
                messages_per_second: self.whole("messages_per_second"),
                messages_burst: self.whole("messages_burst"),
                joins_per_second: self.whole("joins_per_second"),
                joins_burst: self.whole("joins_burst"),
                typing_per_second: self.whole("typing_per_second"),
                typing_burst: self.whole("typing_burst"),
                connects_per_second: self.whole("connects_per_second"),
                connects_burst: self.whole("connects_burst"),
                commands_per_second: self.whole("commands_per_second"),
                commands_burst: self.whole("commands_burst"),
                address_factor: self.whole("address_factor"),
                connections_per_address: self.whole("connections_per_address"),
                max_connections: self.whole("max_connections"),
                session_buffer_bytes: self.whole("session_buffer_bytes"),
                auth_timeout: self.seconds("auth_timeout_seconds"),
                database_connections: self.whole("database_connections"),
                database_timeout: self.seconds("database_timeout_seconds"),
                shutdown_timeout: self.seconds("shutdown_timeout_seconds"),
            },
        }
    }

    /// What was set, else the built-in default, with the words for where it came from.
    fn given(&self, key: &str) -> Given {
        self.values.get(key).cloned().unwrap_or_else(|| {
            let text = table::find(key).map_or("", |setting| setting.default);
            let (text, origin) = (text.to_owned(), format!("the default of {key}"));
            Given { text, origin }
        })
    }

    fn text(&self, key: &str) -> Option<String> {
        self.values.get(key).map(|given| given.text.trim().to_owned())
    }

    fn read<T: Default>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let given = self.given(key);
        parse(&given.text).unwrap_or_else(|why| {
            self.problems.push(format!("{}: {why}", given.origin));
            T::default()
        })
    }

    fn whole<T: TryFrom<u64> + Default>(&mut self, key: &str) -> T {
        let bounds = table::find(key).map(|setting| setting.kind);
        self.read(key, |text| match bounds {
            Some(Kind::Whole { min, max }) => {
                let number = parse::whole(text, min, max)?;
                T::try_from(number).map_err(|_| format!("`{text}` is too large"))
            }
            _ => Err("is not a number in the table of settings".to_owned()),
        })
    }

    fn seconds(&mut self, key: &str) -> Duration {
        Duration::from_secs(self.whole(key))
    }

    fn choice(&mut self, key: &str) -> &'static str {
        let kind = table::find(key).map(|setting| setting.kind);
        self.read(key, |text| match kind {
            Some(Kind::Choice(words)) => parse::choice(text, words),
            _ => Err("is not a choice in the table of settings".to_owned()),
        })
    }

    /// How strict to be; what cannot be read counts as development until it is told.
    pub(super) fn mode(&mut self) -> Mode {
        match self.choice("mode") {
            "production" => Mode::Production,
            _ => Mode::Development,
        }
    }

    fn root_vocabulary(&mut self) -> RootVocabulary {
        match self.choice("root_vocabulary") {
            "item" => RootVocabulary::Item,
            "book" => RootVocabulary::Book,
            "order" => RootVocabulary::Order,
            "group" => RootVocabulary::Group,
            _ => RootVocabulary::Shop,
        }
    }

    /// A secret: in development a random one stands in; production takes none but a long one that was set.
    fn secret(&mut self, key: &str, mode: Mode) -> SecretString {
        let variable = format!("{}{}", table::PREFIX, key.to_uppercase());
        let how = format!(
            "`openssl rand -hex 32` makes a good one; set it as {variable}, or name a file that holds it by \
             {variable}_FILE"
        );
        match (self.values.get(key).cloned(), mode) {
            (None, Mode::Development) => random_secret().into(),
            (None, Mode::Production) => {
                self.problems.push(format!("{variable} is not set, and production requires it: {how}"));
                SecretString::default()
            }
            (Some(given), Mode::Production) if given.text.len() < MIN_SECRET_BYTES => {
                self.problems.push(format!(
                    "{}: the secret has {} bytes, and production requires {MIN_SECRET_BYTES} or more: {how}",
                    given.origin,
                    given.text.len()
                ));
                SecretString::default()
            }
            (Some(given), _) => given.text.into(),
        }
    }

    /// The server key travels in a header, so it must be able to.
    fn server_key(&mut self, mode: Mode) -> SecretString {
        let key = self.secret("server_key", mode);
        if !key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            let origin = self.given("server_key").origin;
            self.problems.push(format!(
                "{origin}: the key is sent in an HTTP header, so it takes letters, digits and punctuation of ASCII \
                 only, and no spaces"
            ));
        }
        key
    }

    fn origins(&mut self, mode: Mode) -> Vec<String> {
        let given = self.given("allowed_origins");
        let (origins, wrong) = parse::origins(&given.text);
        let wrong = wrong.into_iter().map(|why| format!("{}: {why}", given.origin));
        self.problems.extend(wrong);
        if mode == Mode::Production && origins.iter().any(|origin| origin == "*") {
            self.problems.push(format!(
                "{}: `*` would let any page on the web use a visitor's login, and production refuses it: name each \
                 origin, for example https://shop.example",
                given.origin
            ));
        }
        origins
    }
}

/// 256 random bits in hexadecimal.
fn random_secret() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
