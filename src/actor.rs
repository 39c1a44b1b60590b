//! The actors: sessions, rooms, presence, persistence, and the directory by which they find each other.
//!
//! What lives here: the typed messages that pass between actors of different files. What must not: JSON, HTTP, SQL,
//! or any vocabulary by name.

pub mod courier;
pub mod directory;
pub mod meters;
pub mod outbox;
pub mod outlet;
pub mod persistence;
pub mod presence;
pub mod receipts;
pub mod recovery;
pub mod room;
pub mod session;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use crate::error::ChatError;
use crate::protocol::reply::UnreadIn;
use crate::protocol::{Caller, ConversationId, Person, Reply, SessionId, UserId};
use crate::vocabulary::Fanout;

/// A command together with who gave it, and from which session, where one did (REST has none).
#[derive(Clone, Debug)]
pub struct By<C> {
    /// Who gave it.
    pub caller: Caller,
    /// Where events go and which session does not hear its own.
    pub session: Option<Arc<Listener>>,
    /// What they ask.
    pub command: C,
}

/// What a command comes to.
pub type Outcome = Result<Reply, ChatError>;

/// Where an [`Outcome`] is awaited. Dropped unanswered, it reads as `unavailable`: the outcome is not known.
pub type ReplyTo = oneshot::Sender<Outcome>;

/// A session as rooms and presence hold it, shared by all of them: where to deliver, and how to cut it off. A test can stand in as one.
#[derive(Debug)]
pub struct Listener {
    /// Its name.
    pub session: SessionId,
    /// Where events go; bounded, so always by `try_send`.
    pub deliver: Recipient<Deliver>,
    /// Orders that the session must carry out before anyone is told that it did.
    pub control: Recipient<Control>,
    /// Set by whoever found its mailbox full: it has missed something and must close, so that the client comes back to its cursor.
    pub overrun: AtomicBool,
    /// The client says that its user is not there, though the socket is open.
    pub away: AtomicBool,
}

/// Events of one conversation, in order, for one session.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Deliver {
    /// What happened; shared by all who hear it.
    pub events: Arc<[Fanout]>,
    /// Whether this session has joined the conversation.
    pub joined: bool,
    /// The listener's own unread count after these events; `None` for events that belong to no conversation.
    pub unread: Option<UnreadIn>,
}

/// An order to a session. It is answered when it has been carried out.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum Control {
    /// Hear nothing more of a conversation: its user was removed.
    Leave(ConversationId),
    /// The session's user has another name or role now.
    Renamed(Person),
    /// Close, for this reason.
    Close(ChatError),
    /// Note what was flushed by now: another session of the user's is about to tell what none of them has received.
    Collect,
    /// The client of this user goes on with another connection: write where this one stands, and end. Nothing, where it is another's.
    GiveWay(UserId),
    /// The server goes down: finish what is under way, say so and close; come back after so many milliseconds.
    Drain {
        /// What to ask the client to wait.
        retry_after_ms: u64,
    },
}

/// Somebody's name or role changed; rooms show the new one from now on.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct PersonChanged(pub Person);

/// A command on its way to its room, and where the answer is awaited.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ask<C> {
    /// Who asks what.
    pub by: By<C>,
    /// Where the answer goes.
    pub reply: ReplyTo,
}

impl<C> Ask<C> {
    /// The same question about something else.
    pub fn map<D>(self, change: impl FnOnce(C) -> D) -> Ask<D> {
        let By { caller, session, command } = self.by;
        Ask { by: By { caller, session, command: change(command) }, reply: self.reply }
    }
}

/// A session that had joined is closed; nobody waits for an answer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Departed(pub SessionId);

/// Tells a room that its participants changed in the database.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Reseat {
    /// Who was taken out, where somebody was.
    pub removed: Option<UserId>,
    /// Answered when the room goes by the new list.
    pub done: oneshot::Sender<Result<(), ChatError>>,
}
