//! Typed, async event handlers: each event's name has a function whose parameters are taken from the
//! event. Routing and extraction only.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::connect::{Accepted, Connecting, Handshake};
use crate::event::{Ack, DisconnectReason, Event, Sink};
use crate::packet::{Args, ArgsError};
use crate::socket::Socket;

/// Handlers of one socket that may run at a time; the next event waits for one to end.
const MAX_RUNNING: usize = 64;

/// The event does not have what its handler asks for.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// The arguments are others.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// The client asked for no acknowledgement.
    #[error("no acknowledgement was asked for")]
    NoAck,
}

/// What a handler may take as a parameter.
pub trait FromEvent: Sized + 'static {
    /// Takes it.
    ///
    /// # Errors
    /// The event does not have it: the handler is not called.
    fn from_event(handshake: &Handshake, event: &mut Event) -> Result<Self, Mismatch>;
}

/// The arguments as a tuple or anything else that a JSON array fits.
#[derive(Debug, Clone)]
pub struct Data<T>(pub T);

impl<T: DeserializeOwned + 'static> FromEvent for Data<T> {
    fn from_event(_: &Handshake, event: &mut Event) -> Result<Self, Mismatch> {
        Ok(Self(event.args.parse()?))
    }
}

impl FromEvent for Socket {
    fn from_event(handshake: &Handshake, _: &mut Event) -> Result<Self, Mismatch> {
        Ok(handshake.socket().clone())
    }
}

impl FromEvent for Handshake {
    fn from_event(handshake: &Handshake, _: &mut Event) -> Result<Self, Mismatch> {
        Ok(handshake.clone())
    }
}

impl FromEvent for Args {
    fn from_event(_: &Handshake, event: &mut Event) -> Result<Self, Mismatch> {
        Ok(event.args.clone())
    }
}

impl FromEvent for Option<Ack> {
    fn from_event(_: &Handshake, event: &mut Event) -> Result<Self, Mismatch> {
        Ok(event.ack.take())
    }
}

impl FromEvent for Ack {
    fn from_event(_: &Handshake, event: &mut Event) -> Result<Self, Mismatch> {
        event.ack.take().ok_or(Mismatch::NoAck)
    }
}

/// A function that handles events, with up to four parameters.
pub trait Handler<Parameters>: Send + Sync + 'static {
    /// Calls it.
    ///
    /// # Errors
    /// A parameter could not be taken from the event.
    fn call(&self, handshake: &Handshake, event: &mut Event) -> Result<LocalBoxFuture<'static, ()>, Mismatch>;
}

macro_rules! handlers {
    ($($parameter:ident)*) => {
        impl<F, R, $($parameter: FromEvent),*> Handler<($($parameter,)*)> for F
        where
            F: Fn($($parameter),*) -> R + Send + Sync + 'static,
            R: Future<Output = ()> + 'static,
        {
            #[expect(clippy::allow_attributes, reason = "a function without parameters uses none")]
            #[allow(unused_variables, reason = "a function without parameters uses none")]
            fn call(&self, handshake: &Handshake, event: &mut Event) -> Result<LocalBoxFuture<'static, ()>, Mismatch> {
                Ok(self($($parameter::from_event(handshake, event)?),*).boxed_local())
            }
        }
    };
}

handlers!();
handlers!(A);
handlers!(A B);
handlers!(A B C);
handlers!(A B C D);

type Call = dyn Fn(&Handshake, &mut Event) -> Result<LocalBoxFuture<'static, ()>, Mismatch> + Send + Sync;
type Gone = dyn Fn(Socket, DisconnectReason) + Send + Sync;

/// The events that a namespace's sockets understand. Built once, shared by all of them.
#[derive(Default)]
pub struct Events {
    handlers: HashMap<String, Box<Call>>,
    disconnected: Option<Box<Gone>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("names", &self.handlers.keys()).finish_non_exhaustive()
    }
}

impl Events {
    /// None yet. Events that have no handler are ignored, as in Node.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Handles the events of this name. Handlers of one socket start in the order of its events and
    /// run beside each other.
    #[must_use]
    pub fn on<P, H: Handler<P>>(mut self, name: &str, handler: H) -> Self {
        self.handlers.insert(name.to_owned(), Box::new(move |handshake, event| handler.call(handshake, event)));
        self
    }

    /// Called when a socket has left.
    #[must_use]
    pub fn on_disconnect(mut self, gone: impl Fn(Socket, DisconnectReason) + Send + Sync + 'static) -> Self {
        self.disconnected = Some(Box::new(gone));
        self
    }

    /// Accepts a socket, whose events these handlers take.
    #[must_use]
    pub fn accept(self: &Arc<Self>, connecting: &Connecting) -> Accepted {
        let running = Arc::new(Semaphore::new(MAX_RUNNING));
        Accepted::new(Routed { events: Arc::clone(self), handshake: connecting.handshake().clone(), running })
    }
}

struct Routed {
    events: Arc<Events>,
    handshake: Handshake,
    running: Arc<Semaphore>,
}

impl Sink for Routed {
    fn event(&mut self, mut event: Event) -> Option<LocalBoxFuture<'static, ()>> {
        let handler = self.events.handlers.get(&*event.name)?;
        let mut handled = match handler(&self.handshake, &mut event) {
            Ok(handled) => handled,
            Err(mismatch) => {
                tracing::debug!(error = %mismatch, "event ignored");
                return None;
            }
        };
        if (&mut handled).now_or_never().is_some() {
            return None;
        }
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            actix::spawn(handled.map(|()| drop(permit)));
            return None;
        }
        let running = Arc::clone(&self.running);
        Some(Box::pin(async move {
            let permit = running.acquire_owned().await;
            actix::spawn(handled.map(|()| drop(permit)));
        }))
    }

    fn disconnected(&mut self, reason: DisconnectReason) {
        if let Some(gone) = &self.events.disconnected {
            gone(self.handshake.socket().clone(), reason);
        }
    }
}
