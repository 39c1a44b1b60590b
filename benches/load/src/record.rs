//! What a run found: one JSON line. No running and no writing of reports here.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::machine;
use crate::peer::Running;

/// What a server may not do in any scenario.
const MUST_BE_ZERO: &[&str] = &["refused", "connections_lost", "unacknowledged", "undelivered", "incomplete", "missed"];

/// The figures of one run, by name with the unit last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) scenario: String,
    pub(crate) peer: String,
    pub(crate) round: u32,
    pub(crate) figures: BTreeMap<String, f64>,
}

impl Record {
    pub(crate) fn new(scenario: &str, peer: &str, round: u32) -> Self {
        Self { scenario: scenario.to_owned(), peer: peer.to_owned(), round, figures: BTreeMap::new() }
    }

    /// Notes a figure.
    pub(crate) fn note(&mut self, name: &str, figure: f64) {
        self.figures.insert(name.to_owned(), figure);
    }

    /// Notes the percentiles of times in microseconds, as milliseconds.
    pub(crate) fn percentiles(&mut self, name: &str, times_us: &Histogram<u64>) {
        for (quantile, title) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p999")] {
            self.note(&format!("{name}_{title}_ms"), times_us.value_at_quantile(quantile) as f64 / 1e3);
        }
        self.note(&format!("{name}_max_ms"), times_us.max() as f64 / 1e3);
    }

    /// What of a run must be zero and is not, in words: then its other figures mean less.
    pub(crate) fn faults(&self) -> Option<String> {
        let wrong = MUST_BE_ZERO.iter().filter_map(|name| {
            let figure = self.figures.get(*name).filter(|figure| **figure != 0.0)?;
            Some(format!("{name}: {figure}"))
        });
        let wrong: Vec<String> = wrong.collect();
        if wrong.is_empty() { None } else { Some(wrong.join(", ")) }
    }

    /// The line that a run prints.
    pub(crate) fn line(&self) -> String {
        let Self { scenario, peer, round, figures } = self;
        let mut line = json!({ "scenario": scenario, "peer": peer, "round": round });
        if let Value::Object(line) = &mut line {
            // Four digits are more than a run can tell.
            line.extend(figures.iter().map(|(name, figure)| (name.clone(), json!((figure * 1e4).round() / 1e4))));
        }
        line.to_string()
    }
}

/// An empty histogram of microseconds, up to a minute, with three digits.
pub(crate) fn histogram() -> crate::Outcome<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

/// The CPU time of all three parts at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    server: Duration,
    database: Duration,
    generator: Duration,
}

impl Cpu {
    pub(crate) fn now(running: &Running, cluster: &Cluster) -> Self {
        Self {
            server: machine::cpu(running.process()),
            database: machine::cpu(cluster.process()),
            generator: machine::own_cpu(),
        }
    }

    /// Notes what was used since then, by each of so many things done.
    pub(crate) fn note_since(self, then: Self, done: f64, record: &mut Record) {
        let each = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() * 1e6 / done.max(1.0);
        record.note("server_cpu_us", each(self.server, then.server));
        record.note("database_cpu_us", each(self.database, then.database));
        record.note("generator_cpu_us", each(self.generator, then.generator));
    }
}
