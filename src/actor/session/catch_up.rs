//! How far a session was told, and catching up: register for live events first, read the database from the cursor, then go live.
//!
//! What lives here: the places of a session in its conversations, and filling what is missing from the database, a page at a time,
//! no faster than the client reads. What must not: who may join (rooms decide), or joins that overtake each other (`joins.rs`).
//!
//! While it catches up a session only notes how far the conversation has come; each page moves its own place forward until the two
//! meet, in one turn of the actor. So nothing is skipped, nothing doubled, and nothing is kept in memory but a page.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use metrics::counter;

use super::{Outcome, Session, Standing, State};
use crate::actor::meters::meters;
use crate::defects::{Defect, strikes};
use crate::error::ChatError;
use crate::protocol::command::QUEUE_MAX;
use crate::protocol::{ConversationId, Event, Message, Reply, Seq, Timestamp, Topic, UserId};
use crate::vocabulary::{Audience, Fanout, Hearer};

/// How long a session waits for its client to read before it looks again.
pub(super) const BREATH: Duration = Duration::from_millis(5);
/// How long it waits at most: whoever takes nothing for long is looked at less often.
const BREATH_MAX: Duration = Duration::from_millis(250);
/// How long a session waits before it asks a database again that did not answer.
const RETRY: Duration = Duration::from_millis(500);
/// Messages that may wait to be noted as flushed before the session looks by itself.
const UNFLUSHED_ENOUGH: usize = 64;

/// A conversation that this session hears.
pub(super) struct Place {
    /// The last place that this session was told.
    pub(super) told: Seq,
    /// The newest place there is.
    pub(super) head: Seq,
    /// What is being made up for; `None` while live.
    pub(super) behind: Option<Box<Behind>>,
    /// Which of the session's joins this is; `None` where it hears without having joined.
    pub(super) join: Option<u64>,
}

/// What a session does that is not where the conversation is.
#[derive(Default)]
pub(super) struct Behind {
    /// Messages read and not told yet.
    page: VecDeque<Message>,
    /// What they were said in.
    topic: Option<Arc<Topic>>,
    /// One's own messages up to and with this place are no news to any of one's devices.
    pub(super) others_until: Seq,
    /// One's own messages of before this moment are none either.
    pub(super) own_before: Option<Timestamp>,
    /// What this session itself has sent meanwhile, where it is not told that.
    pub(super) own: Vec<Seq>,
}

impl Place {
    /// A place that is where the conversation is.
    pub(super) fn live(told: Seq) -> Self {
        Self { told, head: told, behind: None, join: None }
    }

    pub(super) fn is_joined(&self) -> bool {
        self.join.is_some()
    }

    /// Behind from here on, if it was not.
    fn fall_behind(&mut self) -> &mut Behind {
        self.behind.get_or_insert_default()
    }
}

impl Session {
    /// Notes how far a conversation was told while this session could not hear.
    pub(super) fn note_early(&mut self, event: &Event) {
        if let Event::Message(message) = event
            && (self.codec.manner().everywhere || self.joining > 0)
        {
            let early = self.early.entry(message.conversation).or_insert((message.seq, message.seq));
            early.1 = early.1.max(message.seq);
        }
    }

    /// Takes the places that the database gave on connecting, and what rooms told meanwhile. What none of the user's devices has
    /// received is told first.
    pub(super) fn take_places(&mut self, places: &[Standing]) {
        if self.resumes() {
            self.resume_places(places);
        } else {
            self.begin_places(places);
        }
        for (conversation, (first, last)) in std::mem::take(&mut self.early) {
            let place = Place { head: last, ..Place::live(Seq(first.0 - 1)) };
            self.begin_behind(conversation, place, Seq(0));
        }
        self.begin_recovery();
    }

    fn begin_places(&mut self, places: &[Standing]) {
        let Some(user) = self.caller().map(|caller| caller.person.id.clone()) else { return };
        let queue = self.codec.manner().queue;
        // The oldest activity first, as it happened.
        for standing in places.iter().rev() {
            let conversation = standing.conversation;
            let early = self.early.remove(&conversation).map_or(Seq(0), |(_, last)| last);
            let told = if queue { self.unheard(&user, standing) } else { standing.last_seq };
            let place = Place { head: standing.last_seq.max(early), ..Place::live(told) };
            self.begin_behind(conversation, place, standing.last_seq);
        }
    }

    /// After which place the queue begins.
    pub(super) fn unheard(&self, user: &UserId, standing: &Standing) -> Seq {
        let noted = self.door.receipts().noted(user, standing.conversation);
        let oldest = Seq(standing.last_seq.0 - QUEUE_MAX);
        standing.received.max(noted).max(oldest).min(standing.last_seq)
    }

    pub(super) fn begin_behind(&mut self, conversation: ConversationId, mut place: Place, others_until: Seq) {
        if place.told < place.head {
            place.fall_behind().others_until = others_until;
            self.backlog.push_back(conversation);
        }
        self.places.insert(conversation, place);
    }

    /// Catches up with the conversations of the backlog, one after the other: a user may have thousands.
    pub(super) fn tell_backlog(&mut self, ctx: &mut Context<Self>) {
        if self.telling.is_none()
            && let Some(conversation) = self.backlog.pop_front()
        {
            self.telling = Some(conversation);
            self.catch_up(ctx, conversation);
        }
    }

    /// There is nothing more to catch up with in a conversation.
    fn caught_up(&mut self, ctx: &mut Context<Self>, conversation: ConversationId) {
        if self.telling == Some(conversation) {
            self.telling = None;
            // In a turn of its own: there may be thousands.
            ctx.run_later(Duration::ZERO, |session, ctx| session.tell_backlog(ctx));
        }
    }

    /// Hears one event of a conversation.
    pub(super) fn hear(&mut self, ctx: &mut Context<Self>, fanout: &Fanout, hearer: &Hearer<'_>) {
        let Event::Message(message) = &fanout.event else {
            return self.write(ctx, fanout, hearer);
        };
        let manner = self.codec.manner();
        let (conversation, seq) = (message.conversation, message.seq);
        if !manner.everywhere {
            if !hearer.audience.joined {
                return;
            }
            if !self.places.contains_key(&conversation) {
                return self.note_early(&fanout.event);
            }
        }
        let place = self.places.entry(conversation).or_insert_with(|| Place::live(Seq(seq.0 - 1)));
        place.head = place.head.max(seq);
        // A room that is being joined again after a cut counts as joined: its client knows nothing of that.
        let joined = hearer.audience.joined || place.is_joined();
        let hearer = &Hearer { audience: Audience { joined, ..hearer.audience }, ..*hearer };
        let own = fanout.origin == Some(self.id) && !manner.echo;
        if seq <= place.told {
            return;
        }
        if let Some(behind) = &mut place.behind {
            if own && !manner.acknowledges {
                behind.own.push(seq);
            }
            return;
        }
        if seq > place.told.next() {
            counter!("haggle_gaps_filled_total").increment(1);
            if own && !manner.acknowledges {
                place.fall_behind().own.push(seq);
            }
            return self.catch_up(ctx, conversation);
        }
        // The sender has it as the answer already.
        if own {
            place.told = seq;
            self.note_told(conversation, seq);
            self.note_own(conversation, seq);
        } else if self.outlet.is_busy() {
            // More at once than may wait, or a slow client: the rest comes from the database, as fast as it is read.
            self.catch_up(ctx, conversation);
        } else {
            place.told = seq;
            self.note_told(conversation, seq);
            self.write(ctx, fanout, hearer);
            self.turn_epoch(ctx);
        }
    }

    fn write(&mut self, ctx: &mut Context<Self>, fanout: &Fanout, hearer: &Hearer<'_>) {
        let Some(frame) = fanout.frame(self.codec, hearer) else { return };
        let is_message = matches!(fanout.event, Event::Message(_));
        if is_message && strikes(Defect::DropDelivery) {
            return;
        }
        if is_message && strikes(Defect::TellTwice) {
            let _ = self.outlet.event(&frame, self.offset());
        }
        let Ok(ticket) = self.outlet.event(&frame, self.offset()) else { return self.close_slow(ctx) };
        if let Event::Message(message) = &fanout.event {
            meters().messages_out.increment(1);
            self.wrote(ticket, message.conversation, message.seq);
        }
    }

    /// A message was written: it counts as received when it is flushed, where the client does not acknowledge.
    fn wrote(&mut self, ticket: u64, conversation: ConversationId, seq: Seq) {
        if !self.codec.manner().acknowledges {
            self.unflushed.push_back((ticket, conversation, seq));
            if self.unflushed.len() >= UNFLUSHED_ENOUGH {
                self.collect();
            }
        }
    }

    /// The newest messages went out with an answer: they count as told and received like any.
    pub(super) fn heard_recent(&mut self, outcome: &Outcome) {
        if let Ok(Reply::Joined(joined)) = outcome
            && let Some(last) = joined.recent.as_ref().and_then(|recent| recent.messages.last())
        {
            let ticket = self.outlet.written();
            self.wrote(ticket, joined.topic.id, last.seq);
        }
    }

    /// Notes what the client has received since the last look.
    pub(super) fn collect(&mut self) {
        self.collect_to(self.outlet.received());
    }

    /// Notes that the client has received all up to this ticket.
    pub(super) fn collect_to(&mut self, flushed: u64) {
        if self.unflushed.is_empty() {
            return;
        }
        let Some(user) = self.caller().map(|caller| caller.person.id.clone()) else { return };
        let mut last: Option<(ConversationId, Seq)> = None;
        while let Some((_, conversation, seq)) = self.unflushed.pop_front_if(|(ticket, ..)| *ticket <= flushed) {
            if let Some((before, newest)) = last.filter(|(before, _)| *before != conversation) {
                self.door.receipts().note(&user, before, newest);
            }
            last = Some((conversation, seq));
        }
        if let Some((conversation, newest)) = last {
            self.door.receipts().note(&user, conversation, newest);
        }
    }

    /// Where the client stands, for transports that resume.
    pub(super) fn offset(&self) -> Option<&str> {
        self.recovery.as_ref().map(|recovery| recovery.offset())
    }

    /// Tells what is at hand and reads what is missing, until this session is where the conversation is.
    pub(super) fn catch_up(&mut self, ctx: &mut Context<Self>, conversation: ConversationId) {
        if matches!(self.state, State::Closed) {
            return;
        }
        let Some(user) = self.caller().map(|caller| caller.person.id.clone()) else { return };
        // Behind from now on, though its turn to write may come later.
        let Some(place) = self.places.get_mut(&conversation) else { return self.caught_up(ctx, conversation) };
        place.fall_behind();
        let queue = self.codec.manner().queue;
        while !self.outlet.is_busy() {
            let Some(place) = self.places.get_mut(&conversation) else { return self.caught_up(ctx, conversation) };
            let behind = place.behind.get_or_insert_default();
            let Some(message) = behind.page.pop_front() else {
                if place.told >= place.head {
                    place.behind = None;
                    self.turn_epoch(ctx);
                    return self.caught_up(ctx, conversation);
                }
                let told = place.told;
                return self.read_page(ctx, conversation, told);
            };
            place.told = message.seq;
            place.head = place.head.max(message.seq);
            let own = message.sender.id == user;
            let skipped = own
                && (message.seq <= behind.others_until
                    || behind.own_before.is_some_and(|at| message.created_at < at)
                    || behind.own.contains(&message.seq));
            let topic = behind.topic.clone();
            // What waited is told as it would have been on connecting, also to who has joined meanwhile.
            let waited = queue && message.seq <= behind.others_until;
            let joined = place.is_joined() && !waited;
            self.note_told(conversation, message.seq);
            if skipped {
                continue;
            }
            let fanout = Fanout::new(Event::Message(message), topic, None);
            let unread = self.unread.count(conversation);
            self.write(ctx, &fanout, &Hearer { user: &user, audience: Audience { joined, own }, unread });
            if matches!(self.state, State::Closed) {
                return;
            }
        }
        let breath = (self.outlet.stalled_for() / 8).clamp(BREATH, BREATH_MAX);
        ctx.run_later(breath, move |session, ctx| session.catch_up(ctx, conversation));
    }

    fn read_page(&mut self, ctx: &mut Context<Self>, conversation: ConversationId, told: Seq) {
        let Some(caller) = self.caller() else { return };
        let after = if strikes(Defect::SkipOnResume) { told.next() } else { told };
        let reading = self.door.replay(caller.person.id.clone(), conversation, after);
        ctx.spawn(reading.into_actor(self).map(move |page, session, ctx| {
            let Some(place) = session.places.get_mut(&conversation) else {
                return session.caught_up(ctx, conversation);
            };
            let Some(behind) = &mut place.behind else { return session.caught_up(ctx, conversation) };
            // A join repeated meanwhile has begun anew.
            if place.told != told {
                return;
            }
            match page {
                Ok(page) if !page.messages.is_empty() => {
                    behind.page = page.messages.into();
                    if strikes(Defect::ReplayBackwards) {
                        behind.page.make_contiguous().reverse();
                    }
                    behind.topic = Some(page.topic);
                    session.catch_up(ctx, conversation);
                }
                // Removed in between.
                Err(ChatError::NotFound(_)) => {
                    session.places.remove(&conversation);
                    session.caught_up(ctx, conversation);
                }
                // The database is away, or behind what was told: it cannot be complete, so it is not told as if it were.
                Ok(_) | Err(_) => {
                    ctx.run_later(RETRY, move |session, ctx| session.catch_up(ctx, conversation));
                }
            }
        }));
    }
}
