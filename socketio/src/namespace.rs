//! A namespace's sockets and rooms, and telling many at once. Knows no packets but encoded ones.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::packet::{EncodeError, Encoded, EventBuilder};
use crate::recovery::{Recorded, RecoveryStore};
use crate::socket::Socket;

/// The sockets of one namespace and the rooms they are in.
#[derive(Debug)]
pub(crate) struct Members {
    name: Box<str>,
    rooms: Mutex<Rooms>,
    /// Held while an event is recorded and sent, and while a socket is recovered.
    order: Mutex<()>,
}

#[derive(Debug, Default)]
struct Rooms {
    sockets: HashMap<Box<str>, Member>,
    rooms: HashMap<Box<str>, HashSet<Box<str>>>,
}

#[derive(Debug)]
struct Member {
    socket: Socket,
    rooms: HashSet<Box<str>>,
}

impl Members {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), rooms: Mutex::default(), order: Mutex::default() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One event at a time is recorded and sent while this is held: what a client heard last tells what
    /// it has missed only if every client hears events in the order in which the store has them.
    pub(crate) fn in_order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a socket. One of the same id, whose client has come back before its end was noticed,
    /// makes room for it.
    pub(crate) fn add(&self, socket: &Socket) {
        let mut rooms = self.rooms();
        rooms.remove(socket.id());
        let member = Member { socket: socket.clone(), rooms: HashSet::new() };
        rooms.sockets.insert(socket.id().into(), member);
    }

    /// Takes a socket out of all its rooms, which it answers with.
    pub(crate) fn remove(&self, socket: &Socket) -> Vec<String> {
        let mut rooms = self.rooms();
        if rooms.member(socket).is_none() {
            return Vec::new();
        }
        rooms.remove(socket.id()).into_iter().map(String::from).collect()
    }

    pub(crate) fn join(&self, socket: &Socket, room: &str) {
        let mut rooms = self.rooms();
        if let Some(member) = rooms.member(socket) {
            member.rooms.insert(room.into());
            rooms.rooms.entry(room.into()).or_default().insert(socket.id().into());
        }
    }

    pub(crate) fn leave(&self, socket: &Socket, room: &str) {
        let mut rooms = self.rooms();
        if let Some(member) = rooms.member(socket) {
            member.rooms.remove(room);
            rooms.leave(socket.id(), room);
        }
    }

    pub(crate) fn rooms_of(&self, socket: &Socket) -> Vec<String> {
        let mut rooms = self.rooms();
        let member = rooms.member(socket);
        member.map(|member| member.rooms.iter().map(|room| String::from(&**room)).collect()).unwrap_or_default()
    }

    fn select(&self, to: &[String], except: &[String]) -> Vec<Socket> {
        let rooms = self.rooms();
        let out: HashSet<&str> = except.iter().flat_map(|room| rooms.ids(room)).collect();
        let ids: HashSet<&str> = if to.is_empty() {
            rooms.sockets.keys().map(AsRef::as_ref).collect()
        } else {
            to.iter().flat_map(|room| rooms.ids(room)).collect()
        };
        let ids = ids.difference(&out);
        ids.filter_map(|id| rooms.sockets.get(*id)).map(|member| member.socket.clone()).collect()
    }
}

impl Rooms {
    /// This very socket's entry, not that of another of the same id.
    fn member(&mut self, socket: &Socket) -> Option<&mut Member> {
        self.sockets.get_mut(socket.id()).filter(|member| member.socket.is(socket))
    }

    fn remove(&mut self, id: &str) -> HashSet<Box<str>> {
        let rooms = self.sockets.remove(id).map(|member| member.rooms).unwrap_or_default();
        for room in &rooms {
            self.leave(id, room);
        }
        rooms
    }

    fn leave(&mut self, id: &str, room: &str) {
        if let Some(ids) = self.rooms.get_mut(room) {
            ids.remove(id);
            if ids.is_empty() {
                self.rooms.remove(room);
            }
        }
    }

    /// The sockets in a room; a socket's own id is a room with it alone.
    fn ids<'a>(&'a self, room: &'a str) -> impl Iterator<Item = &'a str> {
        let own = self.sockets.contains_key(room).then_some(room);
        self.rooms.get(room).into_iter().flatten().map(AsRef::as_ref).chain(own)
    }
}

/// Tells many sockets of a namespace at once: all, or those in rooms, without those in others.
#[derive(Debug, Clone)]
#[must_use]
pub struct Broadcast {
    members: Arc<Members>,
    store: Option<Arc<dyn RecoveryStore>>,
    to: Vec<String>,
    except: Vec<String>,
    volatile: bool,
}

impl Broadcast {
    pub(crate) fn new(members: Arc<Members>, store: Option<Arc<dyn RecoveryStore>>) -> Self {
        Self { members, store, to: Vec::new(), except: Vec::new(), volatile: false }
    }

    /// Only sockets in this room, or in another that was named. A socket's id is a room too.
    pub fn to(mut self, room: impl Into<String>) -> Self {
        self.to.push(room.into());
        self
    }

    /// Without the sockets in this room.
    pub fn except(mut self, room: impl Into<String>) -> Self {
        self.except.push(room.into());
        self
    }

    /// Drops the event for every socket that cannot take it at once.
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// The sockets that it reaches now.
    #[must_use]
    pub fn sockets(&self) -> Vec<Socket> {
        self.members.select(&self.to, &self.except)
    }

    /// Emits an event, encoded once. Answers how many sockets it went to. A socket whose client does
    /// not read is closed; that is not an error here.
    ///
    /// # Errors
    /// An argument is not JSON.
    pub fn emit(&self, event: &EventBuilder) -> Result<usize, EncodeError> {
        let store = self.store.as_ref().filter(|_| !self.volatile);
        let _order = store.map(|_| self.members.in_order());
        let offset = store.and_then(|store| store.offset());
        let packet = event.encode(self.members.name(), None, offset.as_deref())?;
        if let Some((store, offset)) = store.zip(offset) {
            store.record(Recorded {
                namespace: self.members.name().to_owned(),
                offset,
                rooms: self.to.clone(),
                except: self.except.clone(),
                packet: packet.clone(),
            });
        }
        Ok(self.emit_encoded(&packet))
    }

    /// Emits a packet that is encoded already.
    pub fn emit_encoded(&self, packet: &Encoded) -> usize {
        let sockets = self.sockets();
        for socket in &sockets {
            if self.volatile {
                socket.emit_encoded_volatile(packet);
            } else {
                // One that is gone, or was closed for not reading, hears nothing more.
                _ = socket.emit_encoded(packet);
            }
        }
        sockets.len()
    }

    /// Takes the sockets out of the namespace, or closes their connections.
    pub fn disconnect(&self, close: bool) {
        for socket in self.sockets() {
            socket.disconnect(close);
        }
    }
}
