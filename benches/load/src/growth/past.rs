//! A past made by statements of bulk, on the schema that Haggle has made: a server would take hours to be told it.
//!
//! What lives here: rows. What must not: what is asked of a server that finds them.
//!
//! Triggers check what a writer does while others write. Rows that are right already need none.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::cluster::Cluster;

/// Conversations, numbered from 1, with the same number of messages each.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    pub(crate) conversations: usize,
    /// Who sits in conversation `n`, each as SQL that both databases know.
    pub(crate) members: &'static [&'static str],
    /// Messages a conversation; its members speak in turn.
    pub(crate) each: usize,
}

/// The last ones of each conversation are unread: from none to nine.
const UNREAD_MOST: usize = 9;
/// When the first one was said.
const BEGAN_MS: u64 = 1_700_000_000_000;

impl Past {
    /// Into the database of the cluster's that a server is about to be started on.
    pub(crate) fn fill_postgres(&self, cluster: &Cluster) -> Outcome<()> {
        let rows = self.rows(|most| format!("SELECT generate_series(1::bigint, {most}) AS n"), "least");
        let statements = format!(
            "SET session_replication_role = replica; {rows};
             VACUUM ANALYZE; CHECKPOINT"
        );
        cluster.sql("bench", &statements).map(drop)
    }

    /// Into a file, by SQLite's own command line.
    pub(crate) fn fill_sqlite(&self, file: &Path) -> Outcome<()> {
        let asked =
            "SELECT sql || ';' FROM sqlite_master WHERE type = 'trigger' OR (type = 'index' AND sql IS NOT NULL)";
        let again = sqlite(file, asked)?;
        let asked = "SELECT 'DROP ' || type || ' ' || name || ';' FROM sqlite_master \
                     WHERE type = 'trigger' OR (type = 'index' AND sql IS NOT NULL)";
        let away = sqlite(file, asked)?;
        let numbers = |most| {
            format!("WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {most}) SELECT n FROM r")
        };
        let rows = self.rows(numbers, "min");
        let script = format!(
            "PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -500000;
             {away} BEGIN; {rows}; {again} ANALYZE; COMMIT; PRAGMA wal_checkpoint(TRUNCATE);"
        );
        sqlite(file, &script).map(drop)
    }

    /// Every row, from numbers that begin with 1. Messages come in the order of time: neighbours in the table are of
    /// different conversations, as they are when everybody talks.
    fn rows(&self, numbers: impl Fn(usize) -> String, least: &str) -> String {
        let Self { members, each, conversations: many } = self;
        let conversations = format!("({}) AS c", numbers(*many));
        let times = format!("({}) AS g", numbers(many * each));
        let members: Vec<String> = members.iter().map(|member| member.replace("{n}", "c.n")).collect();
        let people = members.iter().map(|who| format!("SELECT {who} AS id FROM {conversations}"));
        let people = people.collect::<Vec<_>>().join(" UNION ");
        let unread = format!("{least}({each}, c.n % {})", UNREAD_MOST + 1);
        let seats = members
            .iter()
            .map(|who| format!("SELECT c.n AS n, {who} AS who, {each} - {unread} AS place FROM {conversations}"));
        let seats = seats.collect::<Vec<_>>().join(" UNION ALL ");
        let speakers: String =
            members.iter().enumerate().map(|(turn, who)| format!(" WHEN {turn} THEN {who}")).collect();
        format!(
            "INSERT INTO app_user (id, created_at_ms) SELECT id, 0 FROM ({people}) AS people;
             INSERT INTO conversation (kind, last_seq, active_at_ms, participant_count, created_at_ms)
                 SELECT 'order', {each}, {BEGAN_MS} + c.n, {count}, 0 FROM {conversations} ORDER BY c.n;
             INSERT INTO participant (conversation_id, user_id, received_seq, read_seq, joined_at_ms)
                 SELECT n, who, {each}, place, 0 FROM ({seats}) AS seats ORDER BY n, who;
             INSERT INTO message (conversation_id, seq, sender_id, body, kind, created_at_ms)
                 SELECT c.n, c.seq, CASE c.seq % {count}{speakers} END, '{body}', 'text', {BEGAN_MS} + c.seq * 1000
                 FROM (SELECT (g.n - 1) % {many} + 1 AS n, (g.n - 1) / {many} + 1 AS seq FROM {times}) AS c",
            count = members.len(),
            body = "x".repeat(crate::scenario::BODY_BYTES),
        )
    }
}

/// Removes a file of SQLite's and what it keeps beside it.
pub(crate) fn forget(file: &Path) -> Outcome<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn sqlite(file: &Path, script: &str) -> Outcome<String> {
    let mut shell = Command::new("sqlite3");
    shell.args(["-batch", "-bail"]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell = shell.spawn().map_err(|error| format!("sqlite3 is not installed: {error}"))?;
    if let Some(mut input) = shell.stdin.take() {
        input.write_all(script.as_bytes())?;
    }
    let output = shell.wait_with_output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
    }
}
