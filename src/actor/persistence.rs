//! Persistence: the actors that write to and read from the database for the others.
//!
//! What lives here: the group-committing [`Writer`], and the [`Reader`] that loads rooms and serves presence.
//! What must not: SQL (the store has it), or who hears of what was written (rooms decide).
//!
//! A conversation always goes to the same writer, so its order is the order of arrival. While a transaction is under way the
//! next batch gathers; there is no timer. A light load pays no delay, a heavy one commits hundreds at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use metrics::counter;
use tokio::sync::oneshot;

use super::meters::meters;
use super::room::MAKE_UP_PAGE;
use crate::defects::{Defect, strikes};
use crate::error::ChatError;
use crate::protocol::ids::SAFE_INTEGER_MAX;
use crate::protocol::{ConversationId, Message as ChatMessage, Seq, Timestamp, UserId};
pub use crate::store::{Append, Appended, Cursor, CursorMove, RoomRow, Seat};
use crate::store::{Store, Writer as Connection};

/// Rows a transaction at most.
pub const BATCH_MAX: usize = 500;
/// Jobs that may wait for the transaction under way; more are refused as `unavailable`.
pub const QUEUE_MAX: usize = 16_384;
/// Deliveries of couriers that may wait for the writer to look.
const MAILBOX: usize = 64;
/// Bytes of message text that may wait for the transaction under way.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A room's name for a job under way.
pub type Ticket = u64;

/// Something to write, and the room that waits for it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Job {
    /// The room's name for it.
    pub ticket: Ticket,
    /// Whom to tell.
    pub room: Arc<Recipient<Committed>>,
    /// What to write.
    pub work: Work,
}

/// What a thread's rooms have to write, and its courier, who brings back what came of it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Jobs {
    /// In the order in which they are to be written.
    pub jobs: Vec<Job>,
    /// Who brings the outcomes back.
    pub from: Arc<Recipient<Outcomes>>,
}

/// What came of one transaction for the rooms of one thread.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Outcomes(pub Vec<(Arc<Recipient<Committed>>, Committed)>);

/// What can be written for a room.
#[derive(Clone, Debug)]
pub enum Work {
    /// A message.
    Append(Append),
    /// A participant's cursors.
    Move(CursorMove),
}

/// What came of a room's jobs in one transaction, committed when this is told. Messages are in the order of their `seq`.
#[derive(Debug, Default, Message)]
#[rtype(result = "()")]
pub struct Committed {
    /// Messages.
    pub appended: Vec<(Ticket, Result<Appended, ChatError>)>,
    /// Cursors, as they stand after those messages.
    pub moved: Vec<(Ticket, Result<Cursor, ChatError>)>,
}

/// Asks to be told when nothing is under way, nothing waits, and the connection is closed: the server ends.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Settle(pub oneshot::Sender<()>);

/// Begins a transaction with all that has gathered.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

/// A job that waits, and who brings its outcome back.
type Queued = (Job, Arc<Recipient<Outcomes>>);

/// The group-committing writer: one connection, one transaction at a time.
pub struct Writer {
    /// Taken while a transaction is under way.
    connection: Option<Connection>,
    queue: Vec<Queued>,
    queued_bytes: usize,
    flush_is_due: bool,
    settling: Vec<oneshot::Sender<()>>,
}

impl Writer {
    /// A writer on a connection of its own.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self {
            connection: Some(connection),
            queue: Vec::new(),
            queued_bytes: 0,
            flush_is_due: false,
            settling: Vec::new(),
        }
    }

    fn settle(&mut self, ctx: &mut Context<Self>) {
        if self.settling.is_empty() || !self.queue.is_empty() {
            return;
        }
        let Some(connection) = self.connection.take() else { return };
        // SQLite brings what is in its log into the file when the last connection closes: then the file is the whole database.
        ctx.spawn(connection.close().into_actor(self).map(|(), writer, _| {
            for settled in writer.settling.drain(..) {
                // Whoever asked may have stopped waiting.
                let _ = settled.send(());
            }
        }));
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.queue.is_empty() {
            return;
        }
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let rest = self.queue.split_off(self.queue.len().min(BATCH_MAX));
        let mut batch = Batch::of(std::mem::replace(&mut self.queue, rest));
        batch.spoil();
        self.queued_bytes = self.queued_bytes.saturating_sub(batch.bytes);
        meters().writer_queue_depth.set(count(self.queue.len()));
        let writing = async move {
            let began = Instant::now();
            let (appended, moved) = connection.write(&batch.appends, &batch.moves).await;
            let appended = appended.into_iter().map(misreport).collect();
            meters().commit_seconds.record(began.elapsed().as_secs_f64());
            meters().commit_batch_size.record(count(batch.tickets()));
            (connection, batch, appended, moved)
        };
        ctx.spawn(writing.into_actor(self).map(|(connection, batch, appended, moved), writer, ctx| {
            writer.connection = Some(connection);
            // The next transaction begins before this one's outcome is told: the database is what is scarce.
            writer.flush(ctx);
            batch.tell(appended, moved);
            writer.settle(ctx);
        }));
    }
}

impl Actor for Writer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Jobs> for Writer {
    type Result = ();

    fn handle(&mut self, Jobs { jobs, from }: Jobs, ctx: &mut Self::Context) {
        let mut refused = Vec::new();
        for job in jobs {
            let bytes = job.work.bytes();
            if self.queue.len() >= QUEUE_MAX || self.queued_bytes + bytes > QUEUE_BYTES_MAX {
                refused.push(job);
            } else {
                self.queued_bytes += bytes;
                self.queue.push((job, Arc::clone(&from)));
            }
        }
        refuse(refused);
        if self.connection.is_some() && !self.flush_is_due {
            // Behind whatever else is in the mailbox already, so that it all goes into the same transaction.
            self.flush_is_due = true;
            ctx.notify(Flush);
        }
    }
}

impl Handler<Flush> for Writer {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        self.flush_is_due = false;
        self.flush(ctx);
    }
}

impl Handler<Settle> for Writer {
    type Result = ();

    fn handle(&mut self, Settle(settled): Settle, ctx: &mut Self::Context) {
        self.settling.push(settled);
        self.settle(ctx);
    }
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Append(append) => append.body.len(),
            Self::Move(_) => 0,
        }
    }
}

/// The jobs of one transaction, taken apart into what the store writes and whom to tell.
#[derive(Default)]
struct Batch {
    appends: Vec<Append>,
    append_tickets: Vec<Awaited>,
    moves: Vec<CursorMove>,
    move_tickets: Vec<Awaited>,
    bytes: usize,
}

/// A job under way: its name, its room, and who brings its outcome there.
type Awaited = (Ticket, Arc<Recipient<Committed>>, Arc<Recipient<Outcomes>>);

/// What a transaction came to for one room.
type ForRoom = (Arc<Recipient<Committed>>, Arc<Recipient<Outcomes>>, Committed);

impl Batch {
    fn of(jobs: Vec<Queued>) -> Self {
        let mut batch = Self::default();
        for (job, from) in jobs {
            batch.bytes += job.work.bytes();
            match job.work {
                Work::Append(append) => {
                    batch.appends.push(append);
                    batch.append_tickets.push((job.ticket, job.room, from));
                }
                Work::Move(cursor) => {
                    batch.moves.push(cursor);
                    batch.move_tickets.push((job.ticket, job.room, from));
                }
            }
        }
        batch
    }

    /// What seeded defects do to a batch.
    fn spoil(&mut self) {
        for append in &mut self.appends {
            if strikes(Defect::StoreOtherText) {
                append.body = append.body.chars().take(20).collect::<String>().into();
            }
            if strikes(Defect::Babble) {
                tracing::info!(text = &*append.body, "stored");
            }
        }
    }

    fn tickets(&self) -> usize {
        self.append_tickets.len() + self.move_tickets.len()
    }

    /// Tells each room once what came of all its jobs, and each thread at once what came of all its rooms'.
    fn tell(self, appended: Vec<Result<Appended, ChatError>>, moved: Vec<Result<Cursor, ChatError>>) {
        // By the room, not its conversation alone: one may have fallen and another taken its place in between.
        let mut rooms: HashMap<(ConversationId, usize), ForRoom> = HashMap::new();
        let in_order = self.appends.iter().zip(self.append_tickets).zip(appended);
        for ((append, (ticket, room, from)), outcome) in in_order {
            let told = rooms
                .entry((append.conversation, Arc::as_ptr(&room).addr()))
                .or_insert_with(|| (room, from, Committed::default()));
            told.2.appended.push((ticket, outcome));
        }
        for ((cursor, (ticket, room, from)), outcome) in self.moves.iter().zip(self.move_tickets).zip(moved) {
            let told = rooms
                .entry((cursor.conversation, Arc::as_ptr(&room).addr()))
                .or_insert_with(|| (room, from, Committed::default()));
            told.2.moved.push((ticket, outcome));
        }
        // As many as there are threads.
        let mut couriers: Vec<(Arc<Recipient<Outcomes>>, Vec<_>)> = Vec::new();
        for (room, from, committed) in rooms.into_values() {
            match couriers.iter_mut().find(|(courier, _)| Arc::ptr_eq(courier, &from)) {
                Some((_, outcomes)) => outcomes.push((room, committed)),
                None => couriers.push((from, vec![(room, committed)])),
            }
        }
        for (courier, outcomes) in couriers {
            // Not try_send: no peer can fill this, since a room has a bounded number of jobs under way, and what is committed must be told.
            courier.do_send(Outcomes(outcomes));
        }
    }
}

/// Tells rooms that these jobs were not even begun.
pub(super) fn refuse(jobs: Vec<Job>) {
    for Job { ticket, room, work } in jobs {
        counter!("haggle_writer_refused_total").increment(1);
        let mut committed = Committed::default();
        match work {
            Work::Append(_) => committed.appended.push((ticket, Err(ChatError::unavailable()))),
            Work::Move(_) => committed.moved.push((ticket, Err(ChatError::unavailable()))),
        }
        // Not try_send: no peer can fill this, since a room has a bounded number of jobs under way.
        room.do_send(committed);
    }
}

/// What seeded defects make of an outcome.
fn misreport(outcome: Result<Appended, ChatError>) -> Result<Appended, ChatError> {
    match outcome {
        Ok(Appended::Stored { id, seq }) if strikes(Defect::ReuseSeq) => {
            Ok(Appended::Stored { id, seq: Seq(seq.0 - 1) })
        }
        Ok(Appended::Stored { .. }) if strikes(Defect::RefuseStored) => Err(ChatError::invalid("no")),
        outcome => outcome,
    }
}

/// A count as a metric. Counts here are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}

/// The reader: what rooms and presence need from the database.
pub struct Reader {
    store: Store,
}

impl Reader {
    /// A reader on the store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Actor for Reader {
    type Context = Context<Self>;
}

/// Loads what a room needs to open; `None` where there is no such conversation.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<RoomRow>, ChatError>")]
pub struct LoadRoom(pub ConversationId);

/// Loads what a conversation holds after a place, a page of it.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<ChatMessage>, ChatError>")]
pub struct LoadSince(pub ConversationId, pub Seq);

/// Asks who shares a conversation with each of these.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<(UserId, UserId)>, ChatError>")]
pub struct Partners(pub Vec<UserId>);

/// Writes when these were last seen.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), ChatError>")]
pub struct SaveLastSeen(pub Vec<(UserId, Timestamp)>);

impl Handler<LoadRoom> for Reader {
    type Result = ResponseFuture<Result<Option<RoomRow>, ChatError>>;

    fn handle(&mut self, LoadRoom(conversation): LoadRoom, _: &mut Self::Context) -> Self::Result {
        let store = self.store.clone();
        Box::pin(async move { store.room(conversation).await })
    }
}

impl Handler<LoadSince> for Reader {
    type Result = ResponseFuture<Result<Vec<ChatMessage>, ChatError>>;

    fn handle(&mut self, LoadSince(conversation, told): LoadSince, _: &mut Self::Context) -> Self::Result {
        let store = self.store.clone();
        Box::pin(async move { store.replay(conversation, told, Seq(SAFE_INTEGER_MAX), MAKE_UP_PAGE).await })
    }
}

impl Handler<Partners> for Reader {
    type Result = ResponseFuture<Result<Vec<(UserId, UserId)>, ChatError>>;

    fn handle(&mut self, Partners(users): Partners, _: &mut Self::Context) -> Self::Result {
        let store = self.store.clone();
        Box::pin(async move { store.partners(&users).await })
    }
}

impl Handler<SaveLastSeen> for Reader {
    type Result = ResponseFuture<Result<(), ChatError>>;

    fn handle(&mut self, SaveLastSeen(seen): SaveLastSeen, _: &mut Self::Context) -> Self::Result {
        let store = self.store.clone();
        Box::pin(async move { store.set_last_seen(&seen).await })
    }
}
