//! Joins and leaves of a session: their answers may overtake each other and what is told meanwhile, and what was asked last counts.
//!
//! What lives here: numbering them, and what a session hears from then on. What must not: reading what is missing (`catch_up.rs`).

use actix::prelude::*;
use futures_util::future::BoxFuture;

use super::catch_up::Place;
use super::{Outcome, Session, Standing};
use crate::error::ChatError;
use crate::protocol::command::Since;
use crate::protocol::reply::Joined;
use crate::protocol::{ConversationId, Reply, Seq};

/// A join under way.
pub(super) struct Joining {
    /// It was this session's so many-th.
    number: u64,
    /// From where on messages are told.
    since: Since,
}

impl Session {
    /// A join begins.
    pub(super) fn begin_join(&mut self, since: Since) -> Joining {
        self.joining += 1;
        self.joins += 1;
        Joining { number: self.joins, since }
    }

    /// A leave begins; it stands in one order with the joins.
    pub(super) fn begin_leave(&mut self) -> u64 {
        self.joins += 1;
        self.joins
    }

    /// A leave was answered: it ends the joins before it, also those whose answers it has overtaken, and none after it.
    pub(super) fn left(&mut self, conversation: ConversationId, leave: u64) {
        if let Some(place) = self.places.get_mut(&conversation)
            && place.join.is_some_and(|join| join < leave)
        {
            place.join = None;
            if !self.codec.manner().everywhere {
                self.places.remove(&conversation);
            }
        }
        if self.joining > 0 {
            self.left.insert(conversation, leave);
        }
        self.save_left(conversation);
    }

    /// The user was removed from a conversation. A join that its room answered before may still be on its way here.
    pub(super) fn remove(&mut self, conversation: ConversationId) {
        self.places.remove(&conversation);
        self.early.remove(&conversation);
        if self.joining > 0 {
            self.removed.insert(conversation, self.joins);
        }
        self.save_left(conversation);
    }

    /// The outcome of a join, once it is known what the user's other devices have received, where it goes on from there.
    pub(super) fn once_received(
        &self,
        join: &Joining,
        outcome: BoxFuture<'static, Outcome>,
    ) -> BoxFuture<'static, Outcome> {
        let Some(caller) = self.caller().filter(|_| join.since == Since::Received) else { return outcome };
        let collected = self.collected(caller.person.id.clone());
        Box::pin(async move {
            let outcome = outcome.await;
            collected.await;
            outcome
        })
    }

    /// Refuses a join that was answered before its user was removed.
    pub(super) fn still_there(&self, join: &Joining, outcome: &Outcome) -> Result<(), ChatError> {
        let Ok(Reply::Joined(joined)) = outcome else { return Ok(()) };
        let removed = self.removed.get(&joined.topic.id).is_some_and(|joins| join.number <= *joins);
        if removed { Err(ChatError::NotFound("conversation")) } else { Ok(()) }
    }

    /// A join was answered.
    pub(super) fn joined(&mut self, ctx: &mut Context<Self>, join: &Joining, outcome: Outcome) {
        self.joining -= 1;
        let last = self.joining == 0;
        if last {
            self.removed.clear();
        }
        let early = if last { std::mem::take(&mut self.early) } else { self.early.clone() };
        let ended = if last { std::mem::take(&mut self.left) } else { self.left.clone() };
        let Ok(Reply::Joined(joined)) = outcome else { return };
        let conversation = joined.topic.id;
        if ended.get(&conversation).is_some_and(|leave| join.number < *leave) {
            return;
        }
        let early = early.get(&conversation).map_or(Seq(0), |(_, last)| *last);
        let recent = joined.recent.as_ref().and_then(|recent| recent.messages.last()).map_or(Seq(0), |last| last.seq);
        if join.since == Since::Received {
            self.collect();
        }
        let from = self.from(join.since, &joined);
        let everywhere = self.codec.manner().everywhere;
        let before = self.places.get(&conversation).filter(|place| place.is_joined()).map(|place| place.told);
        let place = self.places.entry(conversation).or_insert_with(|| {
            // Whoever hears everywhere was told all that came since they are in it.
            let received = joined.participants.first().map_or(joined.last_seq, |own| own.received);
            Place::live(if everywhere { received.min(joined.last_seq) } else { joined.last_seq })
        });
        place.head = place.head.max(early).max(joined.last_seq).max(recent);
        // Answers can overtake each other; the join that was asked for last counts.
        if place.join.is_some_and(|before| before > join.number) {
            return;
        }
        place.join = Some(join.number);
        match from {
            // What is being read goes on.
            None if place.behind.is_some() => return,
            // Joined already: what was told meanwhile is not told again.
            None if everywhere => place.told = place.told.max(recent),
            None => place.told = place.told.max(joined.last_seq).max(recent),
            Some((from, others_until)) => {
                // What this session itself was told since it joined is received, or will be.
                let from = if others_until.is_some() { from.max(before.unwrap_or_default()) } else { from };
                place.told = from.min(place.head);
                place.behind = None;
                if let Some(others_until) = others_until {
                    place.behind.get_or_insert_default().others_until = others_until;
                }
            }
        }
        let told = place.told;
        let behind = told < place.head;
        if !behind {
            place.behind = None;
        }
        self.note_told(conversation, told);
        if behind {
            self.catch_up(ctx, conversation);
        }
    }

    /// After which place a join makes this session hear; `None` where it goes on as it did.
    pub(super) fn begins(&self, join: &Joining, joined: &Joined) -> Option<Seq> {
        let everywhere = self.codec.manner().everywhere;
        let place = self.places.get(&joined.topic.id);
        if place.is_some_and(|place| everywhere || place.is_joined()) {
            return None;
        }
        let received = || joined.participants.first().map_or(joined.last_seq, |own| own.received);
        match self.from(join.since, joined) {
            Some((from, _)) => Some(from),
            None if everywhere => Some(received().min(joined.last_seq)),
            None => Some(joined.last_seq),
        }
    }

    /// After which place a join tells what there is, and up to which one's own messages are no news.
    fn from(&self, since: Since, joined: &Joined) -> Option<(Seq, Option<Seq>)> {
        match since {
            _ if joined.reset => None,
            Since::Now => None,
            Since::Place(after) | Since::Seen(after, _) => Some((after, None)),
            Since::Received => {
                let own = joined.participants.first()?;
                let (conversation, last_seq) = (joined.topic.id, joined.last_seq);
                let standing = Standing { conversation, last_seq, received: own.received };
                Some((self.unheard(&own.participant.person.id, &standing), Some(last_seq)))
            }
        }
    }
}
