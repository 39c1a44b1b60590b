//! Making up for what was stored and never told: the database went away between its commit and its answer.
//!
//! What lives here: noticing that something may be stored that nobody heard of, reading it, and telling it before anything newer.
//! What must not: answering who sent it (they were told `unavailable` and send again with the same client id).

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::hall::{Audience, Hall};
use super::{Room, State, answer};
use crate::actor::Ask;
use crate::actor::meters::meters;
use crate::actor::persistence::{Appended, Committed, LoadSince};
use crate::error::ChatError;
use crate::protocol::{Event, Message, Seq};
use crate::vocabulary::Fanout;

/// Messages a page while a room makes up.
pub(in crate::actor) const PAGE: u32 = 200;
/// How long a room waits before it asks a database that did not answer what it holds.
const LOOK_AFTER: Duration = Duration::from_secs(2);
/// How often it looks when the database can say: a statement that was given up on may still commit a moment after the first look.
const LOOKS: u8 = 2;

impl Hall {
    /// Whether these messages leave a gap after what was told: one between was stored, and its outcome never known.
    fn misses_any(&self, committed: &Committed) -> bool {
        let mut told = self.last_seq;
        for (_, outcome) in &committed.appended {
            let (Ok(Appended::Stored { seq, .. }) | Ok(Appended::Repeated { seq, .. })) = outcome else { continue };
            if *seq > told.next() {
                return true;
            }
            told = told.max(*seq);
        }
        false
    }
}

impl Room {
    /// Tells what came of jobs, and before it whatever was stored earlier and never told.
    pub(super) fn settle(&mut self, ctx: &mut Context<Self>, committed: Committed) {
        let unknown = |outcome: &Result<Appended, ChatError>| matches!(outcome, Err(ChatError::Unavailable(_)));
        if committed.appended.iter().any(|(_, outcome)| unknown(outcome)) {
            self.doubt(ctx);
        }
        if matches!(&self.state, State::Open(hall) if hall.misses_any(&committed)) {
            self.make_up(ctx, |room, ctx, _| room.conclude(ctx, committed));
        } else {
            self.conclude(ctx, committed);
        }
    }

    /// Something may be stored that nobody heard of: looks, as soon as the database can say.
    fn doubt(&mut self, ctx: &mut Context<Self>) {
        if self.looks_due == 0 {
            ctx.run_later(LOOK_AFTER, Self::look);
        }
        self.looks_due = LOOKS;
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if !self.pending.is_empty() {
            // What is under way will show a gap, or come to nothing itself.
            ctx.run_later(LOOK_AFTER, Self::look);
            return;
        }
        self.make_up(ctx, |room, ctx, known| {
            room.looks_due -= u8::from(known);
            if room.looks_due > 0 {
                ctx.run_later(LOOK_AFTER, Self::look);
            }
            room.rest(ctx);
        });
    }

    /// Does what hangs on knowing the newest place: at once, or when the room is sure of it.
    pub(super) fn when_sure<C: 'static>(
        &mut self,
        ctx: &mut Context<Self>,
        ask: Ask<C>,
        then: impl FnOnce(&mut Self, &mut Context<Self>, Ask<C>) + 'static,
    ) {
        if self.looks_due == 0 {
            return then(self, ctx, ask);
        }
        self.make_up(ctx, move |room, ctx, known| {
            if known {
                return then(room, ctx, ask);
            }
            // It would be told less than there may be: rather nothing.
            drop(room.arrived().map(drop));
            answer(ask.reply, Err(ChatError::unavailable()));
        });
    }

    /// Tells all that the database holds after what was told, then goes on with `then`, which learns whether it could be read.
    /// Nothing else is handled meanwhile.
    fn make_up(&mut self, ctx: &mut Context<Self>, then: impl FnOnce(&mut Self, &mut Context<Self>, bool) + 'static) {
        // It waits for no reading.
        self.tell_waiting(ctx);
        let State::Open(hall) = &self.state else { return then(self, ctx, true) };
        let (reader, conversation, told) = (self.services.reader.clone(), self.conversation, hall.last_seq);
        let reading = async move {
            let page = reader.send(LoadSince(conversation, told)).await;
            page.unwrap_or_else(|_| Err(ChatError::unavailable()))
        };
        ctx.wait(reading.into_actor(self).map(move |page, room, ctx| match page {
            Ok(page) => {
                let whole = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
                room.tell_late(ctx, page, told);
                if whole {
                    then(room, ctx, true);
                } else {
                    room.make_up(ctx, then);
                }
            }
            Err(_) => then(room, ctx, false),
        }));
    }

    fn tell_late(&mut self, ctx: &mut Context<Self>, messages: Vec<Message>, told: Seq) {
        let State::Open(hall) = &mut self.state else { return };
        let late = messages.into_iter().filter(|message| message.seq > told);
        let events: Vec<Fanout> = late
            .map(|message| {
                hall.count(&message);
                meters().messages_in.increment(1);
                Fanout::new(Event::Message(message), Some(Arc::clone(&hall.topic)), None)
            })
            .collect();
        if !events.is_empty() {
            self.tell(ctx, events, Audience::Everyone);
        }
    }
}
