//! `haggle doctor`: looks at everything that a start needs and says what to do about each. Changes nothing.

mod database;
mod port;

use std::fmt;

use secrecy::ExposeSecret;

use crate::config::{ConfigError, MIN_SECRET_BYTES, Mode, Settings, Sources};

/// How one thing looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// As it should be.
    Well,
    /// No hindrance, but worth knowing.
    Note,
    /// The server will not start, or not work.
    Wrong,
}

/// One thing looked at, and what was found, in plain words.
#[derive(Debug, PartialEq, Eq)]
struct Check {
    name: &'static str,
    mark: Mark,
    text: String,
}

impl Check {
    fn new(name: &'static str, mark: Mark, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { name, mark, text }
    }
}

/// Everything that was looked at; as text, a line to each.
#[derive(Debug)]
pub struct Report {
    checks: Vec<Check>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.checks.iter().all(|check| check.mark != Mark::Wrong)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let mark = match check.mark {
                Mark::Well => '✔',
                Mark::Note => '•',
                Mark::Wrong => '✘',
            };
            writeln!(f, "{mark} {:<14} {}", check.name, check.text)?;
        }
        let end = if self.is_well() { "Haggle can start." } else { "Put right what is marked ✘ first." };
        f.write_str(end)
    }
}

/// Looks at everything. Without settings that are right there is no telling which database and port to look at.
pub async fn examine(loaded: Result<(Settings, Sources), ConfigError>) -> Report {
    let (settings, sources) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let problems = error.problems().iter();
            let wrong = |problem: &String| Check::new("configuration", Mark::Wrong, problem.as_str());
            let mut checks: Vec<_> = problems.map(wrong).collect();
            let rest = "secrets, database, migrations and port are looked at once the configuration is right";
            checks.push(Check::new("the rest", Mark::Note, rest));
            return Report { checks };
        }
    };
    let mut checks = vec![configuration(&settings, &sources)];
    checks.push(secret("jwt secret", "jwt_secret", settings.jwt_secret.expose_secret(), &settings, &sources));
    checks.push(secret("server key", "server_key", settings.server_key.expose_secret(), &settings, &sources));
    checks.extend(database::examine(&settings).await);
    checks.push(port::examine(&settings.host, settings.port));
    Report { checks }
}

fn configuration(settings: &Settings, sources: &Sources) -> Check {
    let set = match sources.len() {
        0 => "everything at its default".to_owned(),
        count => format!("{count} set and the rest at the defaults"),
    };
    let text = format!("{} mode, {set}; `haggle config` shows all", settings.mode);
    Check::new("configuration", Mark::Well, text)
}

fn secret(name: &'static str, key: &str, secret: &str, settings: &Settings, sources: &Sources) -> Check {
    let bytes = secret.len();
    let Some(source) = sources.get(key) else {
        let text = format!(
            "a random one at each start, so what it signed ends with the server; production requires HAGGLE_{}",
            key.to_uppercase()
        );
        return Check::new(name, Mark::Note, text);
    };
    // Settings for production do not load with a short one.
    if bytes < MIN_SECRET_BYTES && settings.mode == Mode::Development {
        let text = format!(
            "{bytes} bytes from {source}; too short for production, which requires {MIN_SECRET_BYTES}: `openssl rand \
             -hex 32` makes a good one"
        );
        return Check::new(name, Mark::Note, text);
    }
    Check::new(name, Mark::Well, format!("{bytes} bytes from {source}"))
}

#[cfg(test)]
mod tests;
