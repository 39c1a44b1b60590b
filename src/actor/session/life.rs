//! A session's life: saying who one is, renewing the token, heartbeats and deadlines, closing, going down.
//!
//! What lives here: everything that can end a session and what is said then. What must not: commands and deliveries.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix::prelude::*;
use futures_util::future::{BoxFuture, join_all};
use metrics::{counter, gauge};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{debug, info};

use super::{Arrived, Session, State};
use crate::actor::presence::{Announce, Changed};
use crate::actor::{Control, Departed};
use crate::error::ChatError;
use crate::protocol::command::Claims;
use crate::protocol::event::{Bye, CLOSE_GOING_DOWN, CLOSE_SLOW_READER};
use crate::protocol::{Caller, Event, Person, Reply, UserId};
use crate::vocabulary::{Audience, Incoming, Request, Tag, Welcome, Word};

/// Conversations whose unread counts are told on connecting; the total counts all.
const UNREAD_TOLD_MAX: usize = 500;
/// The longest time between two looks at the deadlines.
const TICK_MAX: Duration = Duration::from_secs(5);
/// How often a session notes what was flushed, where its client does not acknowledge.
const COLLECT_EVERY: Duration = Duration::from_secs(1);
/// How long the other sessions of a user may take to note what was flushed.
const COLLECTED_WITHIN: Duration = Duration::from_secs(1);
/// The longest sleep until a token ends.
const EXPIRY_SLEEP_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long answers under way may take when the server goes down.
const DRAIN_MAX: Duration = Duration::from_secs(3);

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        gauge!("haggle_connections").increment(1);
        debug!(connection = %self.id, "opened");
        self.door.directory().opened(self.id, ctx.address().recipient());
        let slow = self.patience.slow_reader;
        let most = if self.codec.manner().acknowledges { TICK_MAX } else { COLLECT_EVERY };
        let tick = (slow / 6).min(self.patience.anonymous / 2).clamp(Duration::from_millis(100), most);
        ctx.run_interval(tick, Self::look);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        gauge!("haggle_connections").decrement(1);
        debug!(connection = %self.id, "closed");
        self.depart();
        self.door.directory().closed(self.id);
    }
}

impl Session {
    /// The first request of an anonymous connection must say who it is.
    pub(super) fn introduce(&mut self, ctx: &mut Context<Self>, Request { tag, incoming }: Request) {
        let refused = match incoming {
            Ok(Incoming::Auth(token)) => match self.door.verify(&token) {
                Ok(claims) => match self.door.connects(&claims.user) {
                    Ok(()) => return self.arrive(ctx, claims, Some(tag)),
                    Err(error) => return self.turn_away(ctx, Some(&tag), &error),
                },
                Err(error) => error,
            },
            Ok(Incoming::Command(_) | Incoming::Unknown) => {
                ChatError::unauthorized("say who you are first: {\"type\":\"auth\",\"token\":…}")
            }
            Err(error) => error,
        };
        self.answer(ctx, &tag, &Err(refused.clone()));
        self.close(ctx, Bye::of(&refused, false));
    }

    /// The token is good. Registers first and asks the database then, so that a suspension or a message in between is not missed.
    pub(super) fn arrive(&mut self, ctx: &mut Context<Self>, claims: Claims, tag: Option<Tag>) {
        let name = claims.name.clone().unwrap_or_else(|| claims.user.as_str().into());
        let person = Person { id: claims.user.clone(), name, role: claims.role.clone().unwrap_or_default() };
        self.door.directory().arrive(&person.id, Arc::clone(&self.listener));
        self.state = State::Arriving(Caller { person, address: self.address });
        self.expires_at_s = claims.expires_at_s;
        let places = self.codec.manner().everywhere;
        // Where the user stands, once their other sessions have noted what theirs were told.
        let collected = places.then(|| self.collected(claims.user.clone()));
        let door = Arc::clone(&self.door);
        let arriving = async move {
            if let Some(collected) = collected {
                collected.await;
            }
            door.arrive(claims, places).await
        };
        ctx.spawn(arriving.into_actor(self).map(move |arrived, session, ctx| {
            if !matches!(session.state, State::Arriving(_)) {
                return;
            }
            let Arrived { person, unread, places } = match arrived {
                Ok(arrived) => arrived,
                Err(error) => return session.turn_away(ctx, tag.as_ref(), &error),
            };
            session.unread.load(unread);
            session.take_places(&places);
            match session.asking.take() {
                Some(asking) => {
                    session.admitted = Some(person);
                    // The transport may have given up; it says so then, as of any connection that goes.
                    let _ = asking.send(Ok(()));
                }
                None => session.welcome(ctx, person, tag.as_ref()),
            }
        }));
    }

    /// Has the user's other sessions note what theirs were told, when it is awaited.
    pub(super) fn collected(&self, user: UserId) -> BoxFuture<'static, ()> {
        let (directory, own) = (Arc::clone(self.door.directory()), self.id);
        Box::pin(async move {
            let mut others = Vec::new();
            directory.for_each_session(&user, |listener| {
                if listener.session != own {
                    others.push(listener.control.send(Control::Collect));
                }
            });
            if !others.is_empty() {
                drop(tokio::time::timeout(COLLECTED_WITHIN, join_all(others)).await);
            }
        })
    }

    /// The token was good, and its user may not come in, or it cannot be told.
    fn turn_away(&mut self, ctx: &mut Context<Self>, tag: Option<&Tag>, error: &ChatError) {
        if let Some(asking) = self.asking.take() {
            self.depart();
            // The transport may have given up.
            let _ = asking.send(Err(error.clone()));
            return ctx.stop();
        }
        if let Some(tag) = tag {
            self.answer(ctx, tag, &Err(error.clone()));
        }
        let again = matches!(error, ChatError::Unavailable(_) | ChatError::RateLimited(_) | ChatError::Internal);
        self.close(ctx, Bye::of(error, again));
    }

    pub(super) fn welcome(&mut self, ctx: &mut Context<Self>, person: Person, tag: Option<&Tag>) {
        // Not try_send: one small message a connection, and whoever is online must be known to be.
        self.door.presence().do_send(Changed(person.id.clone()));
        self.state = State::Live(Caller { person: person.clone(), address: self.address });
        if let Some(tag) = tag {
            self.greet(ctx, tag, person);
        }
        for unread in self.unread.all(UNREAD_TOLD_MAX) {
            self.say(ctx, &Event::Unread(unread));
        }
        self.watch_expiry(ctx);
        self.rejoin(ctx);
        self.tell_backlog(ctx);
        self.go_on(ctx);
    }

    /// The client says whether its user is there.
    pub(super) fn appear(&mut self, ctx: &mut Context<Self>, caller: &Caller, tag: &Tag, there: bool) {
        let admitted = self.door.admit(caller).and_then(|()| {
            self.listener.away.store(!there, Ordering::Relaxed);
            let announced = self.door.presence().try_send(Announce(caller.person.id.clone()));
            announced.map_err(|_| ChatError::unavailable())
        });
        self.answer(ctx, tag, &admitted.map(|()| Reply::Done));
    }

    fn greet(&mut self, ctx: &mut Context<Self>, tag: &Tag, person: Person) {
        let welcome = Welcome { person, unread: self.unread.total(), expires_at_s: self.expires_at_s };
        let words = self.codec.welcome(tag, &welcome);
        self.speak(ctx, tag, words);
    }

    /// A known client sends a fresh token: the same user's, or it is refused and the old one goes on.
    pub(super) fn renew(&mut self, ctx: &mut Context<Self>, caller: &Caller, tag: Tag, token: &str) {
        if let Err(error) = self.door.admit(caller) {
            return self.answer(ctx, &tag, &Err(error));
        }
        let claims = match self.door.verify(token) {
            Ok(claims) if claims.user == caller.person.id => claims,
            Ok(_) => return self.answer(ctx, &tag, &Err(ChatError::forbidden("this token is somebody else's"))),
            Err(error) => return self.answer(ctx, &tag, &Err(error)),
        };
        let expires_at_s = claims.expires_at_s;
        let arriving = self.door.known(claims);
        // One at a time, as a room that must be found: what comes after it waits.
        self.finding = true;
        ctx.spawn(arriving.into_actor(self).map(move |person, session, ctx| {
            session.finding = false;
            match person {
                Ok(person) => {
                    session.expires_at_s = expires_at_s;
                    if let State::Live(caller) = &mut session.state {
                        caller.person = person.clone();
                    }
                    session.greet(ctx, &tag, person);
                    session.watch_expiry(ctx);
                }
                Err(error) => session.answer(ctx, &tag, &Err(error)),
            }
            session.go_on(ctx);
        }));
    }

    /// Closes when the token ends, by one timer, however often the token is renewed.
    fn watch_expiry(&mut self, ctx: &mut Context<Self>) {
        let left = until(self.expires_at_s).min(EXPIRY_SLEEP_MAX);
        let watch = ctx.run_later(left, |session, ctx| {
            session.expiry = None;
            session.close_expired(ctx);
            if !matches!(session.state, State::Closed) {
                session.watch_expiry(ctx);
            }
        });
        if let Some(before) = self.expiry.replace(watch) {
            ctx.cancel_future(before);
        }
    }

    fn close_expired(&mut self, ctx: &mut Context<Self>) {
        let known = matches!(self.state, State::Arriving(_) | State::Live(_) | State::Draining(_));
        if known && until(self.expires_at_s).is_zero() {
            self.close(ctx, Bye::of(&ChatError::unauthorized("the token has expired"), true));
        }
    }

    /// Looks at every deadline.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if matches!(self.state, State::Anonymous(until) if until <= Instant::now()) {
            let error = ChatError::unauthorized("no token came in time");
            return self.close(ctx, Bye::of(&error, false));
        }
        self.close_expired(ctx);
        self.collect();
        self.rest();
        let slow = self.patience.slow_reader;
        let stalled = self.outlet.stalled_for().max(self.outlet.silent_for());
        if self.listener.overrun.load(Ordering::Acquire) || stalled > slow {
            return self.close_slow(ctx);
        }
        if self.outlet.silent_for() > slow / 2 {
            self.outlet.ping();
        }
    }

    /// What a session that has nothing to do keeps no room for.
    fn rest(&mut self) {
        if self.inbound.is_empty() {
            self.inbound = VecDeque::new();
        }
        if self.unflushed.is_empty() {
            self.unflushed = VecDeque::new();
        }
        self.outlet.rest();
    }

    /// Closes a session whose client takes too little: nothing more waits for it, and it comes back to its cursor.
    pub(super) fn close_slow(&mut self, ctx: &mut Context<Self>) {
        if !matches!(self.state, State::Closed) {
            counter!("haggle_slow_readers_total").increment(1);
            info!(connection = %self.id, "cut off: it took too little for too long");
            self.outlet.clear();
            self.close(ctx, Bye::slow_reader());
        }
    }

    /// The transport, or the kernel, may let a peer that takes nothing go a moment before this session looks: that is a slow reader too.
    pub(super) fn note_stall(&self, too_slow: bool) {
        let closed = matches!(self.state, State::Closed);
        if !closed && (too_slow || self.outlet.stalled_for() > self.patience.slow_reader / 2) {
            counter!("haggle_slow_readers_total").increment(1);
        }
    }

    /// Says why and closes: the last frame is a Close.
    pub(super) fn close(&mut self, ctx: &mut Context<Self>, bye: Bye) {
        if matches!(self.state, State::Closed) {
            return;
        }
        let (code, reason) = (bye.close, Arc::clone(&bye.reason));
        drop(self.end_recovery(matches!(code, CLOSE_GOING_DOWN | CLOSE_SLOW_READER)));
        let audience = Audience { joined: false, own: true };
        if let Some(frame) = self.codec.event(&Event::Bye(bye), None, audience) {
            // Full or not: the Close frame says it too.
            let _ = self.outlet.reply(Word::Event(frame), None, self.offset());
        }
        self.outlet.close(code, &reason);
        self.depart();
        ctx.stop();
    }

    /// Leaves every room and the register. Nothing is delivered after it.
    pub(super) fn depart(&mut self) {
        self.collect();
        let state = std::mem::replace(&mut self.state, State::Closed);
        let (State::Arriving(caller) | State::Live(caller) | State::Draining(caller)) = state else { return };
        let directory = self.door.directory();
        directory.depart(&caller.person.id, self.id);
        // Not try_send: one small message a connection, and whoever has gone must not stay online for ever.
        self.door.presence().do_send(Changed(caller.person.id));
        let joined = self.places.iter().filter(|(_, place)| place.is_joined()).map(|(conversation, _)| *conversation);
        for conversation in joined {
            // A room too busy to take it finds the mailbox closed at its next event.
            drop(directory.tell_awake(conversation, Departed(self.id)));
        }
    }

    /// The server goes down: what is under way is finished, then the client is told to come back.
    pub(super) fn drain(&mut self, ctx: &mut Context<Self>, retry_after_ms: u64) -> ResponseActFuture<Self, ()> {
        let State::Live(caller) = &self.state else {
            self.close(ctx, Bye::going_down(retry_after_ms));
            return Box::pin(fut::ready(()));
        };
        self.state = State::Draining(caller.clone());
        for request in std::mem::take(&mut self.inbound) {
            self.answer(ctx, &request.tag, &Err(ChatError::unavailable()));
        }
        let (sender, drained) = oneshot::channel();
        self.draining = Some((retry_after_ms, sender));
        ctx.run_later(DRAIN_MAX, Self::send_off);
        if self.under_way == 0 {
            self.send_off(ctx);
        }
        Box::pin(drained.into_actor(self).map(|_, _, _| ()))
    }

    /// The last answer is out, or was waited for long enough.
    pub(super) fn send_off(&mut self, ctx: &mut Context<Self>) {
        if let Some((retry_after_ms, drained)) = self.draining.take() {
            self.close(ctx, Bye::going_down(retry_after_ms));
            // Whoever asked may have stopped waiting.
            let _ = drained.send(());
        }
    }
}

/// How long until a moment in seconds since 1970 UTC; zero when it has passed.
fn until(at_s: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(u64::try_from(at_s).unwrap_or(0)).saturating_sub(now)
}
