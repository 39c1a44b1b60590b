//! Reads that many ask for at once, made together: while one is under way the next askers gather, and one statement answers them all.
//!
//! What lives here: gathering. What must not: SQL, or what is asked for.
//!
//! There is no timer: whoever asks alone is read for at once.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Store;
use crate::error::ChatError;

/// Askers that one statement answers at most.
const BATCH_MAX: usize = 200;
/// Askers that may wait; more are refused as `unavailable`.
const WAITING_MAX: usize = 65_536;
/// Statements under way at most, so that one slow answer does not hold up everyone.
const UNDER_WAY_MAX: usize = 2;

/// What can be read for many at once.
pub(super) trait Gathered: Sized + Debug + Send + Sync + 'static {
    /// What each asker gets.
    type Answer: Debug + Send + 'static;

    /// Where askers of this gather.
    fn gathering(store: &Store) -> &Arc<Gathering<Self>>;

    /// Reads for all, in their order.
    fn read(store: &Store, asked: &[Self]) -> impl Future<Output = Result<Vec<Self::Answer>, ChatError>> + Send;
}

/// Askers who wait for the next statement.
#[derive(Debug)]
pub(super) struct Gathering<Q: Gathered>(Mutex<State<Q>>);

#[derive(Debug)]
struct State<Q: Gathered> {
    waiting: Vec<Asker<Q>>,
    under_way: usize,
}

type Asker<Q> = (Q, oneshot::Sender<Result<<Q as Gathered>::Answer, ChatError>>);

impl<Q: Gathered> Default for Gathering<Q> {
    fn default() -> Self {
        Self(Mutex::new(State { waiting: Vec::new(), under_way: 0 }))
    }
}

impl<Q: Gathered> Gathering<Q> {
    fn state(&self) -> MutexGuard<'_, State<Q>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement's turn: given back however it ends.
struct Turn<Q: Gathered> {
    gathering: Arc<Gathering<Q>>,
    over: bool,
}

impl<Q: Gathered> Turn<Q> {
    /// Takes the next askers. Where there are none the turn is over, at once: whoever asks now finds it free.
    fn next(&mut self) -> Option<Vec<Asker<Q>>> {
        let mut state = self.gathering.state();
        if state.waiting.is_empty() {
            state.under_way -= 1;
            self.over = true;
            return None;
        }
        let taken = state.waiting.len().min(BATCH_MAX);
        let rest = state.waiting.split_off(taken);
        Some(std::mem::replace(&mut state.waiting, rest))
    }
}

impl<Q: Gathered> Drop for Turn<Q> {
    fn drop(&mut self) {
        if !self.over {
            // The thread ends in the middle of it: whoever waits is told so.
            let mut state = self.gathering.state();
            state.under_way -= 1;
            state.waiting.clear();
        }
    }
}

impl Store {
    /// Asks, together with whoever else does meanwhile. What is read is never older than the question.
    ///
    /// # Errors
    /// `unavailable`.
    pub(super) async fn gather<Q: Gathered>(&self, question: Q) -> Result<Q::Answer, ChatError> {
        let (sender, answer) = oneshot::channel();
        let turn = {
            let gathering = Q::gathering(self);
            let mut state = gathering.state();
            if state.waiting.len() >= WAITING_MAX {
                return Err(ChatError::unavailable());
            }
            state.waiting.push((question, sender));
            let free = state.under_way < UNDER_WAY_MAX;
            state.under_way += usize::from(free);
            free.then(|| Turn { gathering: Arc::clone(gathering), over: false })
        };
        if let Some(mut turn) = turn {
            let store = self.clone();
            // In a task of its own: whoever asked first may go before the others have their answers.
            tokio::spawn(async move {
                while let Some(askers) = turn.next() {
                    store.answer(askers).await;
                }
            });
        }
        answer.await.unwrap_or_else(|_| Err(ChatError::unavailable()))
    }

    async fn answer<Q: Gathered>(&self, askers: Vec<Asker<Q>>) {
        let (questions, senders): (Vec<Q>, Vec<_>) = askers.into_iter().unzip();
        let answers = match Q::read(self, &questions).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            // What the database refuses of one must not be refused to its neighbours.
            Err(ChatError::Internal) if questions.len() > 1 => {
                let mut answers = Vec::with_capacity(questions.len());
                for question in questions.chunks(1) {
                    let alone = Q::read(self, question).await;
                    answers.push(alone.and_then(|one| one.into_iter().next().ok_or(ChatError::Internal)));
                }
                answers
            }
            Err(error) => questions.iter().map(|_| Err(error.clone())).collect::<Vec<_>>(),
        };
        for (sender, answer) in senders.into_iter().zip(answers) {
            // Whoever asked may have stopped waiting.
            let _ = sender.send(answer);
        }
    }
}
