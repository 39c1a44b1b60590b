//! The full form of the fault tests, for `make soak`: more messages, kills and people than a test run has time for.
//!
//! What lives here: the command line and the report. What must not: faults and judging (`faults` has them).
//!
//! `cargo run --release --example soak -- [CASE …]` runs all cases or those named, against the program that `HAGGLE_BIN` names, and
//! prints a table for `docs/reliability.md`. `SOAK_MESSAGES` and `SOAK_KILLS` change the size of `kills`.
#![allow(missing_docs, unreachable_pub, dead_code, unused_imports, reason = "what tests share is read as it stands")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a case that meets the unexpected fails"
)]

mod faults;
mod support;

use std::time::{Duration, Instant};

use faults::verdict::Verdict;
use faults::world::{Size, World};
use support::On;

/// Messages and kills of the case `kills`, unless the environment says otherwise: a little over a million, so that a million are acknowledged, and fifty.
const MESSAGES: usize = 1_050_000;
const KILLS: usize = 50;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let runs = |case: &str| wanted.is_empty() || wanted.iter().any(|name| case.starts_with(name.as_str()));
    println!("| case | what came of it | took |\n| --- | --- | --- |");
    for on in [On::Sqlite, On::Postgres] {
        let case = format!("kills-{on:?}").to_lowercase();
        if runs(&case) {
            report(&case, kills(on)).await;
        }
        let case = format!("busy-{on:?}").to_lowercase();
        if runs(&case) {
            report(&case, async { told(&faults::crowds::busy(on, 1_000, 4, 0).await) }).await;
        }
        let case = format!("herd-{on:?}").to_lowercase();
        if runs(&case) {
            report(&case, async {
                let took = faults::crowds::herd(on, number("SOAK_CROWD", 9_999)).await;
                format!("all were back after {took:.1?}")
            })
            .await;
        }
        let case = format!("migration-{on:?}").to_lowercase();
        if runs(&case) {
            report(&case, async {
                faults::migration::killed_migrations(on, 1_000_000, 30).await;
                "60 migrations killed over 1,000,000 messages: all there, the server came up".into()
            })
            .await;
        }
    }
    if runs("database-killed") {
        report("database-killed", async { told(&faults::database::database_killed(20).await) }).await;
    }
    if runs("database-halted") {
        let halted = async { told(&faults::database::database_halted(Duration::from_secs(60)).await) };
        report("database-halted-60s", halted).await;
    }
    if runs("stall") {
        report("stall", async {
            let stalled = faults::crowds::stall(1_000, 100, 400).await;
            assert!(stalled.stalled_p99 < stalled.quiet_p99 * 2, "{stalled:?}");
            format!("{stalled:.1?}")
        })
        .await;
    }
}

/// kill -9 at random points of a million messages.
async fn kills(on: On) -> String {
    let size = Size {
        users: 48,
        conversations: 100,
        seats: 4,
        says: number("SOAK_MESSAGES", MESSAGES) / 48,
        window: 32,
        pause: Duration::ZERO,
    };
    let mut world = World::on(on, size).await;
    let (verdict, slowest) = faults::kills::killed(&mut world, number("SOAK_KILLS", KILLS)).await;
    format!("{}; ready again within {slowest:.2?}", told(&verdict))
}

fn told(verdict: &Verdict) -> String {
    let faults: Vec<_> = verdict.faults.iter().take(20).collect();
    assert!(faults.is_empty(), "{} faults, the first: {faults:#?}", verdict.faults.len());
    format!(
        "{} acknowledged, {} refused, {} deliveries, {} told again and merged; 0 lost, 0 doubled, 0 out of order; longest wait {:.1?}",
        verdict.acknowledged, verdict.refused, verdict.deliveries, verdict.repeated, verdict.longest_wait
    )
}

async fn report(case: &str, run: impl Future<Output = String>) {
    eprintln!("{case} …");
    let began = Instant::now();
    let line = run.await;
    println!("| `{case}` | {line} | {:.0?} |", began.elapsed());
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |given| given.parse().expect("a number"))
}
