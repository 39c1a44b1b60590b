//! People: who they are, when they were last seen, who shares a conversation with whom.
//!
//! What lives here: reads and writes of `app_user`. What must not: tokens, sockets.

use std::collections::BTreeMap;
use std::sync::Arc;

use entity::app_user;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, FromQueryResult};
use serde_json::json;

use super::Store;
use super::failure::Failure;
use super::rows::PersonRow;
use super::sql::{numbers, person_columns, texts};
use crate::error::ChatError;
use crate::protocol::command::PutUser;
use crate::protocol::{Person, Timestamp, UserId};

/// A user that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who, with the name and role in force.
    pub person: Person,
    /// They may come in.
    pub active: bool,
    /// Somebody who was known before has another name or role by this call.
    pub changed: bool,
}

/// Conversations of more people than this make nobody partners: presence is for those one talks to.
pub const PARTNERS_IN: i64 = 50;
/// How many partners one user has at most.
pub const PARTNERS_MAX: i64 = 1_000;

const USER: &str = concat!("SELECT ", person_columns!(), " FROM app_user AS u WHERE u.id = $1");
/// What a write answers: SQLite knows no table's alias there.
macro_rules! returning_person {
    () => {
        "RETURNING id AS user_id, COALESCE(name, token_name, id) AS user_name, \
         COALESCE(role, token_role, '') AS user_role, status = 'active' AS active"
    };
}
const CREATE: &str = "INSERT INTO app_user (id, created_at_ms) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
const PUT: &str = concat!(
    "UPDATE app_user SET name = COALESCE($2, name), role = COALESCE($3, role), status = COALESCE($4, status) ",
    "WHERE id = $1 ",
    returning_person!()
);
const SEEN: &str = "UPDATE app_user SET last_seen_at_ms = s.at_ms FROM unnest($1::text[], $2::bigint[]) AS s (id, at_ms) \
     WHERE app_user.id = s.id AND (last_seen_at_ms IS NULL OR last_seen_at_ms < s.at_ms)";
const SEEN_SQLITE: &str = "UPDATE app_user SET last_seen_at_ms = s.at_ms \
     FROM (SELECT value ->> 0 AS id, value ->> 1 AS at_ms FROM json_each($1)) AS s \
     WHERE app_user.id = s.id AND (last_seen_at_ms IS NULL OR last_seen_at_ms < s.at_ms)";
const KNOWS: &str = "SELECT EXISTS (SELECT 1 FROM participant AS a JOIN participant AS b \
     ON b.conversation_id = a.conversation_id WHERE a.user_id = $1 AND b.user_id = $2) AS known";
macro_rules! partners {
    ($users:literal) => {
        concat!(
            "SELECT user_id, partner_id FROM (SELECT user_id, partner_id, ",
            "row_number() OVER (PARTITION BY user_id ORDER BY partner_id) AS place FROM (",
            "SELECT DISTINCT a.user_id, b.user_id AS partner_id FROM ",
            $users,
            " JOIN participant AS a ON a.user_id = i.id ",
            "JOIN conversation AS c ON c.id = a.conversation_id AND c.participant_count <= $2 ",
            "JOIN participant AS b ON b.conversation_id = a.conversation_id AND b.user_id <> a.user_id",
            ") AS pairs) AS placed WHERE place <= $3"
        )
    };
}
const PARTNERS: &str = partners!("unnest($1::text[]) AS i (id)");
const PARTNERS_SQLITE: &str = partners!("(SELECT value AS id FROM json_each($1)) AS i");

#[derive(Debug, FromQueryResult)]
pub(super) struct KnownRow {
    #[sea_orm(nested)]
    person: PersonRow,
}

impl From<KnownRow> for Known {
    fn from(row: KnownRow) -> Self {
        Self { active: row.person.active, person: row.person.into(), changed: false }
    }
}

pub(super) use returning_person;

#[derive(Debug, FromQueryResult)]
struct PartnerRow {
    user_id: String,
    partner_id: String,
}

impl Store {
    /// A user; `None` where nobody ever named them.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn user(&self, user: &UserId) -> Result<Option<Known>, ChatError> {
        self.call(async { Ok(self.user_row(user).await?.map(Known::from)) }).await
    }

    /// Creates a user or changes what is given; says whether they are new. Of whoever is suspended no socket comes back.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn put_user(&self, put: &PutUser) -> Result<(Known, bool), ChatError> {
        self.call(async {
            let writing = self.inner.begin().await?;
            let create = self.statement(CREATE, [put.id.as_str().into(), Timestamp::now().0.into()]);
            let created = writing.transaction.execute_raw(create).await?.rows_affected() > 0;
            let status = put.active.map(|active| if active { app_user::ACTIVE } else { app_user::SUSPENDED });
            let values =
                [put.id.as_str().into(), put.name.as_deref().into(), put.role.as_deref().into(), status.into()];
            let row = KnownRow::find_by_statement(self.statement(PUT, values)).one(&writing.transaction).await?;
            if put.active == Some(false) {
                self.forget_sockets(&writing.transaction, &put.id).await?;
            }
            writing.commit().await?;
            Ok((row.ok_or(ChatError::Internal)?.into(), created))
        })
        .await
    }

    /// When the user's last socket closed, where one ever did; `None` where there is no such user.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn last_seen(&self, user: &UserId) -> Result<Option<Option<Timestamp>>, ChatError> {
        self.call(async {
            let row = app_user::Entity::find_by_id(user.as_str()).one(&self.db()).await?;
            Ok(row.map(|row| row.last_seen_at_ms.map(Timestamp)))
        })
        .await
    }

    /// Notes when users were last seen; an earlier moment than the noted one changes nothing.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn set_last_seen(&self, seen: &[(UserId, Timestamp)]) -> Result<(), ChatError> {
        let mut newest = BTreeMap::new();
        for (user, at) in seen {
            let noted = newest.entry(user).or_insert(*at);
            *noted = (*noted).max(*at);
        }
        self.call(async {
            let users = newest.keys().map(|user| user.as_str());
            let times = newest.values().map(|at| at.0);
            let lists = match self.inner.backend {
                DbBackend::Sqlite => vec![json!(users.zip(times).collect::<Vec<_>>()).to_string().into()],
                backend => vec![texts(backend, users), numbers(backend, times)],
            };
            let writing = self.inner.begin().await?;
            writing.transaction.execute_raw(self.statement(self.sql(SEEN, SEEN_SQLITE), lists)).await?;
            Ok(writing.commit().await?)
        })
        .await
    }

    /// Whether the two share a conversation.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn knows(&self, caller: &UserId, other: &UserId) -> Result<bool, ChatError> {
        self.call(async {
            let statement = self.statement(KNOWS, [caller.as_str().into(), other.as_str().into()]);
            let row = self.db().query_one_raw(statement).await?.ok_or(ChatError::Internal)?;
            Ok(row.try_get("", "known")?)
        })
        .await
    }

    /// Each user with each who shares a conversation of at most [`PARTNERS_IN`] people with them, at most
    /// [`PARTNERS_MAX`] a user.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn partners(&self, users: &[UserId]) -> Result<Vec<(UserId, UserId)>, ChatError> {
        self.call(async {
            let users = texts(self.inner.backend, users.iter().map(|user| user.as_str()));
            let values = [users, PARTNERS_IN.into(), PARTNERS_MAX.into()];
            let statement = self.statement(self.sql(PARTNERS, PARTNERS_SQLITE), values);
            let rows = PartnerRow::find_by_statement(statement).all(&self.db()).await?;
            Ok(rows.iter().map(|row| (UserId::stored(&row.user_id), UserId::stored(&row.partner_id))).collect())
        })
        .await
    }

    async fn user_row(&self, user: &UserId) -> Result<Option<KnownRow>, Failure> {
        let statement = self.statement(USER, [user.as_str().into()]);
        Ok(KnownRow::find_by_statement(statement).one(&self.db()).await?)
    }

    /// The role in the shop that is in force.
    ///
    /// # Errors
    /// `not_found` where nobody ever named the user.
    pub(super) async fn role(&self, user: &UserId) -> Result<Arc<str>, Failure> {
        let row = self.user_row(user).await?.ok_or(ChatError::NotFound("user"))?;
        Ok(Known::from(row).person.role)
    }
}
