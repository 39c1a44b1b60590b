//! Arrivals: who comes with a token, and where they stand.
//!
//! What lives here: one read for all who come at once, and one write for those who are new or have another name. What must not: tokens,
//! sockets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sea_orm::{DbBackend, FromQueryResult};
use serde_json::json;

use super::Store;
use super::failure::Failure;
use super::gather::{Gathered, Gathering};
use super::rows::{PersonRow, count};
use super::sql::{numbers, person_columns, texts, unread_count};
use super::topics::{PLACES_MAX, Place};
use super::users::{Known, KnownRow, returning_person};
use crate::error::ChatError;
use crate::protocol::reply::{Unread, UnreadIn};
use crate::protocol::{ConversationId, Seq, Timestamp, UserId};

/// Somebody who has come, and where they stand as far as that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Who they are now.
    pub known: Known,
    /// What they have not read.
    pub unread: Unread,
    /// Their conversations, those with the newest activity first, at most [`PLACES_MAX`].
    pub places: Vec<Place>,
}

/// How much is read of somebody who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Who they are.
    Person,
    /// What they have not read too.
    Unread,
    /// Where they stand in every conversation too.
    Places,
}

/// Somebody comes.
#[derive(Debug)]
pub(super) struct Coming {
    user: UserId,
    /// Empty where the token gives none, as the role.
    name: Arc<str>,
    role: Arc<str>,
    extent: Extent,
}

/// First a row for each person who is known, then one for each conversation that is asked for.
macro_rules! coming {
    ($comers:literal, $most:literal) => {
        concat!(
            "WITH i AS (",
            $comers,
            ") SELECT i.n, ",
            person_columns!(),
            ", (i.name = '' OR u.token_name IS NOT DISTINCT FROM i.name) ",
            "AND (i.role = '' OR u.token_role IS NOT DISTINCT FROM i.role) AS fresh, ",
            "NULL AS c_id, NULL AS last_seq, NULL AS received_seq, NULL AS unread, 0 AS place ",
            "FROM i CROSS JOIN app_user AS u WHERE u.id = i.id UNION ALL ",
            "SELECT s.n, NULL, NULL, NULL, NULL, NULL, s.c_id, s.last_seq, s.received_seq, s.unread, s.place FROM (",
            "SELECT i.n, c.id AS c_id, c.last_seq, p.received_seq, ",
            "CASE WHEN c.last_seq > p.read_seq THEN ",
            unread_count!(),
            " ELSE 0 END AS unread, c.last_seq > p.read_seq AS behind, ",
            "row_number() OVER (PARTITION BY i.n ORDER BY c.active_at_ms DESC, c.id DESC) AS place ",
            "FROM i CROSS JOIN participant AS p CROSS JOIN conversation AS c ",
            "WHERE i.extent > 0 AND p.user_id = i.id AND c.id = p.conversation_id ",
            "AND (i.extent > 1 OR c.last_seq > p.read_seq)) AS s WHERE s.place <= ",
            $most,
            " OR s.behind ORDER BY place"
        )
    };
}
const COMING: &str = coming!(
    "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY AS a (id, name, role, extent, n)",
    "$5"
);
const COMING_SQLITE: &str = coming!(
    "SELECT value ->> 0 AS id, value ->> 1 AS name, value ->> 2 AS role, value ->> 3 AS extent, key + 1 AS n FROM json_each($1)",
    "$2"
);
/// By id, so that two such statements at once wait for each other and no more.
macro_rules! arrive {
    ($comers:literal, $now:literal) => {
        concat!(
            "INSERT INTO app_user AS u (id, token_name, token_role, created_at_ms) ",
            "SELECT i.id, NULLIF(i.name, ''), NULLIF(i.role, ''), ",
            $now,
            " FROM (",
            $comers,
            ") AS i WHERE true ORDER BY i.id ",
            "ON CONFLICT (id) DO UPDATE SET token_name = COALESCE(excluded.token_name, u.token_name), ",
            "token_role = COALESCE(excluded.token_role, u.token_role) ",
            returning_person!()
        )
    };
}
const ARRIVE: &str =
    arrive!("SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS a (id, name, role)", "CAST($4 AS bigint)");
const ARRIVE_SQLITE: &str =
    arrive!("SELECT value ->> 0 AS id, value ->> 1 AS name, value ->> 2 AS role FROM json_each($1)", "$2");

#[derive(Debug, FromQueryResult)]
struct ComingRow {
    n: i64,
    #[sea_orm(nested)]
    person: Option<PersonRow>,
    fresh: Option<bool>,
    c_id: Option<i64>,
    last_seq: Option<i64>,
    received_seq: Option<i64>,
    unread: Option<i64>,
}

/// What the database knew of somebody who comes.
#[derive(Default)]
struct Found {
    known: Option<Known>,
    fresh: bool,
    unread: Unread,
    places: Vec<Place>,
}

impl Found {
    fn add(&mut self, row: ComingRow) {
        if let Some(person) = row.person {
            self.known = Some(Known { active: person.active, person: person.into(), changed: false });
            self.fresh = row.fresh == Some(true);
        }
        let (Some(id), Some(last_seq), Some(received)) = (row.c_id, row.last_seq, row.received_seq) else { return };
        let (conversation, last_seq) = (ConversationId(id), Seq(last_seq));
        if let Some(unread) = row.unread.filter(|unread| *unread > 0) {
            self.unread.total += count(unread);
            self.unread.conversations.push(UnreadIn { conversation, count: count(unread), last_seq });
        }
        if i64::try_from(self.places.len()).is_ok_and(|places| places < PLACES_MAX) {
            self.places.push(Place { conversation, last_seq, received: Seq(received) });
        }
    }
}

impl Gathered for Coming {
    type Answer = Arrived;

    fn gathering(store: &Store) -> &Arc<Gathering<Self>> {
        &store.inner.coming
    }

    async fn read(store: &Store, asked: &[Self]) -> Result<Vec<Arrived>, ChatError> {
        store
            .call(async {
                let mut found = store.find_coming(asked).await?;
                let news: BTreeMap<&str, &Self> = asked
                    .iter()
                    .zip(&found)
                    .filter(|(_, found)| !found.fresh)
                    .map(|(coming, _)| (coming.user.as_str(), coming))
                    .collect();
                let mut written =
                    if news.is_empty() { HashMap::new() } else { store.write_coming(news.values().copied()).await? };
                let arrived = asked.iter().zip(&mut found).map(|(coming, found)| {
                    let found = std::mem::take(found);
                    let known = match (written.get_mut(coming.user.as_str()), found.known) {
                        (Some(now), before) => {
                            // Of several of theirs at once, one tells it.
                            let changed = before.is_some_and(|before| before.person != now.person) && !now.changed;
                            now.changed |= changed;
                            Known { changed, ..now.clone() }
                        }
                        (None, Some(known)) => known,
                        (None, None) => return Err(ChatError::Internal.into()),
                    };
                    Ok(Arrived { known, unread: found.unread, places: found.places })
                });
                arrived.collect()
            })
            .await
    }
}

impl Store {
    /// Somebody came with a token: they exist from now on. One read when the token says nothing new, together with others who come
    /// meanwhile.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn arrive(&self, user: &UserId, name: Option<&str>, role: Option<&str>) -> Result<Known, ChatError> {
        Ok(self.come_in(user, name, role, Extent::Person).await?.known)
    }

    /// As [`Store::arrive`], with where they stand.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn come_in(
        &self,
        user: &UserId,
        name: Option<&str>,
        role: Option<&str>,
        extent: Extent,
    ) -> Result<Arrived, ChatError> {
        let text = |text: Option<&str>| text.unwrap_or_default().into();
        self.gather(Coming { user: user.clone(), name: text(name), role: text(role), extent }).await
    }

    async fn find_coming(&self, asked: &[Coming]) -> Result<Vec<Found>, Failure> {
        let values = match self.inner.backend {
            DbBackend::Sqlite => {
                let comers = asked.iter().map(|one| json!([one.user.as_str(), one.name, one.role, one.extent as i64]));
                vec![serde_json::Value::from_iter(comers).to_string().into(), PLACES_MAX.into()]
            }
            backend => vec![
                texts(backend, asked.iter().map(|one| one.user.as_str())),
                texts(backend, asked.iter().map(|one| &*one.name)),
                texts(backend, asked.iter().map(|one| &*one.role)),
                numbers(backend, asked.iter().map(|one| one.extent as i64)),
                PLACES_MAX.into(),
            ],
        };
        let statement = self.statement(self.sql(COMING, COMING_SQLITE), values);
        let mut found: Vec<Found> = asked.iter().map(|_| Found::default()).collect();
        for row in ComingRow::find_by_statement(statement).all(&self.db()).await? {
            // From 1.
            let place = usize::try_from(row.n - 1).ok();
            if let Some(found) = place.and_then(|place| found.get_mut(place)) {
                found.add(row);
            }
        }
        Ok(found)
    }

    /// Writes what tokens say of people, each once, and answers with what holds, by their ids.
    async fn write_coming<'a>(
        &self,
        news: impl Iterator<Item = &'a Coming> + Clone,
    ) -> Result<HashMap<String, Known>, Failure> {
        let now = Timestamp::now().0.into();
        let values = match self.inner.backend {
            DbBackend::Sqlite => {
                let news = news.map(|one| json!([one.user.as_str(), one.name, one.role]));
                vec![serde_json::Value::from_iter(news).to_string().into(), now]
            }
            backend => vec![
                texts(backend, news.clone().map(|one| one.user.as_str())),
                texts(backend, news.clone().map(|one| &*one.name)),
                texts(backend, news.map(|one| &*one.role)),
                now,
            ],
        };
        let writing = self.inner.begin().await?;
        let statement = self.statement(self.sql(ARRIVE, ARRIVE_SQLITE), values);
        let rows = KnownRow::find_by_statement(statement).all(&writing.transaction).await?;
        writing.commit().await?;
        Ok(rows.into_iter().map(Known::from).map(|known| (known.person.id.as_str().to_owned(), known)).collect())
    }
}
