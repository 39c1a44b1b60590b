//! Whether Haggle stays cheap as it grows: the same load at growing sizes, of Haggle alone.
//!
//! What lives here: which sizes, in which order. What must not: load (`load`), rows (`past`), tables (`report`).
//!
//! It is a command of its own, `make bench SCENARIO=growth`: what it fills databases with takes longer than to ask.

mod load;
pub(crate) mod past;
mod report;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::compare::{results, setting, settings};
use crate::peer::{self, Peer};
use crate::record::Record;
use crate::scenario::Stage;
use crate::{Outcome, machine};
use load::{BESIDE, PAIRS, STORIES};
use past::Past;

/// The group's name on the command line, and what the names of its scenarios begin with.
const GROUP: &str = "growth";
const SECONDS: u32 = 6;
/// So much has been said before in conversations that are not about history.
const SMALL_TALK: usize = 10;
const WARM_UP: Duration = Duration::from_secs(2);

/// What grows, and how far.
struct Growth {
    name: &'static str,
    peers: &'static [&'static str],
    sizes: &'static [usize],
    past: Option<fn(usize) -> Past>,
    run: fn(&Stage<'_>, &mut Record, usize) -> Outcome<()>,
}

const BOTH: &[&str] = &["haggle", "haggle-sqlite"];
const POSTGRES: &[&str] = &["haggle"];
/// Users `u0` and `u1` share conversation 1 and every 500th after it, and so on.
const PAIR: &[&str] = &["'u' || (({n} - 1) % 500 * 2)", "'u' || (({n} - 1) % 500 * 2 + 1)"];
const PAIR_AND_READER: &[&str] = &["'u' || ({n} * 2 - 2)", "'u' || ({n} * 2 - 1)", "'reader'"];
const AGENT: &[&str] = &["'agent'", "'p' || {n}"];
const CROWD: &[&str] = &["'u' || ({n} % 100000)", "'v' || ({n} % 100000)"];
const _: () = assert!(PAIRS == 500, "PAIR says so too");

const GROWTHS: &[Growth] = &[
    Growth {
        name: "growth-rooms",
        peers: BOTH,
        sizes: &[10, 1_000, 10_000, 100_000],
        past: Some(|size| Past { conversations: size, members: PAIR, each: SMALL_TALK }),
        run: load::rooms,
    },
    Growth { name: "growth-members", peers: POSTGRES, sizes: &[2, 100, 1_000, 10_000], past: None, run: load::members },
    Growth {
        name: "growth-history",
        peers: BOTH,
        sizes: &[1_000, 100_000, 10_000_000],
        past: Some(|size| Past { conversations: STORIES, members: PAIR_AND_READER, each: (size / STORIES).max(1) }),
        run: load::history,
    },
    Growth {
        name: "growth-connections",
        peers: POSTGRES,
        sizes: &[100, 1_000, 5_000, 15_000],
        past: Some(|_| Past { conversations: BESIDE, members: PAIR, each: SMALL_TALK }),
        run: load::connections,
    },
    Growth {
        name: "growth-conversations",
        peers: POSTGRES,
        sizes: &[1, 100, 1_000, 5_000],
        past: Some(|size| Past { conversations: size, members: AGENT, each: SMALL_TALK }),
        run: load::conversations,
    },
    Growth {
        name: "growth-start",
        peers: BOTH,
        sizes: &[1_000, 100_000, 1_000_000],
        past: Some(|size| Past { conversations: size, members: CROWD, each: SMALL_TALK }),
        run: load::start,
    },
];

/// Whether the command line asks for growth; it is not mixed with the comparison.
pub(crate) fn is_chosen() -> bool {
    settings("SCENARIO").is_some_and(|names| names.iter().all(|name| name.starts_with(GROUP)))
}

/// What was asked for on the command line.
struct Choice {
    growths: Vec<&'static Growth>,
    peers: Option<Vec<&'static Peer>>,
    /// Instead of each scenario's own.
    sizes: Option<Vec<usize>>,
    rounds: u32,
    measured: Duration,
}

impl Choice {
    fn from_env() -> Outcome<Self> {
        let names = settings("SCENARIO").unwrap_or_default();
        let is_named = |growth: &&Growth| names.iter().any(|name| name == GROUP || name == growth.name);
        let growths: Vec<_> = GROWTHS.iter().filter(is_named).collect();
        if growths.is_empty() {
            return Err(format!("no such scenario: {}", names.join(", ")).into());
        }
        let sizes = settings("SIZES").map(|sizes| sizes.iter().map(|size| size.parse()).collect::<Result<_, _>>());
        Ok(Self {
            growths,
            peers: peer::chosen()?,
            sizes: sizes.transpose().map_err(|_| "SIZES are numbers")?,
            rounds: setting("ROUNDS", 1)?.max(1),
            measured: Duration::from_secs(setting("SECONDS", SECONDS)?.max(1).into()),
        })
    }

    /// Whether this is all of it, whose report is the repository's.
    fn is_whole(&self) -> bool {
        self.growths.len() == GROWTHS.len() && self.peers.is_none() && self.sizes.is_none()
    }
}

/// Runs what was asked for and writes the report.
pub(crate) fn run() -> Outcome<()> {
    let choice = Choice::from_env()?;
    // Fifteen thousand connections on both sides; the servers inherit it.
    rlimit::increase_nofile_limit(65_536)?;
    machine::pin_self()?;
    let folder = results()?;
    note!("bench: starts PostgreSQL and warms its log");
    let cluster = Cluster::start()?;
    let mut lines = fs::File::create(folder.join("growth.jsonl"))?;
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for round in 1..=choice.rounds {
        for growth in &choice.growths {
            let named = growth.peers.iter().filter_map(|name| peer::find(name));
            let peers = named.filter(|peer| choice.peers.as_ref().is_none_or(|chosen| chosen.contains(peer)));
            for peer in peers {
                for size in choice.sizes.as_deref().unwrap_or(growth.sizes) {
                    note!("bench: round {round} of {}, {}, {}, {size}", choice.rounds, growth.name, peer.name);
                    match one(growth, peer, *size, round, &cluster, choice.measured) {
                        Ok(record) => {
                            writeln!(std::io::stdout(), "{}", record.line())?;
                            writeln!(lines, "{}", record.line())?;
                            let said = record.faults();
                            faults.extend(said.map(|fault| format!("{} at {size}: {fault}", growth.name)));
                            records.push(record);
                        }
                        Err(error) => {
                            faults.push(format!("{} failed in {} at {size}: {error}", peer.name, growth.name))
                        }
                    }
                }
            }
        }
    }
    let docs = if choice.is_whole() { Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs") } else { folder };
    report::write(&records, choice.rounds, &cluster, &docs)?;
    note!("bench: wrote {}", docs.join("growth.md").display());
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\nbench: ").into()) }
}

fn one(
    growth: &Growth,
    peer: &'static Peer,
    size: usize,
    round: u32,
    cluster: &Cluster,
    measured: Duration,
) -> Outcome<Record> {
    let past = growth.past.map(|past| past(size));
    let running = peer.start_with(cluster, &[], past.as_ref())?;
    let stage = Stage { running: &running, cluster, warm_up: WARM_UP, measured };
    let mut record = Record::new(growth.name, peer.name, round);
    record.note("size", size as f64);
    (growth.run)(&stage, &mut record, size)?;
    Ok(record)
}
