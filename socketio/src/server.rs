//! The Socket.IO server: its settings, its namespaces, and how it is mounted.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use actix_web::web;

use crate::client::Client;
use crate::connect::{Accepted, Connecting, Handler, Refusal, Target, boxed};
use crate::engine::{self, Engine, Factory, Session};
use crate::namespace::{Broadcast, Members};
use crate::recovery::{RecoveryStore, SavedSocket};
use crate::socket::Socket;

/// Settings of a Socket.IO server, beside those of its transport.
#[derive(Debug, Clone)]
pub struct Config {
    /// The transport's settings.
    pub engine: engine::Config,
    /// How long a client may take to join its first namespace. Defaults to 45 s.
    pub connect_timeout: Duration,
    /// How long the attachments of a packet may take to come. Defaults to 20 s.
    pub attachment_timeout: Duration,
    /// Most namespaces that one client may be in. Defaults to 32.
    pub max_namespaces: usize,
    /// Most bytes in the attachments of one packet. Defaults to 4,000,000.
    pub max_attachment_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: engine::Config::default(),
            connect_timeout: Duration::from_secs(45),
            attachment_timeout: Duration::from_secs(20),
            max_namespaces: 32,
            max_attachment_bytes: 4_000_000,
        }
    }
}

type Predicate = dyn Fn(&str) -> bool + Send + Sync;

/// What all clients of a server share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Option<Arc<dyn RecoveryStore>>,
    handlers: HashMap<String, (Arc<Handler>, Arc<Members>)>,
    dynamic: Vec<(Box<Predicate>, Arc<Handler>)>,
    /// Namespaces that a predicate has let come to be.
    children: Mutex<Children>,
}

/// Kept alive by the sockets that are in them; those that are gone are swept out now and then.
#[derive(Default)]
struct Children {
    members: HashMap<String, Weak<Members>>,
    /// How many there are when the next sweep is due.
    sweep_at: usize,
}

/// Fewest namespaces that are worth a sweep.
const SWEEP_AT_LEAST: usize = 64;

impl Children {
    fn get(&self, namespace: &str) -> Option<Arc<Members>> {
        self.members.get(namespace).and_then(Weak::upgrade)
    }

    fn get_or_add(&mut self, namespace: &str) -> Arc<Members> {
        if let Some(members) = self.get(namespace) {
            return members;
        }
        if self.members.len() >= self.sweep_at {
            self.members.retain(|_, members| members.strong_count() > 0);
            self.sweep_at = SWEEP_AT_LEAST.max(2 * self.members.len());
        }
        let members = Arc::new(Members::new(namespace));
        self.members.insert(namespace.to_owned(), Arc::downgrade(&members));
        members
    }
}

impl Shared {
    fn children(&self) -> MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, namespace: &str) -> Option<Target> {
        if let Some((handler, members)) = self.handlers.get(namespace) {
            return Some(Target { handler: Arc::clone(handler), members: Arc::clone(members) });
        }
        let (_, handler) = self.dynamic.iter().find(|(matches, _)| matches(namespace))?;
        let members = self.children().get_or_add(namespace);
        Some(Target { handler: Arc::clone(handler), members })
    }

    /// The store, if there is one, and what is to be kept there of a socket.
    pub(crate) fn saved(&self, socket: &Socket, rooms: Vec<String>) -> Option<(&Arc<dyn RecoveryStore>, SavedSocket)> {
        let store = self.store.as_ref()?;
        let (namespace, sid, pid) = (socket.namespace().into(), socket.id().into(), socket.pid()?.into());
        Some((store, SavedSocket { namespace, sid, pid, rooms }))
    }

    /// Tells the store, if there is one, that a socket has left.
    pub(crate) fn keep(&self, socket: &Socket, rooms: Vec<String>, recoverable: bool) {
        if let Some((store, saved)) = self.saved(socket, rooms) {
            store.closed(saved, recoverable);
        }
    }

    fn members(&self, namespace: &str) -> Option<Arc<Members>> {
        let fixed = self.handlers.get(namespace).map(|(_, members)| Arc::clone(members));
        fixed.or_else(|| self.children().get(namespace))
    }
}

/// Puts a server together.
pub struct Builder {
    config: Config,
    store: Option<Arc<dyn RecoveryStore>>,
    handlers: HashMap<String, (Arc<Handler>, Arc<Members>)>,
    dynamic: Vec<(Box<Predicate>, Arc<Handler>)>,
    adjust: Vec<Box<Adjust>>,
}

type Adjust = dyn FnOnce(Engine<Clients>) -> Engine<Clients>;

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Builder {
    /// Serves a namespace, `/` for the default, to those that `handler` accepts.
    #[must_use]
    pub fn namespace<H, R>(mut self, name: &str, handler: H) -> Self
    where
        H: Fn(Connecting) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Accepted, Refusal>> + 'static,
    {
        self.handlers.insert(name.to_owned(), (boxed(handler), Arc::new(Members::new(name))));
        self
    }

    /// Serves every other namespace whose name `matches`; the first that matches counts.
    #[must_use]
    pub fn dynamic<H, R>(mut self, matches: impl Fn(&str) -> bool + Send + Sync + 'static, handler: H) -> Self
    where
        H: Fn(Connecting) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Accepted, Refusal>> + 'static,
    {
        self.dynamic.push((Box::new(matches), boxed(handler)));
        self
    }

    /// Turns connection state recovery on.
    #[must_use]
    pub fn recovery(mut self, store: Arc<dyn RecoveryStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Adjusts the transport's server: checks, CORS, headers.
    #[must_use]
    pub fn engine(mut self, adjust: impl FnOnce(Engine<Clients>) -> Engine<Clients> + 'static) -> Self {
        self.adjust.push(Box::new(adjust));
        self
    }

    /// The server, to be shared by all workers.
    #[must_use]
    pub fn build(self) -> SocketIo {
        let Self { config, store, handlers, dynamic, adjust } = self;
        let engine_config = config.engine.clone();
        let shared = Arc::new(Shared { config, store, handlers, dynamic, children: Mutex::default() });
        let engine = Engine::new(engine_config, Clients { shared: Arc::clone(&shared) });
        let engine = adjust.into_iter().fold(engine, |engine, adjust| adjust(engine));
        SocketIo { engine: Arc::new(engine), shared }
    }
}

/// Makes a client for each session.
pub struct Clients {
    shared: Arc<Shared>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl Factory for Clients {
    type Service = Client;

    fn open(&self, session: &Arc<Session>) -> Client {
        Client::new(Arc::clone(&self.shared), Arc::clone(session))
    }
}

/// A Socket.IO server. Cloning shares it.
#[derive(Clone)]
pub struct SocketIo {
    engine: Arc<Engine<Clients>>,
    shared: Arc<Shared>,
}

impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIo").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl SocketIo {
    /// Starts a server's description.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        Builder { config, store: None, handlers: HashMap::new(), dynamic: Vec::new(), adjust: Vec::new() }
    }

    /// Mounts it in an application at `path`, which ends in a slash: `/socket.io/`.
    pub fn configure(&self, path: &str) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
        self.engine.configure(path)
    }

    /// All sockets of a namespace; nobody where there is none.
    pub fn of(&self, namespace: &str) -> Broadcast {
        let members = self.shared.members(namespace).unwrap_or_else(|| Arc::new(Members::new(namespace)));
        Broadcast::new(members, self.shared.store.clone())
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.engine.sessions()
    }

    /// Takes no more clients and closes every transport, without a DISCONNECT packet, so that clients
    /// reconnect by themselves. What waits is sent first. Waits until every client has heard of it,
    /// or `grace` is over; answers whether all have. The HTTP server is to be stopped after this.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        const LOOK: Duration = Duration::from_millis(10);
        self.engine.shutdown();
        let due = tokio::time::Instant::now() + grace;
        while !self.engine.is_quiet() && tokio::time::Instant::now() < due {
            tokio::time::sleep(LOOK).await;
        }
        self.engine.is_quiet()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_of_a_predicate_is_forgotten_with_its_last_socket() {
        let refuse = |_: Connecting| std::future::ready(Err(Refusal::new("no")));
        let io = SocketIo::builder(Config::default()).dynamic(|_| true, refuse).build();
        let kept = io.shared.find("/kept").unwrap();
        for number in 0..10_000 {
            assert!(io.shared.find(&format!("/{number}")).is_some());
            assert!(io.shared.children().members.len() <= SWEEP_AT_LEAST);
        }
        assert!(Arc::ptr_eq(&io.shared.find("/kept").unwrap().members, &kept.members));
        assert!(io.shared.members("/9999").is_none());
    }
}
