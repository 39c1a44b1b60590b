//! One client: Socket.IO over one session. Puts packets together, connects the client to namespaces,
//! and gives each socket what it is to hear. Lives in the session's actor.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use crate::connect::{Accepted, Refusal, Undecided};
use crate::engine::packet::Message;
use crate::engine::{CloseReason, RequestHead, Service, Session, Work};
use crate::event::{Ack, DisconnectReason, Event, Sink};
use crate::packet::{self, Packet};
use crate::server::Shared;
use crate::socket::Socket;

/// What a client's own futures come back with.
pub enum Outcome {
    /// An event was taken.
    Taken,
    /// The time to connect to a namespace is over.
    ConnectTimeout,
    /// The time for the attachments of the binary packet of this number is over.
    AttachmentTimeout(u64),
    /// A connect handler has decided.
    Decided(ByteString, Option<Decision>),
}

/// What a connect handler has decided. Unless someone is there to take it, the socket is ended: what the
/// handler has started must hear of that.
pub struct Decision {
    shared: Arc<Shared>,
    socket: Socket,
    result: Option<Result<Accepted, Refusal>>,
}

impl Decision {
    pub(crate) fn new(shared: Arc<Shared>, socket: Socket, result: Result<Accepted, Refusal>) -> Self {
        Self { shared, socket, result: Some(result) }
    }

    fn take(mut self) -> Option<(Socket, Result<Accepted, Refusal>)> {
        let result = self.result.take()?;
        Some((self.socket.clone(), result))
    }
}

impl Drop for Decision {
    fn drop(&mut self) {
        let Some(result) = self.result.take() else {
            return;
        };
        let reason = DisconnectReason::Connection(CloseReason::TransportClose);
        self.socket.leave(reason, false);
        let rooms = self.socket.members().remove(&self.socket);
        if self.socket.is_recovered() {
            // Its client was not told that it has recovered: it may try again.
            self.shared.keep(&self.socket, rooms, true);
        }
        if let Ok(mut accepted) = result {
            accepted.sink.disconnected(reason);
        }
    }
}

/// A binary packet of which attachments are still to come.
struct Partial {
    packet: Packet,
    expected: usize,
    attachments: Vec<Bytes>,
    bytes: usize,
    /// Which binary packet of this client's it is.
    number: u64,
}

enum Entry {
    Connecting,
    Connected { socket: Socket, sink: Box<dyn Sink> },
}

/// See the module's documentation.
pub struct Client {
    shared: Arc<Shared>,
    session: Arc<Session>,
    namespaces: Vec<(ByteString, Entry)>,
    partial: Option<Box<Partial>>,
    /// Binary packets that have begun.
    partials: u64,
    /// Whether a timer looks after them: one at a time, however many packets come.
    watched: bool,
    /// Whether it was ever in a namespace.
    joined: bool,
}

impl Client {
    pub(crate) fn new(shared: Arc<Shared>, session: Arc<Session>) -> Self {
        Self { shared, session, namespaces: Vec::new(), partial: None, partials: 0, watched: false, joined: false }
    }

    fn entry(&mut self, namespace: &str) -> Option<&mut Entry> {
        self.namespaces.iter_mut().find(|(name, _)| name == namespace).map(|(_, entry)| entry)
    }

    fn text(&mut self, text: &ByteString, request: &Arc<RequestHead>, work: &mut Work<Outcome>) {
        if self.partial.is_some() {
            return work.close(CloseReason::ForcedClose);
        }
        match packet::decode(text) {
            Ok(packet @ (Packet::Event { attachments: 1.., .. } | Packet::Ack { attachments: 1.., .. })) => {
                let (namespace, expected) = match &packet {
                    Packet::Event { namespace, attachments, .. } | Packet::Ack { namespace, attachments, .. } => {
                        (namespace.clone(), *attachments)
                    }
                    _ => return,
                };
                // Nothing is held for whoever is not in there.
                if !matches!(self.entry(&namespace), Some(Entry::Connected { .. })) {
                    return work.close(CloseReason::ForcedServerClose);
                }
                self.partials += 1;
                let number = self.partials;
                let partial = Partial { packet, expected, attachments: Vec::new(), bytes: 0, number };
                self.partial = Some(Box::new(partial));
                if !std::mem::replace(&mut self.watched, true) {
                    self.watch(work);
                }
            }
            Ok(packet) => self.packet(packet, Vec::new(), request, work),
            Err(packet::InvalidPacket) => work.close(CloseReason::ForcedClose),
        }
    }

    /// Comes back later to see whether the packet that waits for attachments now still does.
    fn watch(&mut self, work: &mut Work<Outcome>) {
        let number = self.partials;
        let timeout = tokio::time::sleep(self.shared.config.attachment_timeout);
        work.beside(timeout.map(move |()| Outcome::AttachmentTimeout(number)).boxed_local());
    }

    fn binary(&mut self, bytes: Bytes, request: &Arc<RequestHead>, work: &mut Work<Outcome>) {
        let Some(partial) = &mut self.partial else {
            return work.close(CloseReason::ForcedClose);
        };
        partial.bytes += bytes.len();
        if partial.bytes > self.shared.config.max_attachment_bytes {
            self.partial = None;
            return work.close(CloseReason::ForcedClose);
        }
        partial.attachments.push(bytes);
        if partial.attachments.len() == partial.expected
            && let Some(partial) = self.partial.take()
        {
            self.packet(partial.packet, partial.attachments, request, work);
        }
    }

    fn packet(
        &mut self,
        packet: Packet,
        attachments: Vec<Bytes>,
        request: &Arc<RequestHead>,
        work: &mut Work<Outcome>,
    ) {
        match packet {
            Packet::Connect { namespace, auth } => self.connect(namespace, auth, request, work),
            Packet::Disconnect { namespace } => self.leave(&namespace, work),
            Packet::Event { namespace, id, name, args, .. } => match self.entry(&namespace) {
                Some(Entry::Connected { socket, sink }) => {
                    let Some(name) = name else { return };
                    let ack = id.map(|id| Ack::new(socket.clone(), id));
                    let event = Event { name, args: args.with_attachments(attachments), ack };
                    if let Some(taken) = sink.event(event) {
                        work.before_next(taken.map(|()| Outcome::Taken).boxed_local());
                    }
                }
                _ => work.close(CloseReason::ForcedServerClose),
            },
            Packet::Ack { namespace, id, args, .. } => match self.entry(&namespace) {
                Some(Entry::Connected { socket, .. }) => {
                    if let Some(id) = id {
                        socket.acknowledged(id, args.with_attachments(attachments));
                    }
                }
                _ => work.close(CloseReason::ForcedServerClose),
            },
            Packet::ConnectError => work.close(CloseReason::ForcedServerClose),
        }
    }

    fn connect(
        &mut self,
        namespace: ByteString,
        auth: Option<ByteString>,
        request: &Arc<RequestHead>,
        work: &mut Work<Outcome>,
    ) {
        // Kept for as long as the socket lives; the packet's own bytes may be a slice of far more.
        let (namespace, auth) = (ByteString::from(&*namespace), auth.map(|auth| ByteString::from(&*auth)));
        let too_many = self.namespaces.len() >= self.shared.config.max_namespaces;
        if too_many || self.entry(&namespace).is_some() {
            return work.close(CloseReason::ForcedServerClose);
        }
        let Some(target) = self.shared.find(&namespace) else {
            let refused = packet::connect_error(&namespace, "Invalid namespace", None);
            _ = self.session.send(refused.frames());
            return;
        };
        // Most clients are in one.
        self.namespaces.reserve_exact(1);
        self.namespaces.push((namespace.clone(), Entry::Connecting));
        let connecting = Undecided::new(target, auth, Arc::clone(&self.session), Arc::clone(request));
        let (sender, decided) = oneshot::channel();
        // The handler runs to its end even if the client goes meanwhile.
        let shared = Arc::clone(&self.shared);
        actix::spawn(async move { drop(sender.send(connecting.decide(shared).await)) });
        work.beside(decided.map(|decision| Outcome::Decided(namespace, decision.ok())).boxed_local());
    }

    fn decided(&mut self, namespace: &ByteString, decision: Option<Decision>) {
        let Some(place) = self.namespaces.iter().position(|(name, _)| name == namespace) else {
            return;
        };
        let Some((socket, result)) = decision.and_then(Decision::take) else {
            // The handler panicked.
            self.namespaces.swap_remove(place);
            _ = self.session.send(packet::connect_error(namespace, "Internal error", None).frames());
            return;
        };
        match result {
            Ok(Accepted { sink }) => {
                if let Some((store, saved)) = self.shared.saved(&socket, socket.rooms()) {
                    store.opened(&saved);
                }
                if let Some((_, entry)) = self.namespaces.get_mut(place) {
                    *entry = Entry::Connected { socket: socket.clone(), sink };
                }
                self.joined = true;
                self.session.trust();
                if socket.connected()
                    && let Some((_, Entry::Connected { sink, .. })) = self.namespaces.get_mut(place)
                {
                    sink.connected();
                }
                // One that was over before is let go.
                self.sweep();
            }
            Err(refusal) => {
                self.namespaces.swap_remove(place);
                socket.leave(DisconnectReason::ServerDisconnect, false);
                socket.members().remove(&socket);
                let refused = packet::connect_error(namespace, &refusal.message, refusal.data.as_ref());
                _ = self.session.send(refused.frames());
            }
        }
    }

    fn leave(&mut self, namespace: &str, work: &mut Work<Outcome>) {
        match self.entry(namespace) {
            Some(Entry::Connected { socket, .. }) => {
                socket.leave(DisconnectReason::ClientDisconnect, false);
                self.sweep();
            }
            _ => work.close(CloseReason::ForcedServerClose),
        }
    }

    /// Lets go of the sockets that are over.
    fn sweep(&mut self) {
        let mut place = 0;
        while let Some((_, entry)) = self.namespaces.get(place) {
            let over = match entry {
                Entry::Connected { socket, .. } => socket.disconnected(),
                Entry::Connecting => None,
            };
            match over {
                Some(reason) => {
                    let (_, entry) = self.namespaces.swap_remove(place);
                    self.drop_entry(entry, reason);
                }
                None => place += 1,
            }
        }
    }

    fn drop_entry(&self, entry: Entry, reason: DisconnectReason) {
        if let Entry::Connected { socket, mut sink } = entry {
            let rooms = socket.members().remove(&socket);
            self.shared.keep(&socket, rooms, reason.is_recoverable());
            sink.disconnected(reason);
        }
    }
}

impl Service for Client {
    type Outcome = Outcome;

    fn opened(&mut self, work: &mut Work<Outcome>) {
        let timeout = tokio::time::sleep(self.shared.config.connect_timeout);
        work.beside(timeout.map(|()| Outcome::ConnectTimeout).boxed_local());
    }

    fn message(&mut self, message: Message, request: &Arc<RequestHead>, work: &mut Work<Outcome>) {
        match message {
            Message::Text(text) => self.text(&text, request, work),
            Message::Binary(bytes) => self.binary(bytes, request, work),
        }
    }

    fn outcome(&mut self, outcome: Outcome, work: &mut Work<Outcome>) {
        match outcome {
            Outcome::Taken => {}
            Outcome::ConnectTimeout if self.joined => {}
            Outcome::ConnectTimeout => work.close(CloseReason::ForcedServerClose),
            Outcome::AttachmentTimeout(number) => match &self.partial {
                Some(partial) if partial.number <= number => work.close(CloseReason::ForcedServerClose),
                Some(_) => self.watch(work),
                None => self.watched = false,
            },
            Outcome::Decided(namespace, decision) => self.decided(&namespace, decision),
        }
    }

    fn poked(&mut self, close: bool, work: &mut Work<Outcome>) {
        if close {
            for (_, entry) in &self.namespaces {
                if let Entry::Connected { socket, .. } = entry {
                    socket.leave(DisconnectReason::ServerDisconnect, true);
                }
            }
            work.close(CloseReason::ForcedServerClose);
        }
        self.sweep();
    }

    fn closed(&mut self, reason: CloseReason) {
        let reason = DisconnectReason::Connection(reason);
        for (_, entry) in std::mem::take(&mut self.namespaces) {
            let reason = match &entry {
                Entry::Connected { socket, .. } => {
                    socket.leave(reason, false);
                    socket.disconnected().unwrap_or(reason)
                }
                Entry::Connecting => reason,
            };
            self.drop_entry(entry, reason);
        }
        self.partial = None;
    }
}
