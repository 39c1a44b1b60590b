//! What a room tells, and when: outcomes of what was written, answers, and what only matters while it happens.
//!
//! What lives here: the order of telling and answering, and gathering where many listen. What must not: who listens (`hall.rs`), what is
//! written.
//!
//! To tell a thousand sessions takes a millisecond, and each writes to its socket once, however much it is told at once. So in a room with many
//! listeners what is committed while the sessions have not had their turn yet waits, with its answers, and goes out together: a quiet
//! room pays no delay, and a busy one tells in fewer, larger parts the busier it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::task::yield_now;

use super::hall::Audience;
use super::{CHATTER_MAX, Pending, Room, State, What, answer};
use crate::actor::meters::meters;
use crate::actor::persistence::{Appended, Committed, Cursor};
use crate::actor::{Outcome, ReplyTo};
use crate::defects::{Defect, strikes};
use crate::error::ChatError;
use crate::protocol::event::ReadTo;
use crate::protocol::reply::{Marked, Reply};
use crate::protocol::{Event, Message, SessionId, Timestamp};
use crate::vocabulary::Fanout;

/// From so many listeners on what is to be told gathers.
pub(super) const GATHER_FROM: usize = 16;
/// Messages, and bytes of them, from which on they wait no longer: a part must fit well into what may wait for a listener who reads.
const GATHER_MAX: usize = 500;
const GATHER_BYTES_MAX: usize = 48 * 1024;
/// A turn that something waits behind is followed by a pause of this part of its time...
const PAUSE_SHARE: u32 = 4;
/// ... if that is as long as a timer can tell...
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// ... and at most so long.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// An outcome, and who awaits it.
type Answer = (ReplyTo, Outcome);

/// What waits to be told.
#[derive(Default)]
pub(super) struct Telling {
    /// The sessions have been told something and have not all had their turn.
    under_way: bool,
    events: Vec<Fanout>,
    answers: Vec<Answer>,
    /// What its events come to, about.
    bytes: usize,
}

/// About how many bytes an event takes in a listener's outbox.
fn weight(fanout: &Fanout) -> usize {
    const FRAME: usize = 300;
    match &fanout.event {
        Event::Message(message) => message.body.len() + FRAME,
        _ => FRAME,
    }
}

impl Telling {
    /// Nothing waits.
    pub(super) fn is_done(&self) -> bool {
        !self.under_way && self.answers.is_empty()
    }
}

impl Room {
    /// Tells events, after all that waits, and sees out whoever turns out to be gone.
    pub(super) fn tell(&mut self, ctx: &mut Context<Self>, events: Vec<Fanout>, audience: Audience<'_>) {
        self.tell_waiting(ctx);
        self.tell_now(ctx, events, audience);
    }

    fn tell_now(&mut self, ctx: &mut Context<Self>, events: Vec<Fanout>, audience: Audience<'_>) {
        if let State::Open(hall) = &self.state {
            let gone = hall.tell(events, audience);
            gone.into_iter().for_each(|session| self.see_out(ctx, session));
        }
    }

    /// Tells what waits, and answers who sent it.
    pub(super) fn tell_waiting(&mut self, ctx: &mut Context<Self>) {
        let (events, answers) = (std::mem::take(&mut self.telling.events), std::mem::take(&mut self.telling.answers));
        self.telling.bytes = 0;
        // The others first: whatever the sender does on its answer, in this conversation or another, is heard after this.
        if !events.is_empty() {
            self.tell_now(ctx, events, Audience::Everyone);
        }
        for (reply, outcome) in answers {
            answer(reply, outcome);
        }
    }

    /// Tells messages and answers who sent them: now, or together with what else comes until the sessions have had their turn.
    fn tell_soon(&mut self, ctx: &mut Context<Self>, events: Vec<Fanout>, answers: Vec<Answer>) {
        if answers.is_empty() {
            return;
        }
        self.telling.bytes += events.iter().map(weight).sum::<usize>();
        if self.telling.answers.is_empty() {
            (self.telling.events, self.telling.answers) = (events, answers);
        } else {
            self.telling.events.extend(events);
            self.telling.answers.extend(answers);
        }
        let few = self.telling.answers.len() < GATHER_MAX && self.telling.bytes < GATHER_BYTES_MAX;
        if self.telling.under_way && few {
            return;
        }
        self.tell_waiting(ctx);
        if matches!(&self.state, State::Open(hall) if hall.listeners() >= GATHER_FROM) {
            self.wait_a_turn(ctx);
        }
    }

    /// Lets the sessions hear, and then their connections write, before more is told. About: whatever else comes to the room may end the turn
    /// early, and then less gathers.
    fn wait_a_turn(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.telling.under_way, true) {
            return;
        }
        let turn = async {
            let began = Instant::now();
            yield_now().await;
            yield_now().await;
            began.elapsed()
        };
        ctx.spawn(turn.into_actor(self).map(|took, room, ctx| {
            let pause = (took / PAUSE_SHARE).min(PAUSE_MAX);
            if room.telling.answers.is_empty() || pause < PAUSE_MIN {
                return room.turn_is_over(ctx);
            }
            // Whoever has just heard speaks now, if at all: a little later it all goes out together.
            ctx.run_later(pause, Self::turn_is_over);
        }));
    }

    fn turn_is_over(&mut self, ctx: &mut Context<Self>) {
        self.telling.under_way = false;
        if !self.telling.answers.is_empty() {
            self.tell_waiting(ctx);
            self.wait_a_turn(ctx);
        }
        self.rest(ctx);
    }

    /// Tells what only matters while it happens, where the room is not too large for that.
    pub(super) fn chatter(&mut self, ctx: &mut Context<Self>, event: Event, origin: Option<SessionId>) {
        if matches!(&self.state, State::Open(hall) if hall.size() <= CHATTER_MAX) {
            let topic = self.topic();
            self.tell(ctx, vec![Fanout::new(event, topic, origin)], Audience::Everyone);
        }
    }

    /// What a message comes to: the answer to its sender, and what to tell, where it is news.
    fn appended(&mut self, pending: Pending, outcome: Result<Appended, ChatError>) -> (Answer, Option<Fanout>) {
        let Pending { reply, origin, person, what } = pending;
        let What::Message { body, kind, client_id, at } = what else {
            return ((reply, Err(ChatError::Internal)), None);
        };
        let (id, seq, kind, created_at, repeated) = match outcome {
            Ok(Appended::Stored { id, seq }) => (id, seq, kind, at, false),
            Ok(Appended::Repeated { id, seq, kind, at }) => (id, seq, kind, at, true),
            Err(error) => return ((reply, Err(error)), None),
        };
        let Some(topic) = self.topic() else { return ((reply, Err(ChatError::unavailable())), None) };
        let message = Message {
            id,
            seq,
            conversation: self.conversation,
            sender: person,
            body: Arc::clone(body.text()),
            kind,
            client_id,
            created_at,
        };
        // Whatever is past what was told is news, also one sent again whose outcome was not known; what was told is not, also where the
        // room learned of it from the database first.
        let news = matches!(&self.state, State::Open(hall) if message.seq > hall.last_seq);
        let told = news.then(|| {
            meters().messages_in.increment(1);
            self.count(&message);
            Fanout::new(Event::Message(message.clone()), Some(Arc::clone(&topic)), origin)
        });
        ((reply, Ok(Reply::Sent { message, topic, repeated })), told)
    }

    /// Keeps the newest place and the sender's own count, from which everyone's unread count follows.
    fn count(&mut self, message: &Message) {
        if let State::Open(hall) = &mut self.state {
            hall.count(message);
        }
    }

    /// Tells what came of jobs, in the order of `seq`.
    pub(super) fn conclude(&mut self, ctx: &mut Context<Self>, committed: Committed) {
        let mut events = Vec::with_capacity(committed.appended.len());
        let mut answers = Vec::with_capacity(committed.appended.len());
        for (ticket, outcome) in committed.appended {
            if let Some(pending) = self.pending.remove(&ticket) {
                let (answer, event) = self.appended(pending, outcome);
                answers.push(answer);
                events.extend(event);
            }
        }
        let more = |room: &Self| room.pending.values().any(|pending| matches!(pending.what, What::Message { .. }));
        if strikes(Defect::DropLast) && !more(self) {
            events.clear();
        }
        self.tell_soon(ctx, events, answers);
        for (ticket, outcome) in committed.moved {
            if let Some(pending) = self.pending.remove(&ticket) {
                self.moved(ctx, pending, outcome);
            }
        }
        self.rest(ctx);
    }

    fn moved(&mut self, ctx: &mut Context<Self>, pending: Pending, outcome: Result<Cursor, ChatError>) {
        if matches!(pending.what, What::Read) {
            // What was counted before this moves is told as it was counted.
            self.tell_waiting(ctx);
        }
        let Pending { reply, origin, person, what } = pending;
        let cursor = match outcome {
            Ok(cursor) => cursor,
            Err(error) => return answer(reply, Err(error)),
        };
        let conversation = self.conversation;
        let State::Open(hall) = &mut self.state else { return };
        let Some(before) = hall.seat(&person.id).map(|seat| (hall.unread(seat).count, seat.read, seat.received)) else {
            return answer(reply, Err(ChatError::NotFound("conversation")));
        };
        let (unread_before, read_before, received_before) = before;
        if let Some(seat) = hall.seat_mut(&person.id) {
            seat.received = seat.received.max(cursor.received);
            seat.read = seat.read.max(cursor.read);
            seat.own_after_read = cursor.own_after_read;
        }
        let unread = hall.seat(&person.id).map_or(0, |seat| hall.unread(seat).count);
        let topic = Arc::clone(&hall.topic);
        let at = Timestamp::now();
        let updated = unread_before.saturating_sub(unread);
        if matches!(what, What::Received) {
            if cursor.received > received_before {
                self.chatter(ctx, Event::Received(conversation, person.id, cursor.received), origin);
            }
            return answer(reply, Ok(Reply::Done));
        }
        if cursor.read > read_before {
            let everyone = hall.size() <= CHATTER_MAX;
            let read = ReadTo { conversation, user: person.id.clone(), seq: cursor.read, count: updated, at };
            // The reader's other devices always hear it: their badges depend on it.
            let audience = if everyone { Audience::Everyone } else { Audience::Only(&person.id) };
            self.tell(ctx, vec![Fanout::new(Event::Read(read), Some(Arc::clone(&topic)), origin)], audience);
        }
        answer(reply, Ok(Reply::Marked(Marked { topic, user: person.id, seq: cursor.read, unread, updated, at })));
    }
}
