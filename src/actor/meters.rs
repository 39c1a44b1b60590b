//! What the actors measure, on the way of every message: looked up once, not at each.
//!
//! What lives here: the handles. What must not: names' meanings and buckets (`app/metrics.rs` has them), rare events, which say their name
//! where they happen.

use std::sync::{LazyLock, OnceLock};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// The handles of metrics that every message moves.
#[derive(Debug)]
pub(super) struct Meters {
    /// Frames from clients.
    pub(super) frames_in: Counter,
    /// Messages committed.
    pub(super) messages_in: Counter,
    /// Messages delivered to sockets.
    pub(super) messages_out: Counter,
    /// From a command to its answer, in seconds.
    pub(super) command_seconds: Histogram,
    /// Time a transaction takes, in seconds.
    pub(super) commit_seconds: Histogram,
    /// Rows a transaction.
    pub(super) commit_batch_size: Histogram,
    /// Rows that wait for the transaction under way.
    pub(super) writer_queue_depth: Gauge,
}

static METERS: OnceLock<Meters> = OnceLock::new();

/// Looks the handles up. To be called when the process's recorder is installed: what is measured before goes nowhere.
pub fn install() {
    METERS.get_or_init(|| Meters {
        frames_in: counter!("haggle_frames_in_total"),
        messages_in: counter!("haggle_messages_in_total"),
        messages_out: counter!("haggle_messages_out_total"),
        command_seconds: histogram!("haggle_command_seconds"),
        commit_seconds: histogram!("haggle_commit_seconds"),
        commit_batch_size: histogram!("haggle_commit_batch_size"),
        writer_queue_depth: gauge!("haggle_writer_queue_depth"),
    });
}

/// The handles.
pub(super) fn meters() -> &'static Meters {
    static NOWHERE: LazyLock<Meters> = LazyLock::new(|| Meters {
        frames_in: Counter::noop(),
        messages_in: Counter::noop(),
        messages_out: Counter::noop(),
        command_seconds: Histogram::noop(),
        commit_seconds: Histogram::noop(),
        commit_batch_size: Histogram::noop(),
        writer_queue_depth: Gauge::noop(),
    });
    METERS.get().unwrap_or_else(|| &NOWHERE)
}
