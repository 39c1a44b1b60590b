//! Haggle and what a shop would pick instead, side by side in one run: `make bench`.
//!
//! Read in this order: `compare` (what runs when), `peer` (who is compared), `scenario` (what is asked of them),
//! `engine` and `wire` (how, with one core), `report` (what is written). `benches/README.md` says what is fair about it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Says on standard error what is going on.
macro_rules! note {
    ($($arguments:tt)*) => {{
        use std::io::Write as _;
        // Where nobody listens, nothing is lost.
        drop(writeln!(std::io::stderr(), $($arguments)*));
    }};
}

mod cluster;
mod compare;
mod engine;
mod growth;
mod http;
mod machine;
mod peer;
mod plot;
mod record;
mod report;
mod scenario;
mod wire;

/// What can go wrong is told to a person, who then does something about it.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> std::process::ExitCode {
    let done = if growth::is_chosen() { growth::run() } else { compare::run() };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            note!("bench: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// A port that nobody listens on, below those that the kernel hands out by itself.
fn free_port() -> Outcome<u16> {
    // Each server gets another one: connections of the last one to end may linger in the kernel.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id() % 5_000 + NEXT.fetch_add(1, Ordering::Relaxed);
    let ports = (0..10_000).filter_map(|step| u16::try_from(20_000 + (start + step) % 10_000).ok());
    let mut free = ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().ok_or_else(|| "no port is free".into())
}
