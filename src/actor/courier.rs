//! The courier: one actor a thread of rooms, which carries what they have to write to the writer, and back what came of it, many at once.
//!
//! What lives here: gathering what the rooms of a thread hand in during one turn of its loop. What must not: batches of transactions (the
//! writer makes them), SQL.
//!
//! A message to an actor on another thread is a system call, and where cores are few a switch of threads: five hundred rooms that write at
//! the same time would cost five hundred each way.

use std::sync::Arc;

use actix::prelude::*;
use tokio::task::yield_now;

use super::persistence::{BATCH_MAX, Job, Jobs, Outcomes, QUEUE_MAX, Writer, refuse};

/// Carries between the rooms of its thread and the writer.
pub struct Courier {
    writer: Addr<Writer>,
    /// Where outcomes come back to.
    own: Option<Arc<Recipient<Outcomes>>>,
    /// What was handed in during this turn; at most [`BATCH_MAX`].
    jobs: Vec<Job>,
}

impl Courier {
    /// A courier to this writer.
    #[must_use]
    pub fn new(writer: Addr<Writer>) -> Self {
        Self { writer, own: None, jobs: Vec::new() }
    }

    fn carry(&mut self) {
        let Some(from) = self.own.clone().filter(|_| !self.jobs.is_empty()) else { return };
        let jobs = Jobs { jobs: std::mem::take(&mut self.jobs), from };
        if let Err(SendError::Full(Jobs { jobs, .. }) | SendError::Closed(Jobs { jobs, .. })) =
            self.writer.try_send(jobs)
        {
            refuse(jobs);
        }
    }
}

impl Actor for Courier {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(QUEUE_MAX);
        self.own = Some(Arc::new(ctx.address().recipient()));
    }
}

impl Handler<Job> for Courier {
    type Result = ();

    fn handle(&mut self, job: Job, ctx: &mut Self::Context) {
        self.jobs.push(job);
        match self.jobs.len() {
            // Behind whatever else has its turn now, so that it all goes at once.
            1 => drop(ctx.spawn(yield_now().into_actor(self).map(|(), courier, _| courier.carry()))),
            BATCH_MAX.. => self.carry(),
            _ => {}
        }
    }
}

impl Handler<Outcomes> for Courier {
    type Result = ();

    fn handle(&mut self, Outcomes(outcomes): Outcomes, _: &mut Self::Context) {
        for (room, committed) in outcomes {
            // Not try_send: no peer can fill this, since a room has a bounded number of jobs under way, and what is committed must be told.
            room.do_send(committed);
        }
    }
}
