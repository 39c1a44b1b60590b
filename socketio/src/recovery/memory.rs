//! A recovery store in memory: for one process, forgotten with it. Bounded in time, events and
//! sockets.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::{Claim, Recorded, Recovered, RecoveryStore, SavedSocket};

/// Most events kept; older ones are forgotten.
const MAX_EVENTS: usize = 65_536;
/// Most bytes of events kept.
const MAX_EVENT_BYTES: usize = 64 * 1024 * 1024;
/// Most disconnected sockets kept; older ones are forgotten.
const MAX_SOCKETS: usize = 65_536;

/// See the module's documentation.
#[derive(Debug)]
pub struct MemoryStore {
    max_age: Duration,
    start: u64,
    next: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<(Instant, Recorded)>,
    bytes: usize,
    /// With when they left.
    sockets: HashMap<String, (Instant, SavedSocket)>,
    /// In the order of leaving; what was taken meanwhile, or has left again, is skipped.
    ages: VecDeque<(Instant, String)>,
}

impl MemoryStore {
    /// A store that forgets after `max_age`; in Node that is two minutes by default.
    #[must_use]
    pub fn new(max_age: Duration) -> Self {
        Self { max_age, start: rand::random(), next: AtomicU64::new(0), kept: Mutex::default() }
    }

    fn take_now(&self, namespace: &str, pid: &str, offset: &str) -> Option<Recovered> {
        let mut kept = self.kept();
        kept.forget(self.max_age);
        kept.take(namespace, pid, offset)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, max_age: Duration) {
        let old = |at: Instant| at.elapsed() > max_age;
        while let Some((at, event)) = self.events.front() {
            if !old(*at) && self.events.len() <= MAX_EVENTS && self.bytes <= MAX_EVENT_BYTES {
                break;
            }
            self.bytes -= event.packet.len();
            self.events.pop_front();
        }
        while let Some((at, pid)) = self.ages.front() {
            if !old(*at) && self.ages.len() <= MAX_SOCKETS {
                break;
            }
            if self.sockets.get(pid).is_some_and(|(left, _)| left == at) {
                self.sockets.remove(pid);
            }
            self.ages.pop_front();
        }
    }

    fn take(&mut self, namespace: &str, pid: &str, offset: &str) -> Option<Recovered> {
        if self.sockets.get(pid).is_none_or(|(_, socket)| socket.namespace != namespace) {
            return None;
        }
        let seen = self.events.iter().position(|(_, event)| event.offset == offset)?;
        let (_, socket) = self.sockets.remove(pid)?;
        let hears = |event: &Recorded| {
            let in_any = |rooms: &[String]| rooms.iter().any(|room| *room == socket.sid || socket.rooms.contains(room));
            event.namespace == namespace && (event.rooms.is_empty() || in_any(&event.rooms)) && !in_any(&event.except)
        };
        let later = self.events.iter().skip(seen + 1).map(|(_, event)| event);
        let missed = later.filter(|event| hears(event)).map(|event| event.packet.clone()).collect();
        Some(Recovered { sid: socket.sid, rooms: socket.rooms, missed })
    }
}

impl RecoveryStore for MemoryStore {
    fn offset(&self) -> Option<String> {
        Some(format!("{:x}.{:x}", self.start, self.next.fetch_add(1, Ordering::Relaxed)))
    }

    fn record(&self, event: Recorded) {
        let mut kept = self.kept();
        kept.bytes += event.packet.len();
        kept.events.push_back((Instant::now(), event));
        kept.forget(self.max_age);
    }

    fn closed(&self, socket: SavedSocket, recoverable: bool) {
        if !recoverable {
            return;
        }
        let mut kept = self.kept();
        let now = Instant::now();
        kept.ages.push_back((now, socket.pid.clone()));
        kept.sockets.insert(socket.pid.clone(), (now, socket));
        kept.forget(self.max_age);
    }

    fn take<'a>(&'a self, claim: Claim<'a>) -> LocalBoxFuture<'a, Option<Recovered>> {
        let taken = self.take_now(claim.namespace, claim.pid, claim.offset);
        std::future::ready(taken).boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::EventBuilder;

    fn store(max_age: Duration) -> (MemoryStore, Vec<String>) {
        let store = MemoryStore::new(max_age);
        let mut offsets = Vec::new();
        for (rooms, except) in
            [(vec!["s"], vec![]), (vec!["a"], vec![]), (vec![], vec!["a"]), (vec!["b"], vec![]), (vec![], vec![])]
        {
            let offset = store.offset().unwrap();
            let packet = EventBuilder::new("e").encode("/", None, Some(&offset)).unwrap();
            let names = |rooms: Vec<&str>| rooms.into_iter().map(str::to_owned).collect();
            store.record(Recorded {
                namespace: "/".into(),
                offset: offset.clone(),
                rooms: names(rooms),
                except: names(except),
                packet,
            });
            offsets.push(offset);
        }
        let socket = SavedSocket { namespace: "/".into(), sid: "s".into(), pid: "p".into(), rooms: vec!["a".into()] };
        store.closed(socket, true);
        (store, offsets)
    }

    fn take(store: &MemoryStore, namespace: &str, offset: &str) -> Option<Recovered> {
        store.take_now(namespace, "p", offset)
    }

    #[test]
    fn a_client_gets_what_its_rooms_heard_and_only_once() {
        let (store, offsets) = store(Duration::from_secs(60));
        assert!(take(&store, "/other", &offsets[0]).is_none());
        assert!(take(&store, "/", "unknown").is_none());
        let recovered = take(&store, "/", &offsets[0]).unwrap();
        assert_eq!((recovered.sid.as_str(), recovered.missed.len()), ("s", 2));
        assert!(take(&store, "/", &offsets[0]).is_none());
    }

    #[test]
    fn one_that_left_again_is_kept_from_then_on() {
        let (store, offsets) = store(Duration::from_millis(400));
        std::thread::sleep(Duration::from_millis(250));
        let Recovered { sid, rooms, .. } = take(&store, "/", &offsets[0]).unwrap();
        store.closed(SavedSocket { namespace: "/".into(), sid, pid: "p".into(), rooms }, true);
        let offset = store.offset().unwrap();
        let packet = EventBuilder::new("e").encode("/", None, Some(&offset)).unwrap();
        let event = Recorded { namespace: "/".into(), offset, rooms: Vec::new(), except: Vec::new(), packet };
        let last = event.offset.clone();
        store.record(event);
        std::thread::sleep(Duration::from_millis(250));
        assert!(take(&store, "/", &last).is_some());
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let (store, offsets) = store(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        assert!(take(&store, "/", &offsets[0]).is_none());
    }
}
