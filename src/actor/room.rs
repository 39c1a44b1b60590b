//! The room: one actor per conversation with someone in it. It decides who may, has it written, and tells everyone in order.
//!
//! What lives here: the handlers of what a room can be asked, opening and sleeping. Who sits and listens is in `room/hall.rs`, what is
//! told when in `room/telling.rs`.
//! What must not: vocabularies, sockets, SQL.
//!
//! A room keeps many appends under way and tells its members in the order of the replies: it never waits for one to send the
//! next. It holds [`super::Listener`]s, never sessions, so that a test can stand in as one.

mod hall;
mod make_up;
mod telling;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::dev::channel::channel;
use actix::prelude::*;
use ahash::RandomState;
use metrics::gauge;
use tracing::{Instrument, debug, info_span};

use self::hall::{Audience, Hall, Typist};
use self::telling::Telling;
use super::directory::Directory;
use super::persistence::{Append, Committed, CursorMove, Job, LoadRoom, Reader, RoomRow, Ticket, Work};
use super::{Ask, By, Departed, Outcome, PersonChanged, ReplyTo, Reseat};
use crate::error::ChatError;
use crate::protocol::command::{self, Join, Mark, Typing};
use crate::protocol::reply::{Joined, Marked, Reply};
use crate::protocol::{Body, ClientId, ConversationId, Event, Person, SessionId, Timestamp, Topic, UserId};
use crate::vocabulary::Fanout;

pub use self::hall::PARTICIPANTS_LISTED;
pub(super) use self::make_up::PAGE as MAKE_UP_PAGE;

/// Messages that may wait for a room. 10,000 may join one at once.
pub const MAILBOX: usize = 32_768;
/// Jobs of one room that the database may have under way.
pub const PENDING_MAX: usize = 4_096;
/// For how long an empty room stays awake.
pub const LINGER: Duration = Duration::from_secs(30);
/// For how long a room that could not open answers so.
const LINGER_CLOSED: Duration = Duration::from_secs(1);
/// Above so many participants, coming and going, typing and receipts are no longer told to everyone: each is told by every one
/// to every one, which grows with the square.
pub const CHATTER_MAX: usize = 256;

/// What a room needs of the house.
#[derive(Clone)]
pub struct Services {
    /// Where everyone is.
    pub directory: Arc<Directory>,
    /// Where rooms are loaded from.
    pub reader: Addr<Reader>,
    /// Who takes what is to be written: the thread's courier.
    pub writer: Recipient<Job>,
}

/// One conversation, awake.
pub struct Room {
    conversation: ConversationId,
    waiting: Arc<AtomicUsize>,
    services: Services,
    state: State,
    /// Where outcomes come to.
    own: Option<Arc<Recipient<Committed>>>,
    pending: HashMap<Ticket, Pending, RandomState>,
    next_ticket: Ticket,
    sleep_is_due: bool,
    telling: Telling,
    /// A message may be stored that nobody heard of: how often the room will look yet.
    looks_due: u8,
}

#[expect(clippy::large_enum_variant, reason = "a room is open for nearly all of its life")]
enum State {
    /// Not loaded: nothing is handled meanwhile.
    Opening,
    Open(Hall),
    /// There is no such conversation, or it could not be loaded.
    Closed(ChatError),
}

/// What a job under way was for.
struct Pending {
    reply: ReplyTo,
    origin: Option<SessionId>,
    person: Person,
    what: What,
}

enum What {
    Message { body: Body, kind: Arc<str>, client_id: Option<ClientId>, at: Timestamp },
    Received,
    Read,
}

impl Room {
    /// Wakes the room of a conversation on an arbiter. `waiting` is the directory's count of messages on their way here.
    pub fn wake(
        conversation: ConversationId,
        waiting: Arc<AtomicUsize>,
        services: Services,
        arbiter: &ArbiterHandle,
    ) -> Addr<Self> {
        // Of its full size before the room's thread has begun with it: many may speak at once to one that wakes.
        let (sender, mailbox) = channel(MAILBOX);
        arbiter.spawn_fn(move || {
            let room = Self {
                conversation,
                waiting,
                services,
                state: State::Opening,
                own: None,
                pending: HashMap::default(),
                next_ticket: 0,
                sleep_is_due: false,
                telling: Telling::default(),
                looks_due: 0,
            };
            actix::spawn(Context::with_receiver(mailbox).into_future(room));
        });
        Addr::new(sender)
    }

    /// Loads the conversation, then goes on with `then`. Nothing else is handled meanwhile.
    fn load(
        &self,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>, Result<Option<RoomRow>, ChatError>) + 'static,
    ) {
        let reader = self.services.reader.clone();
        let conversation = self.conversation;
        let loading =
            async move { reader.send(LoadRoom(conversation)).await.unwrap_or_else(|_| Err(ChatError::unavailable())) };
        let loading = loading.instrument(info_span!("room", %conversation));
        ctx.wait(loading.into_actor(self).map(move |row, room, ctx| {
            then(room, ctx, row);
            room.rest(ctx);
        }));
    }

    /// One message of the directory's has arrived. The hall, or why there is none.
    fn arrived(&mut self) -> Result<&mut Hall, ChatError> {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        match &mut self.state {
            State::Open(hall) => Ok(hall),
            State::Closed(error) => Err(error.clone()),
            State::Opening => Err(ChatError::unavailable()),
        }
    }

    /// The hall, for somebody who sits in it, and who they are: whoever does not is told what a stranger is told.
    fn admit(&mut self, caller: &Person) -> Result<(&mut Hall, Person), ChatError> {
        let hall = self.arrived()?;
        let person = hall.person(caller).ok_or(ChatError::NotFound("conversation"))?;
        Ok((hall, person))
    }

    /// What the conversation is, once that is known.
    fn topic(&self) -> Option<Arc<Topic>> {
        match &self.state {
            State::Open(hall) => Some(Arc::clone(&hall.topic)),
            State::Opening | State::Closed(_) => None,
        }
    }

    fn write(&mut self, ctx: &Context<Self>, work: Work, pending: Pending) {
        if self.pending.len() >= PENDING_MAX {
            answer(pending.reply, Err(ChatError::unavailable()));
            return;
        }
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        let room = Arc::clone(self.own.get_or_insert_with(|| Arc::new(ctx.address().recipient())));
        let job = Job { ticket, room, work };
        match self.services.writer.try_send(job) {
            Ok(()) => drop(self.pending.insert(ticket, pending)),
            Err(_) => answer(pending.reply, Err(ChatError::unavailable())),
        }
    }

    /// A session listens no longer.
    fn see_out(&mut self, ctx: &mut Context<Self>, session: SessionId) {
        let State::Open(hall) = &mut self.state else { return };
        let Some((user, last)) = hall.exit(session) else { return };
        // Whoever lost their seat is told of as they were last known.
        let person = hall.seat(&user).map(|seat| seat.person.clone());
        let person = person.unwrap_or_else(|| Person { name: user.as_str().into(), id: user.clone(), role: "".into() });
        if hall.typing.get(&user).is_some_and(|typist| typist.session == Some(session))
            && let Some(typist) = hall.typing.remove(&user)
        {
            ctx.cancel_future(typist.expiry);
            self.chatter(ctx, Event::Typing(self.conversation, person.clone(), false), Some(session));
        }
        if last {
            self.chatter(ctx, Event::Left(self.conversation, person), Some(session));
        }
        self.rest(ctx);
    }

    /// Somebody is no participant any more.
    fn unseat(&mut self, ctx: &mut Context<Self>, user: &UserId) {
        if let State::Open(hall) = &mut self.state {
            hall.unseat(user);
            if let Some(typist) = hall.typing.remove(user) {
                ctx.cancel_future(typist.expiry);
            }
        }
    }

    /// Sees to it that an idle room falls asleep.
    fn rest(&mut self, ctx: &mut Context<Self>) {
        if self.is_idle() && !self.sleep_is_due {
            self.sleep_is_due = true;
            let linger = if matches!(self.state, State::Open(_)) { LINGER } else { LINGER_CLOSED };
            ctx.run_later(linger, Self::sleep);
        }
    }

    fn sleep(&mut self, ctx: &mut Context<Self>) {
        self.sleep_is_due = false;
        if self.is_idle() && self.services.directory.retire(self.conversation, &self.waiting) {
            ctx.stop();
        } else {
            self.rest(ctx);
        }
    }

    fn is_idle(&self) -> bool {
        let listened = matches!(&self.state, State::Open(hall) if !hall.is_empty());
        let told = self.telling.is_done();
        !listened && told && self.pending.is_empty() && self.looks_due == 0 && !matches!(self.state, State::Opening)
    }

    fn join(&mut self, ctx: &mut Context<Self>, ask: Ask<Join>) {
        let Ask { by: By { caller, session, command: Join { since, .. } }, reply } = ask;
        let conversation = self.conversation;
        let (hall, person) = match self.admit(&caller.person) {
            Ok(admitted) => admitted,
            Err(error) => {
                answer(reply, Err(error));
                return self.rest(ctx);
            }
        };
        let session = session.map(|listener| {
            let name = listener.session;
            (name, hall.enter(listener, person.id.clone()))
        });
        let participants = hall.participants(&person.id);
        let (topic, last_seq) = (Arc::clone(&hall.topic), hall.last_seq);
        let reset = since.seen().is_some_and(|seen| seen > last_seq);
        answer(reply, Ok(Reply::Joined(Joined { topic, last_seq, participants, recent: None, reset })));
        if let Some((session, true)) = session {
            self.chatter(ctx, Event::Joined(conversation, person), Some(session));
        }
        self.rest(ctx);
    }

    fn mark(&mut self, ctx: &mut Context<Self>, ask: Ask<Mark>, what: What) {
        let Ask { by: By { caller, session, command }, reply } = ask;
        let conversation = self.conversation;
        let (hall, person) = match self.admit(&caller.person) {
            Ok(admitted) => admitted,
            Err(error) => {
                answer(reply, Err(error));
                return self.rest(ctx);
            }
        };
        let user = caller.person.id;
        let seq = command.seq.map_or(hall.last_seq, |seq| seq.min(hall.last_seq));
        let read = matches!(what, What::Read);
        if let Some(seat) = hall.seat(&user).filter(|seat| if read { seq <= seat.read } else { seq <= seat.received }) {
            let unread = hall.unread(seat).count;
            let topic = Arc::clone(&hall.topic);
            let marked = Marked { topic, user, seq: seat.read, unread, updated: 0, at: Timestamp::now() };
            answer(reply, Ok(if read { Reply::Marked(marked) } else { Reply::Done }));
            return self.rest(ctx);
        }
        let work = Work::Move(CursorMove { conversation, user, received: seq, read: read.then_some(seq) });
        let origin = session.map(|listener| listener.session);
        self.write(ctx, work, Pending { reply, origin, person, what });
        self.rest(ctx);
    }
}

/// Answers whoever waits; nobody need.
fn answer(reply: ReplyTo, outcome: Outcome) {
    drop(reply.send(outcome));
}

impl Actor for Room {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        gauge!("haggle_rooms").increment(1);
        self.load(ctx, |room, _, row| {
            room.state = match row {
                Ok(Some(row)) => State::Open(Hall::open(row, Arc::clone(&room.services.directory))),
                Ok(None) => State::Closed(ChatError::NotFound("conversation")),
                Err(error) => State::Closed(error),
            };
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        gauge!("haggle_rooms").decrement(1);
        debug!(conversation = %self.conversation, "room sleeps");
    }
}

impl Handler<Ask<Join>> for Room {
    type Result = ();

    fn handle(&mut self, ask: Ask<Join>, ctx: &mut Self::Context) {
        self.when_sure(ctx, ask, Self::join);
    }
}

impl Handler<Ask<command::Leave>> for Room {
    type Result = ();

    fn handle(&mut self, ask: Ask<command::Leave>, ctx: &mut Self::Context) {
        let Ask { by: By { caller, session, .. }, reply } = ask;
        let admitted = self.admit(&caller.person).map(|(hall, _)| Reply::Left(Arc::clone(&hall.topic)));
        if let Some(listener) = session {
            self.see_out(ctx, listener.session);
        }
        answer(reply, admitted);
        self.rest(ctx);
    }
}

impl Handler<Departed> for Room {
    type Result = ();

    fn handle(&mut self, Departed(session): Departed, ctx: &mut Self::Context) {
        if self.arrived().is_ok() {
            self.see_out(ctx, session);
        }
        self.rest(ctx);
    }
}

impl Handler<Ask<command::Send>> for Room {
    type Result = ();

    fn handle(&mut self, ask: Ask<command::Send>, ctx: &mut Self::Context) {
        let Ask { by: By { caller, session, command }, reply } = ask;
        let (_, person) = match self.admit(&caller.person) {
            Ok(admitted) => admitted,
            Err(error) => {
                answer(reply, Err(error));
                return self.rest(ctx);
            }
        };
        let command::Send { body, kind, client_id, .. } = command;
        let at = Timestamp::now();
        let append = Append {
            conversation: self.conversation,
            sender: person.id.clone(),
            client_id: client_id.clone(),
            body: Arc::clone(body.text()),
            kind: Arc::clone(&kind),
            at,
        };
        let origin = session.map(|listener| listener.session);
        let what = What::Message { body, kind, client_id, at };
        self.write(ctx, Work::Append(append), Pending { reply, origin, person, what });
        self.rest(ctx);
    }
}

impl Handler<Ask<Typing>> for Room {
    type Result = ();

    fn handle(&mut self, ask: Ask<Typing>, ctx: &mut Self::Context) {
        let Ask { by: By { caller, session, command }, reply } = ask;
        let conversation = self.conversation;
        let (hall, person) = match self.admit(&caller.person) {
            Ok(admitted) => admitted,
            Err(error) => {
                answer(reply, Err(error));
                return self.rest(ctx);
            }
        };
        let origin = session.map(|listener| listener.session);
        let before = hall.typing.remove(&person.id);
        if let Some(typist) = before {
            ctx.cancel_future(typist.expiry);
        }
        if command.on {
            let typist = person.clone();
            let expiry = ctx.run_later(command.lasts, move |room, ctx| {
                if let State::Open(hall) = &mut room.state {
                    hall.typing.remove(&typist.id);
                }
                room.chatter(ctx, Event::Typing(conversation, typist, false), origin);
            });
            hall.typing.insert(person.id.clone(), Typist { expiry, session: origin });
        }
        answer(reply, Ok(Reply::Done));
        self.chatter(ctx, Event::Typing(conversation, person, command.on), origin);
        self.rest(ctx);
    }
}

/// A participant has received all up to a place.
impl Handler<Ask<command::Received>> for Room {
    type Result = ();

    fn handle(&mut self, ask: Ask<command::Received>, ctx: &mut Self::Context) {
        self.when_sure(ctx, ask, |room, ctx, ask| room.mark(ctx, ask.map(|received| received.0), What::Received));
    }
}

/// A participant has read all up to a place.
impl Handler<Ask<command::Read>> for Room {
    type Result = ();

    fn handle(&mut self, ask: Ask<command::Read>, ctx: &mut Self::Context) {
        self.when_sure(ctx, ask, |room, ctx, ask| room.mark(ctx, ask.map(|read| read.0), What::Read));
    }
}

impl Handler<Committed> for Room {
    type Result = ();

    fn handle(&mut self, committed: Committed, ctx: &mut Self::Context) {
        self.settle(ctx, committed);
    }
}

impl Handler<PersonChanged> for Room {
    type Result = ();

    fn handle(&mut self, PersonChanged(person): PersonChanged, ctx: &mut Self::Context) {
        if let Ok(hall) = self.arrived() {
            hall.rename(&person);
        }
        self.rest(ctx);
    }
}

impl Handler<Reseat> for Room {
    type Result = ();

    fn handle(&mut self, Reseat { removed, done }: Reseat, ctx: &mut Self::Context) {
        // What was said before is told to those who were there, and waits for no reading.
        self.tell_waiting(ctx);
        // Whoever was removed hears that they are out, and nothing after it, whatever comes of the loading.
        if let Ok(hall) = self.arrived()
            && let Some(user) = &removed
        {
            let person = hall.seat(user).filter(|_| hall.listens(user)).map(|seat| seat.person.clone());
            let everyone = hall.size() <= CHATTER_MAX;
            if let Some(person) = person {
                let left = vec![Fanout::new(Event::Left(self.conversation, person), self.topic(), None)];
                self.tell(ctx, left, if everyone { Audience::Everyone } else { Audience::Only(user) });
            }
            self.unseat(ctx, user);
        }
        self.load(ctx, move |room, _, row| {
            let outcome = match (row, &mut room.state) {
                (Ok(Some(row)), State::Open(hall)) => {
                    hall.reseat(row);
                    for user in hall.unseated() {
                        hall.unseat(&user);
                    }
                    Ok(())
                }
                (Ok(Some(row)), state) => {
                    *state = State::Open(Hall::open(row, Arc::clone(&room.services.directory)));
                    Ok(())
                }
                (Ok(None), _) => Err(ChatError::NotFound("conversation")),
                (Err(error), _) => Err(error),
            };
            drop(done.send(outcome));
        });
    }
}
