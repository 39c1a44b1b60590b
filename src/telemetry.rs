//! Logging: where it goes and what passes the filter. No metrics, no decision on what is logged.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Libraries that tell of their own working at `info`, or call what any peer may send an error. Named in the filter, they speak as
/// it says.
const QUIET: &str = "actix_server=warn,actix_http=off,sea_orm_migration=warn,sqlx=warn";

/// How many letters of a level may be wrong for it to count as a misspelled one, rather than as a target's name.
const MISSPELLED_LETTERS: usize = 2;

/// Reads a `tracing` filter such as `info` or `haggle=debug,warn`.
///
/// # Errors
///
/// Says in words what is wrong. A misspelled level is refused too: `tracing` would take it for a target's name and
/// log nothing at all.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    for word in text.split(',').map(str::trim) {
        let lower = word.to_lowercase();
        let like = |level: &&&str| strsim::levenshtein(&lower, level) <= MISSPELLED_LETTERS;
        if !LEVELS.contains(&lower.as_str())
            && let Some(level) = LEVELS.iter().find(like)
        {
            return Err(format!("`{word}` is no level: did you mean `{level}`?"));
        }
    }
    EnvFilter::builder().parse(format!("{QUIET},{text}")).map_err(|error| format!("it is not a filter ({error})"))
}

/// Starts logging for the whole process: to standard error, in colour on a terminal, else one JSON object a line.
///
/// # Errors
///
/// When the filter cannot be read or logging was started before.
pub fn init(log: &str) -> Result<(), String> {
    let filter = filter(log)?;
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = if terminal {
        lines.with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).with_ansi(false).boxed()
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn levels_and_targets_are_taken() {
        for good in ["info", "WARN", "haggle=debug,warn", "haggle", "info,sqlx=off"] {
            assert!(filter(good).is_ok(), "{good} was refused");
        }
    }

    #[test]
    fn a_misspelled_filter_is_refused_with_the_right_word() {
        let wrong = |text| filter(text).err().unwrap_or_default();
        assert!(wrong("inof").contains("did you mean `info`"), "{}", wrong("inof"));
        assert!(wrong("haggle=debug,warning").contains("`warn`") || wrong("warm").contains("`warn`"));
        assert!(wrong("haggle=verbose").contains("not a filter"));
    }
}
