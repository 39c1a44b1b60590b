//! The batch write: messages and cursors, many rows a transaction.
//!
//! What lives here: what goes in, what comes out, and what happens when a batch fails. `writer/postgres.rs` and
//! `writer/sqlite.rs` write one batch each. What must not: gathering batches; persistence does that.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use sea_orm::sqlx::{Connection as _, PgConnection};
use sea_orm::{DatabaseConnection, DbBackend};
use tokio::time::Instant;

use super::failure::Trouble;
use super::rows::count;
use super::{Inner, StoreError, connect, failure};
use crate::error::ChatError;
use crate::protocol::{ClientId, ConversationId, MessageId, Seq, Timestamp, UserId};

mod postgres;
mod sqlite;

/// A message to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Where.
    pub conversation: ConversationId,
    /// Who says it.
    pub sender: UserId,
    /// The key of idempotence.
    pub client_id: Option<ClientId>,
    /// What is said.
    pub body: Arc<str>,
    /// `text` or the client's word.
    pub kind: Arc<str>,
    /// When it was taken in.
    pub at: Timestamp,
}

/// A message that the database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is new.
    Stored {
        /// Its number.
        id: MessageId,
        /// Its place.
        seq: Seq,
    },
    /// The sender said the same under the same client id before; these are the first message's.
    Repeated {
        /// Its number.
        id: MessageId,
        /// Its place.
        seq: Seq,
        /// Its kind.
        kind: Arc<str>,
        /// When it was taken in.
        at: Timestamp,
    },
}

/// A cursor to be moved forward. Past the newest place counts as the newest; backwards counts as not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorMove {
    /// Where.
    pub conversation: ConversationId,
    /// Whose.
    pub user: UserId,
    /// All up to and with this place is received.
    pub received: Seq,
    /// All up to and with this place is read, and so received.
    pub read: Option<Seq>,
}

/// Where a participant's cursors stand now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// All up to and with this place is received.
    pub received: Seq,
    /// All up to and with this place is read.
    pub read: Seq,
    /// How many of the participant's own messages come after `read`.
    pub own_after_read: u64,
    /// Where `read` stood before, to tell how far it moved.
    pub read_before: Seq,
}

/// Writes on a connection of its own. One conversation always goes to the same writer.
#[derive(Debug)]
pub struct Writer {
    store: Arc<Inner>,
    link: Link,
}

/// The connection; `None` from the moment that it broke until the next write.
#[derive(Debug)]
enum Link {
    Postgres(Option<PgConnection>),
    Sqlite(Option<DatabaseConnection>),
}

/// What one row of a batch of appends came to.
#[derive(Clone, Debug)]
enum Row {
    Stored { id: i64, seq: i64 },
    Known { id: i64, seq: i64, body: String, kind: String, at_ms: i64 },
    NotSeated,
}

/// What one row of a batch of cursors came to; `None` where there is no such seat.
type Moved = Option<Cursor>;

type Stored = Result<Appended, ChatError>;

impl Writer {
    pub(super) async fn connect(store: Arc<Inner>) -> Result<Self, StoreError> {
        let link = match store.backend {
            DbBackend::Postgres => Link::Postgres(None),
            _ => Link::Sqlite(None),
        };
        let mut writer = Self { store, link };
        let limit = writer.store.options.timeout;
        match tokio::time::timeout(limit, writer.reconnect()).await {
            Ok(connected) => connected?,
            Err(_) => return Err(StoreError::Unreachable("no answer in time".to_owned())),
        }
        Ok(writer)
    }

    /// Stores messages and moves cursors; the answers are in the order given. On SQLite all of it is one transaction;
    /// on PostgreSQL the messages are one and the cursors another, of one statement each. When a batch fails, it is
    /// halved until the row at fault stands alone, so that it does not take its neighbours with it.
    ///
    /// # Errors
    /// For each row: `invalid` for a known client id with another body, `not_found` where the conversation or the seat
    /// is gone, `unavailable` where the database is down or the outcome is not known.
    pub async fn write(
        &mut self,
        appends: &[Append],
        moves: &[CursorMove],
    ) -> (Vec<Stored>, Vec<Result<Cursor, ChatError>>) {
        let deadline = Instant::now() + self.store.options.timeout;
        let (first, repeats) = distinct(appends);
        let mut rows: Vec<Result<Row, ChatError>> = Vec::with_capacity(first.len());
        let merged = Merged::new(moves);
        let mut moved: Vec<Result<Moved, ChatError>> = Vec::with_capacity(merged.moves.len());
        if let Some((all_rows, all_moved)) = self.together(&first, &merged.moves, deadline).await {
            rows.extend(all_rows.into_iter().map(Ok));
            moved.extend(all_moved.into_iter().map(Ok));
        } else {
            self.halving(&Messages(&first), deadline, &mut rows).await;
            self.halving(&Cursors(&merged.moves), deadline, &mut moved).await;
        }
        (answers(appends, &first, &repeats, rows), merged.answers(moved))
    }

    /// SQLite's one transaction for both kinds; `None` where it does not apply or failed and nothing was stored.
    async fn together(
        &mut self,
        appends: &[&Append],
        moves: &[CursorMove],
        deadline: Instant,
    ) -> Option<(Vec<Row>, Vec<Moved>)> {
        if appends.is_empty() || moves.is_empty() || matches!(self.link, Link::Postgres(_)) {
            return None;
        }
        let store = Arc::clone(&self.store);
        let work = async {
            let db = self.sqlite().await?;
            sqlite::write(&store, &db, appends, moves).await
        };
        tokio::time::timeout_at(deadline, work).await.ok()?.ok()
    }

    /// Does all rows at once; where that fails for a row's sake, each half, in order, down to one row.
    async fn halving<B: Batch>(&mut self, batch: &B, deadline: Instant, done: &mut Vec<Result<B::Done, ChatError>>) {
        let rows = batch.rows();
        let mut todo = vec![(0..rows, RACES_MAX)];
        while let Some((range, races)) = todo.pop() {
            if range.is_empty() {
                continue;
            }
            let problem = match tokio::time::timeout_at(deadline, batch.attempt(self, range.clone())).await {
                Ok(Ok(all)) => {
                    self.store.seen_up();
                    done.extend(all.into_iter().map(Ok));
                    continue;
                }
                Ok(Err(problem)) => problem,
                Err(_) => Problem { trouble: Trouble::Broken, text: "no answer in time".to_owned() },
            };
            match problem.trouble {
                Trouble::Race if races > 0 => todo.push((range, races - 1)),
                Trouble::Data | Trouble::Race if range.len() > 1 => {
                    let middle = range.start + range.len() / 2;
                    todo.push((middle..range.end, RACES_MAX));
                    todo.push((range.start..middle, RACES_MAX));
                }
                Trouble::Data => {
                    tracing::error!(error = problem.text, "the database refused a row");
                    done.push(Err(ChatError::Internal));
                }
                Trouble::Race | Trouble::Busy | Trouble::Broken => {
                    self.store.seen_down(&problem.text);
                    if problem.trouble == Trouble::Broken {
                        self.hang_up();
                    }
                    // Not known or not done: either way the client sends again with the same id.
                    done.resize_with(rows, || Err(ChatError::unavailable()));
                    return;
                }
            }
        }
    }

    async fn reconnect(&mut self) -> Result<(), StoreError> {
        let store = &self.store;
        match &mut self.link {
            Link::Postgres(link) => {
                let connected = connect::postgres_writer(&store.url, store.options).await;
                *link = Some(connected.map_err(|error| failure::opening_driver(&error))?);
            }
            Link::Sqlite(link) => *link = Some(connect::sqlite_writer(&store.url, store.options).await?),
        }
        Ok(())
    }

    async fn postgres(&mut self) -> Result<&mut PgConnection, Problem> {
        if let Link::Postgres(None) = self.link {
            self.reconnect().await?;
        }
        match &mut self.link {
            Link::Postgres(Some(connection)) => Ok(connection),
            _ => Err(Problem { trouble: Trouble::Broken, text: "no connection".to_owned() }),
        }
    }

    async fn sqlite(&mut self) -> Result<DatabaseConnection, Problem> {
        if let Link::Sqlite(None) = self.link {
            self.reconnect().await?;
        }
        match &self.link {
            Link::Sqlite(Some(connection)) => Ok(connection.clone()),
            _ => Err(Problem { trouble: Trouble::Broken, text: "no connection".to_owned() }),
        }
    }

    /// Closes the connection in order. Nothing is written after this.
    pub async fn close(self) {
        // What is committed is kept, however the connection ends.
        match self.link {
            Link::Postgres(Some(connection)) => drop(connection.close().await),
            Link::Sqlite(Some(connection)) => drop(connection.close().await),
            Link::Postgres(None) | Link::Sqlite(None) => {}
        }
    }

    /// Drops the connection: dropping closes the socket, so whatever the server still does ends in nothing or a commit
    /// that nobody was told of.
    fn hang_up(&mut self) {
        match &mut self.link {
            Link::Postgres(link) => drop(link.take()),
            Link::Sqlite(link) => drop(link.take()),
        }
    }
}

/// Rows of one kind, to be written at once or in parts.
trait Batch {
    type Done;
    fn rows(&self) -> usize;
    async fn attempt(&self, writer: &mut Writer, part: Range<usize>) -> Result<Vec<Self::Done>, Problem>;
}

struct Messages<'a>(&'a [&'a Append]);
struct Cursors<'a>(&'a [CursorMove]);

impl Batch for Messages<'_> {
    type Done = Row;

    fn rows(&self) -> usize {
        self.0.len()
    }

    async fn attempt(&self, writer: &mut Writer, part: Range<usize>) -> Result<Vec<Row>, Problem> {
        let rows = self.0.get(part).unwrap_or_default();
        if let Link::Postgres(_) = writer.link {
            return Ok(postgres::append(writer.postgres().await?, rows).await?);
        }
        let db = writer.sqlite().await?;
        Ok(sqlite::write(&writer.store, &db, rows, &[]).await?.0)
    }
}

impl Batch for Cursors<'_> {
    type Done = Moved;

    fn rows(&self) -> usize {
        self.0.len()
    }

    async fn attempt(&self, writer: &mut Writer, part: Range<usize>) -> Result<Vec<Moved>, Problem> {
        let rows = self.0.get(part).unwrap_or_default();
        if let Link::Postgres(_) = writer.link {
            return Ok(postgres::advance(writer.postgres().await?, rows).await?);
        }
        let db = writer.sqlite().await?;
        Ok(sqlite::write(&writer.store, &db, &[], rows).await?.1)
    }
}

/// How often the same rows are tried again after a race with another writer.
const RACES_MAX: u8 = 3;

/// Why an attempt failed.
#[derive(Debug)]
struct Problem {
    trouble: Trouble,
    text: String,
}

impl From<sea_orm::sqlx::Error> for Problem {
    fn from(error: sea_orm::sqlx::Error) -> Self {
        Self { trouble: failure::driver_trouble(&error), text: failure::driver_plain(&error) }
    }
}

impl From<sea_orm::DbErr> for Problem {
    fn from(error: sea_orm::DbErr) -> Self {
        Self { trouble: failure::trouble(&error), text: failure::plain(&error) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self { trouble: Trouble::Broken, text: error.to_string() }
    }
}

/// The appends without those that repeat a client id within the batch, and for each append its place among them.
fn distinct(appends: &[Append]) -> (Vec<&Append>, Vec<usize>) {
    let mut known: HashMap<(ConversationId, &UserId, &ClientId), usize> = HashMap::new();
    let mut first: Vec<&Append> = Vec::with_capacity(appends.len());
    let mut places = Vec::with_capacity(appends.len());
    for append in appends {
        let next = first.len();
        let place = match &append.client_id {
            Some(client_id) => *known.entry((append.conversation, &append.sender, client_id)).or_insert(next),
            None => next,
        };
        if place == next {
            first.push(append);
        }
        places.push(place);
    }
    (first, places)
}

/// One answer an append: the first of a client id is judged against the database, the others against the first.
fn answers(appends: &[Append], first: &[&Append], places: &[usize], rows: Vec<Result<Row, ChatError>>) -> Vec<Stored> {
    let mut answered = vec![false; first.len()];
    appends
        .iter()
        .zip(places)
        .map(|(append, &place)| {
            let (Some(original), Some(row)) = (first.get(place), rows.get(place)) else {
                return Err(ChatError::Internal);
            };
            let is_first = answered.get_mut(place).is_some_and(|seen| !std::mem::replace(seen, true));
            match row.clone()? {
                Row::NotSeated => Err(ChatError::NotFound("conversation")),
                Row::Stored { id, seq } if is_first => Ok(Appended::Stored { id: MessageId(id), seq: Seq(seq) }),
                Row::Stored { id, seq } => {
                    repeated(append, &original.body, id, seq, Arc::clone(&original.kind), original.at)
                }
                Row::Known { id, seq, body, kind, at_ms } => {
                    repeated(append, &body, id, seq, kind.into(), Timestamp(at_ms))
                }
            }
        })
        .collect()
}

fn repeated(append: &Append, body: &str, id: i64, seq: i64, kind: Arc<str>, at: Timestamp) -> Stored {
    if *append.body == *body {
        Ok(Appended::Repeated { id: MessageId(id), seq: Seq(seq), kind, at })
    } else {
        Err(ChatError::invalid("this client id was used for another text"))
    }
}

/// Moves of one seat made one: the furthest.
struct Merged {
    moves: Vec<CursorMove>,
    places: Vec<usize>,
}

impl Merged {
    fn new(all: &[CursorMove]) -> Self {
        let mut known: HashMap<(ConversationId, &UserId), usize> = HashMap::new();
        let mut moves: Vec<CursorMove> = Vec::with_capacity(all.len());
        let mut places = Vec::with_capacity(all.len());
        for one in all {
            let place = *known.entry((one.conversation, &one.user)).or_insert(moves.len());
            match moves.get_mut(place) {
                Some(merged) => {
                    merged.received = merged.received.max(one.received);
                    merged.read = merged.read.max(one.read);
                }
                None => moves.push(one.clone()),
            }
            places.push(place);
        }
        Self { moves, places }
    }

    /// One answer a move; the first of a seat tells how far it went, the others that it went no further.
    fn answers(&self, moved: Vec<Result<Moved, ChatError>>) -> Vec<Result<Cursor, ChatError>> {
        let mut answered = vec![false; self.moves.len()];
        let answer = |&place: &usize| {
            let moved = moved.get(place).cloned().unwrap_or(Err(ChatError::Internal))?;
            let cursor = moved.ok_or(ChatError::NotFound("conversation"))?;
            let is_first = answered.get_mut(place).is_some_and(|seen| !std::mem::replace(seen, true));
            Ok(if is_first { cursor } else { Cursor { read_before: cursor.read, ..cursor } })
        };
        self.places.iter().map(answer).collect()
    }
}

fn cursor(received: i64, read: i64, own_after_read: i64, read_before: i64) -> Cursor {
    Cursor {
        received: Seq(received),
        read: Seq(read),
        own_after_read: count(own_after_read),
        read_before: Seq(read_before),
    }
}
