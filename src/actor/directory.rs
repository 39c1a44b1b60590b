//! The directory: which room serves a conversation, which sessions a user has open, which sessions there are at all.
//!
//! What lives here: the shared maps, and waking and retiring rooms without losing a message between the two.
//! What must not: what rooms and sessions do, or telling who is online (presence does).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::dev::ToEnvelope;
use actix::prelude::SendError;
use actix::{Actor, Addr, Handler, Message, Recipient};
use ahash::RandomState;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::room::Room;
use super::{Control, Listener};
use crate::error::ChatError;
use crate::protocol::{ConversationId, SessionId, UserId};

/// Wakes the room of a conversation; on which thread is its business. `None` when the house is being torn down.
pub type Wake = Box<dyn Fn(ConversationId, Arc<AtomicUsize>) -> Option<Addr<Room>> + Send + Sync>;

/// Conversation to room, user to sessions, session to session.
pub struct Directory {
    rooms: DashMap<ConversationId, Awake, RandomState>,
    online: DashMap<UserId, Vec<Arc<Listener>>, RandomState>,
    sessions: DashMap<SessionId, Recipient<Control>, RandomState>,
    wake: Wake,
}

/// A room that is awake. `waiting` counts the messages on their way to it, so that it does not retire before them.
struct Awake {
    room: Addr<Room>,
    waiting: Arc<AtomicUsize>,
}

impl Directory {
    /// An empty directory that wakes rooms by `wake`.
    #[must_use]
    pub fn new(wake: Wake) -> Self {
        Self { rooms: DashMap::default(), online: DashMap::default(), sessions: DashMap::default(), wake }
    }

    /// Hands a message to a conversation's room, waking it where it sleeps. The room counts each off as it arrives.
    ///
    /// # Errors
    /// `unavailable` when the room's mailbox is full: nothing was done.
    pub fn tell<M>(&self, conversation: ConversationId, message: M) -> Result<(), ChatError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Room: Handler<M>,
        <Room as Actor>::Context: ToEnvelope<Room, M>,
    {
        let message = match self.rooms.get(&conversation) {
            Some(awake) => match awake.send(message) {
                Ok(()) => return Ok(()),
                Err(SendError::Full(_)) => return Err(ChatError::unavailable()),
                Err(SendError::Closed(message)) => message,
            },
            None => message,
        };
        let sent = match self.rooms.entry(conversation) {
            Entry::Occupied(mut entry) => {
                if !entry.get().room.connected() {
                    entry.insert(self.awaken(conversation)?);
                }
                entry.get().send(message)
            }
            Entry::Vacant(entry) => entry.insert(self.awaken(conversation)?).send(message),
        };
        sent.map_err(|_| ChatError::unavailable())
    }

    /// Hands a message to a room only where it is awake. Tells whether it is.
    ///
    /// # Errors
    /// `unavailable` when the room's mailbox is full: nothing was done.
    pub fn tell_awake<M>(&self, conversation: ConversationId, message: M) -> Result<bool, ChatError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Room: Handler<M>,
        <Room as Actor>::Context: ToEnvelope<Room, M>,
    {
        match self.rooms.get(&conversation).map(|awake| awake.send(message)) {
            None | Some(Err(SendError::Closed(_))) => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(SendError::Full(_))) => Err(ChatError::unavailable()),
        }
    }

    /// Hands a message to every room that is awake.
    pub fn tell_all<M>(&self, message: &M)
    where
        M: Message + Clone + Send + 'static,
        M::Result: Send,
        Room: Handler<M>,
        <Room as Actor>::Context: ToEnvelope<Room, M>,
    {
        for awake in &self.rooms {
            // A full room keeps the old value until it wakes anew; nothing of what it promises depends on it.
            drop(awake.send(message.clone()));
        }
    }

    /// Takes a room that has nobody and nothing left out of the directory. False when a message is on its way to it.
    pub fn retire(&self, conversation: ConversationId, waiting: &Arc<AtomicUsize>) -> bool {
        match self.rooms.entry(conversation) {
            Entry::Occupied(entry) if Arc::ptr_eq(&entry.get().waiting, waiting) => {
                if waiting.load(Ordering::Acquire) > 0 {
                    return false;
                }
                entry.remove();
                true
            }
            // Another room has taken the place: this one is out already.
            _ => true,
        }
    }

    /// How many rooms are awake.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// Runs `each` on every session that a user has open.
    pub fn for_each_session(&self, user: &UserId, mut each: impl FnMut(&Arc<Listener>)) {
        if let Some(sessions) = self.online.get(user) {
            sessions.iter().for_each(&mut each);
        }
    }

    /// Whether one of a user's sockets is open whose client has not said that they are away.
    #[must_use]
    pub fn is_online(&self, user: &UserId) -> bool {
        self.online.get(user).is_some_and(|all| all.iter().any(|one| !one.away.load(Ordering::Relaxed)))
    }

    /// A session of a user opened.
    pub(super) fn arrive(&self, user: &UserId, session: Arc<Listener>) {
        self.online.entry(user.clone()).or_default().push(session);
    }

    /// A session of a user closed.
    pub(super) fn depart(&self, user: &UserId, session: SessionId) {
        let Entry::Occupied(mut entry) = self.online.entry(user.clone()) else { return };
        entry.get_mut().retain(|listener| listener.session != session);
        if entry.get().is_empty() {
            entry.remove();
        }
    }

    /// Notes a session, known or anonymous, so that going down reaches it.
    pub(super) fn opened(&self, session: SessionId, control: Recipient<Control>) {
        self.sessions.insert(session, control);
    }

    /// Forgets a session.
    pub(super) fn closed(&self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Every session there is.
    #[must_use]
    pub fn all_sessions(&self) -> Vec<Recipient<Control>> {
        self.sessions.iter().map(|entry| entry.value().clone()).collect()
    }

    fn awaken(&self, conversation: ConversationId) -> Result<Awake, ChatError> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let room = (self.wake)(conversation, Arc::clone(&waiting)).ok_or_else(ChatError::unavailable)?;
        Ok(Awake { room, waiting })
    }
}

impl Awake {
    fn send<M>(&self, message: M) -> Result<(), SendError<M>>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Room: Handler<M>,
        <Room as Actor>::Context: ToEnvelope<Room, M>,
    {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.room.try_send(message).inspect_err(|_| {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        })
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("rooms", &self.rooms.len()).field("sessions", &self.sessions.len()).finish()
    }
}
