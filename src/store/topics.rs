//! What conversations are, and where a user stands in each of theirs: what a session needs beside the messages themselves.
//!
//! What lives here: one query each. What must not: messages.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::{FromQueryResult, Value};

use super::Store;
use super::failure::Failure;
use super::rows::{PersonRow, SubjectRow};
use super::sql::{numbers, person_columns, topic_columns, topic_joins};
use crate::error::ChatError;
use crate::protocol::model::Topic;
use crate::protocol::{ConversationId, ConversationRef, Seq, UserId};

/// Conversations of one user whose places are read, those with the newest activity first.
pub const PLACES_MAX: i64 = 10_000;

const SEATED_BY_ID: &str = concat!(
    "SELECT ",
    topic_columns!(),
    ", ",
    person_columns!(),
    topic_joins!(),
    "WHERE c.id = $1 AND EXISTS (SELECT 1 FROM participant AS own WHERE own.conversation_id = c.id AND own.user_id = $2) ",
    "ORDER BY p.user_id"
);
const SEATED_BY_KEY: &str = concat!(
    "SELECT ",
    topic_columns!(),
    ", ",
    person_columns!(),
    topic_joins!(),
    "WHERE c.key = $1 AND EXISTS (SELECT 1 FROM participant AS own WHERE own.conversation_id = c.id AND own.user_id = $2) ",
    "ORDER BY p.user_id"
);
macro_rules! topics {
    ($ids:literal) => {
        concat!(
            "SELECT ",
            topic_columns!(),
            ", ",
            person_columns!(),
            topic_joins!(),
            "WHERE c.id IN (",
            $ids,
            ") ORDER BY c.id, p.user_id"
        )
    };
}
const TOPICS: &str = topics!("SELECT unnest($1::bigint[])");
const TOPICS_SQLITE: &str = topics!("SELECT value FROM json_each($1)");
pub(super) const PLACES: &str = "SELECT c.id, c.last_seq, p.received_seq FROM participant AS p \
     JOIN conversation AS c ON c.id = p.conversation_id WHERE p.user_id = $1 \
     ORDER BY c.active_at_ms DESC, c.id DESC LIMIT $2";
const READERS: &str =
    "SELECT user_id, read_seq FROM participant WHERE conversation_id = $1 ORDER BY read_seq DESC, user_id LIMIT 2";

/// Where a user stands in one of their conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The newest place.
    pub last_seq: Seq,
    /// All up to and with this place is received.
    pub received: Seq,
}

/// What a conversation is, with its newest place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) topic: Arc<Topic>,
    pub(super) last_seq: Seq,
}

/// The columns of a topic, once for each person that it names.
#[derive(Debug, FromQueryResult)]
pub(super) struct TopicRow {
    c_id: i64,
    c_key: Option<String>,
    c_kind: String,
    c_last_seq: i64,
    #[sea_orm(nested)]
    subject: SubjectRow,
    seat_role: Option<String>,
    #[sea_orm(nested)]
    person: Option<PersonRow>,
}

#[derive(Debug, FromQueryResult)]
struct PlaceRow {
    id: i64,
    last_seq: i64,
    received_seq: i64,
}

#[derive(Debug, FromQueryResult)]
struct ReaderRow {
    user_id: String,
    read_seq: i64,
}

impl Store {
    /// What each of these conversations is; those that do not exist are left out.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn topics(&self, ids: &[ConversationId]) -> Result<HashMap<ConversationId, Arc<Topic>>, ChatError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        self.call(async {
            let ids = numbers(self.inner.backend, ids.iter().map(|id| id.0));
            let statement = self.statement(self.sql(TOPICS, TOPICS_SQLITE), [ids]);
            let rows = TopicRow::find_by_statement(statement).all(&self.db()).await?;
            Ok(gathered(rows).into_iter().map(|placed| (placed.topic.id, placed.topic)).collect())
        })
        .await
    }

    /// Where a user stands in each of their conversations, at most [`PLACES_MAX`].
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn places(&self, user: &UserId) -> Result<Vec<Place>, ChatError> {
        self.call(async {
            let statement = self.statement(PLACES, [user.as_str().into(), PLACES_MAX.into()]);
            let rows = PlaceRow::find_by_statement(statement).all(&self.db()).await?;
            let place = |row: PlaceRow| Place {
                conversation: ConversationId(row.id),
                last_seq: Seq(row.last_seq),
                received: Seq(row.received_seq),
            };
            Ok(rows.into_iter().map(place).collect())
        })
        .await
    }

    /// What the conversation is, where the caller sits in it.
    pub(super) async fn seated_topic(&self, user: &UserId, name: &ConversationRef) -> Result<Placed, Failure> {
        let (sql, name) = match name {
            ConversationRef::Id(id) => (SEATED_BY_ID, Value::from(id.0)),
            ConversationRef::Key(key) => (SEATED_BY_KEY, Value::from(&**key)),
            ConversationRef::Between(between) => {
                let found = self.find_between(user, between).await?.ok_or(ChatError::NotFound("conversation"))?;
                (SEATED_BY_ID, Value::from(found.0))
            }
        };
        let statement = self.statement(sql, [name, user.as_str().into()]);
        let rows = TopicRow::find_by_statement(statement).all(&self.db()).await?;
        Ok(gathered(rows).pop().ok_or(ChatError::NotFound("conversation"))?)
    }

    /// The two who have read furthest.
    pub(super) async fn readers(&self, conversation: ConversationId) -> Result<Vec<(UserId, Seq)>, Failure> {
        let rows = ReaderRow::find_by_statement(self.statement(READERS, [conversation.0.into()]));
        let rows = rows.all(&self.db()).await?;
        Ok(rows.into_iter().map(|row| (UserId::stored(&row.user_id), Seq(row.read_seq))).collect())
    }
}

/// The topics that rows are of, one for all rows of a conversation that follow each other.
pub(super) fn gathered(rows: Vec<TopicRow>) -> Vec<Placed> {
    let mut all: Vec<(Topic, Seq)> = Vec::new();
    for row in rows {
        let person = row.person.zip(row.seat_role).map(|(person, role)| (person.into(), role.into()));
        match all.last_mut() {
            Some((topic, _)) if topic.id.0 == row.c_id => topic.people.extend(person),
            _ => {
                let topic = Topic {
                    id: ConversationId(row.c_id),
                    key: row.c_key.map(Into::into),
                    kind: row.c_kind.into(),
                    subject: row.subject.subject(),
                    people: person.into_iter().collect(),
                };
                all.push((topic, Seq(row.c_last_seq)));
            }
        }
    }
    all.into_iter().map(|(topic, last_seq)| Placed { topic: Arc::new(topic), last_seq }).collect()
}
