//! Conversations as their participants see them: the list, one alone, unread counts.
//!
//! What lives here: a bounded number of queries each, whatever the sizes. What must not: who is online.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::{FromQueryResult, Value};

use super::Store;
use super::failure::Failure;
use super::rows::{MessageRow, PersonRow, SubjectRow, count};
use super::sql::{message_columns, numbers, person_columns, subject_columns, unread_count};
use crate::error::ChatError;
use crate::protocol::command::{Conversations, ListCursor, PARTICIPANTS_MAX};
use crate::protocol::reply::{Unread, UnreadIn};
use crate::protocol::{Conversation, ConversationId, ConversationRef, Message, Participant, Seq, Timestamp, UserId};

/// How many participants of a conversation a list shows, by user id.
pub const LISTED_PARTICIPANTS_MAX: i64 = 100;

macro_rules! conversation_columns {
    () => {
        concat!(
            "c.id AS c_id, c.key, c.kind AS c_kind, c.title, ",
            subject_columns!(),
            ", (SELECT f.sender_id FROM message AS f WHERE f.conversation_id = c.id AND f.seq = 1) AS opener, ",
            "c.active_at_ms, c.created_at_ms AS c_created_at_ms, ",
            message_columns!()
        )
    };
}
macro_rules! conversation_joins {
    () => {
        "LEFT JOIN subject AS s ON s.kind = c.subject_kind AND s.id = c.subject_id \
         LEFT JOIN message AS m ON m.conversation_id = c.id AND m.seq = c.last_seq \
         LEFT JOIN app_user AS u ON u.id = m.sender_id "
    };
}
/// What is unread for each of two people; of more people it would be a count each.
macro_rules! pair_unread {
    () => {
        concat!("CASE WHEN c.participant_count <= 2 THEN ", unread_count!(), " ELSE 0 END AS seat_unread, ")
    };
}
const LIST: &str = concat!(
    "WITH page AS (SELECT c.id FROM participant AS p JOIN conversation AS c ON c.id = p.conversation_id ",
    "WHERE p.user_id = $1 AND (c.active_at_ms, c.id) < ($2, $3) ",
    "AND (CAST($5 AS text) IS NULL OR c.subject_kind = $5) AND (CAST($6 AS text) IS NULL OR c.subject_id = $6) ORDER BY c.active_at_ms DESC, c.id DESC LIMIT $4) ",
    "SELECT ",
    unread_count!(),
    " AS unread, ",
    conversation_columns!(),
    " FROM page JOIN conversation AS c ON c.id = page.id ",
    "JOIN participant AS p ON p.conversation_id = c.id AND p.user_id = $1 ",
    conversation_joins!(),
    "ORDER BY c.active_at_ms DESC, c.id DESC"
);
const ONE: &str = concat!(
    "SELECT ",
    unread_count!(),
    " AS unread, ",
    conversation_columns!(),
    " FROM conversation AS c JOIN participant AS p ON p.conversation_id = c.id AND p.user_id = $2 ",
    conversation_joins!(),
    "WHERE c.id = $1"
);
const ONE_FOR_SHOP: &str = concat!(
    "SELECT CAST(0 AS bigint) AS unread, ",
    conversation_columns!(),
    " FROM conversation AS c ",
    conversation_joins!(),
    "WHERE c.id = $1"
);
const PEOPLE: &str = concat!(
    "SELECT p.conversation_id, p.role AS seat_role, ",
    pair_unread!(),
    person_columns!(),
    " FROM unnest($1::bigint[]) AS i (id) CROSS JOIN LATERAL (SELECT * FROM participant AS q ",
    "WHERE q.conversation_id = i.id ORDER BY q.user_id LIMIT $2) AS p ",
    "JOIN conversation AS c ON c.id = p.conversation_id JOIN app_user AS u ON u.id = p.user_id ",
    "ORDER BY p.conversation_id, p.user_id"
);
/// SQLite has no LATERAL: the last user id to show is looked up instead; where there are fewer, any text is less than a blob.
const PEOPLE_SQLITE: &str = concat!(
    "SELECT p.conversation_id, p.role AS seat_role, ",
    pair_unread!(),
    person_columns!(),
    " FROM json_each($1) AS i CROSS JOIN participant AS p ON p.conversation_id = i.value AND p.user_id <= COALESCE((",
    "SELECT q.user_id FROM participant AS q WHERE q.conversation_id = i.value ORDER BY q.user_id LIMIT 1 OFFSET $2 - 1",
    "), x'ff') JOIN conversation AS c ON c.id = p.conversation_id JOIN app_user AS u ON u.id = p.user_id ORDER BY p.conversation_id, p.user_id"
);
const UNREAD: &str = concat!(
    "SELECT c.id AS conversation_id, c.last_seq, ",
    unread_count!(),
    " AS unread FROM participant AS p JOIN conversation AS c ON c.id = p.conversation_id AND c.last_seq > p.read_seq ",
    "WHERE p.user_id = $1 ORDER BY c.id"
);

pub(super) const LISTS: [&str; 2] = [LIST, UNREAD];

#[derive(Debug, FromQueryResult)]
struct ConversationRow {
    c_id: i64,
    key: Option<String>,
    c_kind: String,
    title: Option<String>,
    #[sea_orm(nested)]
    subject: SubjectRow,
    opener: Option<String>,
    active_at_ms: i64,
    c_created_at_ms: i64,
    unread: i64,
    #[sea_orm(nested)]
    last_message: Option<MessageRow>,
}

#[derive(Debug, FromQueryResult)]
struct ParticipantRow {
    conversation_id: i64,
    seat_role: String,
    seat_unread: i64,
    #[sea_orm(nested)]
    person: PersonRow,
}

#[derive(Debug, FromQueryResult)]
struct UnreadRow {
    conversation_id: i64,
    last_seq: i64,
    unread: i64,
}

impl From<ConversationRow> for Conversation {
    fn from(row: ConversationRow) -> Self {
        let text = |text: Option<String>| text.map(Arc::<str>::from);
        Self {
            id: ConversationId(row.c_id),
            key: text(row.key),
            kind: row.c_kind.into(),
            title: text(row.title),
            subject: row.subject.subject(),
            participants: Vec::new(),
            last_message: row.last_message.map(Message::from),
            opener: row.opener.as_deref().map(UserId::stored),
            unread: count(row.unread),
            created_at: Timestamp(row.c_created_at_ms),
        }
    }
}

impl Store {
    /// A page of the caller's conversations, newest activity first, and where the next begins; two queries. Each shows
    /// at most [`LISTED_PARTICIPANTS_MAX`] participants, all of them offline: the caller of this knows better.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn conversations(
        &self,
        caller: &UserId,
        list: &Conversations,
    ) -> Result<(Vec<Conversation>, Option<ListCursor>), ChatError> {
        let limit = list.limit;
        self.call(async {
            let from = list.cursor.unwrap_or(ListCursor { active_at_ms: i64::MAX, id: i64::MAX });
            let more = i64::from(limit) + 1;
            let (kind, id) = list.about.as_ref().map_or((None, None), |(kind, id)| (Some(&**kind), id.as_deref()));
            let values =
                [caller.as_str().into(), from.active_at_ms.into(), from.id.into(), more.into(), kind.into(), id.into()];
            let mut rows = ConversationRow::find_by_statement(self.statement(LIST, values)).all(&self.db()).await?;
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let is_more = rows.len() > limit;
            rows.truncate(limit);
            let last = rows.last().map(|row| ListCursor { active_at_ms: row.active_at_ms, id: row.c_id });
            let next = last.filter(|_| is_more);
            let page = rows.into_iter().map(Conversation::from).collect();
            Ok((self.with_people(page, LISTED_PARTICIPANTS_MAX).await?, next))
        })
        .await
    }

    /// One conversation with all its participants, as the caller sees it.
    ///
    /// # Errors
    /// `not_found` where there is none, or the caller is no participant; `unavailable`.
    pub async fn conversation(&self, caller: &UserId, name: &ConversationRef) -> Result<Conversation, ChatError> {
        self.call(async {
            let id = self.seated(caller, name).await?;
            self.one(ONE, vec![id.0.into(), caller.as_str().into()]).await
        })
        .await
    }

    /// One conversation with all its participants, as the shop's backend sees it: nothing is unread.
    ///
    /// # Errors
    /// `not_found` where there is none; `unavailable`.
    pub async fn conversation_for_shop(&self, id: ConversationId) -> Result<Conversation, ChatError> {
        self.call(self.one(ONE_FOR_SHOP, vec![id.0.into()])).await
    }

    /// Where the user has something unread, and how much; own messages never count. One query.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn unread(&self, caller: &UserId) -> Result<Unread, ChatError> {
        self.call(async {
            let statement = self.statement(UNREAD, [caller.as_str().into()]);
            let rows = UnreadRow::find_by_statement(statement).all(&self.db()).await?;
            let conversations: Vec<_> = rows.iter().filter(|row| row.unread > 0).map(unread_in).collect();
            Ok(Unread {
                total: conversations.iter().map(|unread| unread.count).sum(),
                conversations,
                topics: Vec::new(),
            })
        })
        .await
    }

    async fn one(&self, sql: &'static str, values: Vec<Value>) -> Result<Conversation, Failure> {
        let row = ConversationRow::find_by_statement(self.statement(sql, values)).one(&self.db()).await?;
        let row = row.ok_or(ChatError::NotFound("conversation"))?;
        let all = i64::try_from(PARTICIPANTS_MAX).unwrap_or(i64::MAX);
        let mut page = self.with_people(vec![row.into()], all).await?;
        Ok(page.pop().ok_or(ChatError::Internal)?)
    }

    async fn with_people(&self, mut page: Vec<Conversation>, most: i64) -> Result<Vec<Conversation>, Failure> {
        if page.is_empty() {
            return Ok(page);
        }
        let ids = numbers(self.inner.backend, page.iter().map(|conversation| conversation.id.0));
        let statement = self.statement(self.sql(PEOPLE, PEOPLE_SQLITE), [ids, most.into()]);
        let mut people: HashMap<i64, Vec<Participant>> = HashMap::new();
        for row in ParticipantRow::find_by_statement(statement).all(&self.db()).await? {
            let participant = Participant {
                person: row.person.into(),
                role: row.seat_role.into(),
                online: false,
                unread: count(row.seat_unread),
            };
            people.entry(row.conversation_id).or_default().push(participant);
        }
        for conversation in &mut page {
            conversation.participants = people.remove(&conversation.id.0).unwrap_or_default();
        }
        Ok(page)
    }
}

fn unread_in(row: &UnreadRow) -> UnreadIn {
    UnreadIn {
        conversation: ConversationId(row.conversation_id),
        count: count(row.unread),
        last_seq: Seq(row.last_seq),
    }
}
