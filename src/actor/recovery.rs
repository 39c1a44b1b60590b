//! Recovery: sockets that were cut off come back to where they stood, after a restart and on another node too.
//!
//! What lives here: the offset that a client holds, and the actor that writes sockets' states to the database, many at once. What must
//! not: how a session catches up (`session/recovery.rs`), or Socket.IO.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tracing::warn;

use super::persistence::Settle;
use crate::error::ChatError;
use crate::protocol::{ConversationId, Seq, SessionId};
use crate::store::{ALIVE_EVERY_MS, Store};
pub use crate::store::{SavedSocket, Saving, SocketState, TakenSocket};

/// Changes that may wait to be written; more make their sockets come back as new ones.
pub const MAILBOX: usize = 65_536;
/// Changes a transaction at most.
const BATCH_MAX: usize = 1_000;
/// How long is waited before what could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// The longest offset that is read, in bytes.
const OFFSET_MAX: usize = 16 * 1024;

/// Where a client stands: how far it was told, in the conversations where it was told anything since an epoch began.
///
/// Written `epoch.conversation-seq.conversation-seq…`, all numbers in decimal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offset {
    /// The number of the epoch.
    pub epoch: u32,
    /// The conversations and the last place told in each.
    pub moved: Vec<(ConversationId, Seq)>,
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.epoch)?;
        self.moved.iter().try_for_each(|(conversation, seq)| write!(f, ".{conversation}-{}", seq.0))
    }
}

impl FromStr for Offset {
    type Err = ChatError;

    fn from_str(text: &str) -> Result<Self, ChatError> {
        let wrong = || ChatError::invalid("this is no offset of this server");
        if text.len() > OFFSET_MAX {
            return Err(wrong());
        }
        // Whoever has heard nothing yet holds no offset.
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut parts = text.split('.');
        let epoch = parts.next().and_then(|epoch| epoch.parse().ok()).ok_or_else(wrong)?;
        let place = |part: &str| {
            let (conversation, seq) = part.split_once('-')?;
            let conversation = ConversationId::parse(conversation.parse().ok()?).ok()?;
            Some((conversation, Seq::parse(seq.parse().ok()?).ok()?))
        };
        let moved = parts.map(place).collect::<Option<_>>().ok_or_else(wrong)?;
        Ok(Self { epoch, moved })
    }
}

/// What a session needs to go on where another one stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// What was told by the client's own account.
    pub told: HashMap<ConversationId, Seq>,
    /// Where the epoch began that the client's offset is of, and its number.
    pub before: (u32, Vec<(ConversationId, Seq)>),
    /// Conversations that it had joined.
    pub joined: Vec<ConversationId>,
    /// What it had sent itself and was not told.
    pub own: Vec<(ConversationId, Seq)>,
    /// Whether `own` is all.
    pub whole: bool,
}

impl Resumed {
    /// Where a client stands by its offset; `None` where what was saved is of other epochs, so that it cannot be complete. What its user
    /// came into since is new to it.
    #[must_use]
    pub fn new(state: SocketState, offset: &Offset, came_in: &[ConversationId]) -> Option<Self> {
        let SocketState { epoch, base, before, joined, own, whole } = state;
        let base =
            if offset.epoch == epoch { base } else { before.filter(|_| offset.epoch.checked_add(1) == Some(epoch))? };
        let mut told: HashMap<_, _> = base.iter().copied().collect();
        for (conversation, seq) in &offset.moved {
            // What the offset says may be older than the place from which the conversation was joined again.
            let place = told.entry(*conversation).or_default();
            *place = (*place).max(*seq);
        }
        told.retain(|conversation, _| !came_in.contains(conversation));
        Some(Self { told, before: (offset.epoch, base), joined, own, whole })
    }
}

/// A change to write; `done` is told when the database holds it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Save {
    /// What changed.
    pub change: Saving,
    /// Who waits for it.
    pub done: Option<oneshot::Sender<()>>,
}

/// Writes sockets' states. While a transaction is under way the next changes gather, and of one socket only the last counts.
pub struct Keeper {
    store: Store,
    node: String,
    waiting: HashMap<String, Waiting>,
    writing: bool,
    settling: Vec<oneshot::Sender<()>>,
}

struct Waiting {
    change: Saving,
    done: Vec<oneshot::Sender<()>>,
}

impl Keeper {
    /// A keeper on the store, with a name of its own for this process.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let node = SessionId::random().to_string();
        Self { store, node, waiting: HashMap::new(), writing: false, settling: Vec::new() }
    }

    fn write(&mut self, ctx: &mut Context<Self>) {
        if self.writing {
            return;
        }
        if self.waiting.is_empty() {
            for settled in self.settling.drain(..) {
                // Whoever asked may have stopped waiting.
                let _ = settled.send(());
            }
            return;
        }
        self.writing = true;
        let pids: Vec<String> = self.waiting.keys().take(BATCH_MAX).cloned().collect();
        let batch: Vec<(String, Waiting)> = pids.iter().filter_map(|pid| self.waiting.remove_entry(pid)).collect();
        let changes: Vec<Saving> = batch.iter().map(|(_, waiting)| waiting.change.clone()).collect();
        let (store, node) = (self.store.clone(), self.node.clone());
        let writing = async move { store.save_sockets(&node, &changes).await };
        ctx.spawn(writing.into_actor(self).map(move |written, keeper, ctx| {
            keeper.writing = false;
            if written.is_err() {
                batch.into_iter().for_each(|(pid, waiting)| keeper.put_back(pid, waiting));
                ctx.run_later(RETRY, Self::write);
                return;
            }
            for done in batch.into_iter().flat_map(|(_, waiting)| waiting.done) {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
            keeper.write(ctx);
        }));
    }

    /// What could not be written waits again, under what came after it.
    fn put_back(&mut self, pid: String, mut failed: Waiting) {
        if let Some(later) = self.waiting.remove(&pid) {
            failed.follow(later.change);
            failed.done.extend(later.done);
        }
        self.waiting.insert(pid, failed);
    }
}

impl Waiting {
    /// A later change of the same socket.
    fn follow(&mut self, later: Saving) {
        let unwritten = matches!(self.change, Saving::Stands { fresh: true, .. });
        self.change = later;
        if let Saving::Stands { fresh, .. } = &mut self.change {
            *fresh |= unwritten;
        }
    }
}

/// The private id of a socket that changes.
fn pid(change: &Saving) -> &str {
    match change {
        Saving::Stands { socket, .. } => &socket.pid,
        Saving::Ended(pid, _) => pid,
    }
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let every = Duration::from_millis(u64::try_from(ALIVE_EVERY_MS).unwrap_or(u64::MAX));
        let say = |keeper: &mut Self, ctx: &mut Context<Self>| {
            let (store, node) = (keeper.store.clone(), keeper.node.clone());
            let saying = async move {
                if let Err(error) = store.alive(&node).await {
                    warn!(code = error.code(), "the database does not know that this process is alive");
                }
            };
            ctx.spawn(saying.into_actor(keeper));
        };
        say(self, ctx);
        ctx.run_interval(every, say);
    }
}

impl Handler<Save> for Keeper {
    type Result = ();

    fn handle(&mut self, Save { change, done }: Save, ctx: &mut Self::Context) {
        let fresh = Waiting { change, done: done.into_iter().collect() };
        let name = pid(&fresh.change).to_owned();
        match self.waiting.get_mut(&name) {
            Some(waiting) => {
                waiting.follow(fresh.change);
                waiting.done.extend(fresh.done);
            }
            None => drop(self.waiting.insert(name, fresh)),
        }
        self.write(ctx);
    }
}

impl Handler<Settle> for Keeper {
    type Result = ();

    fn handle(&mut self, Settle(settled): Settle, ctx: &mut Self::Context) {
        self.settling.push(settled);
        self.write(ctx);
    }
}
