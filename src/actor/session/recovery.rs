//! A session that may be recovered: what its client is told of where it stands, what is saved, and going on where another session
//! stopped.
//!
//! What lives here: the epochs and offsets of one session, rejoining what it had joined. What must not: writing (the keeper does
//! that), or reading what was missed (`catch_up.rs`).
//!
//! An offset names the conversations in which something was told since an epoch began, each with its last place. What was told when
//! the epoch began is in the database. When an offset grows long a new epoch begins, as soon as the database holds it; the one before
//! is kept, for a client that has not heard of the new one.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::catch_up::Place;
use super::joins::Joining;
use super::{By, Outcome, Session, Standing, State};
use crate::actor::recovery::{Offset, Resumed, Save, SavedSocket, Saving, SocketState};
use crate::error::ChatError;
use crate::protocol::command::{Join, Since};
use crate::protocol::event::Bye;
use crate::protocol::{Command, ConversationId, ConversationRef, Reply, Seq};

/// Conversations in an offset before a new epoch begins.
const OFFSET_ENOUGH: usize = 16;
/// Conversations in an offset at most: beyond, the client comes back as a new one.
const OFFSET_MOST: usize = 512;
/// Conversations that a session may hear and be recovered.
const PLACES_MAX: usize = 2_000;
/// Messages of its own that a session remembers, where it is not told them.
const OWN_MAX: usize = 64;
/// How long the answer to a join waits for the database to hold it.
const SAVED_WITHIN: Duration = Duration::from_secs(2);
/// How long a session waits before it joins again what it could not.
const REJOIN_AFTER: Duration = Duration::from_millis(500);
/// The join of a conversation that the session before had joined: older than any of this one's.
const BEFORE_ANY: u64 = 0;
/// What no server takes for an offset.
const NONE: &str = "-";

/// By what a client's socket is found again.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What the client recovers by.
    pub pid: String,
    /// What it calls its socket.
    pub sid: String,
    /// Which namespace it is in.
    pub namespace: String,
}

/// What a session keeps to be recovered.
pub(super) struct Recovery {
    identity: Identity,
    /// What was told when the epoch began.
    base: Vec<(ConversationId, Seq)>,
    before: Option<Vec<(ConversationId, Seq)>>,
    /// The epoch, with what was told since, and how it is written.
    at: Offset,
    offset: String,
    own: VecDeque<(ConversationId, Seq)>,
    /// Something of this session was given to the keeper.
    begun: bool,
    /// A new epoch is being written.
    turning: bool,
    /// It cannot be recovered any more.
    lost: bool,
    /// Where another session stopped.
    resumed: Option<Box<Resumed>>,
}

impl Recovery {
    pub(super) fn new(identity: Identity, resumed: Option<Resumed>) -> Self {
        // The client may come back with the offset that it has now, so the epoch before is the one that it is of.
        let (epoch, before) = match &resumed {
            Some(Resumed { before: (epoch, base), .. }) => (epoch.saturating_add(1), Some(base.clone())),
            None => (0, None),
        };
        Self {
            identity,
            base: Vec::new(),
            before,
            at: Offset { epoch, moved: Vec::new() },
            offset: epoch.to_string(),
            own: VecDeque::new(),
            begun: false,
            turning: false,
            lost: false,
            resumed: resumed.map(Box::new),
        }
    }

    /// Something was told.
    fn note(&mut self, conversation: ConversationId, seq: Seq) {
        match self.at.moved.iter_mut().find(|(moved, _)| *moved == conversation) {
            Some(place) => place.1 = seq,
            None => self.at.moved.push((conversation, seq)),
        }
        self.lost |= self.at.moved.len() > OFFSET_MOST;
        self.write_offset();
    }

    fn write_offset(&mut self) {
        self.offset.clear();
        if self.lost {
            self.offset.push_str(NONE);
            return;
        }
        // Writing to a string cannot fail.
        let _ = write!(self.offset, "{}", self.at);
    }

    /// From this place on the client hears a conversation, whatever it was told before.
    fn begin_at(&mut self, conversation: ConversationId, seq: Seq) {
        for places in std::iter::once(&mut self.base).chain(&mut self.before) {
            match places.iter_mut().find(|(known, _)| *known == conversation) {
                Some(place) => place.1 = place.1.max(seq),
                None => places.push((conversation, seq)),
            }
        }
        self.lost |= self.base.len() > PLACES_MAX;
    }

    pub(super) fn offset(&self) -> &str {
        &self.offset
    }

    /// Where another session stopped, in a conversation that it heard.
    pub(super) fn resumed_at(&self, conversation: ConversationId) -> Option<Seq> {
        self.resumed.as_ref()?.told.get(&conversation).copied()
    }
}

impl Session {
    /// Whether this session goes on where another one stopped.
    pub(super) fn resumes(&self) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.resumed.is_some())
    }

    /// A place was told.
    pub(super) fn note_told(&mut self, conversation: ConversationId, seq: Seq) {
        let Some(recovery) = &mut self.recovery else { return };
        recovery.note(conversation, seq);
        if recovery.lost {
            self.give_up();
        }
    }

    /// It cannot be recovered any more: what is saved of it goes, so that an older offset finds nothing either.
    fn give_up(&mut self) {
        let Some(recovery) = &mut self.recovery else { return };
        if !std::mem::take(&mut recovery.begun) {
            return;
        }
        let change = Saving::Ended(recovery.identity.pid.clone(), self.id);
        // Where the keeper has too much to do, the row goes when its time is over.
        let _ = self.door.keeper().is_some_and(|keeper| keeper.try_send(Save { change, done: None }).is_ok());
    }

    /// One's own message, that one is not told.
    pub(super) fn note_own(&mut self, conversation: ConversationId, seq: Seq) {
        if let Some(recovery) = &mut self.recovery {
            if recovery.own.len() >= OWN_MAX {
                recovery.own.pop_front();
            }
            recovery.own.push_back((conversation, seq));
        }
    }

    /// Takes the places that the database gave, from where another session stopped.
    pub(super) fn resume_places(&mut self, places: &[Standing]) {
        for standing in places.iter().rev() {
            let conversation = standing.conversation;
            let early = self.early.remove(&conversation).map_or(Seq(0), |(_, last)| last);
            let stopped = self.recovery.as_ref().and_then(|recovery| recovery.resumed_at(conversation));
            // What began meanwhile is told from where one's devices have received.
            let told = stopped.unwrap_or(standing.received).min(standing.last_seq);
            let head = standing.last_seq.max(early);
            let resumed = self.recovery.as_ref().and_then(|recovery| recovery.resumed.as_ref());
            let joined = resumed.is_some_and(|resumed| resumed.joined.contains(&conversation));
            let join = joined.then_some(BEFORE_ANY);
            self.begin_behind(conversation, Place { head, join, ..Place::live(told) }, Seq(0));
            self.skip_own(conversation);
        }
    }

    /// What the session before sent itself was no news to its client. Where that was not written, its process was killed: none of one's own
    /// of before this one began is told.
    fn skip_own(&mut self, conversation: ConversationId) {
        if self.codec.manner().echo {
            return;
        }
        let Some(resumed) = self.recovery.as_ref().and_then(|recovery| recovery.resumed.as_ref()) else { return };
        let Some(behind) = self.places.get_mut(&conversation).and_then(|place| place.behind.as_mut()) else { return };
        if resumed.whole {
            behind.own.extend(resumed.own.iter().filter(|(own, _)| *own == conversation).map(|(_, seq)| *seq));
        } else {
            behind.own_before = Some(self.door.began());
        }
    }

    /// Joins what the session before had joined.
    pub(super) fn rejoin(&mut self, ctx: &mut Context<Self>) {
        let Some(recovery) = &self.recovery else { return };
        let Some(resumed) = &recovery.resumed else { return };
        let told: Vec<_> = resumed
            .joined
            .iter()
            .map(|conversation| (*conversation, resumed.told.get(conversation).copied()))
            .collect();
        for (conversation, told) in told {
            self.rejoin_one(ctx, conversation, told);
        }
    }

    fn rejoin_one(&mut self, ctx: &mut Context<Self>, conversation: ConversationId, told: Option<Seq>) {
        let State::Live(caller) = &self.state else { return };
        let caller = caller.clone();
        let since = match told {
            Some(told) if !self.codec.manner().everywhere => Since::Place(told),
            _ => Since::Now,
        };
        let join = self.begin_join(since);
        let command = Join { conversation: ConversationRef::Id(conversation), since, recent: 0 };
        let session = Some(Arc::clone(&self.listener));
        self.under_way += 1;
        let outcome = self.door.begin(By { caller, session, command: Command::Join(command) }).outcome();
        ctx.spawn(outcome.into_actor(self).map(move |outcome, session, ctx| {
            session.under_way -= 1;
            let outcome = session.still_there(&join, &outcome).and(outcome);
            let again = matches!(&outcome, Err(error) if error.retry_after().is_some());
            let failed = outcome.is_err();
            session.joined(ctx, &join, outcome);
            if failed
                && !again
                && let Some(place) = session.places.get_mut(&conversation)
            {
                place.join = place.join.filter(|join| *join != BEFORE_ANY);
            }
            session.skip_own(conversation);
            if again {
                ctx.run_later(REJOIN_AFTER, move |session, ctx| session.rejoin_one(ctx, conversation, told));
            }
            if session.under_way == 0 {
                session.send_off(ctx);
            }
        }));
    }

    /// The session has come: what it is to be told from here on is an epoch.
    pub(super) fn begin_recovery(&mut self) {
        let base = self.standing();
        let Some(recovery) = &mut self.recovery else { return };
        recovery.base = base;
        recovery.lost |= recovery.base.len() > PLACES_MAX;
        // What it had joined counts as joined, also until it is again.
        if let Some(resumed) = &recovery.resumed {
            for (conversation, seq) in &resumed.told {
                if !recovery.base.iter().any(|(known, _)| known == conversation) {
                    recovery.base.push((*conversation, *seq));
                }
            }
        }
        recovery.write_offset();
        self.save(None, None);
    }

    /// How far it was told, in every conversation that it hears.
    fn standing(&self) -> Vec<(ConversationId, Seq)> {
        self.places.iter().map(|(conversation, place)| (*conversation, place.told)).collect()
    }

    /// What the database is to hold. `joining` is being joined.
    fn saved(&self, joining: Option<ConversationId>) -> Option<SavedSocket> {
        let recovery = self.recovery.as_ref().filter(|recovery| !recovery.lost)?;
        let user = self.caller()?.person.id.clone();
        let mut joined: Vec<_> =
            self.places.iter().filter(|(_, place)| place.is_joined()).map(|(conversation, _)| *conversation).collect();
        let rejoining = recovery.resumed.iter().flat_map(|resumed| resumed.joined.iter().copied());
        joined.extend(rejoining.chain(joining));
        joined.sort_unstable();
        joined.dedup();
        Some(SavedSocket {
            pid: recovery.identity.pid.clone(),
            session: self.id,
            namespace: recovery.identity.namespace.clone(),
            sid: recovery.identity.sid.clone(),
            user,
            state: SocketState {
                epoch: recovery.at.epoch,
                base: recovery.base.clone(),
                before: recovery.before.clone(),
                joined,
                own: recovery.own.iter().copied().collect(),
                whole: false,
            },
        })
    }

    /// Has the keeper write where this session stands.
    fn save(&mut self, joining: Option<ConversationId>, done: Option<oneshot::Sender<()>>) {
        let Some(socket) = self.saved(joining) else { return self.give_up() };
        let Some(recovery) = &mut self.recovery else { return };
        let fresh = !std::mem::replace(&mut recovery.begun, true);
        let change = Saving::Stands { socket, fresh, left: false };
        let kept = self.door.keeper().is_some_and(|keeper| keeper.try_send(Save { change, done }).is_ok());
        if !kept {
            recovery.lost = true;
            recovery.write_offset();
        }
    }

    /// A join is told only when the database holds it: a client that knows of it finds itself in that room again.
    pub(super) fn save_join(&mut self, join: &Joining, outcome: &Outcome) -> Option<BoxFuture<'static, ()>> {
        let Ok(Reply::Joined(joined)) = outcome else { return None };
        let conversation = joined.topic.id;
        let begins = self.begins(join, joined);
        let recovery = self.recovery.as_mut().filter(|recovery| !recovery.lost)?;
        if let Some(begins) = begins {
            recovery.begin_at(conversation, begins);
        }
        let (done, saved) = oneshot::channel();
        self.save(Some(conversation), Some(done));
        Some(Box::pin(async move { drop(timeout(SAVED_WITHIN, saved).await) }))
    }

    /// A conversation was left, or its user was removed from it.
    pub(super) fn save_left(&mut self, conversation: ConversationId) {
        if let Some(recovery) = &mut self.recovery {
            if let Some(resumed) = &mut recovery.resumed {
                resumed.joined.retain(|joined| *joined != conversation);
            }
            self.save(None, None);
        }
    }

    /// Begins a new epoch where the offset has grown long.
    pub(super) fn turn_epoch(&mut self, ctx: &mut Context<Self>) {
        let due = |recovery: &Recovery| recovery.at.moved.len() >= OFFSET_ENOUGH && !recovery.turning && !recovery.lost;
        if !self.recovery.as_deref().is_some_and(due) {
            return;
        }
        let base = self.standing();
        let Some(mut socket) = self.saved(None) else { return };
        let Some(recovery) = &mut self.recovery else { return };
        recovery.turning = true;
        socket.state.epoch = recovery.at.epoch.saturating_add(1);
        socket.state.before = Some(std::mem::replace(&mut socket.state.base, base.clone()));
        let (done, saved) = oneshot::channel();
        let change = Saving::Stands { socket, fresh: false, left: false };
        let kept = self.door.keeper().is_some_and(|keeper| keeper.try_send(Save { change, done: Some(done) }).is_ok());
        if !kept {
            recovery.turning = false;
            return;
        }
        ctx.spawn(saved.into_actor(self).map(move |saved, session, _| {
            let Some(recovery) = &mut session.recovery else { return };
            recovery.turning = false;
            if saved.is_ok() {
                recovery.at.epoch = recovery.at.epoch.saturating_add(1);
                recovery.before = Some(std::mem::replace(&mut recovery.base, base));
                let base = &recovery.base;
                recovery.at.moved.retain(|place| !base.contains(place));
                recovery.write_offset();
            }
        }));
    }

    /// The session ends. Its client may come back, or not. What is returned is told when that is written.
    pub(super) fn end_recovery(&mut self, comes_back: bool) -> Option<oneshot::Receiver<()>> {
        let socket = self.saved(None);
        let recovery = self.recovery.take().filter(|recovery| recovery.begun)?;
        let change = match socket.filter(|_| comes_back) {
            Some(mut socket) => {
                socket.state.whole = true;
                Saving::Stands { socket, fresh: false, left: true }
            }
            None => Saving::Ended(recovery.identity.pid, self.id),
        };
        let (done, written) = oneshot::channel();
        // Where the keeper has too much to do, what was saved before counts, as after a crash.
        self.door.keeper()?.try_send(Save { change, done: Some(done) }).ok()?;
        Some(written)
    }

    /// The client has come back on another connection: this one says where it stood and ends.
    pub(super) fn give_way(&mut self, ctx: &mut Context<Self>) -> ResponseActFuture<Self, ()> {
        let written = self.end_recovery(true);
        self.close(ctx, Bye::of(&ChatError::unauthorized("the client goes on with another connection"), true));
        let waited = async move {
            if let Some(written) = written {
                drop(timeout(SAVED_WITHIN, written).await);
            }
        };
        Box::pin(waited.into_actor(self))
    }
}
