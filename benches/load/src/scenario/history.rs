//! What people read by REST when there is a long past: pages of history, the list of conversations, what is unread.

use std::time::Instant;

use super::{Stage, user};
use crate::Outcome;
use crate::http::Client;
use crate::peer::token;
use crate::record::{Cpu, Record, histogram};

const CONVERSATIONS: usize = 1_000;
/// Messages of all conversations, unless `HISTORY` says otherwise.
const MESSAGES: usize = 1_000_000;
const REQUESTS: usize = 2_000;

pub(super) fn run(stage: &Stage<'_>, record: &mut Record) -> Outcome<()> {
    let people: Vec<Vec<String>> = (1..=CONVERSATIONS).map(|partner| vec![user(0), user(partner)]).collect();
    let rooms = stage.running.conversations(&people)?;
    let messages = match std::env::var("HISTORY") {
        Ok(messages) => messages.parse::<usize>().map_err(|_| "HISTORY is a number of messages")?,
        Err(_) => MESSAGES,
    };
    let each = messages / CONVERSATIONS;
    stage.cluster.sql("bench", &past(each))?;
    stage.cluster.checkpoint()?;
    record.note("messages", messages as f64);
    let mut client = Client::connect(stage.running.port, &token(&user(0))?)?;
    // A multiplier without a pattern, so that pages come from everywhere.
    let place = |number: usize| (number * 7_919) % each.max(1) + 1;
    let room = |number: usize| rooms.get(number * 31 % rooms.len()).copied().unwrap_or(1);
    let mut ask = |name: &str, path: &dyn Fn(usize) -> String| ask(stage, record, &mut client, REQUESTS, name, path);
    ask("newest_page", &|number| format!("/v1/conversations/{}/messages", room(number)))?;
    let before = |number: usize| format!("/v1/conversations/{}/messages?before={}", room(number), place(number));
    ask("earlier_page", &before)?;
    ask("conversations", &|_| "/v1/conversations".to_owned())?;
    ask("unread", &|_| "/v1/unread".to_owned())
}

/// Notes how long so many requests take, one after the other, and what CPU time.
pub(crate) fn ask(
    stage: &Stage<'_>,
    record: &mut Record,
    client: &mut Client,
    requests: usize,
    name: &str,
    path: &dyn Fn(usize) -> String,
) -> Outcome<()> {
    let mut times_us = histogram()?;
    for number in 0..100 {
        client.call("GET", &path(number), None)?;
    }
    let cpu = Cpu::now(stage.running, stage.cluster);
    for number in 0..requests {
        let began = Instant::now();
        client.call("GET", &path(number), None)?;
        times_us.saturating_record(began.elapsed().as_micros() as u64);
    }
    record.percentiles(name, &times_us);
    let mut used = Record::new("", "", 0);
    Cpu::now(stage.running, stage.cluster).note_since(cpu, requests as f64, &mut used);
    let cpu_us = ["server_cpu_us", "database_cpu_us"].iter().filter_map(|name| used.figures.get(*name)).sum();
    record.note(&format!("{name}_cpu_us"), cpu_us);
    Ok(())
}

/// Statements that make up a past of so many messages a conversation. Triggers check what a writer does while others
/// write, which takes long for millions of rows and is off here.
fn past(each: usize) -> String {
    format!(
        "SET session_replication_role = replica;
         INSERT INTO message (conversation_id, seq, sender_id, body, kind, created_at_ms)
             SELECT p.conversation_id, n, CASE WHEN n % 2 = 0 THEN 'u0' ELSE p.user_id END, repeat('x', 128), 'text',
                    1700000000000 + n * 1000
             FROM generate_series(1, {each}) AS n, participant AS p WHERE p.user_id <> 'u0';
         UPDATE conversation SET last_seq = {each}, active_at_ms = 1700000000000 + id * 1000;
         UPDATE participant SET read_seq = {each} - conversation_id % 10, received_seq = {each};
         VACUUM ANALYZE message;
         VACUUM ANALYZE conversation;
         VACUUM ANALYZE participant"
    )
}
