//! Metrics: the one recorder of the process, and what each metric means.
//!
//! What lives here: names, descriptions, buckets. What must not: measuring (it is done where things happen).

use std::sync::OnceLock;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of durations, in seconds.
const SECONDS: [f64; 12] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
/// Upper bounds of rows a transaction.
const ROWS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0];

/// The recorder of this process; the first call installs it.
pub(super) fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
                .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_batch_size".into()), &ROWS));
            // Only an empty list of buckets is refused, and these are not empty.
            let recorder = builder.unwrap_or_default().build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another recorder is installed; /metrics will be empty");
            }
            describe();
            crate::actor::meters::install();
            handle
        })
        .clone()
}

fn describe() {
    describe_gauge!("haggle_connections", "Sockets that are open");
    describe_gauge!("haggle_rooms", "Rooms that are awake");
    describe_gauge!("haggle_writer_queue_depth", "Messages and cursors that wait for the transaction under way");
    for (name, meaning) in [
        ("haggle_frames_in_total", "Frames from clients"),
        ("haggle_messages_in_total", "Messages committed"),
        ("haggle_messages_out_total", "Messages delivered to sockets"),
        ("haggle_gaps_filled_total", "Sockets that read from the database what they had missed while live"),
        ("haggle_rate_limited_total", "Requests refused for coming too fast"),
        ("haggle_slow_readers_total", "Sockets cut off for taking too little"),
        ("haggle_sessions_overrun_total", "Sockets that could not keep up with their room"),
        ("haggle_writer_refused_total", "Messages refused because too many waited"),
    ] {
        describe_counter!(name, meaning);
        // There from the start, so that an alert has something to start from.
        counter!(name).absolute(0);
    }
    describe_histogram!("haggle_commit_batch_size", "Messages and cursors a transaction");
    describe_histogram!("haggle_commit_seconds", Unit::Seconds, "Time a transaction takes");
    describe_histogram!("haggle_command_seconds", Unit::Seconds, "Time from a command to its answer");
    describe_histogram!("haggle_http_request_seconds", Unit::Seconds, "Time from a request to its answer");
}
