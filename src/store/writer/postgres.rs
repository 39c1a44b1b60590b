//! One batch on PostgreSQL: a single prepared statement each for messages and for cursors, so one round trip and one
//! transaction without BEGIN and COMMIT.
//!
//! What lives here: the two hot statements and the way back from their rows. What must not: retries.
//!
//! The statements are written for the writer's connection, where every join is a nested loop over an index: nothing
//! joins two sets of the batch with each other.

use std::collections::HashMap;

use sea_orm::sqlx::{self, PgConnection};

use super::{Append, CursorMove, Moved, Row, cursor};
use crate::defects::{Defect, strikes};

/// `$1` conversations, `$2` senders, `$3` client ids, `$4` bodies, `$5` kinds, `$6` times, all of one length.
///
/// `input` looks up seat and client id by scalar subqueries, one index probe each. `tally` gathers what is new by
/// conversation; `bumped` takes the row locks in the order of ids, so that two writers never wait for each other, and
/// answers with the place before the first. The rows go into `message` in the order of their places.
const APPEND: &str = "
WITH input AS MATERIALIZED (
    SELECT i.*,
        CASE WHEN i.client_id IS NOT NULL THEN (
            SELECT m.id FROM message AS m
            WHERE m.conversation_id = i.conversation_id AND m.sender_id = i.sender_id AND m.client_id = i.client_id
        ) END AS known,
        (SELECT true FROM participant AS p WHERE p.conversation_id = i.conversation_id AND p.user_id = i.sender_id) AS seated
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) WITH ORDINALITY
        AS i (conversation_id, sender_id, client_id, body, kind, at_ms, n)
), tally AS MATERIALIZED (
    SELECT conversation_id, count(*) AS many, max(at_ms) AS newest, array_agg(sender_id) AS senders,
        array_agg(client_id) AS client_ids, array_agg(body) AS bodies, array_agg(kind) AS kinds, array_agg(at_ms) AS times
    FROM (SELECT * FROM input WHERE known IS NULL AND seated ORDER BY conversation_id, n) AS fresh
    GROUP BY conversation_id ORDER BY conversation_id
), bumped AS (
    UPDATE conversation AS c SET last_seq = c.last_seq + t.many, active_at_ms = GREATEST(c.active_at_ms, t.newest)
    FROM tally AS t WHERE c.id = t.conversation_id
    RETURNING c.id, c.last_seq - t.many AS base, t.senders, t.client_ids, t.bodies, t.kinds, t.times
), stored AS (
    INSERT INTO message (conversation_id, seq, sender_id, client_id, body, kind, created_at_ms)
    SELECT b.id, b.base + r.place, r.sender_id, r.client_id, r.body, r.kind, r.at_ms
    FROM bumped AS b, unnest(b.senders, b.client_ids, b.bodies, b.kinds, b.times) WITH ORDINALITY
        AS r (sender_id, client_id, body, kind, at_ms, place)
    RETURNING id, conversation_id, seq
)
SELECT id, conversation_id, seq, 0::bigint AS n FROM stored
UNION ALL
SELECT COALESCE(known, 0), conversation_id, 0, n FROM input WHERE known IS NOT NULL OR seated IS NULL";

const KNOWN: &str = "SELECT id, seq, body, kind, created_at_ms FROM message WHERE id = ANY($1)";

/// `$1` conversations, `$2` users, `$3` received, `$4` read (0 for not at all). The seats are locked in the order of
/// their keys; a cursor that stays where it is costs no write.
const ADVANCE: &str = "
WITH seat AS MATERIALIZED (
    SELECT p.conversation_id, p.user_id, p.received_seq, p.read_seq, c.last_seq, i.received, i.read
    FROM (
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[])
            AS u (conversation_id, user_id, received, read)
        ORDER BY conversation_id, user_id COLLATE \"C\"
    ) AS i
    JOIN participant AS p ON p.conversation_id = i.conversation_id AND p.user_id = i.user_id
    JOIN conversation AS c ON c.id = i.conversation_id
    FOR NO KEY UPDATE OF p
), wanted AS MATERIALIZED (
    SELECT conversation_id, user_id, read_seq AS read_before,
        received_seq AS received_before,
        GREATEST(received_seq, LEAST(GREATEST(received, read), last_seq)) AS received,
        GREATEST(read_seq, LEAST(read, last_seq)) AS read
    FROM seat
), moved AS (
    UPDATE participant AS p SET received_seq = w.received, read_seq = w.read FROM wanted AS w
    WHERE p.conversation_id = w.conversation_id AND p.user_id = w.user_id
      AND (w.received > w.received_before OR w.read > w.read_before)
)
SELECT conversation_id, user_id, received, read, read_before, (
    SELECT count(*) FROM message AS m
    WHERE m.conversation_id = w.conversation_id AND m.sender_id = w.user_id AND m.seq > w.read
) FROM wanted AS w";

pub(super) async fn append(connection: &mut PgConnection, appends: &[&Append]) -> Result<Vec<Row>, sqlx::Error> {
    let conversations: Vec<i64> = appends.iter().map(|append| append.conversation.0).collect();
    let senders: Vec<&str> = appends.iter().map(|append| append.sender.as_str()).collect();
    let clients: Vec<Option<&str>> =
        appends.iter().map(|append| append.client_id.as_ref().map(|id| id.as_str())).collect();
    let bodies: Vec<&str> = appends.iter().map(|append| &*append.body).collect();
    let kinds: Vec<&str> = appends.iter().map(|append| &*append.kind).collect();
    let times: Vec<i64> = appends.iter().map(|append| append.at.0).collect();
    if strikes(Defect::AcknowledgeBeforeCommit) {
        sqlx::raw_sql("COMMIT; BEGIN").execute(&mut *connection).await?;
    }
    let answered: Vec<(i64, i64, i64, i64)> = sqlx::query_as(APPEND)
        .bind(&conversations)
        .bind(&senders)
        .bind(&clients)
        .bind(&bodies)
        .bind(&kinds)
        .bind(&times)
        .fetch_all(&mut *connection)
        .await?;
    let (stored, others): (Vec<_>, Vec<_>) = answered.into_iter().partition(|&(_, _, _, n)| n == 0);
    let known: Vec<i64> = others.iter().map(|&(id, ..)| id).filter(|&id| id > 0).collect();
    let known = if known.is_empty() { HashMap::new() } else { known_rows(connection, &known).await? };
    let mut others: HashMap<i64, i64> = others.into_iter().map(|(id, _, _, n)| (n, id)).collect();
    let mut places: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
    for (id, conversation, seq, _) in stored {
        places.entry(conversation).or_default().push((seq, id));
    }
    for places in places.values_mut() {
        places.sort_unstable_by(|one, other| other.cmp(one));
    }
    let row = |(n, append): (i64, &&Append)| match others.remove(&n) {
        Some(0) => Ok(Row::NotSeated),
        Some(id) => known.get(&id).cloned().ok_or(sqlx::Error::RowNotFound),
        None => {
            let next = places.get_mut(&append.conversation.0).and_then(Vec::pop);
            next.map(|(seq, id)| Row::Stored { id, seq }).ok_or(sqlx::Error::RowNotFound)
        }
    };
    (1_i64..).zip(appends).map(row).collect()
}

async fn known_rows(connection: &mut PgConnection, ids: &[i64]) -> Result<HashMap<i64, Row>, sqlx::Error> {
    let rows: Vec<(i64, i64, String, String, i64)> = sqlx::query_as(KNOWN).bind(ids).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(id, seq, body, kind, at_ms)| (id, Row::Known { id, seq, body, kind, at_ms })).collect())
}

pub(super) async fn advance(connection: &mut PgConnection, moves: &[CursorMove]) -> Result<Vec<Moved>, sqlx::Error> {
    let conversations: Vec<i64> = moves.iter().map(|one| one.conversation.0).collect();
    let users: Vec<&str> = moves.iter().map(|one| one.user.as_str()).collect();
    let received: Vec<i64> = moves.iter().map(|one| one.received.0).collect();
    let read: Vec<i64> = moves.iter().map(|one| one.read.unwrap_or_default().0).collect();
    let rows: Vec<(i64, String, i64, i64, i64, i64)> = sqlx::query_as(ADVANCE)
        .bind(&conversations)
        .bind(&users)
        .bind(&received)
        .bind(&read)
        .fetch_all(connection)
        .await?;
    let rows: HashMap<(i64, &str), Moved> = rows
        .iter()
        .map(|(conversation, user, received, read, before, own)| {
            ((*conversation, user.as_str()), Some(cursor(*received, *read, *own, *before)))
        })
        .collect();
    let found = |one: &CursorMove| rows.get(&(one.conversation.0, one.user.as_str())).copied().flatten();
    Ok(moves.iter().map(found).collect())
}
