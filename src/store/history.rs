//! Pages of messages, by keyset on (conversation, seq).
//!
//! What lives here: resolving a conversation's name, history with its membership check, replay without.
//! What must not: marking anything read.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use super::Store;
use super::failure::Failure;
use super::gather::{Gathered, Gathering};
use super::rows::MessageRow;
use super::sql::{message_columns, texts};
use super::topics::Placed;
use crate::error::ChatError;
use crate::protocol::command::{History, Page};
use crate::protocol::reply::Messages;
use crate::protocol::{ConversationId, ConversationRef, Message, MessageId, Seq, Timestamp, UserId};

const BEFORE: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM message AS m LEFT JOIN app_user AS u ON u.id = m.sender_id ",
    "WHERE m.conversation_id = $1 AND m.seq < $2 ORDER BY m.seq DESC LIMIT $3"
);
const AFTER: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM message AS m LEFT JOIN app_user AS u ON u.id = m.sender_id ",
    "WHERE m.conversation_id = $1 AND m.seq > $2 AND m.seq <= $3 ORDER BY m.seq LIMIT $4"
);
pub(super) const PAGES: [&str; 2] = [BEFORE, AFTER];
const SEAT_BY_ID: &str =
    "SELECT p.conversation_id FROM participant AS p WHERE p.conversation_id = $1 AND p.user_id = $2";
const SEAT_BY_KEY: &str = "SELECT p.conversation_id FROM conversation AS c JOIN participant AS p \
                           ON p.conversation_id = c.id WHERE c.key = $1 AND p.user_id = $2";
const PLACE: &str = "SELECT seq FROM message WHERE id = $1 AND conversation_id = $2";
const SAID_AT: &str = "SELECT created_at_ms FROM message WHERE conversation_id = $1 AND seq = $2";
const NEWEST: &str = "SELECT id, seq FROM message WHERE conversation_id = $1 ORDER BY seq DESC LIMIT 1";

const KEYS: &str = "SELECT key, id FROM conversation WHERE key = ANY($1::text[])";
const KEYS_SQLITE: &str = "SELECT key, id FROM conversation WHERE key IN (SELECT value FROM json_each($1))";

/// Asks which conversation has a key.
#[derive(Debug)]
pub(super) struct Naming(Arc<str>);

impl Gathered for Naming {
    type Answer = Option<ConversationId>;

    fn gathering(store: &Store) -> &Arc<Gathering<Self>> {
        &store.inner.naming
    }

    async fn read(store: &Store, asked: &[Self]) -> Result<Vec<Self::Answer>, ChatError> {
        store
            .call(async {
                let keys = texts(store.inner.backend, asked.iter().map(|Self(key)| &**key));
                let rows = store.db().query_all_raw(store.statement(store.sql(KEYS, KEYS_SQLITE), [keys])).await?;
                let mut known: HashMap<String, i64> = HashMap::new();
                for row in rows {
                    known.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                }
                Ok(asked.iter().map(|Self(key)| known.get(&**key).copied().map(ConversationId)).collect())
            })
            .await
    }
}

impl Store {
    /// The conversation's number; `None` where there is none. Says nothing of who may see it.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn resolve(&self, conversation: &ConversationRef) -> Result<Option<ConversationId>, ChatError> {
        match conversation {
            ConversationRef::Id(id) => {
                self.call(async {
                    let statement = self.statement("SELECT id FROM conversation WHERE id = $1", [id.0.into()]);
                    let row = self.db().query_one_raw(statement).await?;
                    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.map(ConversationId))
                })
                .await
            }
            ConversationRef::Key(key) => self.gather(Naming(Arc::clone(key))).await,
            // Who asks decides what it is: that is `between`.
            ConversationRef::Between(_) => Err(ChatError::Internal),
        }
    }

    /// A page of a conversation, oldest first, in at most four queries.
    ///
    /// # Errors
    /// `not_found` where there is no such conversation, the caller is no participant, or the message that the page
    /// should end before is not of this conversation; `unavailable`.
    pub async fn history(&self, caller: &UserId, history: &History) -> Result<Messages, ChatError> {
        let History { conversation, page, limit, readers } = history;
        let (page, limit) = (*page, *limit);
        self.call(async {
            let Placed { topic, last_seq } = self.seated_topic(caller, conversation).await?;
            let conversation = topic.id;
            let more = i64::from(limit) + 1;
            let mut messages = match page {
                Page::Newest => self.before(conversation, Seq(i64::MAX), more).await?,
                Page::Before(seq) => self.before(conversation, seq, more).await?,
                Page::Numbered(number) => {
                    // Places have no gaps, so that a page's begin is known.
                    let newer = i64::from(number.saturating_sub(1)) * i64::from(limit);
                    self.before(conversation, Seq(last_seq.0 - newer).next(), more).await?
                }
                Page::BeforeMessage(id) => {
                    let seq = self.place(conversation, id).await?;
                    self.before(conversation, seq, more).await?
                }
                Page::After(seq) => self.after(conversation, seq, Seq(i64::MAX), more).await?,
            };
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let has_more = messages.len() > limit;
            messages.truncate(limit);
            if !matches!(page, Page::After(_)) {
                messages.reverse();
            }
            let readers = if *readers { self.readers(conversation).await? } else { Vec::new() };
            Ok(Messages { topic, messages, has_more, last_seq, readers })
        })
        .await
    }

    /// The messages after one place and up to another, oldest first, at most `limit`. Checks no membership.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn replay(
        &self,
        conversation: ConversationId,
        after: Seq,
        up_to: Seq,
        limit: u32,
    ) -> Result<Vec<Message>, ChatError> {
        self.call(self.after(conversation, after, up_to, i64::from(limit))).await
    }

    /// When the message of a place was taken in; `None` where there is none. Checks no membership.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn said_at(&self, conversation: ConversationId, seq: Seq) -> Result<Option<Timestamp>, ChatError> {
        self.call(async {
            let row = self.db().query_one_raw(self.statement(SAID_AT, [conversation.0.into(), seq.0.into()])).await?;
            Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.map(Timestamp))
        })
        .await
    }

    /// The conversation's number, where the caller sits in it.
    pub(super) async fn seated(
        &self,
        user: &UserId,
        conversation: &ConversationRef,
    ) -> Result<ConversationId, Failure> {
        let (sql, name) = match conversation {
            ConversationRef::Id(id) => (SEAT_BY_ID, Value::from(id.0)),
            ConversationRef::Key(key) => (SEAT_BY_KEY, Value::from(&**key)),
            ConversationRef::Between(between) => {
                let found = self.find_between(user, between).await?;
                return Ok(found.ok_or(ChatError::NotFound("conversation"))?);
            }
        };
        let row = self.db().query_one_raw(self.statement(sql, [name, user.as_str().into()])).await?;
        let row = row.ok_or(ChatError::NotFound("conversation"))?;
        Ok(ConversationId(row.try_get_by_index(0)?))
    }

    async fn before(&self, conversation: ConversationId, seq: Seq, limit: i64) -> Result<Vec<Message>, Failure> {
        self.messages(BEFORE, vec![conversation.0.into(), seq.0.into(), limit.into()]).await
    }

    async fn after(&self, of: ConversationId, seq: Seq, up_to: Seq, limit: i64) -> Result<Vec<Message>, Failure> {
        self.messages(AFTER, vec![of.0.into(), seq.0.into(), up_to.0.into(), limit.into()]).await
    }

    async fn messages(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Message>, Failure> {
        let rows = MessageRow::find_by_statement(self.statement(sql, values)).all(&self.db()).await?;
        Ok(rows.into_iter().map(Message::from).collect())
    }

    /// The place that a message id stands for. An id that is newer than the conversation's newest message stands for
    /// the place after it; ids rise with places, so nothing is skipped.
    async fn place(&self, conversation: ConversationId, id: MessageId) -> Result<Seq, Failure> {
        let known = self.statement(PLACE, [id.0.into(), conversation.0.into()]);
        if let Some(row) = self.db().query_one_raw(known).await? {
            return Ok(Seq(row.try_get_by_index(0)?));
        }
        let newest = self.statement(NEWEST, [conversation.0.into()]);
        match self.db().query_one_raw(newest).await? {
            Some(row) if row.try_get_by_index::<i64>(0)? < id.0 => Ok(Seq(row.try_get_by_index::<i64>(1)?).next()),
            None => Ok(Seq(1)),
            Some(_) => Err(ChatError::NotFound("message").into()),
        }
    }
}
