//! Settings of the transport: every bound and timeout, each with its unit and its default.
//! No behaviour.

use std::time::Duration;

/// Settings of an Engine.IO server. Every bound that protects the process has its name here.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time from the handshake, or from the last pong, to the next ping. Defaults to 25 s.
    pub ping_interval: Duration,
    /// How long a pong may take before the session is closed. Defaults to 20 s.
    pub ping_timeout: Duration,
    /// How long an upgrade to WebSocket may take, from its request on. Defaults to 10 s.
    pub upgrade_timeout: Duration,
    /// How long the body of one POST may take to arrive. Defaults to 20 s.
    pub post_timeout: Duration,
    /// How long a session that the server closed waits for a poll to say so. Defaults to 30 s.
    pub close_timeout: Duration,
    /// How long frames may wait while the peer takes nothing. Defaults to 30 s.
    pub slow_reader_timeout: Duration,
    /// Largest POST body and largest WebSocket message, in bytes. Defaults to 1,000,000.
    pub max_payload: usize,
    /// The same until the session's service trusts its client, see [`super::Session::trust`], and on a WebSocket all that may come
    /// until then: how much a stranger may have the server hold. `None` (the default) for no difference.
    pub max_stranger_payload: Option<usize>,
    /// Most packets in one POST. Defaults to 131,072: more than any Socket.IO client can fit into
    /// the default `max_payload`.
    pub max_packets_per_payload: usize,
    /// Most WebSocket fragments that one message may come in. Defaults to 4,096.
    pub max_fragments: usize,
    /// Bytes that may wait for one peer; the emit that goes over it ends the session. Defaults to 1 MiB.
    pub max_outgoing_bytes: usize,
    /// Packets that may wait for one peer, likewise. Defaults to 131,072.
    pub max_outgoing_packets: usize,
    /// Most sessions at a time; a handshake beyond is answered 503. Defaults to 100,000.
    pub max_sessions: usize,
    /// Poll answers of at least this many bytes are compressed when the client accepts it; `None`
    /// for never. Defaults to 1,024.
    pub compression_threshold: Option<usize>,
    /// Name of a cookie that carries the session id, for load balancers; `None` for none (the default).
    pub cookie: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            post_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(30),
            slow_reader_timeout: Duration::from_secs(30),
            max_payload: 1_000_000,
            max_stranger_payload: None,
            max_packets_per_payload: 131_072,
            max_fragments: 4_096,
            max_outgoing_bytes: 1024 * 1024,
            max_outgoing_packets: 131_072,
            max_sessions: 100_000,
            compression_threshold: Some(1_024),
            cookie: None,
        }
    }
}
