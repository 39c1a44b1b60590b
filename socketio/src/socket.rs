//! A handle on one client in one namespace: emit, ask, leave. It may be used from any thread and
//! may outlive the client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::engine::packet::Frame;
use crate::engine::{self, EmitError, Session};
use crate::event::{DisconnectReason, SendFailure};
use crate::namespace::Members;
use crate::packet::{self, Args, EncodeError, Encoded, EventBuilder};
use crate::recovery::{Recorded, RecoveryStore};

/// Most events of one socket that wait for their acknowledgement.
const MAX_PENDING_ACKS: usize = 1_024;

/// No acknowledgement came.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// Not in time.
    #[error("operation has timed out")]
    Timeout,
    /// The socket was gone before.
    #[error("the socket has been disconnected")]
    Disconnected,
    /// More than 1,024 are awaited already.
    #[error("too many acknowledgements are awaited")]
    TooMany,
    /// The event was not sent.
    #[error(transparent)]
    Send(#[from] SendFailure),
}

/// See the module's documentation. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Socket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Box<str>,
    pid: Option<Box<str>>,
    recovered: bool,
    session: Arc<Session>,
    members: Arc<Members>,
    store: Option<Arc<dyn RecoveryStore>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    next_ack: u64,
    acks: HashMap<u64, oneshot::Sender<Args>>,
}

#[derive(Debug)]
enum Stage {
    /// CONNECT is not answered yet: what is emitted waits behind the answer, and so does an end, with
    /// whether the connection ends too.
    Connecting {
        held: Vec<Frame>,
        /// Bytes that these are.
        bytes: usize,
        leaving: Option<bool>,
    },
    Connected,
    Over(DisconnectReason),
}

impl Socket {
    /// A socket that is connecting; what its client has `missed` follows the answer first.
    pub(crate) fn new(
        (id, pid, recovered): (Box<str>, Option<Box<str>>, bool),
        missed: &[Encoded],
        session: Arc<Session>,
        members: Arc<Members>,
        store: Option<Arc<dyn RecoveryStore>>,
    ) -> Self {
        let held: Vec<Frame> = missed.iter().flat_map(|packet| packet.frames().iter().cloned()).collect();
        let stage = Stage::Connecting { bytes: held.iter().map(Frame::len).sum(), held, leaving: None };
        let state = State { stage, next_ack: 0, acks: HashMap::new() };
        Self(Arc::new(Inner { id, pid, recovered, session, members, store, state: Mutex::new(state) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both are handles on the same socket.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its public id, as the client knows it. A recovered socket has the one from before.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The private id that the client recovers by; `None` where recovery is off.
    #[must_use]
    pub fn pid(&self) -> Option<&str> {
        self.0.pid.as_deref()
    }

    /// Whether the client got its state back.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        self.0.recovered
    }

    /// The namespace's name, `/` for the default.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.members.name()
    }

    /// The session under it, shared with the client's sockets in other namespaces.
    #[must_use]
    pub fn session(&self) -> &Arc<Session> {
        &self.0.session
    }

    /// Whether it is connected: CONNECT is answered, and it has not left.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.state().stage, Stage::Connected)
    }

    /// Emits a packet that is encoded already, for this socket's namespace; the same bytes may go to
    /// any number of sockets. Emitted before CONNECT is answered, it follows the answer. Answers with
    /// its ticket, 0 while connecting.
    ///
    /// # Errors
    /// The socket is over, or its client does not read: then the connection is closed.
    pub fn emit_encoded(&self, packet: &Encoded) -> Result<u64, EmitError> {
        self.emit_frames(packet)
    }

    fn emit_frames(&self, packet: &Encoded) -> Result<u64, EmitError> {
        let mut state = self.state();
        match &mut state.stage {
            Stage::Connected => self.0.session.send(packet.frames()),
            Stage::Over(_) | Stage::Connecting { leaving: Some(_), .. } => Err(EmitError::Closed),
            Stage::Connecting { held, bytes, .. } => {
                let frames = packet.frames();
                if !may_be_held(self.0.session.config(), held.len() + frames.len(), *bytes + packet.len()) {
                    return Err(EmitError::SlowReader);
                }
                *bytes += packet.len();
                held.extend_from_slice(frames);
                Ok(0)
            }
        }
    }

    /// Emits an event, recorded for recovery where the server has a store.
    ///
    /// # Errors
    /// An argument is not JSON, or the socket is over or its client does not read.
    pub fn emit(&self, event: &EventBuilder) -> Result<u64, SendFailure> {
        let Some(store) = &self.0.store else {
            return Ok(self.emit_encoded(&event.encode(self.namespace(), None, None)?)?);
        };
        let _order = self.members().in_order();
        let offset = store.offset();
        let packet = event.encode(self.namespace(), None, offset.as_deref())?;
        if let Some(offset) = offset {
            store.record(Recorded {
                namespace: self.namespace().to_owned(),
                offset,
                rooms: vec![self.id().to_owned()],
                except: Vec::new(),
                packet: packet.clone(),
            });
        }
        Ok(self.emit_encoded(&packet)?)
    }

    /// Emits an event that may be lost: it is dropped unless it can leave at once.
    ///
    /// # Errors
    /// An argument is not JSON.
    pub fn emit_volatile(&self, event: &EventBuilder) -> Result<(), EncodeError> {
        self.emit_encoded_volatile(&event.encode(self.namespace(), None, None)?);
        Ok(())
    }

    pub(crate) fn emit_encoded_volatile(&self, packet: &Encoded) {
        if self.is_connected() && self.0.session.is_writable() {
            _ = self.emit_encoded(packet);
        }
    }

    /// Emits an event and waits for the client's answer.
    ///
    /// # Errors
    /// See [`AckError`].
    pub async fn emit_with_ack(&self, event: &EventBuilder, timeout: Duration) -> Result<Args, AckError> {
        let (id, answer) = self.register_ack()?;
        let _forget = ForgetAck { socket: self, id };
        let packet = event.encode(self.namespace(), Some(id), None).map_err(SendFailure::from)?;
        self.emit_encoded(&packet).map_err(SendFailure::from)?;
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(args)) => Ok(args),
            Ok(Err(_)) => Err(AckError::Disconnected),
            Err(_) => Err(AckError::Timeout),
        }
    }

    fn register_ack(&self) -> Result<(u64, oneshot::Receiver<Args>), AckError> {
        let mut state = self.state();
        if matches!(state.stage, Stage::Over(_)) {
            return Err(AckError::Disconnected);
        }
        if state.acks.len() >= MAX_PENDING_ACKS {
            return Err(AckError::TooMany);
        }
        let id = state.next_ack;
        state.next_ack += 1;
        let (sender, receiver) = oneshot::channel();
        state.acks.insert(id, sender);
        Ok((id, receiver))
    }

    /// The client answered.
    pub(crate) fn acknowledged(&self, id: u64, args: Args) {
        if let Some(sender) = self.state().acks.remove(&id) {
            _ = sender.send(args);
        }
    }

    /// The ticket up to which the session's frames were taken by the transport, see
    /// [`Session::flushed`].
    #[must_use]
    pub fn flushed(&self) -> u64 {
        self.0.session.flushed()
    }

    /// The ticket up to which the peer has the session's frames, see [`Session::received`].
    #[must_use]
    pub fn received(&self) -> u64 {
        self.0.session.received()
    }

    /// Takes the client out of the namespace, and with `close` out of all, with the connection. The
    /// client is told, and does not reconnect by itself. While connecting, this follows the answer to
    /// CONNECT, as in Node.
    pub fn disconnect(&self, close: bool) {
        if let Stage::Connecting { leaving, .. } = &mut self.state().stage {
            *leaving = Some(leaving.unwrap_or_default() || close);
            return;
        }
        let left = self.leave(DisconnectReason::ServerDisconnect, true);
        if left || close {
            self.0.session.poke(close);
        }
    }

    /// Ends it, once; `tell` sends a DISCONNECT packet if it was connected. Answers whether it was
    /// not over before.
    pub(crate) fn leave(&self, reason: DisconnectReason, tell: bool) -> bool {
        let mut state = self.state();
        match state.stage {
            Stage::Over(_) => return false,
            Stage::Connected if tell => _ = self.0.session.send(packet::disconnect(self.namespace()).frames()),
            Stage::Connecting { leaving: Some(true), .. } => self.0.session.poke(true),
            Stage::Connected | Stage::Connecting { .. } => {}
        }
        state.stage = Stage::Over(reason);
        state.acks = HashMap::new();
        true
    }

    /// Why it is over, if it is.
    #[must_use]
    pub fn disconnected(&self) -> Option<DisconnectReason> {
        match self.state().stage {
            Stage::Over(reason) => Some(reason),
            Stage::Connecting { leaving: Some(_), .. } => Some(DisconnectReason::ServerDisconnect),
            Stage::Connecting { .. } | Stage::Connected => None,
        }
    }

    /// Answers CONNECT, then sends what the client missed, then what was emitted meanwhile; `false`
    /// if the socket is over.
    pub(crate) fn connected(&self) -> bool {
        let mut state = self.state();
        let Stage::Connecting { held, leaving, .. } = &mut state.stage else {
            return false;
        };
        let (held, leaving) = (std::mem::take(held), *leaving);
        let answer = packet::connect(self.namespace(), self.id(), self.pid());
        let farewell = leaving.map(|_| packet::disconnect(self.namespace()));
        let farewell = farewell.iter().flat_map(Encoded::frames);
        let frames: Vec<Frame> = answer.frames().iter().chain(&held).chain(farewell).cloned().collect();
        let sent = self.0.session.send_apart(&frames).is_ok();
        let Some(close) = leaving else {
            state.stage = Stage::Connected;
            return sent;
        };
        state.stage = Stage::Over(DisconnectReason::ServerDisconnect);
        state.acks = HashMap::new();
        if close {
            self.0.session.poke(true);
        }
        false
    }

    /// Joins a room of the namespace.
    pub fn join(&self, room: &str) {
        self.0.members.join(self, room);
    }

    /// Leaves a room.
    pub fn leave_room(&self, room: &str) {
        self.0.members.leave(self, room);
    }

    /// The rooms it is in, beside the one of its own id.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        self.0.members.rooms_of(self)
    }

    pub(crate) fn members(&self) -> &Arc<Members> {
        &self.0.members
    }
}

/// Whether so much may wait for the answer to CONNECT: a quarter of what may wait for the peer at all is
/// left to that answer and to the client's other namespaces.
pub(crate) fn may_be_held(config: &engine::Config, frames: usize, bytes: usize) -> bool {
    bytes <= config.max_outgoing_bytes / 4 * 3 && frames <= config.max_outgoing_packets / 4 * 3
}

/// Forgets an acknowledgement that nobody waits for any more.
struct ForgetAck<'a> {
    socket: &'a Socket,
    id: u64,
}

impl Drop for ForgetAck<'_> {
    fn drop(&mut self) {
        self.socket.state().acks.remove(&self.id);
    }
}
