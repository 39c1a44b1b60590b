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

/// The columns of a `SubjectRow`, of `conversation AS c` with `subject AS s` as its subject.
macro_rules! subject_columns {
    () => {
        "c.subject_kind, c.subject_id, s.title AS subject_title, s.owner_id AS subject_owner"
    };
}

/// The columns of a `TopicRow` beside its person's, of what [`topic_joins`] joins.
macro_rules! topic_columns {
    () => {
        concat!(
            "c.id AS c_id, c.key AS c_key, c.kind AS c_kind, c.last_seq AS c_last_seq, p.role AS seat_role, ",
            $crate::store::sql::subject_columns!()
        )
    };
}

/// Conversations with what they are about and, where they are few, everyone in them. Few is `TOPIC_PEOPLE_MAX`.
macro_rules! topic_joins {
    () => {
        " FROM conversation AS c LEFT JOIN subject AS s ON s.kind = c.subject_kind AND s.id = c.subject_id \
         LEFT JOIN participant AS p ON p.conversation_id = c.id AND c.participant_count <= 8 \
         LEFT JOIN app_user AS u ON u.id = p.user_id "
    };
}

pub(super) use {message_columns, person_columns, subject_columns, topic_columns, topic_joins, unread_count};

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
