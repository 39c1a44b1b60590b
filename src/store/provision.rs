//! Conversations, subjects and seats come and go here: for the shop's backend, and for people who open a conversation.
//!
//! What lives here: one transaction a call. What must not: telling anybody; rooms learn of it from the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use entity::subject;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, Value};
use serde_json::json;

use super::Store;
use super::failure::Failure;
use super::sql::texts;
use crate::error::ChatError;
use crate::protocol::command::{DESK_KEY, Open, PARTICIPANTS_MAX, Pairing, PutConversation, PutSubject};
use crate::protocol::{ConversationId, ConversationRef, Timestamp, UserId};

/// The kind of a conversation of at most two people, where nobody says otherwise.
pub const DIRECT: &str = "direct";
/// The kind of a conversation of more.
pub const GROUP: &str = "group";

/// In a list of roles: none was given. A new seat begins with it, an old one keeps what it has.
const UNCHANGED: &str = "";

/// Users are created in the order of their ids, so that two transactions never wait for each other.
const USERS: &str = "INSERT INTO app_user (id, created_at_ms) SELECT i.id, $2 FROM unnest($1::text[]) AS i (id) \
                     ON CONFLICT (id) DO NOTHING";
const USERS_SQLITE: &str = "INSERT INTO app_user (id, created_at_ms) SELECT value, $2 FROM json_each($1) WHERE true \
                            ON CONFLICT (id) DO NOTHING";
const SUBJECT: &str = "INSERT INTO subject (kind, id) VALUES ($1, $2) ON CONFLICT (kind, id) DO NOTHING";
const PUT_SUBJECT: &str = "UPDATE subject SET title = COALESCE($3, title), owner_id = COALESCE($4, owner_id), \
     url = COALESCE($5, url), image_url = COALESCE($6, image_url) WHERE kind = $1 AND id = $2";
macro_rules! create {
    ($name:literal) => {
        concat!(
            "INSERT INTO conversation (",
            $name,
            ", kind, title, subject_kind, subject_id, active_at_ms, created_at_ms) ",
            "VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (",
            $name,
            ") DO NOTHING RETURNING id"
        )
    };
}
pub(super) const CREATE_BY_KEY: &str = create!("key");
const CREATE_BY_PAIR: &str = create!("pair_key");
/// One of two people on a subject; nothing where the two have one, or somebody has the key.
const CREATE_PAIR: &str = "INSERT INTO conversation (pair_key, key, kind, subject_kind, subject_id, active_at_ms, created_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING RETURNING id";
const UPDATE: &str = "UPDATE conversation SET kind = COALESCE($2, kind), title = COALESCE($3, title), \
     subject_kind = COALESCE($4, subject_kind), subject_id = COALESCE($5, subject_id) WHERE key = $1 RETURNING id";
/// The conversation of two people alone on a subject (`$3`, `$4`), or on none: one that they opened, or that the shop made for them.
/// Not one at the desk: others may join that.
const FIND_TOGETHER: &str = "SELECT c.id FROM participant AS p \
     JOIN participant AS q ON q.conversation_id = p.conversation_id AND q.user_id = $2 \
     JOIN conversation AS c ON c.id = p.conversation_id \
     WHERE p.user_id = $1 AND c.participant_count = 2 \
     AND c.subject_kind IS NOT DISTINCT FROM $3 AND c.subject_id IS NOT DISTINCT FROM $4 \
     AND (c.key IS NULL OR c.key NOT LIKE $5 || '%') ORDER BY c.id LIMIT 1";
const FIND_PAIR: &str = "SELECT id FROM conversation WHERE pair_key = $1";
/// `$1` the conversation, `$2` the time, then who and with what role: two arrays, or one of pairs on SQLite.
macro_rules! seats {
    ($people:literal) => {
        concat!(
            "INSERT INTO participant (conversation_id, user_id, role, received_seq, read_seq, joined_at_ms) ",
            "SELECT c.id, i.id, i.role, c.last_seq, c.last_seq, $2 FROM conversation AS c, ",
            $people,
            " WHERE c.id = $1 ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.role ",
            "WHERE excluded.role <> '' AND participant.role <> excluded.role"
        )
    };
}
const SEATS: &str = seats!("unnest($3::text[], $4::text[]) AS i (id, role)");
const SEATS_SQLITE: &str = seats!("(SELECT value ->> 0 AS id, value ->> 1 AS role FROM json_each($3)) AS i");
const COUNT: &str = "UPDATE conversation SET participant_count = \
     (SELECT count(*) FROM participant WHERE conversation_id = $1) WHERE id = $1 RETURNING participant_count";
const LOCK_BY_ID: &str = "UPDATE conversation SET pair_key = NULL WHERE id = $1 RETURNING id";
const LOCK_BY_KEY: &str = "UPDATE conversation SET pair_key = NULL WHERE key = $1 RETURNING id";
const UNSEAT: &str = "DELETE FROM participant WHERE conversation_id = $1 AND user_id = $2";

impl Store {
    /// Creates a subject or changes what is given; says whether it is new. An owner named exists from then on.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn put_subject(&self, put: &PutSubject) -> Result<(PutSubject, bool), ChatError> {
        self.call(async {
            let writing = self.inner.begin().await?;
            let db = &writing.transaction;
            self.users_exist(db, put.owner.iter()).await?;
            let created = self.subject_exists(db, &put.kind, &put.id).await?;
            let values = [
                (*put.kind).into(),
                (*put.id).into(),
                put.title.as_deref().into(),
                put.owner.as_ref().map(UserId::as_str).into(),
                put.url.as_deref().into(),
                put.image_url.as_deref().into(),
            ];
            db.execute_raw(self.statement(PUT_SUBJECT, values)).await?;
            let name = (put.kind.to_string(), put.id.to_string());
            let row = subject::Entity::find_by_id(name).one(db).await?.ok_or(ChatError::Internal)?;
            writing.commit().await?;
            Ok((subject_row(row), created))
        })
        .await
    }

    /// Creates a conversation by the shop's key or changes what is given, and adds participants, in one transaction;
    /// says whether it is new. Two calls at once with one key make one conversation.
    ///
    /// # Errors
    /// `too_large` with more than [`PARTICIPANTS_MAX`] participants; `unavailable`.
    pub async fn put_conversation(&self, put: &PutConversation) -> Result<(ConversationId, bool), ChatError> {
        let mut people: BTreeMap<&UserId, Option<&str>> = BTreeMap::new();
        for (user, role) in &put.participants {
            let seat = people.entry(user).or_default();
            *seat = role.as_deref().or(*seat);
        }
        self.call(async {
            let writing = self.inner.begin().await?;
            let db = &writing.transaction;
            self.users_exist(db, people.keys().copied()).await?;
            if let Some((kind, id)) = &put.subject {
                self.subject_exists(db, kind, id).await?;
            }
            let kind = put.kind.as_deref().unwrap_or(kind_of(people.len()));
            let created =
                self.create(db, CREATE_BY_KEY, Some(&put.key), kind, put.title.as_deref(), put.subject.as_ref());
            let (id, is_new) = match created.await? {
                Some(id) => (id, true),
                None => (self.update(db, put).await?, false),
            };
            self.seat(db, id, &people).await?;
            writing.commit().await?;
            Ok((id, is_new))
        })
        .await
    }

    /// Takes somebody out of a conversation. What they said stays.
    ///
    /// # Errors
    /// `not_found` where there is no such conversation or the user is no participant; `unavailable`.
    pub async fn remove_participant(&self, name: &ConversationRef, user: &UserId) -> Result<ConversationId, ChatError> {
        self.call(async {
            let writing = self.inner.begin().await?;
            let db = &writing.transaction;
            let (sql, value) = match name {
                ConversationRef::Id(id) => (LOCK_BY_ID, Value::from(id.0)),
                ConversationRef::Key(key) => (LOCK_BY_KEY, Value::from(&**key)),
                ConversationRef::Between(_) => return Err(ChatError::Internal.into()),
            };
            // Two people are no pair any more once one of them left, so their next conversation is a new one.
            let row = db.query_one_raw(self.statement(sql, [value])).await?;
            let id = row.ok_or(ChatError::NotFound("conversation"))?.try_get_by_index::<i64>(0)?;
            let gone = db.execute_raw(self.statement(UNSEAT, [id.into(), user.as_str().into()])).await?;
            if gone.rows_affected() == 0 {
                return Err(ChatError::NotFound("participant").into());
            }
            db.execute_raw(self.statement(COUNT, [id.into()])).await?;
            writing.commit().await?;
            Ok(ConversationId(id))
        })
        .await
    }

    /// Opens a conversation: two people get the one that they have on this subject, or on none, where there is one;
    /// more people always a new one. Says whether it is new. Everyone named exists from then on.
    ///
    /// # Errors
    /// `invalid` with nobody but the caller, or roles that may not talk; `not_found` where roles decide and somebody is not known;
    /// `too_large` with more than [`PARTICIPANTS_MAX`] participants; `unavailable`.
    pub async fn open(&self, caller: &UserId, open: &Open) -> Result<(ConversationId, bool), ChatError> {
        let mut people: BTreeMap<&UserId, Option<&str>> = open.participants.iter().map(|user| (user, None)).collect();
        people.insert(caller, None);
        if people.len() < 2 {
            return Err(ChatError::invalid("a conversation needs somebody else"));
        }
        let two = match (people.len(), people.keys().next(), people.keys().next_back()) {
            (2, Some(first), Some(last)) => Some((*first, *last)),
            _ => None,
        };
        let pair = two.map(|(first, last)| pair_key(first, last, open.subject.as_ref()));
        self.call(async {
            let paired = self.paired(caller, open).await?;
            if let Some((first, last)) = two {
                let (kind, id) = open.subject.as_ref().map(|(kind, id)| (&**kind, &**id)).unzip();
                let values = [first.as_str().into(), last.as_str().into(), kind.into(), id.into(), DESK_KEY.into()];
                if let Some(row) = self.db().query_one_raw(self.statement(FIND_TOGETHER, values)).await? {
                    return Ok((ConversationId(row.try_get_by_index(0)?), false));
                }
            }
            let writing = self.inner.begin().await?;
            let db = &writing.transaction;
            self.users_exist(db, people.keys().copied()).await?;
            if let Some((kind, id)) = &open.subject {
                self.subject_exists(db, kind, id).await?;
            }
            let (kind, title) = (paired.unwrap_or(kind_of(people.len())), open.title.as_deref());
            let created = self.create(db, CREATE_BY_PAIR, pair.as_deref(), kind, title, open.subject.as_ref());
            let (id, is_new) = match created.await? {
                Some(id) => (id, true),
                None => {
                    let row = db.query_one_raw(self.statement(FIND_PAIR, [pair.as_deref().into()])).await?;
                    (ConversationId(row.ok_or(ChatError::unavailable())?.try_get_by_index(0)?), false)
                }
            };
            self.seat(db, id, &people).await?;
            writing.commit().await?;
            Ok((id, is_new))
        })
        .await
    }

    /// Opens the conversation of two people on a subject, or finds the one that was opened meanwhile.
    pub(super) async fn open_pair(
        &self,
        people: [(&UserId, &'static str); 2],
        subject: &(Arc<str>, Arc<str>),
        key: Option<&str>,
    ) -> Result<ConversationId, Failure> {
        let [(one, _), (other, _)] = people;
        let pair = pair_key(one, other, Some(subject));
        let seats: BTreeMap<&UserId, Option<&str>> =
            people.into_iter().map(|(user, role)| (user, Some(role).filter(|role| !role.is_empty()))).collect();
        let writing = self.inner.begin().await?;
        let db = &writing.transaction;
        self.users_exist(db, seats.keys().copied()).await?;
        self.subject_exists(db, &subject.0, &subject.1).await?;
        let now = Timestamp::now().0;
        // A key that somebody else has is not worth a conversation: it goes without.
        for key in [key, None] {
            let values =
                [pair.as_str().into(), key.into(), DIRECT.into(), (*subject.0).into(), (*subject.1).into(), now.into()];
            if let Some(row) = db.query_one_raw(self.statement(CREATE_PAIR, values)).await? {
                let id = ConversationId(row.try_get_by_index(0)?);
                self.seat(db, id, &seats).await?;
                writing.commit().await?;
                return Ok(id);
            }
            if let Some(row) = db.query_one_raw(self.statement(FIND_PAIR, [pair.as_str().into()])).await? {
                return Ok(ConversationId(row.try_get_by_index(0)?));
            }
        }
        Err(ChatError::unavailable().into())
    }

    /// What the roles of the people make of their conversation, where roles decide it.
    async fn paired(&self, caller: &UserId, open: &Open) -> Result<Option<&'static str>, Failure> {
        let Some(pairings) = open.pairings else { return Ok(None) };
        let role = self.role(caller).await?;
        let mut kind = None;
        for other in open.participants.iter().filter(|other| *other != caller) {
            let meets = Pairing::kind_of(pairings, &role, &self.role(other).await?);
            if meets.is_none() || kind.is_some_and(|kind| meets != Some(kind)) {
                return Err(ChatError::invalid("people with these roles do not talk with each other").into());
            }
            kind = meets;
        }
        Ok(kind)
    }

    async fn users_exist<'a>(
        &self,
        db: &DatabaseTransaction,
        users: impl Iterator<Item = &'a UserId>,
    ) -> Result<(), Failure> {
        let users = texts(self.inner.backend, users.map(|user| user.as_str()));
        let values = [users, Timestamp::now().0.into()];
        db.execute_raw(self.statement(self.sql(USERS, USERS_SQLITE), values)).await?;
        Ok(())
    }

    /// Whether it had to be created.
    async fn subject_exists(&self, db: &DatabaseTransaction, kind: &str, id: &str) -> Result<bool, Failure> {
        let done = db.execute_raw(self.statement(SUBJECT, [kind.into(), id.into()])).await?;
        Ok(done.rows_affected() > 0)
    }

    /// `None` where a conversation of this name exists.
    pub(super) async fn create(
        &self,
        db: &DatabaseTransaction,
        sql: &'static str,
        name: Option<&str>,
        kind: &str,
        title: Option<&str>,
        subject: Option<&(Arc<str>, Arc<str>)>,
    ) -> Result<Option<ConversationId>, Failure> {
        let (subject_kind, subject_id) = subject.map(|(kind, id)| (&**kind, &**id)).unzip();
        let values =
            [name.into(), kind.into(), title.into(), subject_kind.into(), subject_id.into(), Timestamp::now().0.into()];
        let row = db.query_one_raw(self.statement(sql, values)).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.map(ConversationId))
    }

    async fn update(&self, db: &DatabaseTransaction, put: &PutConversation) -> Result<ConversationId, Failure> {
        let (subject_kind, subject_id) = put.subject.as_ref().map(|(kind, id)| (&**kind, &**id)).unzip();
        let values = [
            (*put.key).into(),
            put.kind.as_deref().into(),
            put.title.as_deref().into(),
            subject_kind.into(),
            subject_id.into(),
        ];
        let row = db.query_one_raw(self.statement(UPDATE, values)).await?.ok_or(ChatError::unavailable())?;
        Ok(ConversationId(row.try_get_by_index(0)?))
    }

    /// Gives everyone a seat, with cursors at the newest place, and those who have one their new role; says whether anything changed.
    pub(super) async fn seat(
        &self,
        db: &DatabaseTransaction,
        id: ConversationId,
        people: &BTreeMap<&UserId, Option<&str>>,
    ) -> Result<bool, Failure> {
        let lists = self.lists(people);
        let values = [id.0.into(), Timestamp::now().0.into()].into_iter().chain(lists);
        let added = db.execute_raw(self.statement(self.sql(SEATS, SEATS_SQLITE), values)).await?;
        if added.rows_affected() > 0 {
            let counted = db.query_one_raw(self.statement(COUNT, [id.0.into()])).await?;
            let seats = counted.ok_or(ChatError::Internal)?.try_get_by_index::<i64>(0)?;
            if usize::try_from(seats).is_ok_and(|seats| seats > PARTICIPANTS_MAX) {
                return Err(ChatError::TooLarge(
                    format!("a conversation has at most {PARTICIPANTS_MAX} participants").into(),
                )
                .into());
            }
        }
        Ok(added.rows_affected() > 0)
    }

    fn lists(&self, people: &BTreeMap<&UserId, Option<&str>>) -> Vec<Value> {
        let roles = people.values().map(|role| role.unwrap_or(UNCHANGED));
        let users = people.keys().map(|user| user.as_str());
        if self.inner.backend == DbBackend::Sqlite {
            return vec![json!(users.zip(roles).collect::<Vec<_>>()).to_string().into()];
        }
        vec![texts(DbBackend::Postgres, users), texts(DbBackend::Postgres, roles)]
    }
}

const fn kind_of(people: usize) -> &'static str {
    if people <= 2 { DIRECT } else { GROUP }
}

/// The name of two people's conversation on a subject, or on none. JSON keeps the parts apart whatever they hold.
pub(super) fn pair_key(one: &UserId, other: &UserId, subject: Option<&(Arc<str>, Arc<str>)>) -> String {
    let subject = subject.iter().flat_map(|(kind, id)| [&**kind, &**id]);
    let parts: Vec<&str> = [one.min(other), one.max(other)].into_iter().map(UserId::as_str).chain(subject).collect();
    json!(parts).to_string()
}

/// A subject as the database holds it, in the words of the call that changes it.
fn subject_row(row: subject::Model) -> PutSubject {
    PutSubject {
        kind: row.kind.into(),
        id: row.id.into(),
        title: row.title.map(Into::into),
        owner: row.owner_id.as_deref().map(UserId::stored),
        url: row.url.map(Into::into),
        image_url: row.image_url.map(Into::into),
    }
}
