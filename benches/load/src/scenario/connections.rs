//! Ten thousand connections: what it takes to let them in, and what each holds of memory when nothing happens.

use std::time::{Duration, Instant};

use super::{AT_ONCE, Stage, plan, user};
use crate::engine::Deaf;
use crate::record::{Cpu, Record};
use crate::{Outcome, machine};

const CONNECTIONS: usize = 10_000;
/// After the last one is in, so that what was needed to let them in is given back.
const SETTLING: Duration = Duration::from_secs(5);

/// Memory of each, with a token and without joining.
pub(super) fn idle(stage: &Stage<'_>, record: &mut Record) -> Outcome<()> {
    let before_kb = machine::rss_kb(stage.running.process());
    let mut engine = stage.running.engine()?;
    engine.open((0..CONNECTIONS).map(|number| plan(&user(number), None)).collect::<Outcome<_>>()?, AT_ONCE)?;
    let settled = Instant::now() + SETTLING;
    while Instant::now() < settled {
        engine.turn(Some(Duration::from_millis(100)), &mut Deaf)?;
    }
    let after_kb = machine::rss_kb(stage.running.process());
    record.note("rss_kb", after_kb as f64);
    record.note("kb_per_connection", after_kb.saturating_sub(before_kb) as f64 / CONNECTIONS as f64);
    record.note("connections_lost", engine.lost() as f64);
    Ok(())
}

/// CPU time of each, with a token of its own, into a room of two.
pub(super) fn connect(stage: &Stage<'_>, record: &mut Record) -> Outcome<()> {
    let people: Vec<Vec<String>> = (0..CONNECTIONS / 2).map(|room| vec![user(room * 2), user(room * 2 + 1)]).collect();
    let rooms = stage.running.conversations(&people)?;
    let mut plans = Vec::with_capacity(CONNECTIONS);
    for (room, people) in rooms.iter().zip(&people) {
        for user in people {
            plans.push(plan(user, Some(*room))?);
        }
    }
    stage.cluster.checkpoint()?;
    let mut engine = stage.running.engine()?;
    let (cpu, began) = (Cpu::now(stage.running, stage.cluster), Instant::now());
    engine.open(plans, AT_ONCE)?;
    let seconds = began.elapsed().as_secs_f64();
    Cpu::now(stage.running, stage.cluster).note_since(cpu, CONNECTIONS as f64, record);
    record.note("connects_per_s", CONNECTIONS as f64 / seconds);
    Ok(())
}
