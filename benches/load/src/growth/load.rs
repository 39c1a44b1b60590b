//! What is asked of Haggle at each size: the same modest load, so that what it costs can be compared.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::engine::{Engine, Load, PATIENCE, Sends};
use crate::http::Client;
use crate::machine;
use crate::peer::token;
use crate::record::{Cpu, Record};
use crate::scenario::chat::{Lane, steady, under_way};
use crate::scenario::history::ask;
use crate::scenario::{AT_ONCE, Stage, fanout, plan, user};
use crate::wire::framed;

/// Messages a second, wherever there is a rate.
pub(super) const RATE: u64 = 1_000;
/// Messages under way, where CPU time is counted: how many of them share a commit is then much the same each time. At a rate it
/// goes by how long a commit takes at that moment.
const UNDER_WAY: usize = 64;
/// Pairs that talk, where conversations are many.
pub(super) const PAIRS: usize = 500;
/// Conversations that talk beside idle connections.
pub(super) const BESIDE: usize = 50;
/// Conversations that a long history is spread over.
pub(super) const STORIES: usize = 20;
/// Conversations in which somebody with many of them talks.
const TALKING: usize = 100;
const REQUESTS: usize = 500;
/// So many that a clock of 10 ms tells them apart.
const CONNECTS: usize = 200;
/// Everybody has read what was said, but for the last few: what is counted as unread goes by one's own messages since one last read, and
/// without this that would be all of the load.
const READ: &str = "UPDATE participant AS p SET received_seq = c.last_seq, read_seq = greatest(p.read_seq, c.last_seq - c.id % 10) \
                        FROM conversation AS c WHERE c.id = p.conversation_id; VACUUM participant";
/// A multiplier without a pattern, prime to every size, so that neighbours in time are none in a table.
const STRIDE: usize = 7_919;
/// Until what was needed to let people in is done with.
const SETTLING: Duration = Duration::from_secs(3);

struct Joins {
    left: usize,
    under_way: usize,
}

impl Load for Joins {
    fn message(&mut self, _: usize, _: &[u8], _: u64, _: &mut Sends) {}

    fn reply(&mut self, _: usize, _: u32, _: u64, _: &mut Sends) {
        self.left -= 1;
        self.under_way -= 1;
    }
}

/// Lets connections that are in join these conversations.
fn join(engine: &mut Engine, joins: &[Lane]) -> Outcome<()> {
    let mut load = Joins { left: joins.len(), under_way: 0 };
    let mut waiting = joins.iter();
    let mut deadline = Instant::now() + PATIENCE;
    while load.left > 0 {
        let left = load.left;
        while load.under_way < AT_ONCE
            && let Some((connection, conversation)) = waiting.next()
        {
            let frame = framed(engine.dialect().join(*conversation, None).as_bytes());
            engine.send(*connection, &frame)?;
            load.under_way += 1;
        }
        engine.turn(Some(Duration::from_millis(100)), &mut load)?;
        if load.left < left {
            deadline = Instant::now() + PATIENCE;
        }
        if engine.refused() > 0 || engine.lost() > 0 || Instant::now() > deadline {
            return Err(format!("{} of {} did not join", load.left, joins.len()).into());
        }
    }
    Ok(())
}

fn settle(engine: &mut Engine) -> Outcome<()> {
    let until = Instant::now() + SETTLING;
    while Instant::now() < until {
        engine.turn(Some(Duration::from_millis(50)), &mut crate::engine::Deaf)?;
    }
    Ok(())
}

/// How long messages take at a modest rate, then what each costs with many under way.
fn talk(stage: &Stage<'_>, record: &mut Record, engine: &mut Engine, lanes: Vec<Lane>) -> Outcome<()> {
    stage.cluster.checkpoint()?;
    record.note("rss_mb", machine::rss_kb(stage.running.process()) as f64 / 1e3);
    let mut busy = Record::new(&record.scenario, &record.peer, record.round);
    under_way(stage, &mut busy, engine, lanes.clone(), UNDER_WAY)?;
    if let Some(faults) = busy.faults() {
        return Err(format!("with {UNDER_WAY} under way: {faults}").into());
    }
    steady(stage, record, engine, lanes, RATE)?;
    for (name, figure) in busy.figures.iter().filter(|(name, _)| name.ends_with("cpu_us") || name.ends_with("per_s")) {
        let at_rate = record.figures.insert(name.clone(), *figure);
        record.note(&format!("at_rate_{name}"), at_rate.unwrap_or_default());
    }
    Ok(())
}

/// The two of each pair, each joined to all conversations of that pair; messages go through all conversations in turn.
fn pairs(stage: &Stage<'_>, record: &mut Record, conversations: usize, idle: usize) -> Outcome<()> {
    let pairs = conversations.min(PAIRS);
    let mut engine = stage.running.engine()?;
    let people = (0..pairs * 2).map(|number| plan(&user(number), None)).collect::<Outcome<_>>()?;
    engine.open(people, AT_ONCE)?;
    let of = |number: usize| (number % pairs * 2, number as u64 + 1);
    let joins = (0..conversations).map(of).flat_map(|(first, id)| [(first, id), (first + 1, id)]);
    join(&mut engine, &joins.collect::<Vec<_>>())?;
    let idlers = (0..idle).map(|number| plan(&format!("idle{number}"), None)).collect::<Outcome<_>>()?;
    engine.open(idlers, AT_ONCE)?;
    settle(&mut engine)?;
    let lanes = (0..conversations).map(|turn| of(turn * STRIDE % conversations)).collect();
    talk(stage, record, &mut engine, lanes)
}

/// So many conversations, all of them awake.
pub(super) fn rooms(stage: &Stage<'_>, record: &mut Record, size: usize) -> Outcome<()> {
    pairs(stage, record, size, 0)
}

/// So many connections that say and hear nothing.
pub(super) fn connections(stage: &Stage<'_>, record: &mut Record, size: usize) -> Outcome<()> {
    pairs(stage, record, BESIDE, size)
}

/// A room of so many, all of them there; the next message comes when all have heard the last one.
pub(super) fn members(stage: &Stage<'_>, record: &mut Record, size: usize) -> Outcome<()> {
    fanout::run(stage, record, size, 1)?;
    for (each, message) in [("server_cpu_us", "message_server_cpu_us"), ("database_cpu_us", "message_database_cpu_us")]
    {
        let cpu_us = record.figures.get(each).copied().unwrap_or_default();
        record.note(message, cpu_us * (size - 1) as f64);
    }
    Ok(())
}

/// So many messages in a few conversations: talking there, and reading what was said.
pub(super) fn history(stage: &Stage<'_>, record: &mut Record, size: usize) -> Outcome<()> {
    pairs(stage, record, STORIES, 0)?;
    let each = (size / STORIES).max(1);
    let mut client = Client::connect(stage.running.port, &token("reader")?)?;
    let story = |number: usize| number * 7 % STORIES + 1;
    let place = |number: usize| number * STRIDE * 31 % each + 1;
    let newest = |number: usize| format!("/v1/conversations/{}/messages", story(number));
    let earlier = |number: usize| format!("{}?before={}", newest(number), place(number));
    ask(stage, record, &mut client, REQUESTS, "newest_page", &newest)?;
    ask(stage, record, &mut client, REQUESTS, "earlier_page", &earlier)?;
    lists(stage, record, &mut client)
}

fn lists(stage: &Stage<'_>, record: &mut Record, client: &mut Client) -> Outcome<()> {
    ask(stage, record, client, REQUESTS, "conversations", &|_| "/v1/conversations".to_owned())?;
    ask(stage, record, client, REQUESTS, "unread", &|_| "/v1/unread".to_owned())
}

/// An agent with so many conversations, joined to all of them, who talks in some, as do those on the other side.
pub(super) fn conversations(stage: &Stage<'_>, record: &mut Record, size: usize) -> Outcome<()> {
    let talking = size.min(TALKING);
    let chosen = |number: usize| number * (size / talking) + 1;
    let mut engine = stage.running.engine()?;
    let mut people = vec![plan("agent", None)?];
    for number in 0..talking {
        people.push(plan(&format!("p{}", chosen(number)), None)?);
    }
    // One after the other: engine and lanes count connections alike.
    for one in people {
        engine.open(vec![one], 1)?;
    }
    let others = (0..talking).map(|number| (number + 1, chosen(number) as u64));
    let joins = (1..=size as u64).map(|id| (0, id)).chain(others.clone());
    join(&mut engine, &joins.collect::<Vec<_>>())?;
    settle(&mut engine)?;
    let lanes = others.flat_map(|(other, id)| [(0, id), (other, id)]).collect();
    talk(stage, record, &mut engine, lanes)?;
    stage.cluster.sql("bench", READ)?;
    connects(stage, record, &mut engine)?;
    let mut client = Client::connect(stage.running.port, &token("agent")?)?;
    lists(stage, record, &mut client)
}

/// What it costs to let the agent in once more, which tells what is unread.
fn connects(stage: &Stage<'_>, record: &mut Record, engine: &mut Engine) -> Outcome<()> {
    let cpu = Cpu::now(stage.running, stage.cluster);
    engine.open((0..CONNECTS).map(|_| plan("agent", None)).collect::<Outcome<_>>()?, 1)?;
    settle(engine)?;
    let mut used = Record::new("", "", 0);
    Cpu::now(stage.running, stage.cluster).note_since(cpu, CONNECTS as f64, &mut used);
    let cpu_us = ["server_cpu_us", "database_cpu_us"].iter().filter_map(|name| used.figures.get(*name)).sum();
    record.note("connect_cpu_us", cpu_us);
    Ok(())
}

/// From the start of the process until it says that it is ready.
pub(super) fn start(stage: &Stage<'_>, record: &mut Record, _: usize) -> Outcome<()> {
    record.note("ready_ms", stage.running.ready.as_secs_f64() * 1e3);
    record.note("cpu_ms", machine::cpu(stage.running.process()).as_secs_f64() * 1e3);
    record.note("rss_mb", machine::rss_kb(stage.running.process()) as f64 / 1e3);
    Ok(())
}
