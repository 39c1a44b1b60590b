//! Receipts: how far each user's devices have received, where their vocabulary has no acknowledgement of its own.
//!
//! What lives here: the marks that sessions note as frames are flushed, at once for every session of this node to see, and the
//! actor that writes them in the background. What must not: what a flush is (sessions know), or cursors of those who acknowledge.
//!
//! A mark is written within a second or so, not at once: a message heard by a thousand is not a thousand writes. Across a crash
//! what was not written is told again, never less.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use dashmap::DashMap;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::directory::Directory;
use super::persistence::Settle;
use super::{Ask, By};
use crate::protocol::command::{Mark, Received};
use crate::protocol::{Caller, ConversationId, ConversationRef, Person, Seq, UserId};

/// How often marks are written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Marks that are written at a time; the rest waits for the next turn.
const WRITE_MAX: usize = 4_096;
/// How long a mark is kept once it is written: whoever reads the database meanwhile may still see the one before.
const KEEP: Duration = Duration::from_secs(10);
/// How long a room may take to have a mark written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(9);

/// What sessions have noted and the database may not hold yet.
#[derive(Debug, Default)]
pub struct Receipts {
    users: DashMap<UserId, HashMap<ConversationId, Noted>>,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    seq: Seq,
    /// When the database was known to hold it; `None` while it may not.
    written: Option<Instant>,
}

impl Receipts {
    /// A user's device has received all up to a place.
    pub fn note(&self, user: &UserId, conversation: ConversationId, seq: Seq) {
        let fresh = Noted { seq, written: None };
        match self.users.get_mut(user) {
            Some(mut marks) => {
                let noted = marks.entry(conversation).or_insert(fresh);
                if noted.seq < seq {
                    *noted = fresh;
                }
            }
            None => drop(self.users.entry(user.clone()).or_default().insert(conversation, fresh)),
        }
    }

    /// How far a user's devices have received, as far as the database may not know it; 0 where it does.
    #[must_use]
    pub fn noted(&self, user: &UserId, conversation: ConversationId) -> Seq {
        let marks = self.users.get(user);
        marks.and_then(|marks| marks.get(&conversation).map(|noted| noted.seq)).unwrap_or_default()
    }

    /// What is to be written, at most `max`; forgets what was written long enough ago.
    fn due(&self, max: usize) -> Vec<(UserId, ConversationId, Seq)> {
        let mut due = Vec::new();
        self.users.retain(|user, marks| {
            marks.retain(|conversation, noted| match noted.written {
                Some(at) => at.elapsed() < KEEP,
                None => {
                    if due.len() < max {
                        due.push((user.clone(), *conversation, noted.seq));
                    }
                    true
                }
            });
            !marks.is_empty()
        });
        due
    }

    fn written(&self, user: &UserId, conversation: ConversationId, seq: Seq) {
        if let Some(mut marks) = self.users.get_mut(user)
            && let Some(noted) = marks.get_mut(&conversation)
            && noted.seq <= seq
        {
            noted.written = Some(Instant::now());
        }
    }
}

/// Writes the marks, through their rooms, so that whoever listens there learns of them.
pub struct Recorder {
    receipts: Arc<Receipts>,
    directory: Arc<Directory>,
    writing: bool,
    settling: Vec<oneshot::Sender<()>>,
}

impl Recorder {
    /// A recorder of these marks.
    #[must_use]
    pub fn new(receipts: Arc<Receipts>, directory: Arc<Directory>) -> Self {
        Self { receipts, directory, writing: false, settling: Vec::new() }
    }

    fn write(&mut self, ctx: &mut Context<Self>) {
        if self.writing {
            return;
        }
        let due = self.receipts.due(WRITE_MAX);
        if due.is_empty() {
            for settled in self.settling.drain(..) {
                // Whoever asked may have stopped waiting.
                let _ = settled.send(());
            }
            return;
        }
        self.writing = true;
        let receipts = Arc::clone(&self.receipts);
        let asked: FuturesUnordered<_> = due.into_iter().map(|mark| self.ask(mark)).collect();
        let writing = asked.for_each(move |(user, conversation, seq, done)| {
            if done {
                receipts.written(&user, conversation, seq);
            }
            std::future::ready(())
        });
        ctx.spawn(writing.into_actor(self).map(|(), recorder, ctx| {
            recorder.writing = false;
            if !recorder.settling.is_empty() {
                recorder.write(ctx);
            }
        }));
    }

    /// Asks a room for one mark. Whether it needs no more asking: where the user was removed meanwhile it needs none either.
    fn ask(
        &self,
        (user, conversation, seq): (UserId, ConversationId, Seq),
    ) -> impl Future<Output = (UserId, ConversationId, Seq, bool)> + use<> {
        let (reply, answer) = oneshot::channel();
        let person = Person { id: user.clone(), name: user.as_str().into(), role: "".into() };
        let command = Received(Mark { conversation: ConversationRef::Id(conversation), seq: Some(seq) });
        let by = By { caller: Caller { person, address: None }, session: None, command };
        let asked = self.directory.tell(conversation, Ask { by, reply });
        async move {
            let answered = match asked {
                Ok(()) => tokio::time::timeout(WRITTEN_WITHIN, answer).await.ok().and_then(Result::ok),
                Err(error) => Some(Err(error)),
            };
            let done = match answered {
                Some(Ok(_)) => true,
                Some(Err(error)) => error.retry_after().is_none(),
                None => false,
            };
            (user, conversation, seq, done)
        }
    }
}

impl Actor for Recorder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(WRITE_EVERY, Self::write);
    }
}

impl Handler<Settle> for Recorder {
    type Result = ();

    fn handle(&mut self, Settle(settled): Settle, ctx: &mut Self::Context) {
        self.settling.push(settled);
        self.write(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_seen_at_once_written_once_and_never_falls() {
        let receipts = Receipts::default();
        let (alice, room) = (UserId::stored("alice"), ConversationId(1));
        receipts.note(&alice, room, Seq(5));
        receipts.note(&alice, room, Seq(3));
        assert_eq!(receipts.noted(&alice, room), Seq(5));
        assert_eq!(receipts.due(10), [(alice.clone(), room, Seq(5))]);
        receipts.note(&alice, room, Seq(6));
        receipts.written(&alice, room, Seq(5));
        assert_eq!(receipts.due(10), [(alice.clone(), room, Seq(6))], "it went on while it was written");
        receipts.written(&alice, room, Seq(6));
        assert_eq!(receipts.due(10), []);
        assert_eq!(receipts.noted(&alice, room), Seq(6), "whoever reads the database meanwhile may see the one before");
    }
}
