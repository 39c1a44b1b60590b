//! What a person sees when the server starts: where it is and what to try next.
//!
//! What lives here: the words on standard output. What must not: logging (telemetry has it).

use std::io::{self, Write};
use std::net::SocketAddr;

use super::AppError;
use crate::cli::Migrate;
use crate::config::{Mode, Settings, redacted_url};
use crate::store::{Direction, Store};

/// The words, ready before the settings are used up.
pub(super) struct Banner {
    mode: Mode,
    database: String,
}

impl Banner {
    pub(super) fn of(settings: &Settings) -> Self {
        Self { mode: settings.mode, database: redacted_url(&settings.database_url) }
    }

    pub(super) fn print(&self, address: SocketAddr) {
        say(&self.text(address));
    }

    fn text(&self, address: SocketAddr) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let (mode, database) = (self.mode, &self.database);
        let mut text = format!(
            "\n  Haggle {version} · {mode}\n\n  database   {database}\n  sockets    ws://{address}/ws\n  API        http://{address}/docs\n"
        );
        text.push_str(&match self.mode {
            Mode::Development => format!(
                "  demo       http://{address}/\n\n  Open the demo: a customer and an agent talk about one order.\n  \
                 A token for anybody: curl 'http://{address}/dev/token?userId=alice'\n  \
                 Secrets are made up at each start unless set; see config/haggle.toml.\n"
            ),
            Mode::Production => format!("  health     http://{address}/readyz\n"),
        });
        text
    }
}

/// Applies, takes back or shows migrations, and says what was done.
pub(super) async fn migrations(store: &Store, what: Migrate) -> Result<(), AppError> {
    let (done, names) = match what {
        Migrate::Up => ("applied", store.migrate(Direction::Up).await?),
        Migrate::Down => ("taken back", store.migrate(Direction::Down).await?),
        Migrate::Status => ("pending", store.pending().await?),
    };
    if names.is_empty() {
        say(&format!("nothing {done}"));
    }
    for name in names {
        say(&format!("{done}: {name}"));
    }
    Ok(())
}

fn say(text: &str) {
    // Where standard output is closed there is nobody to greet.
    drop(writeln!(io::stdout().lock(), "{text}"));
}
