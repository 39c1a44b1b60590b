//! The session: one actor per connection, whatever the transport. It knows who is calling, what they joined, how far they
//! were told, and when they must go.
//!
//! What lives here: the handlers and the session's life; catching up from the database is in `session/catch_up.rs`, unread counts in
//! `session/unread.rs`. What must not: sockets (the transport's pump has them), vocabularies by name, the database.
//!
//! Heartbeats, deadlines and bounds are all here, whatever the transport.

mod catch_up;
mod joins;
mod life;
mod recovery;
mod unread;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::prelude::*;
use ahash::RandomState;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::catch_up::Place;
use self::joins::Joining;
pub use self::recovery::Identity;
use self::recovery::Recovery;
use self::unread::UnreadBook;
use super::directory::Directory;
use super::meters::meters;
use super::outlet::Outlet;
use super::presence::Presence;
use super::receipts::Receipts;
use super::recovery::{Resumed, Save};
use super::{By, Control, Deliver, Listener, Outcome};
use crate::defects::{Defect, strikes};
use crate::error::ChatError;
use crate::protocol::command::Claims;
use crate::protocol::event::Bye;
use crate::protocol::reply::{Messages, Unread, UnreadIn};
use crate::protocol::{Caller, Command, ConversationId, Event, Person, Reply, Seq, SessionId, Timestamp, UserId};
use crate::vocabulary::{Audience, Codec, Hearer, Incoming, Request, Tag, Word};

/// Deliveries and requests that may wait for a session.
pub const MAILBOX: usize = 1_024;
/// So many requests may wait until earlier ones have found their room, or the client has read its answers; then the pump reads
/// nothing more.
pub const INBOUND_ENOUGH: usize = 256;
/// What the pump had read by then may wait too: as many of the smallest frames as fit in what it reads at once. More are refused.
pub const INBOUND_MAX: usize = 16_384;
/// Requests that one session may have under way.
pub const UNDER_WAY_MAX: usize = 1_024;

/// What a session asks of the house. `Chat` answers; a test can stand in.
pub trait Door: Send + Sync + 'static {
    /// Checks a token.
    ///
    /// # Errors
    /// `unauthorized`.
    fn verify(&self, token: &str) -> Result<Claims, ChatError>;

    /// Makes a token's user known, and tells who they are now and what they have not read; with `places` also where they stand.
    fn arrive(&self, claims: Claims, places: bool) -> BoxFuture<'static, Result<Arrived, ChatError>>;

    /// Makes a token's user known, and tells who they are now.
    fn known(&self, claims: Claims) -> BoxFuture<'static, Result<Person, ChatError>>;

    /// The messages after a place, oldest first, at most a page, for somebody who is still in the conversation.
    fn replay(
        &self,
        caller: UserId,
        conversation: ConversationId,
        after: Seq,
    ) -> BoxFuture<'static, Result<Messages, ChatError>>;

    /// How far users have received, where their vocabulary has no acknowledgement.
    fn receipts(&self) -> &Receipts;

    /// Who writes where sockets stand that may be recovered.
    fn keeper(&self) -> Option<&Recipient<Save>>;

    /// When this process began.
    fn began(&self) -> Timestamp;

    /// Counts one more malformed request, or fresh token, of a caller against their limit.
    ///
    /// # Errors
    /// `rate_limited`.
    fn admit(&self, caller: &Caller) -> Result<(), ChatError>;

    /// Counts one more connection of a user who was not known when its address was counted.
    ///
    /// # Errors
    /// `rate_limited`.
    fn connects(&self, user: &UserId) -> Result<(), ChatError>;

    /// Begins to carry out a command.
    fn begin(&self, by: By<Command>) -> Begun;

    /// Where everyone is.
    fn directory(&self) -> &Arc<Directory>;

    /// Who announces that people come and go.
    fn presence(&self) -> &Addr<Presence>;
}

/// Somebody whose token was good.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Who they are now.
    pub person: Person,
    /// All their unread counts.
    pub unread: Unread,
    /// Where they stand in each of their conversations, where that was asked for.
    pub places: Vec<Standing>,
}

/// Where a user stands in one of their conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The newest place.
    pub last_seq: Seq,
    /// All up to and with this place is received.
    pub received: Seq,
}

/// A command that has begun.
pub enum Begun {
    /// It stands in its room's mailbox (or needs no order): the next may begin.
    UnderWay(BoxFuture<'static, Outcome>),
    /// Its room must be found first; the next must wait until it was, to keep their order.
    Finding(BoxFuture<'static, BoxFuture<'static, Outcome>>),
}

impl Begun {
    /// What comes of it.
    pub async fn outcome(self) -> Outcome {
        match self {
            Self::UnderWay(outcome) => outcome.await,
            Self::Finding(finding) => finding.await.await,
        }
    }

    /// Begun as it was, with something done to what comes of it.
    #[must_use]
    pub fn then<F>(self, with: impl FnOnce(BoxFuture<'static, Outcome>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        match self {
            Self::UnderWay(outcome) => Self::UnderWay(with(outcome).boxed()),
            Self::Finding(finding) => Self::Finding(finding.map(|outcome| with(outcome).boxed()).boxed()),
        }
    }
}

/// A request from the pump.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Heard(pub Request);

/// Who a connection brings.
#[derive(Debug)]
pub enum Arrival {
    /// Nobody yet: the first frame must say who.
    Anonymous,
    /// Whoever its token names.
    Known(Claims),
    /// Whoever its token names, in a transport that answers the connection itself and recovers it: it is told first whether they may
    /// come in, and says with [`Connected`] when its client can hear.
    Asking(Claims, oneshot::Sender<Result<(), ChatError>>, Option<Box<(Identity, Option<Resumed>)>>),
}

/// The client can hear: what it is told from now on reaches it after the transport's own answer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Connected;

/// The pump is gone: the connection is closed.
#[derive(Clone, Copy, Debug, Default, Message)]
#[rtype(result = "()")]
pub struct Gone {
    /// Nobody wanted that: its client may come back to where it stood.
    pub comes_back: bool,
    /// The transport cut it off for taking too little.
    pub too_slow: bool,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a reader may take nothing.
    pub slow_reader: Duration,
    /// How long a connection may stay anonymous.
    pub anonymous: Duration,
}

/// One connection.
pub struct Session {
    id: SessionId,
    codec: &'static dyn Codec,
    outlet: Arc<dyn Outlet>,
    door: Arc<dyn Door>,
    patience: Patience,
    /// Where the client is, where that is known.
    address: Option<IpAddr>,
    listener: Arc<Listener>,
    state: State,
    /// Who is told whether the caller may come in.
    asking: Option<oneshot::Sender<Result<(), ChatError>>>,
    /// They may, and the client cannot hear yet.
    admitted: Option<Person>,
    expires_at_s: i64,
    expiry: Option<SpawnHandle>,
    /// How far it was told, in conversations that it has joined, or that it hears without.
    places: HashMap<ConversationId, Place, RandomState>,
    /// Conversations that are to be caught up with one after the other, and the one that is.
    backlog: VecDeque<ConversationId>,
    telling: Option<ConversationId>,
    /// Messages written, with their tickets, that may not be flushed yet.
    unflushed: VecDeque<(u64, ConversationId, Seq)>,
    /// Joins under way, and the first and the newest places that were told before their answers, or before the welcome.
    joining: usize,
    early: HashMap<ConversationId, (Seq, Seq)>,
    /// How many joins have begun, and for conversations that the user was removed from while some were under way, how many had then.
    joins: u64,
    removed: HashMap<ConversationId, u64>,
    /// Conversations left while joins are under way, with the number of the leave.
    left: HashMap<ConversationId, u64>,
    unread: UnreadBook,
    recovery: Option<Box<Recovery>>,
    inbound: VecDeque<Request>,
    finding: bool,
    under_way: usize,
    paused: bool,
    /// The server goes down: what to ask the client to wait, and whom to tell that it was sent off.
    draining: Option<(u64, oneshot::Sender<()>)>,
}

enum State {
    /// Nobody has said who they are; until when that may last.
    Anonymous(Instant),
    /// The token was good; the database is being asked.
    Arriving(Caller),
    /// Known.
    Live(Caller),
    /// The server goes down: answers still go out, no request begins.
    Draining(Caller),
    /// The last frame is out.
    Closed,
}

impl Session {
    /// Starts a session on this thread.
    pub fn open(
        codec: &'static dyn Codec,
        outlet: Arc<dyn Outlet>,
        door: Arc<dyn Door>,
        patience: Patience,
        address: Option<IpAddr>,
        arrival: Arrival,
    ) -> Addr<Self> {
        Self::create(move |ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            let id = SessionId::random();
            let listener = Arc::new(Listener {
                session: id,
                deliver: ctx.address().recipient(),
                control: ctx.address().recipient(),
                overrun: AtomicBool::new(false),
                away: AtomicBool::new(false),
            });
            let mut session = Self {
                id,
                codec,
                outlet,
                door,
                patience,
                address,
                listener,
                state: State::Anonymous(Instant::now() + patience.anonymous),
                asking: None,
                admitted: None,
                expires_at_s: i64::MAX,
                expiry: None,
                places: HashMap::default(),
                backlog: VecDeque::new(),
                telling: None,
                unflushed: VecDeque::new(),
                joining: 0,
                early: HashMap::new(),
                joins: 0,
                removed: HashMap::new(),
                left: HashMap::new(),
                unread: UnreadBook::default(),
                recovery: None,
                inbound: VecDeque::new(),
                finding: false,
                under_way: 0,
                paused: false,
                draining: None,
            };
            match arrival {
                Arrival::Anonymous => {}
                Arrival::Known(claims) => session.arrive(ctx, claims, None),
                Arrival::Asking(claims, asking, recovery) => {
                    session.asking = Some(asking);
                    session.recovery = recovery.map(|both| Box::new(Recovery::new(both.0, both.1)));
                    session.arrive(ctx, claims, None);
                }
            }
            session
        })
    }

    /// Who calls, once that is known.
    fn caller(&self) -> Option<&Caller> {
        match &self.state {
            State::Arriving(caller) | State::Live(caller) | State::Draining(caller) => Some(caller),
            State::Anonymous(_) | State::Closed => None,
        }
    }

    /// Writes an event for this session alone.
    fn say(&mut self, ctx: &mut Context<Self>, event: &Event) {
        let audience = Audience { joined: false, own: false };
        if let Some(frame) = self.codec.event(event, None, audience)
            && self.outlet.event(&frame, self.offset()).is_err()
        {
            self.close_slow(ctx);
        }
    }

    fn answer(&mut self, ctx: &mut Context<Self>, tag: &Tag, outcome: &Outcome) {
        let words = self.codec.reply(tag, outcome);
        self.speak(ctx, tag, words);
    }

    /// Writes what answers a request.
    fn speak(&mut self, ctx: &mut Context<Self>, tag: &Tag, words: Vec<Word>) {
        for word in words {
            if self.outlet.reply(word, tag.ack, self.offset()).is_err() {
                return self.close_slow(ctx);
            }
        }
    }

    /// Begins what waits, in order, as far as it may.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        while !self.finding && !self.paused {
            let State::Live(caller) = &self.state else { return };
            let caller = caller.clone();
            if self.inbound.is_empty() {
                return;
            }
            if self.outlet.is_busy() || self.under_way >= UNDER_WAY_MAX {
                return self.pause(ctx);
            }
            let Some(request) = self.inbound.pop_front() else { return };
            if self.inbound.len() == INBOUND_ENOUGH / 2 {
                self.outlet.hold_reading(false);
            }
            self.begin(ctx, caller, request);
        }
    }

    /// Waits for the client to read its answers.
    fn pause(&mut self, ctx: &mut Context<Self>) {
        self.paused = true;
        ctx.run_later(catch_up::BREATH, |session, ctx| {
            session.paused = false;
            session.go_on(ctx);
        });
    }

    fn begin(&mut self, ctx: &mut Context<Self>, caller: Caller, Request { tag, incoming }: Request) {
        let command = match incoming {
            Ok(Incoming::Command(command)) => command,
            Ok(Incoming::Auth(token)) => return self.renew(ctx, &caller, tag, &token),
            Ok(Incoming::Unknown) => return drop(self.door.admit(&caller)),
            Err(error) => {
                let error = self.door.admit(&caller).err().unwrap_or(error);
                return self.answer(ctx, &tag, &Err(error));
            }
        };
        let step = match &command {
            Command::Join(join) => Step::Join(self.begin_join(join.since)),
            Command::Leave(_) => Step::Leave(self.begin_leave()),
            Command::Appear(there) => return self.appear(ctx, &caller, &tag, *there),
            _ => Step::Else,
        };
        let listener = matches!(
            command,
            Command::Join(_)
                | Command::Leave(_)
                | Command::Send(_)
                | Command::Typing(_)
                | Command::Received(_)
                | Command::Read(_)
        );
        let listener = listener.then(|| Arc::clone(&self.listener));
        self.under_way += 1;
        match self.door.begin(By { caller, session: listener, command }) {
            Begun::UnderWay(outcome) => self.follow(ctx, tag, step, outcome),
            Begun::Finding(finding) => {
                self.finding = true;
                ctx.spawn(finding.into_actor(self).map(move |outcome, session, ctx| {
                    session.finding = false;
                    session.follow(ctx, tag, step, outcome);
                    session.go_on(ctx);
                }));
            }
        }
    }

    /// Answers when the outcome is there; after a join, goes on from where it begins.
    fn follow(&mut self, ctx: &mut Context<Self>, tag: Tag, step: Step, outcome: BoxFuture<'static, Outcome>) {
        let began = Instant::now();
        let outcome = match &step {
            Step::Join(join) => self.once_received(join, outcome),
            Step::Leave(_) | Step::Else => outcome,
        };
        ctx.spawn(outcome.into_actor(self).map(move |outcome, session, ctx| {
            meters().command_seconds.record(began.elapsed().as_secs_f64());
            let saving = match &step {
                Step::Join(join) => session.save_join(join, &outcome),
                Step::Leave(_) | Step::Else => None,
            };
            match saving {
                Some(saved) => drop(ctx.spawn(
                    saved.into_actor(session).map(move |(), session, ctx| session.finish(ctx, &tag, step, outcome)),
                )),
                None => session.finish(ctx, &tag, step, outcome),
            }
        }));
    }

    fn finish(&mut self, ctx: &mut Context<Self>, tag: &Tag, step: Step, outcome: Outcome) {
        self.under_way -= 1;
        let outcome = match &step {
            Step::Join(join) => self.still_there(join, &outcome).and(outcome),
            Step::Leave(_) | Step::Else => outcome,
        };
        self.answer(ctx, tag, &outcome);
        self.heard_recent(&outcome);
        // Answers come in no order of their own; what begins last counts.
        match (step, outcome) {
            (Step::Join(join), outcome) => self.joined(ctx, &join, outcome),
            (Step::Leave(leave), Ok(Reply::Left(topic))) => self.left(topic.id, leave),
            _ => {}
        }
        if self.under_way == 0 {
            self.send_off(ctx);
        }
    }
}

/// What a session itself has to do for a command.
enum Step {
    Join(Joining),
    Leave(u64),
    Else,
}

impl Handler<Heard> for Session {
    type Result = ();

    fn handle(&mut self, Heard(request): Heard, ctx: &mut Self::Context) {
        meters().frames_in.increment(1);
        match &self.state {
            State::Anonymous(_) => self.introduce(ctx, request),
            State::Closed => {}
            State::Draining(_) => self.answer(ctx, &request.tag, &Err(ChatError::unavailable())),
            State::Arriving(_) | State::Live(_) if self.inbound.len() >= INBOUND_MAX => {
                let error = ChatError::RateLimited(crate::error::RETRY_AFTER);
                self.answer(ctx, &request.tag, &Err(error));
            }
            State::Arriving(_) | State::Live(_) => {
                self.inbound.push_back(request);
                self.go_on(ctx);
                if self.inbound.len() >= INBOUND_ENOUGH {
                    self.outlet.hold_reading(true);
                }
            }
        }
    }
}

impl Handler<Deliver> for Session {
    type Result = ();

    fn handle(&mut self, Deliver { events, joined, unread }: Deliver, ctx: &mut Self::Context) {
        let Some(user) = self.caller().map(|caller| caller.person.id.clone()) else { return };
        // Nothing is said before the welcome. Counts that come while the first ones are being read are kept, and told with them.
        let announce = !matches!(self.state, State::Arriving(_));
        let mut others_left = events.iter().filter(|fanout| counts(&fanout.event, &user)).count() as u64;
        for fanout in events.iter() {
            let changes = counts(&fanout.event, &user);
            others_left -= u64::from(changes);
            let now = unread.map(|all| UnreadIn { count: all.count.saturating_sub(others_left), ..all });
            if !announce {
                self.note_early(&fanout.event);
            } else if fanout.origin != Some(self.id) || matches!(fanout.event, Event::Message(_)) {
                let own = fanout.event.by() == Some(&user);
                let unread = now.map_or(0, |now| now.count);
                self.hear(ctx, fanout, &Hearer { user: &user, audience: Audience { joined, own }, unread });
            }
            let Some(now) = now.filter(|_| changes) else { continue };
            // Whoever read here knows the count from the answer.
            if let Some(now) = self.unread.update(now)
                && announce
                && !joined
                && fanout.origin != Some(self.id)
            {
                self.say(ctx, &Event::Unread(now));
            }
        }
    }
}

/// Whether an event changes the unread count of this user.
fn counts(event: &Event, user: &UserId) -> bool {
    match event {
        Event::Message(message) => message.sender.id != *user,
        Event::Read(read) => read.user == *user,
        Event::Joined(..)
        | Event::Left(..)
        | Event::Typing(..)
        | Event::Received(..)
        | Event::Presence(_)
        | Event::Unread(_)
        | Event::Bye(_) => false,
    }
}

impl Handler<Control> for Session {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) -> Self::Result {
        match control {
            Control::Leave(conversation) => {
                self.remove(conversation);
                if let Some(now) = self.unread.forget(conversation) {
                    self.say(ctx, &Event::Unread(now));
                }
            }
            Control::Renamed(person) => {
                if let State::Arriving(caller) | State::Live(caller) | State::Draining(caller) = &mut self.state {
                    caller.person = person;
                }
            }
            Control::Close(error) => self.close(ctx, Bye::of(&error, false)),
            Control::Collect => self.collect(),
            Control::GiveWay(user) if self.caller().is_some_and(|caller| caller.person.id == user) => {
                return self.give_way(ctx);
            }
            Control::GiveWay(_) => {}
            Control::Drain { retry_after_ms } => return self.drain(ctx, retry_after_ms),
        }
        Box::pin(fut::ready(()))
    }
}

impl Handler<Connected> for Session {
    type Result = ();

    fn handle(&mut self, _: Connected, ctx: &mut Self::Context) {
        if let Some(person) = self.admitted.take() {
            self.welcome(ctx, person, None);
        }
    }
}

impl Handler<Gone> for Session {
    type Result = ();

    fn handle(&mut self, Gone { comes_back, too_slow }: Gone, ctx: &mut Self::Context) {
        self.note_stall(too_slow);
        if !comes_back && !too_slow {
            // Whoever leaves on purpose has what was written to them, also where they have not polled again.
            self.collect_to(self.outlet.flushed());
        }
        drop(self.end_recovery(comes_back));
        self.depart();
        if !strikes(Defect::LeakSession) {
            ctx.stop();
        }
    }
}

#[cfg(test)]
mod tests;
