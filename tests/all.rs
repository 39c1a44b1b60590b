//! All integration tests, in one binary: it links once, and shares one PostgreSQL cluster.
#![allow(missing_docs, unreachable_pub, reason = "tests are read as they stand")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that meets the unexpected fails"
)]

mod actors;
mod cli;
mod contract;
mod faults;
mod hostile;
mod invariants;
mod matrix;
mod settings;
mod store;
mod support;
mod tidy;
mod vocabularies;
