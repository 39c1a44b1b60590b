//! Who is in a conversation and who listens, as its room keeps it while awake.
//!
//! What lives here: seats (participants with their cursors) and members (sessions that joined), and delivering to them.
//! What must not: actors' lifecycles, the database.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::SpawnHandle;
use actix::prelude::SendError;
use metrics::counter;

use crate::actor::directory::Directory;
use crate::actor::persistence::{RoomRow, Seat};
use crate::actor::{Deliver, Listener};
use crate::defects::{Defect, strikes};
use crate::protocol::model::Participant;
use crate::protocol::reply::{Listed, UnreadIn};
use crate::protocol::{Message, Person, Seq, SessionId, Topic, UserId};
use crate::vocabulary::Fanout;

/// Participants that the answer to a join lists at most: with 10,000 of them it would be a megabyte for each who joins.
/// REST gives all.
pub const PARTICIPANTS_LISTED: usize = 100;

/// A session that has joined.
pub(super) struct Member {
    /// Where it hears.
    pub(super) listener: Arc<Listener>,
    /// Whose it is.
    pub(super) user: UserId,
}

/// Somebody types.
pub(super) struct Typist {
    /// Ends it by itself.
    pub(super) expiry: SpawnHandle,
    /// The session they type in, where it is one.
    pub(super) session: Option<SessionId>,
}

/// Whom an event concerns.
#[derive(Clone, Copy)]
pub(super) enum Audience<'a> {
    /// Everyone in the conversation.
    Everyone,
    /// One user's sessions alone.
    Only(&'a UserId),
}

/// Seats, members and the newest place that was told.
pub(super) struct Hall {
    /// What the conversation is.
    pub(super) topic: Arc<Topic>,
    directory: Arc<Directory>,
    /// The newest place that members were told.
    pub(super) last_seq: Seq,
    seats: BTreeMap<UserId, Seat>,
    members: HashMap<SessionId, Member>,
    /// How many sessions of each user have joined.
    listening: HashMap<UserId, usize>,
    /// Who types.
    pub(super) typing: HashMap<UserId, Typist>,
}

impl Hall {
    /// The hall as the database has it, with nobody listening yet.
    pub(super) fn open(row: RoomRow, directory: Arc<Directory>) -> Self {
        let seats = row.people.into_iter().map(|seat| (seat.person.id.clone(), seat)).collect();
        Self {
            topic: row.topic,
            directory,
            last_seq: row.last_seq,
            seats,
            members: HashMap::new(),
            listening: HashMap::new(),
            typing: HashMap::new(),
        }
    }

    /// Goes by a new list of participants: whoever stays keeps what the room knows of them, for it is newer than the list.
    pub(super) fn reseat(&mut self, row: RoomRow) {
        self.topic = row.topic;
        let mut before = std::mem::take(&mut self.seats);
        for mut seat in row.people {
            if let Some(known) = before.remove(&seat.person.id) {
                seat = Seat { person: seat.person, role: seat.role, ..known };
            }
            self.seats.insert(seat.person.id.clone(), seat);
        }
    }

    /// Keeps the newest place, and the sender's own count where it does not include the message yet.
    pub(super) fn count(&mut self, message: &Message) {
        assert!(!strikes(Defect::Panic), "a seeded defect");
        self.last_seq = self.last_seq.max(message.seq);
        if let Some(seat) = self.seats.get_mut(&message.sender.id).filter(|seat| message.seq > seat.read) {
            seat.own_after_read += 1;
        }
    }

    /// A participant's seat.
    pub(super) fn seat(&self, user: &UserId) -> Option<&Seat> {
        self.seats.get(user)
    }

    /// Who somebody is here; `None` where they have no seat.
    pub(super) fn person(&self, caller: &Person) -> Option<Person> {
        let stranger = || strikes(Defect::SkipMembership).then(|| caller.clone());
        self.seat(&caller.id).map(|seat| seat.person.clone()).or_else(stranger)
    }

    /// A participant's seat, to change.
    pub(super) fn seat_mut(&mut self, user: &UserId) -> Option<&mut Seat> {
        self.seats.get_mut(user)
    }

    /// How many participants there are.
    pub(super) fn size(&self) -> usize {
        self.seats.len()
    }

    /// Nobody listens.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a listening session. True when it is its user's first here.
    pub(super) fn enter(&mut self, listener: Arc<Listener>, user: UserId) -> bool {
        let member = Member { listener, user: user.clone() };
        if self.members.insert(member.listener.session, member).is_some() {
            return false;
        }
        let sessions = self.listening.entry(user).or_default();
        *sessions += 1;
        *sessions == 1
    }

    /// Takes a listening session out. The flag tells whether it was its user's last here.
    pub(super) fn exit(&mut self, session: SessionId) -> Option<(UserId, bool)> {
        let user = self.members.remove(&session)?.user;
        let sessions = self.listening.get_mut(&user)?;
        *sessions -= 1;
        let last = *sessions == 0;
        if last {
            self.listening.remove(&user);
        }
        Some((user, last))
    }

    /// Takes a participant out, with all their sessions, and tells whether one of those had joined.
    pub(super) fn unseat(&mut self, user: &UserId) -> bool {
        self.seats.remove(user);
        self.members.retain(|_, member| member.user != *user);
        self.listening.remove(user).is_some()
    }

    /// Whether one of a user's sessions has joined.
    pub(super) fn listens(&self, user: &UserId) -> bool {
        self.listening.contains_key(user)
    }

    /// Users who have joined and have no seat (any more).
    pub(super) fn unseated(&self) -> Vec<UserId> {
        self.listening.keys().filter(|user| !self.seats.contains_key(*user)).cloned().collect()
    }

    /// Somebody's name or role changed.
    pub(super) fn rename(&mut self, person: &Person) {
        if let Some(seat) = self.seats.get_mut(&person.id) {
            seat.person = person.clone();
            let topic = Arc::make_mut(&mut self.topic);
            let named = topic.people.iter_mut().filter(|(known, _)| known.id == person.id);
            named.for_each(|(known, _)| *known = person.clone());
        }
    }

    /// The participants to show, the viewer first, at most [`PARTICIPANTS_LISTED`].
    pub(super) fn participants(&self, viewer: &UserId) -> Vec<Listed> {
        let own = self.seats.get(viewer).into_iter();
        let others = self.seats.values().filter(|seat| seat.person.id != *viewer);
        let seats = own.chain(others).take(PARTICIPANTS_LISTED);
        seats
            .map(|seat| Listed {
                participant: Participant {
                    person: seat.person.clone(),
                    role: Arc::clone(&seat.role),
                    online: self.directory.is_online(&seat.person.id),
                    unread: 0,
                },
                received: seat.received,
                read: seat.read,
            })
            .collect()
    }

    /// What is unread for a participant.
    pub(super) fn unread(&self, seat: &Seat) -> UnreadIn {
        let after_read = u64::try_from(self.last_seq.0 - seat.read.0).unwrap_or(0);
        UnreadIn {
            conversation: self.topic.id,
            count: after_read.saturating_sub(seat.own_after_read),
            last_seq: self.last_seq,
        }
    }

    /// Tells events to every session that listens and to every other open session of the participants; which vocabulary makes
    /// what of it is theirs to know. Returns the members that are gone: too slow, or closed without a word.
    #[must_use]
    pub(super) fn tell(&self, events: Vec<Fanout>, audience: Audience<'_>) -> Vec<SessionId> {
        let events: Arc<[Fanout]> = events.into();
        let mut gone = Vec::new();
        for member in self.members.values() {
            let Some(seat) = self.seats.get(&member.user) else { continue };
            if audience.includes(&member.user) && !self.deliver(&member.listener, &events, true, seat) {
                gone.push(member.listener.session);
            }
        }
        match audience {
            Audience::Everyone => self.seats.values().for_each(|seat| self.notify(seat, &events)),
            Audience::Only(user) => {
                if let Some(seat) = self.seats.get(user) {
                    self.notify(seat, &events);
                }
            }
        }
        gone
    }

    /// Tells a participant's sessions that have not joined.
    fn notify(&self, seat: &Seat, events: &Arc<[Fanout]>) {
        self.directory.for_each_session(&seat.person.id, |listener| {
            if !self.members.contains_key(&listener.session) {
                self.deliver(listener, events, false, seat);
            }
        });
    }

    fn deliver(&self, listener: &Listener, events: &Arc<[Fanout]>, joined: bool, seat: &Seat) -> bool {
        let deliver = Deliver { events: Arc::clone(events), joined, unread: Some(self.unread(seat)) };
        match listener.deliver.try_send(deliver) {
            Ok(()) => true,
            Err(SendError::Full(_)) => {
                counter!("haggle_sessions_overrun_total").increment(1);
                listener.overrun.store(true, Ordering::Release);
                false
            }
            Err(SendError::Closed(_)) => false,
        }
    }
}

impl Audience<'_> {
    fn includes(self, user: &UserId) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only(only) => only == user,
        }
    }
}
