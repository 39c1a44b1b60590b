//! Sockets that may come back: written as they come, change and go, and taken once.
//!
//! What lives here: one statement a kind of change, for many sockets at once. What must not: what the states mean to a session.
//!
//! A row belongs to the session that wrote it last. Whoever takes a row removes it, so of two connections that ask for one private id
//! only one finds it, on whichever node; what the session before still writes then changes nothing.

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Store;
use super::failure::Failure;
use crate::error::ChatError;
use crate::protocol::{ConversationId, Seq, SessionId, Timestamp, UserId};

/// For how long a socket that was cut off may come back, in milliseconds (CONTRACT section 3).
pub const RECOVERABLE_MS: i64 = 120_000;
/// How often a process says that it is alive, in milliseconds: whose sockets are, is not known better after it was killed.
pub const ALIVE_EVERY_MS: i64 = 30_000;

/// A socket's state, by its private id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSocket {
    /// What its client recovers by.
    pub pid: String,
    /// Whose it is now.
    pub session: SessionId,
    /// Which namespace it is in.
    pub namespace: String,
    /// What its client calls it.
    pub sid: String,
    /// Whose client it is.
    pub user: UserId,
    /// Where it stands.
    pub state: SocketState,
}

/// Where a socket stands. An offset that its client holds says how far it went since an epoch began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketState {
    /// The number of the epoch.
    pub epoch: u32,
    /// What was told when it began.
    pub base: Vec<(ConversationId, Seq)>,
    /// What was told when the epoch before it began, where there was one.
    pub before: Option<Vec<(ConversationId, Seq)>>,
    /// Conversations that it has joined.
    pub joined: Vec<ConversationId>,
    /// What it sent itself and was not told, newest last.
    pub own: Vec<(ConversationId, Seq)>,
    /// Nothing is missing in it: it was written when the socket had gone.
    pub whole: bool,
}

/// A change to what is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saving {
    /// A socket stands here now.
    Stands {
        /// Which, and where.
        socket: SavedSocket,
        /// It has come: nothing of this session is saved yet.
        fresh: bool,
        /// It has been cut off, and may come back from now on.
        left: bool,
    },
    /// It does not come back.
    Ended(String, SessionId),
}

/// A socket found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenSocket {
    /// What its client calls it.
    pub sid: String,
    /// Whose it was.
    pub session: SessionId,
    /// Where it stands, as far as was written, without what its user was removed from meanwhile.
    pub state: SocketState,
    /// Conversations that its user has come into since it was cut off; again, where they had been removed.
    pub came_in: Vec<ConversationId>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    e: u32,
    p: Vec<(i64, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b: Option<Vec<(i64, i64)>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    j: Vec<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    o: Vec<(i64, i64)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    w: bool,
}

macro_rules! rows {
    () => {
        "jsonb_to_recordset(CAST($1 AS jsonb)) AS r (pid text, session text, node text, namespace text, sid text, \
         user_id text, state text, left_at_ms bigint)"
    };
}
macro_rules! rows_sqlite {
    () => {
        "(SELECT value ->> 'pid' AS pid, value ->> 'session' AS session, value ->> 'node' AS node, \
         value ->> 'namespace' AS namespace, value ->> 'sid' AS sid, value ->> 'user_id' AS user_id, \
         value ->> 'state' AS state, value ->> 'left_at_ms' AS left_at_ms FROM json_each($1)) AS r"
    };
}
macro_rules! opened {
    ($rows:expr) => {
        concat!(
            "INSERT INTO saved_socket (pid, session, node, namespace, sid, user_id, state, left_at_ms) ",
            "SELECT r.pid, r.session, r.node, r.namespace, r.sid, r.user_id, r.state, r.left_at_ms FROM ",
            $rows,
            " WHERE true ON CONFLICT (pid) DO UPDATE SET session = excluded.session, node = excluded.node, ",
            "namespace = excluded.namespace, sid = excluded.sid, user_id = excluded.user_id, state = excluded.state, ",
            "left_at_ms = excluded.left_at_ms"
        )
    };
}
macro_rules! changed {
    ($rows:expr) => {
        concat!(
            "UPDATE saved_socket SET state = r.state, left_at_ms = r.left_at_ms FROM ",
            $rows,
            " WHERE saved_socket.pid = r.pid AND saved_socket.session = r.session"
        )
    };
}
macro_rules! ended {
    ($rows:expr) => {
        concat!("DELETE FROM saved_socket WHERE (pid, session) IN (SELECT r.pid, r.session FROM ", $rows, ")")
    };
}
const OPENED: [&str; 2] = [opened!(rows!()), opened!(rows_sqlite!())];
const CHANGED: [&str; 2] = [changed!(rows!()), changed!(rows_sqlite!())];
const ENDED: [&str; 2] = [ended!(rows!()), ended!(rows_sqlite!())];
/// `$4`: since when whoever left may come back; `$5`: since when a node must have been alive.
const TAKE: &str = "DELETE FROM saved_socket WHERE pid = $1 AND namespace = $2 AND user_id = $3 \
     AND (left_at_ms > $4 OR left_at_ms IS NULL \
          AND EXISTS (SELECT 1 FROM node AS n WHERE n.id = saved_socket.node AND n.alive_at_ms > $5)) \
     RETURNING sid, session, state, left_at_ms";
/// Where somebody has come in since a moment, for the first time or again.
const CAME_IN: &str = "SELECT conversation_id FROM participant WHERE user_id = $1 AND joined_at_ms > $2";
const FORGET_USER: &str = "DELETE FROM saved_socket WHERE user_id = $1";
const ALIVE: &str = "INSERT INTO node (id, alive_at_ms) VALUES ($1, $2) \
     ON CONFLICT (id) DO UPDATE SET alive_at_ms = excluded.alive_at_ms";
/// `$1`: since when whoever left may come back; `$2`: since when a node must have been alive.
const FORGET: &str = "DELETE FROM saved_socket WHERE left_at_ms <= $1 OR left_at_ms IS NULL \
     AND NOT EXISTS (SELECT 1 FROM node AS n WHERE n.id = saved_socket.node AND n.alive_at_ms > $2)";
const FORGET_NODES: &str = "DELETE FROM node WHERE alive_at_ms <= $1";

impl Store {
    /// Writes changes, in one transaction. Each socket comes once.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn save_sockets(&self, node: &str, changes: &[Saving]) -> Result<(), ChatError> {
        let now = Timestamp::now().0;
        let row = |socket: &SavedSocket, left: bool| {
            json!({
                "pid": socket.pid,
                "session": socket.session.to_string(),
                "node": node,
                "namespace": socket.namespace,
                "sid": socket.sid,
                "user_id": socket.user.as_str(),
                "state": written(&socket.state),
                "left_at_ms": left.then_some(now),
            })
        };
        let (mut opened, mut changed, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            match change {
                Saving::Stands { socket, fresh: true, left } => opened.push(row(socket, *left)),
                Saving::Stands { socket, fresh: false, left } => changed.push(row(socket, *left)),
                Saving::Ended(pid, session) => ended.push(json!({ "pid": pid, "session": session.to_string() })),
            }
        }
        self.call(async {
            let writing = self.inner.begin().await?;
            for ([postgres, sqlite], rows) in [(OPENED, opened), (CHANGED, changed), (ENDED, ended)] {
                if !rows.is_empty() {
                    let rows = serde_json::Value::from(rows).to_string();
                    let statement = self.statement(self.sql(postgres, sqlite), [rows.into()]);
                    writing.transaction.execute_raw(statement).await?;
                }
            }
            Ok(writing.commit().await?)
        })
        .await
    }

    /// Takes a socket that was cut off: nobody else finds it after this. `None` where there is none for this user, or it is too late.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn take_socket(
        &self,
        namespace: &str,
        pid: &str,
        user: &UserId,
    ) -> Result<Option<TakenSocket>, ChatError> {
        let since = Timestamp::now().0 - RECOVERABLE_MS;
        self.call(async {
            let writing = self.inner.begin().await?;
            let values =
                [pid.into(), namespace.into(), user.as_str().into(), since.into(), (since - ALIVE_EVERY_MS).into()];
            let row = writing.transaction.query_one_raw(self.statement(TAKE, values)).await?;
            writing.commit().await?;
            let Some(row) = row else { return Ok(None) };
            let session: String = row.try_get("", "session")?;
            let state: String = row.try_get("", "state")?;
            let Some((session, mut state)) = session_id(&session).zip(read(&state)) else { return Ok(None) };
            let came_in = match row.try_get("", "left_at_ms")? {
                Some(left) => self.came_in(user, Timestamp(left)).await?,
                // It was killed: when is not known.
                None => Vec::new(),
            };
            state.joined.retain(|joined| !came_in.contains(joined));
            Ok(Some(TakenSocket { sid: row.try_get("", "sid")?, session, state, came_in }))
        })
        .await
    }

    /// Where somebody has come in since a moment: what they had joined before they were removed does not come back.
    async fn came_in(&self, user: &UserId, since: Timestamp) -> Result<Vec<ConversationId>, Failure> {
        let statement = self.statement(CAME_IN, [user.as_str().into(), since.0.into()]);
        let rows = self.db().query_all_raw(statement).await?;
        rows.iter().map(|row| Ok(ConversationId(row.try_get_by_index(0)?))).collect()
    }

    /// No socket of this user comes back.
    pub(super) async fn forget_sockets(&self, db: &DatabaseTransaction, user: &UserId) -> Result<(), Failure> {
        db.execute_raw(self.statement(FORGET_USER, [user.as_str().into()])).await?;
        Ok(())
    }

    /// Says that a process is alive, and forgets sockets that do not come back any more.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn alive(&self, node: &str) -> Result<(), ChatError> {
        let now = Timestamp::now().0;
        let since = now - RECOVERABLE_MS;
        let dead = since - ALIVE_EVERY_MS;
        self.call(async {
            let writing = self.inner.begin().await?;
            let db = &writing.transaction;
            db.execute_raw(self.statement(ALIVE, [node.into(), now.into()])).await?;
            db.execute_raw(self.statement(FORGET, [since.into(), dead.into()])).await?;
            db.execute_raw(self.statement(FORGET_NODES, [dead.into()])).await?;
            Ok(writing.commit().await?)
        })
        .await
    }
}

fn written(state: &SocketState) -> String {
    let pairs = |places: &[(ConversationId, Seq)]| places.iter().map(|(id, seq)| (id.0, seq.0)).collect();
    let written = Written {
        e: state.epoch,
        p: pairs(&state.base),
        b: state.before.as_deref().map(pairs),
        j: state.joined.iter().map(|id| id.0).collect(),
        o: pairs(&state.own),
        w: state.whole,
    };
    // Numbers and lists alone: writing cannot fail; if it did, the state could not be read, and its socket not come back.
    serde_json::to_string(&written).unwrap_or_default()
}

fn read(state: &str) -> Option<SocketState> {
    let written: Written = serde_json::from_str(state).ok()?;
    let pairs = |places: Vec<(i64, i64)>| places.into_iter().map(|(id, seq)| (ConversationId(id), Seq(seq))).collect();
    Some(SocketState {
        epoch: written.e,
        base: pairs(written.p),
        before: written.b.map(pairs),
        joined: written.j.into_iter().map(ConversationId).collect(),
        own: pairs(written.o),
        whole: written.w,
    })
}

fn session_id(text: &str) -> Option<SessionId> {
    u64::from_str_radix(text, 16).ok().map(SessionId)
}
