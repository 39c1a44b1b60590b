//! What is asked of every server: one file a scenario, each of which ends with figures.
//!
//! What lives here: the list of them, and what they share. What must not: how a server is started.

pub(crate) mod chat;
mod connections;
pub(crate) mod fanout;
pub(crate) mod history;
mod stall;

use std::time::Duration;

use crate::Outcome;
use crate::cluster::Cluster;
use crate::engine::Plan;
use crate::peer::{Running, token};
use crate::record::Record;

/// Bytes of a message's text.
pub(crate) const BODY_BYTES: usize = 128;
/// A mark and a number come before the fill.
const MARK_BYTES: usize = 9;

/// One server in one scenario.
pub(crate) struct Stage<'a> {
    pub(crate) running: &'a Running,
    pub(crate) cluster: &'a Cluster,
    /// How long load is on before anything is measured, so that everything is compiled, cached and connected.
    pub(crate) warm_up: Duration,
    /// How long is measured.
    pub(crate) measured: Duration,
}

/// What may be asked, and of whom.
pub(crate) struct Scenario {
    /// Its name in results.
    pub(crate) name: &'static str,
    /// Its name on the command line, where several belong together.
    pub(crate) group: &'static str,
    /// Who is asked, in the order of the table.
    pub(crate) peers: &'static [&'static str],
    /// Settings that Haggle gets for it.
    pub(crate) settings: &'static [(&'static str, &'static str)],
    pub(crate) run: fn(&Stage<'_>, &mut Record) -> Outcome<()>,
}

const CHAT: &[&str] = &["node-naive", "node", "socketioxide", "limit-each", "limit", "haggle", "haggle-group"];
const FANOUT: &[&str] = &["node-nodb", "node", "socketioxide-nodb", "limit-nodb", "limit", "haggle", "haggle-group"];
const CONNECTIONS: &[&str] = &["node", "socketioxide", "limit", "haggle", "haggle-group"];

/// Every scenario, in the order of the report.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "chat-closed", group: "chat", peers: CHAT, settings: &[], run: chat::closed },
    Scenario { name: "chat-2000", group: "chat", peers: CHAT, settings: &[], run: chat::open },
    Scenario { name: "fanout-1", group: "fanout", peers: FANOUT, settings: &[], run: fanout::one },
    Scenario { name: "fanout-8", group: "fanout", peers: FANOUT, settings: &[], run: fanout::eight },
    Scenario { name: "idle", group: "idle", peers: CONNECTIONS, settings: &[], run: connections::idle },
    Scenario { name: "connect", group: "connect", peers: CONNECTIONS, settings: &[], run: connections::connect },
    Scenario {
        name: "stall",
        group: "stall",
        peers: &["node", "socketioxide", "haggle", "haggle-group"],
        settings: &[("HAGGLE_SLOW_READER_SECONDS", stall::DEADLINE_S)],
        run: stall::run,
    },
    Scenario { name: "history", group: "history", peers: &["haggle"], settings: &[], run: history::run },
];

/// The name of the user of this number.
pub(crate) fn user(number: usize) -> String {
    format!("u{number}")
}

/// The fill of a text of so many bytes.
fn fill(bytes: usize) -> String {
    "x".repeat(bytes.saturating_sub(MARK_BYTES))
}

/// This user on their way into a conversation.
pub(crate) fn plan(user: &str, conversation: Option<u64>) -> Outcome<Plan> {
    Ok(Plan { token: token(user)?, conversation, after: None })
}

/// How many come in at once.
pub(crate) const AT_ONCE: usize = 64;
