//! Readers that take nothing while 20,000 messages of 1 KB go by: what the server keeps for them, whether it lets go of
//! them, and whether they find all of it when they come back.

use std::time::{Duration, Instant};

use super::{AT_ONCE, Stage, fill, plan, user};
use crate::engine::{Engine, Load, PATIENCE, Plan, Sends};
use crate::record::Record;
use crate::wire::{self, Dialect};
use crate::{Outcome, machine, peer};

const STALLED: usize = 20;
const MESSAGES: u32 = 20_000;
/// Before they stall, so that the server's own buffers are as large as they get.
const WARM_UP: u32 = 2_000;
const TEXT_BYTES: usize = 1_000;
const UNDER_WAY: u32 = 8;
/// What Haggle is told by `HAGGLE_SLOW_READER_SECONDS`, so that a run does not take its default of 30.
pub(super) const DEADLINE_S: &str = "10";
const DEADLINE: Duration = Duration::from_secs(10);
/// What closing may take beyond the deadline.
const GRACE: Duration = Duration::from_secs(5);
/// The sender, and a reader that reads.
const OTHERS: usize = 2;

struct Stall {
    dialect: Dialect,
    room: u64,
    fill: String,
    sent: u32,
    acknowledged: u32,
    wanted: u32,
    /// Heard by the reader that reads.
    heard: u32,
    /// The last place up to which each stalled reader has everything; after a gap it stays before the gap.
    places: Vec<u64>,
    gaps: u64,
}

impl Stall {
    fn next(&mut self) -> Vec<u8> {
        self.sent += 1;
        self.dialect.send(self.room, self.sent, &self.fill)
    }
}

impl Load for Stall {
    fn message(&mut self, connection: usize, payload: &[u8], _: u64, _: &mut Sends) {
        if connection < OTHERS {
            self.heard += 1;
            return;
        }
        let Some(seq) = wire::seq(payload) else { return };
        if let Some(place) = self.places.get_mut((connection - OTHERS) % STALLED) {
            self.gaps += u64::from(seq > *place + 1);
            if seq == *place + 1 {
                *place = seq;
            }
        }
    }

    fn reply(&mut self, connection: usize, _: u32, _: u64, sends: &mut Sends) {
        self.acknowledged += 1;
        if self.sent < self.wanted {
            let frame = self.next();
            sends.push(connection, frame);
        }
    }
}

fn send(engine: &mut Engine, load: &mut Stall, count: u32, mut each: impl FnMut()) -> Outcome<()> {
    load.wanted += count;
    for _ in 0..UNDER_WAY {
        let frame = load.next();
        engine.send(0, &frame)?;
    }
    let deadline = Instant::now() + 4 * PATIENCE;
    while load.acknowledged < load.wanted || load.heard < load.wanted {
        engine.turn(Some(Duration::from_millis(50)), load)?;
        each();
        if Instant::now() > deadline {
            return Err(format!("{} of {} messages were acknowledged", load.acknowledged, load.wanted).into());
        }
    }
    Ok(())
}

pub(super) fn run(stage: &Stage<'_>, record: &mut Record) -> Outcome<()> {
    let people: Vec<String> = (0..OTHERS + STALLED).map(user).collect();
    let rooms = stage.running.conversations(std::slice::from_ref(&people))?;
    let room = *rooms.first().ok_or("no room")?;
    let mut engine = stage.running.engine()?;
    // Engine and load count connections alike: the sender, the reader that reads, then the others.
    for user in &people {
        engine.open(vec![plan(user, Some(room))?], AT_ONCE)?;
    }
    let (dialect, fill) = (engine.dialect(), fill(TEXT_BYTES));
    let (sent, acknowledged, wanted, heard, gaps) = (0, 0, 0, 0, 0);
    let mut load = Stall { dialect, room, fill, sent, acknowledged, wanted, heard, places: vec![0; STALLED], gaps };
    send(&mut engine, &mut load, WARM_UP, || ())?;
    let stalled = OTHERS..OTHERS + STALLED;
    let ports = stalled.clone().map(|index| engine.local_port(index)).collect::<Outcome<Vec<_>>>()?;
    for index in stalled.clone() {
        engine.stall(index)?;
    }
    let process = stage.running.process();
    let before_kb = machine::rss_kb(process);
    let (mut peak_kb, mut looked) = (before_kb, Instant::now());
    let began = Instant::now();
    send(&mut engine, &mut load, MESSAGES, || {
        if looked.elapsed() > Duration::from_millis(100) {
            looked = Instant::now();
            peak_kb = peak_kb.max(machine::rss_kb(process));
        }
    })?;
    record.note("seconds", began.elapsed().as_secs_f64());
    let latest = Instant::now() + DEADLINE + GRACE;
    let mut open = STALLED;
    while open > 0 && Instant::now() < latest {
        engine.turn(Some(Duration::from_millis(100)), &mut load)?;
        peak_kb = peak_kb.max(machine::rss_kb(process));
        open = machine::established(stage.running.port, &ports);
    }
    record.note("growth_mb", peak_kb.saturating_sub(before_kb) as f64 / 1e3);
    record.note("closed", (STALLED - open) as f64);
    if stage.running.peer.is_haggle() && dialect == Dialect::Native {
        come_back(&mut engine, &mut load, &people, room)?;
        let total = u64::from(load.acknowledged);
        let missed: u64 = load.places.iter().map(|place| total - place).sum();
        record.note("missed", missed as f64);
    }
    Ok(())
}

/// The readers take what had come, and then join with the last place that they have.
fn come_back(engine: &mut Engine, load: &mut Stall, people: &[String], room: u64) -> Outcome<()> {
    for index in OTHERS..OTHERS + STALLED {
        engine.wake(index)?;
    }
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        engine.turn(Some(Duration::from_millis(50)), load)?;
    }
    let lost = engine.lost();
    let mut back = Vec::new();
    for (user, place) in people.iter().skip(OTHERS).zip(&load.places) {
        back.push(Plan { token: peer::token(user)?, conversation: Some(room), after: Some(*place) });
    }
    engine.open_with(back, 1, load)?;
    let total = u64::from(load.acknowledged);
    let until = Instant::now() + PATIENCE;
    while load.places.iter().any(|place| *place < total) && Instant::now() < until {
        engine.turn(Some(Duration::from_millis(50)), load)?;
    }
    if engine.lost() > lost || load.gaps > 0 {
        return Err(format!("{} lost again, {} gaps", engine.lost() - lost, load.gaps).into());
    }
    Ok(())
}
