//! The report on growth: a table and a plot a scenario. It measures nothing.

use std::fs;
use std::path::Path;

use super::GROWTHS;
use crate::cluster::{self, Cluster};
use crate::plot::{Line, figure, lines};
use crate::record::Record;
use crate::{Outcome, machine, peer};

/// A column's title and its figure.
type Column = (&'static str, &'static str);

struct Section {
    scenario: &'static str,
    heading: &'static str,
    /// What grows.
    axis: &'static str,
    text: &'static str,
    columns: &'static [Column],
    /// What the plot is of, and its lines.
    plot: &'static str,
    plotted: &'static [Column],
}

const CPU: &[Column] = &[("server", "server_cpu_us"), ("PostgreSQL", "database_cpu_us")];
const CPU_PLOT: &str = "CPU µs a message";
const CHAT: &[Column] = &[
    ("CPU µs a message: server", "server_cpu_us"),
    ("PostgreSQL", "database_cpu_us"),
    ("acknowledged/s", "acknowledged_per_s"),
    ("at 1,000/s: p50 ms", "acknowledged_p50_ms"),
    ("p99 ms", "acknowledged_p99_ms"),
    ("delivered: p99 ms", "delivered_p99_ms"),
    ("server's MB", "rss_mb"),
];

const SECTIONS: &[Section] = &[
    Section {
        scenario: "growth-rooms",
        heading: "Rooms",
        axis: "conversations",
        text: "Messages spread over all of the conversations. At most 500 pairs hold them; both of each pair are \
               there and have joined all of theirs, so that every room is awake.",
        columns: CHAT,
        plot: CPU_PLOT,
        plotted: CPU,
    },
    Section {
        scenario: "growth-members",
        heading: "Members",
        axis: "members",
        text: "One room, everybody there, one message under way: the next comes when all have heard the last.",
        columns: &[
            ("CPU µs a message: server", "message_server_cpu_us"),
            ("PostgreSQL", "message_database_cpu_us"),
            ("CPU µs a delivery: server", "server_cpu_us"),
            ("PostgreSQL", "database_cpu_us"),
            ("all have heard: p50 ms", "completed_p50_ms"),
            ("p99 ms", "completed_p99_ms"),
        ],
        plot: "CPU µs a delivery",
        plotted: CPU,
    },
    Section {
        scenario: "growth-history",
        heading: "History",
        axis: "messages stored",
        text: "All of them in 20 conversations, in which 20 pairs talk. Then somebody who sits in all of them \
               reads by REST, one request after the other.",
        columns: &[
            ("CPU µs a message: server", "server_cpu_us"),
            ("PostgreSQL", "database_cpu_us"),
            ("acknowledged/s", "acknowledged_per_s"),
            ("at 1,000/s: p99 ms", "acknowledged_p99_ms"),
            ("newest page: p50 ms", "newest_page_p50_ms"),
            ("p99 ms", "newest_page_p99_ms"),
            ("earlier page: p50 ms", "earlier_page_p50_ms"),
            ("p99 ms", "earlier_page_p99_ms"),
            ("conversations: p50 ms", "conversations_p50_ms"),
            ("p99 ms", "conversations_p99_ms"),
            ("unread: p50 ms", "unread_p50_ms"),
            ("p99 ms", "unread_p99_ms"),
        ],
        plot: CPU_PLOT,
        plotted: CPU,
    },
    Section {
        scenario: "growth-connections",
        heading: "Connections",
        axis: "idle connections",
        text: "50 rooms of two, beside connections that say and hear nothing.",
        columns: CHAT,
        plot: CPU_PLOT,
        plotted: CPU,
    },
    Section {
        scenario: "growth-conversations",
        heading: "Conversations a user",
        axis: "conversations of one user",
        text: "An agent has joined all of them. In up to 100 of them the other side is there, and both talk in turn. Then the agent connects again and again, and reads by REST.",
        columns: &[
            ("CPU µs a message: server", "server_cpu_us"),
            ("PostgreSQL", "database_cpu_us"),
            ("acknowledged/s", "acknowledged_per_s"),
            ("at 1,000/s: p50 ms", "acknowledged_p50_ms"),
            ("p99 ms", "acknowledged_p99_ms"),
            ("CPU µs a connect", "connect_cpu_us"),
            ("conversations: p50 ms", "conversations_p50_ms"),
            ("p99 ms", "conversations_p99_ms"),
            ("unread: p50 ms", "unread_p50_ms"),
            ("p99 ms", "unread_p99_ms"),
        ],
        plot: CPU_PLOT,
        plotted: CPU,
    },
    Section {
        scenario: "growth-start",
        heading: "Start",
        axis: "conversations, of ten messages each",
        text: "From starting the process until `/readyz` says 200, on a schema that is up to date.",
        columns: &[("ready after ms", "ready_ms"), ("CPU ms", "cpu_ms"), ("server's MB", "rss_mb")],
        plot: "Start: ms until ready",
        plotted: &[("", "ready_ms")],
    },
];

/// Writes `growth.md` and its plots into a folder.
pub(super) fn write(records: &[Record], rounds: u32, cluster: &Cluster, folder: &Path) -> Outcome<()> {
    let mut text = format!(
        "# Growth\n\n\
         What a message costs as there are more rooms, members, messages, connections and conversations a user: the same load at \
         each size. Written by `make bench SCENARIO=growth`; [benches/README.md](../benches/README.md) says how. Rounds: {rounds}. \
         CPU time is counted with 64 messages under way, so that as many share a commit each time; how long a message takes, at 1,000 a \
         second from when it was due. What counts is whether a column changes from row to row.\n\n\
         - Machine: {}. The server and PostgreSQL {} on CPU 0, the load generator on CPU 1.\n\
         - PostgreSQL: `{}`.\n\
         - Each line as it was printed: `target/bench/growth.jsonl`.\n\n",
        machine::description(),
        cluster.version(),
        cluster::SETTINGS.join(" "),
    );
    for section in SECTIONS {
        let of: Vec<&Record> = records.iter().filter(|record| record.scenario == section.scenario).collect();
        if !of.is_empty() {
            let file = format!("{}.svg", section.scenario);
            fs::write(folder.join(&file), section.plot(&of))?;
            text.push_str(&section.table(&of, &file));
        }
    }
    fs::write(folder.join("growth.md"), text)?;
    Ok(())
}

impl Section {
    fn table(&self, records: &[&Record], plot: &str) -> String {
        let Self { heading, axis, text, columns, .. } = self;
        let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
        let mut table = format!("## {heading}\n\n{text}\n\n![{}]({plot})\n\n", self.plot);
        table.push_str(&format!("| {axis} | | {} |\n", titles.join(" | ")));
        table.push_str(&format!("| --- | --- |{}\n", " --- |".repeat(titles.len())));
        for (peer, size) in self.rows(records) {
            let cell = |(_, name): &Column| median(records, peer.name, size, name).map(figure).unwrap_or_default();
            let cells: Vec<String> = columns.iter().map(cell).collect();
            table.push_str(&format!("| {} | {} | {} |\n", figure(size), database(peer), cells.join(" | ")));
        }
        table.push('\n');
        table
    }

    fn plot(&self, records: &[&Record]) -> String {
        let mut found: Vec<Line> = Vec::new();
        for (title, name) in self.plotted {
            for (peer, size) in self.rows(records) {
                let Some(value) = median(records, peer.name, size, name) else { continue };
                // On SQLite everything is the server's.
                if !peer.database && *name == "database_cpu_us" {
                    continue;
                }
                let label = match *title {
                    "" => database(peer).to_owned(),
                    "server" => format!("server, on {}", database(peer)),
                    title => title.to_owned(),
                };
                match found.iter_mut().find(|line| line.label == label) {
                    Some(line) => line.points.push((size, value)),
                    None => found.push(Line { label, points: vec![(size, value)] }),
                }
            }
        }
        lines(&format!("{}: {}", self.heading, self.plot), self.axis, &found)
    }

    /// Whom and at what sizes, in order.
    fn rows(&self, records: &[&Record]) -> Vec<(&'static peer::Peer, f64)> {
        let named = GROWTHS.iter().find(|growth| growth.name == self.scenario).map_or(&[][..], |growth| growth.peers);
        let mut rows = Vec::new();
        for peer in named.iter().filter_map(|name| peer::find(name)) {
            let of = records.iter().filter(|record| record.peer == peer.name);
            let mut sizes: Vec<f64> = of.filter_map(|record| record.figures.get("size").copied()).collect();
            sizes.sort_by(f64::total_cmp);
            sizes.dedup();
            rows.extend(sizes.into_iter().map(|size| (peer, size)));
        }
        rows
    }
}

fn database(peer: &peer::Peer) -> &'static str {
    if peer.database { "PostgreSQL" } else { "SQLite" }
}

fn median(records: &[&Record], peer: &str, size: f64, name: &str) -> Option<f64> {
    let at = |record: &&&Record| record.peer == peer && record.figures.get("size") == Some(&size);
    let of = records.iter().filter(at);
    let mut found: Vec<f64> = of.filter_map(|record| record.figures.get(name).copied()).collect();
    found.sort_by(f64::total_cmp);
    found.get(found.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_a_size_and_a_column_a_figure() {
        let run = |size: f64, cpu_us: f64| {
            let mut record = Record::new("growth-rooms", "haggle", 1);
            record.note("size", size);
            record.note("server_cpu_us", cpu_us);
            record
        };
        let runs = [run(1_000.0, 21.0), run(10.0, 20.0)];
        let table = SECTIONS[0].table(&runs.iter().collect::<Vec<_>>(), "x.svg");
        let rows: Vec<&str> = table.lines().filter(|line| line.contains("| PostgreSQL | 2")).collect();
        assert_eq!(
            rows,
            ["| 10 | PostgreSQL | 20 |  |  |  |  |  |  |", "| 1,000 | PostgreSQL | 21 |  |  |  |  |  |  |"]
        );
    }
}
