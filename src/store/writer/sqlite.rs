//! One batch on SQLite: one `BEGIN IMMEDIATE` transaction with a constant number of statements, each taking the whole
//! batch as one JSON parameter.
//!
//! What lives here: the statements and the way back from their rows. What must not: retries.
//!
//! The lock is held from the start, so what is looked up first still holds when it is written. The triggers of the
//! schema move `last_seq`.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement, Value};
use sea_orm::{SqliteTransactionMode, TransactionOptions, TransactionTrait};
use serde_json::json;

use super::super::Inner;
use super::{Append, CursorMove, Moved, Problem, Row, cursor};

/// For each of the batch, in order: the newest place where the sender has a seat, and the message known by the client id.
const LOOK: &str = "
SELECT c.last_seq, m.id, m.seq, m.body, m.kind, m.created_at_ms
FROM json_each($1) AS i
LEFT JOIN participant AS p ON p.conversation_id = i.value ->> 0 AND p.user_id = i.value ->> 1
LEFT JOIN conversation AS c ON c.id = p.conversation_id
LEFT JOIN message AS m
    ON m.conversation_id = p.conversation_id AND m.sender_id = p.user_id AND m.client_id = i.value ->> 2
ORDER BY i.key";

const STORE: &str = "
INSERT INTO message (conversation_id, seq, sender_id, client_id, body, kind, created_at_ms)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM json_each($1) ORDER BY key
RETURNING conversation_id, seq, id";

/// For each of the batch, in order: where the cursors stand, and where they would.
const SEATS: &str = "
SELECT p.received_seq, p.read_seq, max(p.received_seq, min(max(i.value ->> 2, i.value ->> 3), c.last_seq)) AS received,
    max(p.read_seq, min(i.value ->> 3, c.last_seq)) AS read
FROM json_each($1) AS i
LEFT JOIN participant AS p ON p.conversation_id = i.value ->> 0 AND p.user_id = i.value ->> 1
LEFT JOIN conversation AS c ON c.id = p.conversation_id
ORDER BY i.key";

const MOVE: &str = "
UPDATE participant SET received_seq = i.value ->> 2, read_seq = i.value ->> 3 FROM json_each($1) AS i
WHERE conversation_id = i.value ->> 0 AND user_id = i.value ->> 1
RETURNING conversation_id, user_id";

/// For each of the batch, in order: how many own messages come after the read cursor.
const OWN: &str = "
SELECT (SELECT count(*) FROM message AS m WHERE m.conversation_id = i.value ->> 0 AND m.sender_id = i.value ->> 1
    AND m.seq > i.value ->> 3)
FROM json_each($1) AS i ORDER BY i.key";

pub(super) async fn write(
    store: &Inner,
    db: &DatabaseConnection,
    appends: &[&Append],
    moves: &[CursorMove],
) -> Result<(Vec<Row>, Vec<Moved>), Problem> {
    let _turn = store.writing.lock().await;
    let mode = Some(SqliteTransactionMode::Immediate);
    let options = TransactionOptions { sqlite_transaction_mode: mode, ..TransactionOptions::default() };
    let transaction = db.begin_with_options(options).await?;
    let rows = if appends.is_empty() { Vec::new() } else { append(&transaction, appends).await? };
    let moved = if moves.is_empty() { Vec::new() } else { advance(&transaction, moves).await? };
    transaction.commit().await?;
    Ok((rows, moved))
}

fn statement(sql: &'static str, batch: Vec<serde_json::Value>) -> Statement {
    let batch = Value::from(serde_json::Value::Array(batch).to_string());
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, [batch])
}

async fn append(db: &DatabaseTransaction, appends: &[&Append]) -> Result<Vec<Row>, DbErr> {
    let keys = appends.iter().map(|append| {
        json!([append.conversation.0, append.sender.as_str(), append.client_id.as_ref().map(|id| id.as_str())])
    });
    let looked = db.query_all_raw(statement(LOOK, keys.collect())).await?;
    let mut newest: HashMap<i64, i64> = HashMap::new();
    let mut batch = Vec::with_capacity(appends.len());
    let mut rows = Vec::with_capacity(appends.len());
    for (row, append) in looked.iter().zip(appends) {
        let last_seq: Option<i64> = row.try_get_by_index(0)?;
        let known: Option<i64> = row.try_get_by_index(1)?;
        rows.push(match (last_seq, known) {
            (None, _) => Row::NotSeated,
            (Some(_), Some(id)) => Row::Known {
                id,
                seq: row.try_get_by_index(2)?,
                body: row.try_get_by_index(3)?,
                kind: row.try_get_by_index(4)?,
                at_ms: row.try_get_by_index(5)?,
            },
            (Some(last_seq), None) => {
                let seq = newest.entry(append.conversation.0).or_insert(last_seq);
                *seq += 1;
                batch.push(new_row(append, *seq));
                Row::Stored { id: 0, seq: *seq }
            }
        });
    }
    if batch.is_empty() {
        return Ok(rows);
    }
    let mut ids: HashMap<(i64, i64), i64> = HashMap::with_capacity(batch.len());
    for row in db.query_all_raw(statement(STORE, batch)).await? {
        ids.insert((row.try_get_by_index(0)?, row.try_get_by_index(1)?), row.try_get_by_index(2)?);
    }
    for (row, append) in rows.iter_mut().zip(appends) {
        if let Row::Stored { id, seq } = row {
            let stored = ids.get(&(append.conversation.0, *seq));
            *id = *stored.ok_or_else(|| DbErr::RecordNotFound("a stored message".to_owned()))?;
        }
    }
    Ok(rows)
}

fn new_row(append: &Append, seq: i64) -> serde_json::Value {
    let client_id = append.client_id.as_ref().map(|id| id.as_str());
    json!([append.conversation.0, seq, append.sender.as_str(), client_id, &*append.body, &*append.kind, append.at.0])
}

async fn advance(db: &DatabaseTransaction, moves: &[CursorMove]) -> Result<Vec<Moved>, DbErr> {
    let asked = moves
        .iter()
        .map(|one| json!([one.conversation.0, one.user.as_str(), one.received.0, one.read.unwrap_or_default().0]));
    let seats = db.query_all_raw(statement(SEATS, asked.collect())).await?;
    let mut found = Vec::with_capacity(moves.len());
    let (mut changed, mut all) = (Vec::new(), Vec::new());
    for (row, one) in seats.iter().zip(moves) {
        let Some(received_before) = row.try_get_by_index::<Option<i64>>(0)? else {
            found.push(None);
            continue;
        };
        let read_before: i64 = row.try_get_by_index(1)?;
        let (received, read): (i64, i64) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        let wanted = json!([one.conversation.0, one.user.as_str(), received, read]);
        if received > received_before || read > read_before {
            changed.push(wanted.clone());
        }
        all.push(wanted);
        found.push(Some((received, read, read_before)));
    }
    if !changed.is_empty() {
        db.query_all_raw(statement(MOVE, changed)).await?;
    }
    let own = db.query_all_raw(statement(OWN, all)).await?;
    let mut own = own.iter().map(|row| row.try_get_by_index::<i64>(0));
    found
        .into_iter()
        .map(|seat| match seat {
            None => Ok(None),
            Some((received, read, before)) => {
                let own = own.next().ok_or_else(|| DbErr::RecordNotFound("a count".to_owned()))??;
                Ok(Some(cursor(received, read, own, before)))
            }
        })
        .collect()
}
