//! The threads that carry connections, and the rooms beside them: a message passes from a session to its room, and from there to the
//! sessions of the same thread, without waking another.
//!
//! What lives here: which thread a room wakes on, and its courier; running something on a thread. What must not: starting threads.

use std::sync::{PoisonError, RwLock};

use actix::{Actor, Addr, Arbiter, ArbiterHandle, Recipient};
use tokio::sync::oneshot;

use crate::actor::courier::Courier;
use crate::actor::persistence::{Job, Writer};
use crate::protocol::ConversationId;

/// Runs a future on a thread: what it opens belongs to that thread's loop, and wakes no other when something comes. `None` where the
/// thread has ended.
pub(super) async fn run_on<F>(arbiter: &Arbiter, future: F) -> Option<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (done, output) = oneshot::channel();
    arbiter.spawn(async move {
        // Whoever waits may have given up.
        let _ = done.send(future.await);
    });
    output.await.ok()
}

/// The threads of the HTTP server's workers, as they come.
pub(super) struct Threads {
    writer: Addr<Writer>,
    all: RwLock<Vec<Thread>>,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Thread {
    /// Where rooms are spawned.
    pub(super) arbiter: ArbiterHandle,
    /// Who takes what they have to write.
    pub(super) courier: Recipient<Job>,
}

impl Threads {
    /// No thread yet; what rooms have to write goes to this writer.
    pub(super) fn new(writer: Addr<Writer>) -> Self {
        Self { writer, all: RwLock::default() }
    }

    /// A worker begins on this thread; it may stand in for one that ended.
    pub(super) fn join(&self) {
        let Some(arbiter) = Arbiter::try_current() else { return };
        let courier = Courier::new(self.writer.clone()).start().recipient();
        // Nothing panics while it is held.
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|thread| thread.arbiter.alive());
        all.push(Thread { arbiter, courier });
    }

    /// The thread for a conversation's room; `None` while there is none.
    pub(super) fn of(&self, conversation: ConversationId) -> Option<Thread> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(conversation.0).unwrap_or(0).checked_rem(all.len())?;
        all.get(place).cloned()
    }
}
