//! Who is in a conversation and who listens, as its room keeps it while awake.
//!
//! What lives here: seats (participants with their cursors) and members (sessions that joined), and delivering to them.
//! What must not: actors' lifecycles, the database.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::SpawnHandle;
use actix::prelude::SendError;
use ahash::RandomState;
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
struct Member {
    /// Where it hears.
    listener: Arc<Listener>,
    /// Whose it is.
    user: UserId,
    /// Which place that user has, while they have one.
    place: Option<usize>,
}

/// A participant's place: the seat, and which of their sessions have joined.
struct Place {
    seat: Seat,
    joined: Vec<SessionId>,
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
///
/// Telling goes over members and places by their numbers alone; names are looked up when somebody comes, goes or asks.
pub(super) struct Hall {
    /// What the conversation is.
    pub(super) topic: Arc<Topic>,
    directory: Arc<Directory>,
    /// The newest place that members were told.
    pub(super) last_seq: Seq,
    /// In the order of users.
    places: Vec<Place>,
    by_user: HashMap<UserId, usize, RandomState>,
    members: Vec<Member>,
    by_session: HashMap<SessionId, usize, RandomState>,
    /// Who types.
    pub(super) typing: HashMap<UserId, Typist, RandomState>,
}

impl Hall {
    /// The hall as the database has it, with nobody listening yet.
    pub(super) fn open(row: RoomRow, directory: Arc<Directory>) -> Self {
        let mut hall = Self {
            topic: row.topic,
            directory,
            last_seq: row.last_seq,
            places: Vec::new(),
            by_user: HashMap::default(),
            members: Vec::new(),
            by_session: HashMap::default(),
            typing: HashMap::default(),
        };
        hall.seat_all(row.people);
        hall
    }

    /// Goes by a new list of participants: whoever stays keeps what the room knows of them, for it is newer than the list.
    pub(super) fn reseat(&mut self, row: RoomRow) {
        self.topic = row.topic;
        let mut before: HashMap<UserId, Seat> =
            self.places.drain(..).map(|place| (place.seat.person.id.clone(), place.seat)).collect();
        let people = row.people.into_iter().map(|seat| match before.remove(&seat.person.id) {
            Some(known) => Seat { person: seat.person, role: seat.role, ..known },
            None => seat,
        });
        self.seat_all(people.collect());
    }

    fn seat_all(&mut self, mut people: Vec<Seat>) {
        people.sort_unstable_by(|one, other| one.person.id.cmp(&other.person.id));
        self.places = people.into_iter().map(|seat| Place { seat, joined: Vec::new() }).collect();
        self.number();
    }

    /// Numbers places and members anew, when some of them are no more.
    fn number(&mut self) {
        self.by_user = (0..).zip(&self.places).map(|(number, place)| (place.seat.person.id.clone(), number)).collect();
        self.by_session = (0..).zip(&self.members).map(|(number, member)| (member.listener.session, number)).collect();
        self.places.iter_mut().for_each(|place| place.joined.clear());
        for member in &mut self.members {
            member.place = self.by_user.get(&member.user).copied();
            if let Some(place) = member.place.and_then(|place| self.places.get_mut(place)) {
                place.joined.push(member.listener.session);
            }
        }
    }

    /// Keeps the newest place, and the sender's own count where it does not include the message yet.
    pub(super) fn count(&mut self, message: &Message) {
        assert!(!strikes(Defect::Panic), "a seeded defect");
        self.last_seq = self.last_seq.max(message.seq);
        if let Some(seat) = self.seat_mut(&message.sender.id).filter(|seat| message.seq > seat.read) {
            seat.own_after_read += 1;
        }
    }

    /// A participant's seat.
    pub(super) fn seat(&self, user: &UserId) -> Option<&Seat> {
        self.place(user).map(|place| &place.seat)
    }

    fn place(&self, user: &UserId) -> Option<&Place> {
        self.by_user.get(user).and_then(|place| self.places.get(*place))
    }

    /// Who somebody is here; `None` where they have no seat.
    pub(super) fn person(&self, caller: &Person) -> Option<Person> {
        let stranger = || strikes(Defect::SkipMembership).then(|| caller.clone());
        self.seat(&caller.id).map(|seat| seat.person.clone()).or_else(stranger)
    }

    /// A participant's seat, to change.
    pub(super) fn seat_mut(&mut self, user: &UserId) -> Option<&mut Seat> {
        self.by_user.get(user).and_then(|place| self.places.get_mut(*place)).map(|place| &mut place.seat)
    }

    /// How many participants there are.
    pub(super) fn size(&self) -> usize {
        self.places.len()
    }

    /// How many sessions listen.
    pub(super) fn listeners(&self) -> usize {
        self.members.len()
    }

    /// Nobody listens.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a listening session. True when it is its user's first here.
    pub(super) fn enter(&mut self, listener: Arc<Listener>, user: UserId) -> bool {
        let session = listener.session;
        let place = self.by_user.get(&user).copied();
        if let Some(known) = self.by_session.get(&session).and_then(|member| self.members.get_mut(*member)) {
            *known = Member { listener, user, place };
            return false;
        }
        let first = !self.listens(&user);
        if let Some(place) = place.and_then(|place| self.places.get_mut(place)) {
            place.joined.push(session);
        }
        self.by_session.insert(session, self.members.len());
        self.members.push(Member { listener, user, place });
        first
    }

    /// Takes a listening session out. The flag tells whether it was its user's last here.
    pub(super) fn exit(&mut self, session: SessionId) -> Option<(UserId, bool)> {
        let number = self.by_session.remove(&session)?;
        let Member { user, place, .. } = self.members.swap_remove(number);
        if let Some(moved) = self.members.get(number) {
            self.by_session.insert(moved.listener.session, number);
        }
        if let Some(place) = place.and_then(|place| self.places.get_mut(place)) {
            place.joined.retain(|joined| *joined != session);
        }
        let last = !self.listens(&user);
        Some((user, last))
    }

    /// Takes a participant out, with all their sessions.
    pub(super) fn unseat(&mut self, user: &UserId) {
        let before = (self.places.len(), self.members.len());
        self.places.retain(|place| place.seat.person.id != *user);
        self.members.retain(|member| member.user != *user);
        if before != (self.places.len(), self.members.len()) {
            self.number();
        }
    }

    /// Whether one of a user's sessions has joined.
    pub(super) fn listens(&self, user: &UserId) -> bool {
        match self.place(user) {
            Some(place) => !place.joined.is_empty(),
            None => self.members.iter().any(|member| member.user == *user),
        }
    }

    /// Users who have joined and have no seat (any more).
    pub(super) fn unseated(&self) -> Vec<UserId> {
        let unseated = self.members.iter().filter(|member| member.place.is_none());
        let users: HashSet<UserId> = unseated.map(|member| member.user.clone()).collect();
        users.into_iter().collect()
    }

    /// Somebody's name or role changed.
    pub(super) fn rename(&mut self, person: &Person) {
        if let Some(seat) = self.seat_mut(&person.id) {
            seat.person = person.clone();
            let topic = Arc::make_mut(&mut self.topic);
            let named = topic.people.iter_mut().filter(|(known, _)| known.id == person.id);
            named.for_each(|(known, _)| *known = person.clone());
        }
    }

    /// The participants to show, the viewer first, at most [`PARTICIPANTS_LISTED`].
    pub(super) fn participants(&self, viewer: &UserId) -> Vec<Listed> {
        let own = self.seat(viewer).into_iter();
        let others = self.places.iter().map(|place| &place.seat).filter(|seat| seat.person.id != *viewer);
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
        let only = match audience {
            Audience::Everyone => None,
            Audience::Only(user) => match self.by_user.get(user) {
                Some(place) => Some(*place),
                None => return Vec::new(),
            },
        };
        let mut gone = Vec::new();
        for member in &self.members {
            let Some(number) = member.place.filter(|place| only.is_none_or(|only| only == *place)) else { continue };
            let Some(place) = self.places.get(number) else { continue };
            if !self.deliver(&member.listener, &events, true, &place.seat) {
                gone.push(member.listener.session);
            }
        }
        match only.and_then(|only| self.places.get(only)) {
            Some(place) => self.notify(place, &events),
            None => self.places.iter().for_each(|place| self.notify(place, &events)),
        }
        gone
    }

    /// Tells a participant's sessions that have not joined.
    fn notify(&self, place: &Place, events: &Arc<[Fanout]>) {
        self.directory.for_each_session(&place.seat.person.id, |listener| {
            if !place.joined.contains(&listener.session) {
                self.deliver(listener, events, false, &place.seat);
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
