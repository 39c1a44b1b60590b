//! What the oracle knows of a run: what each device sent and was told, and what the database holds in the end.
//!
//! What lives here: plain facts. What must not: judging them (`verdict.rs`), or gathering them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What every text of a run has in it, so that one in the log can be found.
pub const PHRASE: &str = "says something that is about as long as what people say";

/// A message as the database holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: i64,
    pub conversation: i64,
    pub seq: i64,
    pub sender: String,
    pub client_id: Option<String>,
    pub body: String,
    pub created_at_ms: i64,
}

/// What came of one message that a device wanted to send, in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was heard of it, or only that nothing is known.
    Unknown,
    /// It is stored: as this message, in this place where the vocabulary tells one.
    Acknowledged { id: i64, seq: Option<i64> },
    /// It will not be stored.
    Refused(String),
}

/// A message that a device sent, perhaps several times under the same client id.
#[derive(Clone, Debug)]
pub struct Sent {
    pub conversation: i64,
    pub client_id: String,
    pub text: String,
    pub outcome: Outcome,
}

/// A message that a device was told.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Which of the device's connections: 1, 2, 3 … A recovered one goes on with its number.
    pub stint: u32,
    pub conversation: i64,
    pub id: i64,
    /// Where the vocabulary tells it.
    pub seq: Option<i64>,
    pub text: String,
}

/// A join with a cursor, on a vocabulary that has them: everything after it is due in this stint.
#[derive(Clone, Copy, Debug)]
pub struct Resumed {
    pub stint: u32,
    pub conversation: i64,
    pub after: i64,
}

/// What one device did and was told.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub device: String,
    pub user: String,
    /// It has places to merge by; else only ids.
    pub has_seqs: bool,
    pub sent: Vec<Sent>,
    pub heard: Vec<Heard>,
    pub resumed: Vec<Resumed>,
    /// What it was let into.
    pub joined: HashSet<i64>,
    /// The longest that it waited for an answer or the end of its connection.
    pub longest_wait: Duration,
    /// How long each came to be answered, in the order of sending.
    pub waits: Vec<Duration>,
    /// How often it came back.
    pub stints: u32,
}

/// A user's unread count in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unread {
    pub user: String,
    pub conversation: i64,
    pub count: i64,
}

/// Everything of one run, after it has come to rest.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub rows: Vec<Row>,
    /// The newest place that the database tells of each conversation.
    pub heads: HashMap<i64, i64>,
    /// Who takes part in what, by the database.
    pub members: HashMap<i64, HashSet<String>>,
    pub records: Vec<Record>,
    /// Unread counts above zero, as the server tells them.
    pub unread_told: HashSet<Unread>,
    /// The same, counted row by row.
    pub unread_counted: HashSet<Unread>,
    /// Sockets that the server still counts after all have gone.
    pub connections_left: i64,
    /// File descriptors above those of the fresh server, after all have gone.
    pub descriptors_left: i64,
    /// Bytes of memory above those of the fresh server, after all have gone.
    pub bytes_left: i64,
    /// What the server wrote to standard error.
    pub log: String,
}
