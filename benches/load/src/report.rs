//! The report: medians of all rounds with ratios, and the plots beside it. It measures nothing.

mod tables;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::plot::{Bar, Scale, bars};
use crate::record::Record;
use crate::scenario::SCENARIOS;
use crate::{Outcome, cluster, machine, peer};

/// What was found, and on what.
pub(crate) struct Report {
    pub(crate) records: Vec<Record>,
    pub(crate) rounds: u32,
    /// Commits a second of one process on the database's disk.
    pub(crate) commits: f64,
    pub(crate) postgres: String,
}

impl Report {
    /// Writes `performance.md` and its plots into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Outcome<()> {
        let mut text = self.head();
        for section in tables::SECTIONS {
            text.push_str(&section.write(self));
        }
        for (name, title, scale, bars_of) in self.plots() {
            if !bars_of.is_empty() {
                fs::write(folder.join(format!("performance-{name}.svg")), bars(title, scale, &bars_of))?;
                let place = format!("<!-- {name} -->");
                text = text.replace(&place, &format!("![{title}](performance-{name}.svg)"));
            }
        }
        let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("<!--")).collect();
        fs::write(folder.join("performance.md"), text.join("\n") + "\n")?;
        Ok(())
    }

    /// The median of a figure over the rounds.
    pub(crate) fn median(&self, scenario: &str, peer: &str, figure: &str) -> Option<f64> {
        let found = self.sorted(scenario, peer, figure);
        let upper = found.get(found.len() / 2).copied()?;
        let lower = found.get((found.len() - 1) / 2).copied()?;
        Some(f64::midpoint(lower, upper))
    }

    /// How far the rounds lie apart, in percent of their median.
    pub(crate) fn spread_percent(&self, scenario: &str, peer: &str, figure: &str) -> Option<f64> {
        let found = self.sorted(scenario, peer, figure);
        Some((found.last()? - found.first()?) / self.median(scenario, peer, figure)? * 100.0)
    }

    fn sorted(&self, scenario: &str, peer: &str, figure: &str) -> Vec<f64> {
        let of = self.records.iter().filter(|record| record.scenario == scenario && record.peer == peer);
        let mut found: Vec<f64> = of.filter_map(|record| record.figures.get(figure).copied()).collect();
        found.sort_by(f64::total_cmp);
        found
    }

    fn head(&self) -> String {
        let Self { rounds, commits, postgres, .. } = self;
        format!(
            "# Performance\n\n\
             Written by `make bench`; [benches/README.md](../benches/README.md) says what is measured, how each server \
             is set up, and what is fair about it. Rounds: {rounds}, in each of which every server has its turn; \
             what stands here are medians. What counts is a ratio within one run: absolute figures change from machine to machine, and from \
             hour to hour.\n\n\
             - Machine: {}. The server and PostgreSQL on CPU 0, the load generator on CPU 1. The database's disk \
             commits {commits:.0} times a second for one process.\n\
             - Versions: Haggle {}, {}, {}, PostgreSQL {postgres}, socket.io {}, pg {}, socketioxide {}, sqlx {}.\n\
             - PostgreSQL: `{}`, the log warm.\n\
             - Haggle: production mode, `HAGGLE_RATE_LIMITS=off`; tokens and membership checked, typing, presence and \
             receipts on. In `stall`, `HAGGLE_SLOW_READER_SECONDS=10`.\n\
             - Each line as it was printed: `target/bench/results.jsonl`.\n\n",
            machine::description(),
            env!("CARGO_PKG_VERSION"),
            said("rustc", &["--version"]),
            format_args!("Node.js {}", said("node", &["--version"])),
            from_node("socket.io"),
            from_node("pg"),
            from_rust("socketioxide"),
            from_rust("sqlx"),
            cluster::SETTINGS.join(" "),
        )
    }

    fn plots(&self) -> Vec<(&'static str, &'static str, Scale, Vec<Bar>)> {
        let linear = |name, title, scenario, figure| (name, title, Scale::Linear, self.bars(scenario, &[(figure, "")]));
        let latency = [("acknowledged_p50_ms", " p50"), ("acknowledged_p99_ms", " p99")];
        vec![
            linear("chat", "Chat: messages acknowledged a second", "chat-closed", "acknowledged_per_s"),
            (
                "latency",
                "Chat at 2,000 messages a second: ms until acknowledged, each step ten times as long",
                Scale::Logarithmic,
                self.bars("chat-2000", &latency),
            ),
            linear("fanout-1", "Fan-out, 1 message under way: deliveries a second", "fanout-1", "deliveries_per_s"),
            linear("fanout-8", "Fan-out, 8 messages under way: deliveries a second", "fanout-8", "deliveries_per_s"),
            linear("idle", "KB of memory an idle connection", "idle", "kb_per_connection"),
        ]
    }

    fn bars(&self, scenario: &str, figures: &[(&str, &str)]) -> Vec<Bar> {
        let mut found = Vec::new();
        for peer in peers(scenario) {
            for (figure, suffix) in figures {
                if let Some(value) = self.median(scenario, peer.name, figure) {
                    let label = format!("{}{suffix}", peer.title.replace("**", "").replace('`', ""));
                    found.push(Bar { label, value, ours: peer.is_haggle() });
                }
            }
        }
        found
    }
}

/// Who may have been asked in a scenario: those it names, then whoever else was chosen.
fn peers(scenario: &str) -> impl Iterator<Item = &'static peer::Peer> {
    let named = SCENARIOS.iter().find(|known| known.name == scenario).map_or(&[][..], |known| known.peers);
    let first = named.iter().filter_map(|name| peer::find(name));
    first.chain(peer::PEERS.iter().filter(|peer| !named.contains(&peer.name)))
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The version in the lock file of the peer in JavaScript.
fn from_node(package: &str) -> String {
    let lock: serde_json::Value =
        serde_json::from_str(include_str!("../../peers/node/package-lock.json")).unwrap_or_default();
    let version = lock.pointer(&format!("/packages/node_modules~1{package}/version"));
    version.and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

/// The version in the lock file of the peers in Rust.
fn from_rust(package: &str) -> String {
    let lock = include_str!("../../peers/Cargo.lock");
    let from = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).map(|(_, from)| from);
    from.and_then(|from| from.split('"').next()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_of_the_rounds() {
        let run = |round, figure| {
            let mut record = Record::new("chat-closed", "node", round);
            record.note("acknowledged_per_s", figure);
            record
        };
        let records = vec![run(1, 5.0), run(2, 1.0), run(3, 3.0)];
        let report = Report { records, rounds: 3, commits: 1.0, postgres: String::new() };
        assert_eq!(report.median("chat-closed", "node", "acknowledged_per_s"), Some(3.0));
        assert_eq!(report.spread_percent("chat-closed", "node", "acknowledged_per_s"), Some(4.0 / 3.0 * 100.0));
        assert_eq!(report.median("chat-closed", "limit", "acknowledged_per_s"), None);
    }

    #[test]
    fn versions_come_from_the_lock_files() {
        assert!(from_node("socket.io").starts_with("4."));
        assert!(from_rust("socketioxide").starts_with("0."));
    }
}
