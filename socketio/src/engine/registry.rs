//! Which sessions there are, by id. Bounded; knows nothing of what they do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng as _;

use super::session::Session;

/// Random bytes in an id: 120 bits, 20 characters, as in Node.
const ID_BYTES: usize = 15;

/// A new unguessable id.
pub(crate) fn new_id() -> String {
    let mut bytes = [0_u8; ID_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Registry {
    sessions: Mutex<Sessions>,
    max: usize,
    /// WebSockets that are still being written to, those of closed sessions too.
    links: AtomicUsize,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<Box<str>, Arc<Session>>,
    closed: bool,
}

impl Registry {
    pub(crate) fn new(max: usize) -> Self {
        Self { sessions: Mutex::default(), max, links: AtomicUsize::new(0) }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.sessions().by_id.get(id).cloned()
    }

    /// Adds a session; `false` if there are too many, or the server goes down.
    pub(crate) fn insert(&self, session: &Arc<Session>) -> bool {
        let mut sessions = self.sessions();
        if sessions.closed || sessions.by_id.len() >= self.max {
            return false;
        }
        sessions.by_id.insert(session.id().into(), Arc::clone(session));
        true
    }

    /// Removes a session: now, or once a poll had `linger` to hear of its end.
    pub(crate) fn remove(self: &Arc<Self>, id: &str, linger: Option<Duration>) {
        let Some(linger) = linger else {
            self.sessions().by_id.remove(id);
            return;
        };
        let (registry, id) = (Arc::clone(self), Box::<str>::from(id));
        actix::spawn(async move {
            tokio::time::sleep(linger).await;
            registry.sessions().by_id.remove(&id);
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions().by_id.len()
    }

    pub(crate) fn link_opened(&self) {
        self.links.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn link_closed(&self) {
        self.links.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether there is nothing more to say to anybody.
    pub(crate) fn is_quiet(&self) -> bool {
        self.links.load(Ordering::Acquire) == 0 && self.len() == 0
    }

    /// Takes no more sessions, and answers with those that there are.
    pub(crate) fn shut(&self) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions();
        sessions.closed = true;
        sessions.by_id.values().cloned().collect()
    }
}
