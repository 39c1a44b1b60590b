//! One room of a thousand, with so many messages under way. A message is under way until its sender was told that it
//! is stored and every other member has heard it; then the next of four senders sends the next one.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{AT_ONCE, BODY_BYTES, Stage, fill, plan, user};
use crate::Outcome;
use crate::engine::{Load, PATIENCE, Sends};
use crate::record::{Cpu, Record, histogram};
use crate::wire::{self, Dialect};

const MEMBERS: usize = 1_000;
const SENDERS: usize = 4;

struct Message {
    sent_ns: u64,
    /// Members that have not heard it, and the sender that has not been told.
    left: usize,
}

struct Fanout {
    dialect: Dialect,
    members: usize,
    room: u64,
    fill: String,
    messages: Vec<Message>,
    again: bool,
    deliveries: u64,
    completed: u64,
    /// From sending until the last one has heard.
    completed_us: Histogram<u64>,
}

impl Fanout {
    fn next(&mut self, now_ns: u64, sends: &mut Sends) {
        let number = self.messages.len();
        self.messages.push(Message { sent_ns: now_ns, left: self.members });
        let frame = self.dialect.send(self.room, u32::try_from(number).unwrap_or(0), &self.fill);
        sends.push(number % SENDERS.min(self.members), frame);
    }

    fn heard(&mut self, number: u32, now_ns: u64, sends: &mut Sends) {
        let message = usize::try_from(number).ok().and_then(|number| self.messages.get_mut(number));
        let Some(message) = message else { return };
        message.left = message.left.saturating_sub(1);
        if message.left == 0 {
            self.completed += 1;
            self.completed_us.saturating_record((now_ns - message.sent_ns) / 1_000);
            if self.again {
                self.next(now_ns, sends);
            }
        }
    }
}

impl Load for Fanout {
    fn message(&mut self, _: usize, payload: &[u8], now_ns: u64, sends: &mut Sends) {
        self.deliveries += 1;
        if let Some(number) = wire::number(payload) {
            self.heard(number, now_ns, sends);
        }
    }

    fn reply(&mut self, _: usize, number: u32, now_ns: u64, sends: &mut Sends) {
        self.heard(number, now_ns, sends);
    }
}

/// One message under way.
pub(super) fn one(stage: &Stage<'_>, record: &mut Record) -> Outcome<()> {
    run(stage, record, MEMBERS, 1)
}

/// Eight messages under way.
pub(super) fn eight(stage: &Stage<'_>, record: &mut Record) -> Outcome<()> {
    run(stage, record, MEMBERS, 8)
}

/// A room of so many members, with so many messages under way.
pub(crate) fn run(stage: &Stage<'_>, record: &mut Record, members: usize, under_way: usize) -> Outcome<()> {
    let people: Vec<String> = (0..members).map(user).collect();
    let rooms = stage.running.conversations(std::slice::from_ref(&people))?;
    let room = *rooms.first().ok_or("no room")?;
    let mut engine = stage.running.engine()?;
    engine.open(people.iter().map(|user| plan(user, Some(room))).collect::<Outcome<_>>()?, AT_ONCE)?;
    stage.cluster.checkpoint()?;
    let mut load = Fanout {
        dialect: engine.dialect(),
        members,
        room,
        fill: fill(BODY_BYTES),
        messages: Vec::new(),
        again: true,
        deliveries: 0,
        completed: 0,
        completed_us: histogram()?,
    };
    let mut first = Sends::default();
    (0..under_way).for_each(|_| load.next(engine.now_ns(), &mut first));
    engine.send_all(first)?;
    let wait = Some(Duration::from_millis(10));
    let until = |now_ns: u64, time: Duration| now_ns + time.as_nanos() as u64;
    let warm_ns = until(engine.now_ns(), stage.warm_up);
    while engine.now_ns() < warm_ns {
        engine.turn(wait, &mut load)?;
    }
    load.completed_us.reset();
    let (cpu, began_ns) = (Cpu::now(stage.running, stage.cluster), engine.now_ns());
    let before = load.deliveries;
    let end_ns = until(began_ns, stage.measured);
    while engine.now_ns() < end_ns {
        engine.turn(wait, &mut load)?;
    }
    let seconds = (engine.now_ns() - began_ns) as f64 / 1e9;
    let deliveries = (load.deliveries - before) as f64;
    Cpu::now(stage.running, stage.cluster).note_since(cpu, deliveries, record);
    record.note("deliveries_per_s", deliveries / seconds);
    record.percentiles("completed", &load.completed_us);
    load.again = false;
    let patience_ns = until(engine.now_ns(), PATIENCE);
    let all = |load: &Fanout| load.completed == load.messages.len() as u64;
    while !all(&load) && engine.now_ns() < patience_ns && engine.lost() == 0 {
        engine.turn(wait, &mut load)?;
    }
    record.note("refused", engine.refused() as f64);
    record.note("connections_lost", engine.lost() as f64);
    record.note("incomplete", load.messages.len() as f64 - load.completed as f64);
    Ok(())
}
