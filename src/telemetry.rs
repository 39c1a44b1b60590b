//! Logging: where it goes, what passes the filter, and that each event is one line. No metrics, no decision on what is logged.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::registry::LookupSpan;
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
    let lines = lines(io::stderr().is_terminal(), io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|error| error.to_string())
}

/// Writes each event as one line, whatever stands in its values.
fn lines<S, W>(terminal: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer();
    if terminal {
        // Values only: the colours around them are the formatter's.
        let fields = debug_fn(|writer, field, value| {
            let value = clean(&format!("{value:?}"));
            if field.name() == "message" {
                writer.write_str(&value)
            } else {
                write!(writer, "{}={value}", field.name())
            }
        });
        lines.with_target(false).fmt_fields(fields.delimited(" ")).with_writer(writer).boxed()
    } else {
        lines.json().flatten_event(true).with_ansi(false).with_writer(Clean(writer)).boxed()
    }
}

/// A text with what would begin a line, hide one or turn it round written out as `\u000a`: what a terminal or a reader of lines does
/// something at besides showing it.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            // To a text, which takes all that it is given.
            _ = write!(clean, "\\u{:04x}", u32::from(c));
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Writes events, which come whole and end with a line's end, clean.
struct Clean<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Clean<W> {
    type Writer = Clean<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Clean(self.0.make_writer())
    }
}

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(event.trim_ascii_end());
        self.0.write_all(format!("{}\n", clean(&line)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is logged by `log`, as a terminal or a file gets it.
    fn logged(terminal: bool, log: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);
        impl Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = lines(terminal, move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_value_begins_a_line_of_its_own_or_moves_a_terminal() {
        let bad =
            "a\n2026-01-01 ERROR forged\r\n{\"level\":\"ERROR\"}\u{1b}[2J\u{9b}31m\u{85}\u{2028}\u{202e}\u{7f}\u{8}\tz";
        for terminal in [true, false] {
            let log = logged(terminal, || {
                let _in = tracing::info_span!("request", path = bad, shown = %bad).entered();
                tracing::info!(text = bad, shown = %bad, debug = ?bad, "{bad}");
            });
            assert_eq!(log.lines().count(), 1, "{log}");
            assert!(log.ends_with('\n') && log.contains("forged"), "{log}");
            let uncoloured = log.trim_end().replace("\u{1b}[", "");
            assert_eq!(clean(&uncoloured), uncoloured, "a terminal would obey it");
            assert!(!log.contains("\u{1b}[2J"), "{}", log.escape_debug());
            if !terminal {
                let read: serde_json::Value = serde_json::from_str(&log).unwrap();
                assert_eq!(
                    (&read["text"], &read["level"]),
                    (&bad.into(), &"INFO".into()),
                    "the log still holds what was said"
                );
            }
        }
    }

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
