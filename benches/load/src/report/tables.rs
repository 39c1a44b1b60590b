//! Which tables the report has, and what stands in their columns.

use super::{Report, peers};
use crate::plot::figure;

/// What stands in a column.
enum Column {
    /// A figure's median.
    Plain(&'static str, &'static str),
    /// The sum of several figures' medians.
    Sum(&'static str, &'static [&'static str]),
    /// How far apart the rounds lie, in percent of the median.
    Spread(&'static str),
    /// A figure as a multiple of a peer's.
    Ratio(&'static str, &'static str, &'static str),
}

/// A heading, what to know, a table.
pub(super) struct Section {
    heading: &'static str,
    text: &'static str,
    scenario: &'static str,
    columns: &'static [Column],
}

use Column::{Plain, Ratio, Spread, Sum};

const CPU: &[&str] = &["server_cpu_us", "database_cpu_us"];

/// Every table, in order.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        heading: "Chat: 500 rooms of two, stored, each sender sends again when acknowledged",
        text: "<!-- chat -->",
        scenario: "chat-closed",
        columns: &[
            Plain("acknowledged/s", "acknowledged_per_s"),
            Spread("acknowledged_per_s"),
            Ratio("× Node", "acknowledged_per_s", "node-naive"),
            Ratio("× socketioxide", "acknowledged_per_s", "socketioxide"),
            Ratio("of the limit", "acknowledged_per_s", "limit"),
            Plain("p50 ms", "acknowledged_p50_ms"),
            Plain("p99 ms", "acknowledged_p99_ms"),
            Plain("CPU µs a message: server", "server_cpu_us"),
            Plain("PostgreSQL", "database_cpu_us"),
        ],
    },
    Section {
        heading: "Chat at a steady 2,000 messages a second",
        text: "Times run from when a message was due, so that a pause is charged to all that were due in it.\n\n<!-- latency -->",
        scenario: "chat-2000",
        columns: &[
            Plain("acknowledged/s", "acknowledged_per_s"),
            Plain("acknowledged: p50 ms", "acknowledged_p50_ms"),
            Plain("p99 ms", "acknowledged_p99_ms"),
            Plain("p99.9 ms", "acknowledged_p999_ms"),
            Plain("delivered: p50 ms", "delivered_p50_ms"),
            Plain("p99 ms", "delivered_p99_ms"),
            Sum("CPU µs a message", CPU),
        ],
    },
    Section {
        heading: "Fan-out: one room of 1,000, one message under way",
        text: "A message is under way until it is acknowledged and all have heard it.\n\n<!-- fanout-1 -->",
        scenario: "fanout-1",
        columns: FANOUT,
    },
    Section {
        heading: "Fan-out: one room of 1,000, eight messages under way",
        text: "<!-- fanout-8 -->",
        scenario: "fanout-8",
        columns: FANOUT,
    },
    Section {
        heading: "10,000 idle connections",
        text: "<!-- idle -->",
        scenario: "idle",
        columns: &[Plain("KB each", "kb_per_connection"), Plain("KB in all", "rss_kb")],
    },
    Section {
        heading: "10,000 connects, each with a token of its own, into rooms of two",
        text: "",
        scenario: "connect",
        columns: &[
            Plain("CPU µs each: server", "server_cpu_us"),
            Plain("PostgreSQL", "database_cpu_us"),
            Plain("connects/s", "connects_per_s"),
        ],
    },
    Section {
        heading: "20 readers that stall while 20,000 messages of 1 KB go by",
        text: "Closed: how many of the 20 were let go of by their deadline. Missed: messages that they did not get \
               after they came back, where the server has a way to come back.",
        scenario: "stall",
        columns: &[
            Plain("memory grew by MB", "growth_mb"),
            Plain("closed", "closed"),
            Plain("missed", "missed"),
            Plain("seconds", "seconds"),
        ],
    },
    Section {
        heading: "Reading by REST: 1,000 conversations of one user",
        text: "One request after the other, on one connection.",
        scenario: "history",
        columns: &[
            Plain("messages", "messages"),
            Plain("newest page: p99 ms", "newest_page_p99_ms"),
            Plain("earlier page: p99 ms", "earlier_page_p99_ms"),
            Plain("conversations: p99 ms", "conversations_p99_ms"),
            Plain("unread: p99 ms", "unread_p99_ms"),
        ],
    },
];

const FANOUT: &[Column] = &[
    Plain("deliveries/s", "deliveries_per_s"),
    Spread("deliveries_per_s"),
    Ratio("× Node without a database", "deliveries_per_s", "node-nodb"),
    Plain("all have heard: p50 ms", "completed_p50_ms"),
    Plain("p99 ms", "completed_p99_ms"),
    Sum("CPU µs a delivery", CPU),
    Plain("the generator's own", "generator_cpu_us"),
];

impl Column {
    fn title(&self) -> &'static str {
        match self {
            Plain(title, _) | Sum(title, _) | Ratio(title, ..) => title,
            Spread(_) => "spread %",
        }
    }

    fn cell(&self, report: &Report, scenario: &str, peer: &str) -> Option<f64> {
        match self {
            Plain(_, name) => report.median(scenario, peer, name),
            Spread(name) => report.spread_percent(scenario, peer, name),
            Sum(_, names) => names.iter().map(|name| report.median(scenario, peer, name)).sum(),
            Ratio(_, name, of) => Some(report.median(scenario, peer, name)? / report.median(scenario, of, name)?),
        }
    }
}

impl Section {
    /// The section as Markdown; nothing where nobody was asked.
    pub(super) fn write(&self, report: &Report) -> String {
        let asked = |name: &str| report.records.iter().any(|run| run.scenario == self.scenario && run.peer == name);
        let rows: Vec<_> = peers(self.scenario).filter(|peer| asked(peer.name)).collect();
        if rows.is_empty() {
            return String::new();
        }
        let titles: Vec<&str> = self.columns.iter().map(Column::title).collect();
        let about = if self.text.is_empty() { String::new() } else { format!("{}\n\n", self.text) };
        let mut text = format!("## {}\n\n{about}| | {} |\n", self.heading, titles.join(" | "));
        text.push_str(&format!("| --- |{}\n", " --- |".repeat(titles.len())));
        for peer in rows {
            let cell = |column: &Column| column.cell(report, self.scenario, peer.name).map(figure);
            let cells: Vec<String> = self.columns.iter().map(|column| cell(column).unwrap_or_default()).collect();
            text.push_str(&format!("| {} | {} |\n", peer.title, cells.join(" | ")));
        }
        text.push('\n');
        text
    }
}
