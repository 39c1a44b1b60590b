//! Joined conversations and catching up: register for live events first, read the database from the cursor, then go live.
//!
//! What lives here: how far a session was told in each conversation, and filling what is missing from the database, a page at
//! a time, no faster than the client reads. What must not: who may join (rooms decide).
//!
//! While it catches up a session only notes how far the conversation has come; each page moves its own place forward until the two
//! meet, in one turn of the actor. So nothing is skipped, nothing doubled, and nothing is kept in memory but a page.

use std::collections::VecDeque;
use std::time::Duration;

use actix::prelude::*;
use metrics::counter;

use super::{Outcome, Session, State};
use crate::error::ChatError;
use crate::protocol::{ConversationId, Event, Message, Reply, Seq};
use crate::vocabulary::Fanout;

/// How long a session waits for its client to read before it looks again.
pub(super) const BREATH: Duration = Duration::from_millis(5);
/// How long it waits at most: whoever takes nothing for long is looked at less often.
const BREATH_MAX: Duration = Duration::from_millis(250);
/// How long a session waits before it asks a database again that did not answer.
const RETRY: Duration = Duration::from_millis(500);

/// A join under way.
pub(super) struct Joining {
    /// It was this session's so many-th.
    number: u64,
    /// The last place that the client has seen, where it wants what comes after.
    after: Option<Seq>,
}

/// A conversation that this session has joined.
pub(super) struct Joined {
    /// The last place that this session was told.
    told: Seq,
    /// The newest place there is.
    head: Seq,
    /// Messages read and not told yet; `None` while live.
    page: Option<VecDeque<Message>>,
    /// Which of the session's joins this is.
    join: u64,
}

impl Session {
    /// A join begins.
    pub(super) fn begin_join(&mut self, after: Option<Seq>) -> Joining {
        self.joining += 1;
        self.joins += 1;
        Joining { number: self.joins, after }
    }

    /// A leave begins; it stands in one order with the joins.
    pub(super) fn begin_leave(&mut self) -> u64 {
        self.joins += 1;
        self.joins
    }

    /// A leave was answered: it ends the joins before it, also those whose answers it has overtaken, and none after it.
    pub(super) fn left(&mut self, conversation: ConversationId, leave: u64) {
        if self.joined.get(&conversation).is_some_and(|place| place.join < leave) {
            self.joined.remove(&conversation);
        }
        if self.joining > 0 {
            self.left.insert(conversation, leave);
        }
    }

    /// The user was removed from a conversation. A join that its room answered before may still be on its way here.
    pub(super) fn remove(&mut self, conversation: ConversationId) {
        self.joined.remove(&conversation);
        self.early.remove(&conversation);
        if self.joining > 0 {
            self.removed.insert(conversation, self.joins);
        }
    }

    /// Refuses a join that was answered before its user was removed.
    pub(super) fn still_there(&self, join: &Joining, outcome: &Outcome) -> Result<(), ChatError> {
        let Ok(Reply::Joined(joined)) = outcome else { return Ok(()) };
        let removed = self.removed.get(&joined.conversation).is_some_and(|joins| join.number <= *joins);
        if removed { Err(ChatError::NotFound("conversation")) } else { Ok(()) }
    }

    /// A join was answered.
    pub(super) fn joined(&mut self, ctx: &mut Context<Self>, join: &Joining, outcome: Outcome) {
        self.joining -= 1;
        let early = if self.joining == 0 {
            self.removed.clear();
            std::mem::take(&mut self.early)
        } else {
            self.early.clone()
        };
        let ended = if self.joining == 0 { std::mem::take(&mut self.left) } else { self.left.clone() };
        let Ok(Reply::Joined(joined)) = outcome else { return };
        if ended.get(&joined.conversation).is_some_and(|leave| join.number < *leave) {
            return;
        }
        let mut head = early.get(&joined.conversation).copied().unwrap_or_default().max(joined.last_seq);
        let mut told = joined.last_seq;
        // Joined already: what was told meanwhile is not told again, and what is being read goes on.
        if let Some(place) = self.joined.get_mut(&joined.conversation) {
            head = head.max(place.head);
            told = told.max(place.told);
            // Answers can overtake each other; the join that was asked for last counts.
            if place.join > join.number || place.page.is_some() && join.after.is_none() {
                place.head = head;
                return;
            }
        }
        let told = join.after.unwrap_or(told).min(head);
        self.joined.insert(joined.conversation, Joined { told, head, page: None, join: join.number });
        if told < head {
            self.catch_up(ctx, joined.conversation);
        }
    }

    /// Hears one event of a conversation.
    pub(super) fn hear(&mut self, ctx: &mut Context<Self>, fanout: &Fanout, joined: bool) {
        let Event::Message(message) = &fanout.event else {
            return self.write(ctx, fanout, joined);
        };
        if !joined {
            if fanout.origin != Some(self.id) {
                self.write(ctx, fanout, false);
            }
            return;
        }
        let Some(place) = self.joined.get_mut(&message.conversation) else {
            if self.joining > 0 {
                self.early.insert(message.conversation, message.seq);
            }
            return;
        };
        place.head = place.head.max(message.seq);
        if place.page.is_some() || message.seq <= place.told {
            return;
        }
        if message.seq > place.told.next() {
            counter!("haggle_gaps_filled_total").increment(1);
            return self.catch_up(ctx, message.conversation);
        }
        // The sender has it as the answer already.
        if fanout.origin == Some(self.id) {
            place.told = message.seq;
        } else if self.outbox.is_busy() {
            // More at once than may wait, or a slow client: the rest comes from the database, as fast as it is read.
            self.catch_up(ctx, message.conversation);
        } else {
            place.told = message.seq;
            self.write(ctx, fanout, true);
        }
    }

    fn write(&mut self, ctx: &mut Context<Self>, fanout: &Fanout, joined: bool) {
        if let Some(frame) = fanout.frame(self.codec, joined) {
            if matches!(fanout.event, Event::Message(_)) {
                counter!("haggle_messages_out_total").increment(1);
            }
            if self.outbox.event(frame).is_err() {
                self.close_slow(ctx);
            }
        }
    }

    /// Tells what is at hand and reads what is missing, until this session is where the conversation is.
    fn catch_up(&mut self, ctx: &mut Context<Self>, conversation: ConversationId) {
        if matches!(self.state, State::Closed) {
            return;
        }
        let Some(place) = self.joined.get_mut(&conversation) else { return };
        let page = place.page.get_or_insert_default();
        while !self.outbox.is_busy() {
            let Some(message) = page.pop_front() else {
                if place.told >= place.head {
                    place.page = None;
                    return;
                }
                let told = place.told;
                return self.read_page(ctx, conversation, told);
            };
            place.told = message.seq;
            place.head = place.head.max(message.seq);
            counter!("haggle_messages_out_total").increment(1);
            if let Some(frame) = self.codec.event(&Event::Message(message), true)
                && self.outbox.event(frame).is_err()
            {
                return self.close_slow(ctx);
            }
        }
        let breath = (self.outbox.stalled_for() / 8).clamp(BREATH, BREATH_MAX);
        ctx.run_later(breath, move |session, ctx| session.catch_up(ctx, conversation));
    }

    fn read_page(&mut self, ctx: &mut Context<Self>, conversation: ConversationId, told: Seq) {
        let Some(caller) = self.caller() else { return };
        let reading = self.door.replay(caller.person.id.clone(), conversation, told);
        ctx.spawn(reading.into_actor(self).map(move |messages, session, ctx| {
            let Some(place) = session.joined.get_mut(&conversation) else { return };
            // A join repeated meanwhile has begun anew.
            if place.told != told || place.page.is_none() {
                return;
            }
            match messages {
                Ok(messages) if !messages.is_empty() => {
                    place.page = Some(messages.into());
                    session.catch_up(ctx, conversation);
                }
                // Removed in between.
                Err(ChatError::NotFound(_)) => drop(session.joined.remove(&conversation)),
                // The database is away, or behind what was told: it cannot be complete, so it is not told as if it were.
                Ok(_) | Err(_) => {
                    ctx.run_later(RETRY, move |session, ctx| session.catch_up(ctx, conversation));
                }
            }
        }));
    }
}
