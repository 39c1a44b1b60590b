//! The comparison: which server is asked what, in which order, how often.
//!
//! What lives here: the choice (`SCENARIO`, `PEERS`, `ROUNDS`, `SECONDS`), the rounds, the lines. What must not: load.
//!
//! In each round every server has its turn in every scenario, so that a machine that is slow for a while is slow for
//! all of them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::Cluster;
use crate::peer::{self, Peer};
use crate::record::Record;
use crate::report::Report;
use crate::scenario::{SCENARIOS, Scenario, Stage};
use crate::{Outcome, machine};

const ROUNDS: u32 = 3;
const SECONDS: u32 = 6;
const WARM_UP: Duration = Duration::from_secs(2);

/// What was asked for on the command line.
struct Choice {
    scenarios: Vec<&'static Scenario>,
    /// None: those that each scenario names.
    peers: Option<Vec<&'static Peer>>,
    rounds: u32,
    measured: Duration,
}

impl Choice {
    fn from_env() -> Outcome<Self> {
        let scenarios = match settings("SCENARIO") {
            None => SCENARIOS.iter().collect(),
            Some(names) => {
                let named = |scenario: &&Scenario| names.iter().any(|n| n == scenario.name || n == scenario.group);
                let chosen: Vec<_> = SCENARIOS.iter().filter(named).collect();
                if chosen.is_empty() {
                    return Err(format!("no such scenario: {}", names.join(", ")).into());
                }
                chosen
            }
        };
        Ok(Self {
            scenarios,
            peers: peer::chosen()?,
            rounds: setting("ROUNDS", ROUNDS)?.max(1),
            measured: Duration::from_secs(setting("SECONDS", SECONDS)?.max(1).into()),
        })
    }

    /// Whether this is the whole comparison, whose report is the repository's.
    fn is_whole(&self) -> bool {
        self.scenarios.len() == SCENARIOS.len() && self.peers.is_none() && self.rounds >= ROUNDS
    }

    fn peers(&self, scenario: &Scenario) -> Vec<&'static Peer> {
        match &self.peers {
            // What only Haggle can do is asked of nobody else.
            Some(peers) if scenario.peers == ["haggle"] => {
                peers.iter().filter(|peer| peer.is_haggle()).copied().collect()
            }
            Some(peers) => peers.clone(),
            None => scenario.peers.iter().filter_map(|name| peer::find(name)).collect(),
        }
    }
}

/// Runs the comparison and writes the report.
pub(crate) fn run() -> Outcome<()> {
    let choice = Choice::from_env()?;
    // Ten thousand connections on both sides; the servers inherit it.
    rlimit::increase_nofile_limit(65_536)?;
    machine::pin_self()?;
    let folder = results()?;
    note!("bench: starts PostgreSQL and warms its log");
    let cluster = Cluster::start()?;
    let commits = machine::commits_per_second(cluster.folder())?;
    let mut lines = fs::File::create(folder.join("results.jsonl"))?;
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for round in 1..=choice.rounds {
        for scenario in &choice.scenarios {
            for peer in choice.peers(scenario) {
                note!("bench: round {round} of {}, {}, {}", choice.rounds, scenario.name, peer.name);
                match one(scenario, peer, round, &cluster, choice.measured) {
                    Ok(record) => {
                        writeln!(std::io::stdout(), "{}", record.line())?;
                        writeln!(lines, "{}", record.line())?;
                        faults.extend(
                            record.faults().map(|fault| format!("{} in {}: {fault}", peer.name, scenario.name)),
                        );
                        records.push(record);
                    }
                    Err(error) => faults.push(format!("{} failed in {}: {error}", peer.name, scenario.name)),
                }
            }
        }
    }
    let report = Report { records, rounds: choice.rounds, commits, postgres: cluster.version() };
    let docs = if choice.is_whole() { Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs") } else { folder };
    report.write(&docs)?;
    note!("bench: wrote {}", docs.join("performance.md").display());
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\nbench: ").into()) }
}

fn one(scenario: &Scenario, peer: &'static Peer, round: u32, cluster: &Cluster, measured: Duration) -> Outcome<Record> {
    let settings = if peer.is_haggle() { scenario.settings } else { &[] };
    let running = peer.start(cluster, settings)?;
    let stage = Stage { running: &running, cluster, warm_up: WARM_UP, measured };
    let mut record = Record::new(scenario.name, peer.name, round);
    (scenario.run)(&stage, &mut record)?;
    Ok(record)
}

/// Where results of a part of the comparison go.
pub(crate) fn results() -> Outcome<PathBuf> {
    let folder = std::env::current_exe()?.parent().ok_or("this program lies nowhere")?.join("../bench");
    fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}

/// A setting's values, as they stand between commas; none where it is not set.
pub(crate) fn settings(name: &str) -> Option<Vec<String>> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.map(|value| value.split(',').map(str::to_owned).collect())
}

/// A setting that is a number.
pub(crate) fn setting(name: &str, otherwise: u32) -> Outcome<u32> {
    match settings(name).and_then(|values| values.first().cloned()) {
        Some(value) => value.parse().map_err(|_| format!("{name} is a number").into()),
        None => Ok(otherwise),
    }
}
