//! Rooms of two, in each of which one talks to the other: as fast as it is acknowledged, or at a rate.
//!
//! At a rate, a message's time runs from when it was due, not from when it was sent: a server that stops everybody for
//! a second is charged for all that were due in it (coordinated omission).

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{AT_ONCE, BODY_BYTES, Stage, fill, plan, user};
use crate::Outcome;
use crate::engine::{Engine, Load, PATIENCE, Sends};
use crate::record::{Cpu, Record, histogram};
use crate::wire::{self, Dialect};

const ROOMS: usize = 500;
/// Messages a second, of all rooms together, where there is a rate.
const RATE: u64 = 2_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Who sends where: a connection and a conversation.
pub(crate) type Lane = (usize, u64);

pub(crate) struct Chat {
    dialect: Dialect,
    lanes: Vec<Lane>,
    fill: String,
    /// When each message was due, by its number.
    due_ns: Vec<u64>,
    /// Whether whoever is acknowledged sends again.
    again: bool,
    /// Where it is not the same lane that sends again: the next one.
    turn: Option<usize>,
    acknowledged: u64,
    delivered: u64,
    acknowledged_us: Histogram<u64>,
    delivered_us: Histogram<u64>,
}

impl Chat {
    fn new(dialect: Dialect, lanes: Vec<Lane>) -> Outcome<Self> {
        Ok(Self {
            dialect,
            lanes,
            fill: fill(BODY_BYTES),
            due_ns: Vec::new(),
            again: false,
            turn: None,
            acknowledged: 0,
            delivered: 0,
            acknowledged_us: histogram()?,
            delivered_us: histogram()?,
        })
    }

    /// A lane's next message, which was due then, and the connection that sends it.
    fn next(&mut self, lane: usize, due_ns: u64) -> Option<(usize, Vec<u8>)> {
        let number = u32::try_from(self.due_ns.len()).ok()?;
        let (connection, conversation) = *self.lanes.get(lane)?;
        self.due_ns.push(due_ns);
        Some((connection, self.dialect.send(conversation, number, &self.fill)))
    }

    /// The lane that sends now that this connection was acknowledged.
    fn lane(&mut self, connection: usize) -> usize {
        let Some(lane) = self.turn else { return connection / 2 };
        self.turn = Some((lane + 1) % self.lanes.len().max(1));
        lane
    }

    fn since_us(&self, number: u32, now_ns: u64) -> u64 {
        let due_ns = usize::try_from(number).ok().and_then(|number| self.due_ns.get(number));
        now_ns.saturating_sub(due_ns.copied().unwrap_or(now_ns)) / 1_000
    }

    fn sent(&self) -> u64 {
        self.due_ns.len() as u64
    }
}

impl Load for Chat {
    fn message(&mut self, _: usize, payload: &[u8], now_ns: u64, _: &mut Sends) {
        self.delivered += 1;
        if let Some(number) = wire::number(payload) {
            self.delivered_us.saturating_record(self.since_us(number, now_ns));
        }
    }

    fn reply(&mut self, connection: usize, number: u32, now_ns: u64, sends: &mut Sends) {
        self.acknowledged += 1;
        self.acknowledged_us.saturating_record(self.since_us(number, now_ns));
        if self.again {
            let lane = self.lane(connection);
            if let Some((connection, frame)) = self.next(lane, now_ns) {
                sends.push(connection, frame);
            }
        }
    }
}

fn prepare(stage: &Stage<'_>) -> Outcome<(Engine, Chat)> {
    let people: Vec<Vec<String>> = (0..ROOMS).map(|room| vec![user(room * 2), user(room * 2 + 1)]).collect();
    let rooms = stage.running.conversations(&people)?;
    let mut engine = stage.running.engine()?;
    let mut plans = Vec::new();
    for (room, people) in rooms.iter().zip(&people) {
        for user in people {
            plans.push(plan(user, Some(*room))?);
        }
    }
    engine.open(plans, AT_ONCE)?;
    stage.cluster.checkpoint()?;
    let lanes = rooms.into_iter().enumerate().map(|(room, id)| (room * 2, id)).collect();
    let chat = Chat::new(engine.dialect(), lanes)?;
    Ok((engine, chat))
}

/// Each sender sends again when it is acknowledged.
pub(super) fn closed(stage: &Stage<'_>, record: &mut Record) -> Outcome<()> {
    let (mut engine, mut chat) = prepare(stage)?;
    chat.again = true;
    for room in 0..ROOMS {
        let now_ns = engine.now_ns();
        if let Some((connection, frame)) = chat.next(room, now_ns) {
            engine.send(connection, &frame)?;
        }
    }
    measure(stage, record, &mut engine, &mut chat, |engine, chat| engine.turn(Some(Duration::from_millis(10)), chat))
}

/// Senders in turn send at a rate, whatever comes back.
pub(super) fn open(stage: &Stage<'_>, record: &mut Record) -> Outcome<()> {
    let (mut engine, mut chat) = prepare(stage)?;
    at_rate(stage, record, &mut engine, &mut chat, RATE)
}

/// Each lane in turn at so many messages a second in all, over connections that have joined. One other hears each message.
pub(crate) fn steady(
    stage: &Stage<'_>,
    record: &mut Record,
    engine: &mut Engine,
    lanes: Vec<Lane>,
    rate: u64,
) -> Outcome<()> {
    let mut chat = Chat::new(engine.dialect(), lanes)?;
    at_rate(stage, record, engine, &mut chat, rate)
}

/// The same with so many messages under way: the next lane sends when one of them is acknowledged.
pub(crate) fn under_way(
    stage: &Stage<'_>,
    record: &mut Record,
    engine: &mut Engine,
    lanes: Vec<Lane>,
    messages: usize,
) -> Outcome<()> {
    let mut chat = Chat::new(engine.dialect(), lanes)?;
    (chat.again, chat.turn) = (true, Some(0));
    for _ in 0..messages {
        let (lane, now_ns) = (chat.lane(0), engine.now_ns());
        if let Some((connection, frame)) = chat.next(lane, now_ns) {
            engine.send(connection, &frame)?;
        }
    }
    measure(stage, record, engine, &mut chat, |engine, chat| engine.turn(Some(Duration::from_millis(10)), chat))
}

fn at_rate(stage: &Stage<'_>, record: &mut Record, engine: &mut Engine, chat: &mut Chat, rate: u64) -> Outcome<()> {
    let mut due_ns = engine.now_ns();
    let mut lane = 0;
    measure(stage, record, engine, chat, |engine, chat| {
        while due_ns <= engine.now_ns() {
            if let Some((connection, frame)) = chat.next(lane, due_ns) {
                engine.send(connection, &frame)?;
            }
            due_ns += SECOND_NS / rate;
            lane = (lane + 1) % chat.lanes.len().max(1);
        }
        // Waiting for less than a millisecond is not exact enough: it asks again and again.
        engine.turn(Some(Duration::ZERO), chat)
    })
}

fn measure(
    stage: &Stage<'_>,
    record: &mut Record,
    engine: &mut Engine,
    chat: &mut Chat,
    mut turn: impl FnMut(&mut Engine, &mut Chat) -> Outcome<()>,
) -> Outcome<()> {
    let until = |engine: &Engine, time: Duration| engine.now_ns() + time.as_nanos() as u64;
    let warm_ns = until(engine, stage.warm_up);
    while engine.now_ns() < warm_ns {
        turn(engine, chat)?;
    }
    chat.acknowledged_us.reset();
    chat.delivered_us.reset();
    let (cpu, began_ns) = (Cpu::now(stage.running, stage.cluster), engine.now_ns());
    let before = chat.acknowledged;
    let end_ns = until(engine, stage.measured);
    while engine.now_ns() < end_ns {
        turn(engine, chat)?;
    }
    let seconds = (engine.now_ns() - began_ns) as f64 / SECOND_NS as f64;
    let acknowledged = (chat.acknowledged - before) as f64;
    Cpu::now(stage.running, stage.cluster).note_since(cpu, acknowledged, record);
    record.note("acknowledged_per_s", acknowledged / seconds);
    record.percentiles("acknowledged", &chat.acknowledged_us);
    record.percentiles("delivered", &chat.delivered_us);
    chat.again = false;
    let patience_ns = until(engine, PATIENCE);
    while chat.acknowledged.min(chat.delivered) < chat.sent() && engine.now_ns() < patience_ns && engine.lost() == 0 {
        engine.turn(Some(Duration::from_millis(10)), chat)?;
    }
    record.note("refused", engine.refused() as f64);
    record.note("connections_lost", engine.lost() as f64);
    record.note("unacknowledged", (chat.sent() - chat.acknowledged) as f64);
    record.note("undelivered", chat.sent().saturating_sub(chat.delivered) as f64);
    Ok(())
}
