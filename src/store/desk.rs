//! The desk: each user's one conversation with all who answer for the shop.
//!
//! What lives here: opening it and seating whoever answers now. What must not: which roles those are, or telling anybody.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult};

use super::Store;
use super::failure::Failure;
use super::provision::CREATE_BY_KEY;
use super::rows::PersonRow;
use super::sql::{person_columns, texts};
use crate::error::ChatError;
use crate::protocol::command::{DESK_KEY, DESK_STAFF_MAX, Desk, Pairing};
use crate::protocol::{ConversationId, Person, UserId};

macro_rules! staff {
    ($roles:literal) => {
        concat!(
            "SELECT ",
            person_columns!(),
            " FROM app_user AS u WHERE u.status = 'active' AND COALESCE(u.role, u.token_role) IN (",
            $roles,
            ") ORDER BY u.id LIMIT $2"
        )
    };
}
const STAFF: &str = staff!("SELECT unnest($1::text[])");
const STAFF_SQLITE: &str = staff!("SELECT value FROM json_each($1)");
const FIND: &str = "SELECT c.id, EXISTS (SELECT 1 FROM participant AS p WHERE p.conversation_id = c.id AND p.user_id = $2) \
     AS seated FROM conversation AS c WHERE c.key = $1";

/// What became of asking at the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seated {
    /// The conversation's number.
    pub id: ConversationId,
    /// It is new.
    pub created: bool,
    /// Somebody sits in it now who did not: a room that is awake must learn of it.
    pub changed: bool,
}

impl Store {
    /// The caller's conversation at the desk, opened where there is none, with whoever answers by now in it, at most
    /// [`DESK_STAFF_MAX`] by user id. Two calls at once make one conversation.
    ///
    /// # Errors
    /// `invalid` where the caller's role may not ask; `not_found` where nobody answers, or the caller was taken out of it;
    /// `unavailable`.
    pub async fn desk(&self, caller: &UserId, desk: Desk) -> Result<Seated, ChatError> {
        self.call(async {
            let role = self.role(caller).await?;
            if desk.staff.contains(&&*role) {
                return Err(ChatError::invalid("whoever answers for the shop does not ask").into());
            }
            let staff = self.staff(desk).await?;
            let asks = desk.staff.iter().find_map(|answers| Pairing::kind_of(desk.pairings, &role, answers));
            let kind = asks.ok_or_else(|| ChatError::invalid("somebody with this role does not ask"))?;
            let key = format!("{DESK_KEY}{caller}");
            let people: BTreeMap<&UserId, Option<&str>> =
                staff.iter().map(|person| &person.id).chain([caller]).map(|user| (user, None)).collect();
            let writing = self.inner.begin().await?;
            let db = &writing.transaction;
            let seated = match self.find_desk(db, &key, caller).await? {
                Some(id) => Seated { id, created: false, changed: self.seat(db, id, &people).await? },
                None if staff.is_empty() => return Err(ChatError::NotFound("support agent").into()),
                None => match self.create(db, CREATE_BY_KEY, Some(&key), kind, None, None).await? {
                    Some(id) => Seated { id, created: true, changed: self.seat(db, id, &people).await? },
                    // Opened in this moment by another call, which seats the same people.
                    None => {
                        let id = self.find_desk(db, &key, caller).await?.ok_or(ChatError::unavailable())?;
                        Seated { id, created: false, changed: false }
                    }
                },
            };
            writing.commit().await?;
            Ok(seated)
        })
        .await
    }

    async fn staff(&self, desk: Desk) -> Result<Vec<Person>, Failure> {
        let roles = texts(self.inner.backend, desk.staff.iter().copied());
        let statement = self.statement(self.sql(STAFF, STAFF_SQLITE), [roles, i64::from(DESK_STAFF_MAX).into()]);
        let rows = PersonRow::find_by_statement(statement).all(&self.db()).await?;
        Ok(rows.into_iter().map(Person::from).collect())
    }

    /// The conversation of this key, where there is one. Whoever was taken out of it does not come back by asking again.
    async fn find_desk(
        &self,
        db: &DatabaseTransaction,
        key: &str,
        caller: &UserId,
    ) -> Result<Option<ConversationId>, Failure> {
        let statement = self.statement(FIND, [key.into(), caller.as_str().into()]);
        let Some(row) = db.query_one_raw(statement).await? else { return Ok(None) };
        if !row.try_get::<bool>("", "seated")? {
            return Err(ChatError::NotFound("conversation").into());
        }
        Ok(Some(ConversationId(row.try_get("", "id")?)))
    }
}
