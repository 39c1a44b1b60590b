//! Fragments of SQL that several statements share, and lists as one parameter.
//!
//! What lives here: text that is the same on both databases. What must not: whole statements.

use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Value};

/// The columns of a `MessageRow`, of `message AS m` with its sender as `app_user AS u`.
macro_rules! message_columns {
    () => {
        "m.id, m.conversation_id, m.seq, m.sender_id, m.client_id, m.body, m.kind, m.created_at_ms, \
         COALESCE(u.name, u.token_name, m.sender_id) AS sender_name, COALESCE(u.role, u.token_role, '') AS sender_role"
    };
}

/// The columns of a `PersonRow`, of `app_user AS u`.
macro_rules! person_columns {
    () => {
        "u.id AS user_id, COALESCE(u.name, u.token_name, u.id) AS user_name, \
         COALESCE(u.role, u.token_role, '') AS user_role, u.status = 'active' AS active"
    };
}

/// How many messages of others come after the read cursor of `participant AS p` in `conversation AS c`.
macro_rules! unread_count {
    () => {
        "c.last_seq - p.read_seq - (SELECT count(*) FROM message AS o WHERE o.conversation_id = p.conversation_id \
         AND o.sender_id = p.user_id AND o.seq > p.read_seq)"
    };
}

pub(super) use {message_columns, person_columns, unread_count};

/// A list of texts as one parameter: an array on PostgreSQL (SeaORM's know no NULL), JSON on SQLite.
pub(super) fn texts<'a>(backend: DbBackend, texts: impl IntoIterator<Item = &'a str>) -> Value {
    if backend == DbBackend::Postgres {
        let values = texts.into_iter().map(|text| Value::String(Some(text.to_owned())));
        return Value::Array(ArrayType::String, Some(Box::new(values.collect())));
    }
    serde_json::Value::from(texts.into_iter().collect::<Vec<_>>()).to_string().into()
}

/// A list of numbers as one parameter, likewise.
pub(super) fn numbers(backend: DbBackend, numbers: impl IntoIterator<Item = i64>) -> Value {
    if backend == DbBackend::Postgres {
        let values = numbers.into_iter().map(|number| Value::BigInt(Some(number)));
        return Value::Array(ArrayType::BigInt, Some(Box::new(values.collect())));
    }
    serde_json::Value::from(numbers.into_iter().collect::<Vec<_>>()).to_string().into()
}
