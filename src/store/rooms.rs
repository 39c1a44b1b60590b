//! What a room needs to know when it wakes: the conversation's newest place and everyone's seat.
//!
//! What lives here: one query. What must not: membership checks; the room makes them from this.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::FromQueryResult;

use super::Store;
use super::gather::{Gathered, Gathering};
use super::rows::{PersonRow, SubjectRow, count};
use super::sql::{numbers, person_columns, subject_columns};
use crate::error::ChatError;
use crate::protocol::model::{TOPIC_PEOPLE_MAX, Topic};
use crate::protocol::{ConversationId, Person, Seq};

/// A conversation with everyone in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    /// What it is.
    pub topic: Arc<Topic>,
    /// The newest place.
    pub last_seq: Seq,
    /// Everyone in it, by user id.
    pub people: Vec<Seat>,
}

/// Somebody's seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Who.
    pub person: Person,
    /// Their part here.
    pub role: Arc<str>,
    /// They are not suspended.
    pub active: bool,
    /// They have received all up to and with this place.
    pub received: Seq,
    /// They have read all up to and with this place.
    pub read: Seq,
    /// How many of their own messages come after `read`.
    pub own_after_read: u64,
}

#[derive(Debug, FromQueryResult)]
struct SeatRow {
    c_id: i64,
    last_seq: i64,
    c_key: Option<String>,
    c_kind: String,
    #[sea_orm(nested)]
    subject: SubjectRow,
    seat_role: Option<String>,
    received_seq: Option<i64>,
    read_seq: Option<i64>,
    own_after_read: i64,
    #[sea_orm(nested)]
    person: Option<PersonRow>,
}

/// One statement, so that the newest place and the cursors are of the same moment.
macro_rules! rooms {
    ($ids:literal) => {
        concat!(
            "SELECT c.id AS c_id, c.last_seq, c.key AS c_key, c.kind AS c_kind, p.role AS seat_role, p.received_seq, p.read_seq, ",
            subject_columns!(),
            ", ",
            person_columns!(),
            ", (SELECT count(*) FROM message AS o WHERE o.conversation_id = p.conversation_id AND o.sender_id = p.user_id ",
            "AND o.seq > p.read_seq) AS own_after_read FROM conversation AS c ",
            "LEFT JOIN subject AS s ON s.kind = c.subject_kind AND s.id = c.subject_id ",
            "LEFT JOIN participant AS p ON p.conversation_id = c.id LEFT JOIN app_user AS u ON u.id = p.user_id ",
            "WHERE c.id ",
            $ids,
            " ORDER BY c.id, p.user_id"
        )
    };
}
pub(super) const ROOM: &str = rooms!("= $1");
const ROOMS: &str = rooms!("= ANY($1::bigint[])");
const ROOMS_SQLITE: &str = rooms!("IN (SELECT value FROM json_each($1))");

/// Asks for a conversation with everyone in it.
#[derive(Debug)]
pub(super) struct Waking(ConversationId);

impl Gathered for Waking {
    type Answer = Option<RoomRow>;

    fn gathering(store: &Store) -> &Arc<Gathering<Self>> {
        &store.inner.waking
    }

    async fn read(store: &Store, asked: &[Self]) -> Result<Vec<Self::Answer>, ChatError> {
        store
            .call(async {
                let statement = match asked {
                    [Self(one)] => store.statement(ROOM, [one.0.into()]),
                    many => {
                        let ids = numbers(store.inner.backend, many.iter().map(|Self(id)| id.0));
                        store.statement(store.sql(ROOMS, ROOMS_SQLITE), [ids])
                    }
                };
                let mut rooms: HashMap<i64, Vec<SeatRow>> = HashMap::new();
                for row in SeatRow::find_by_statement(statement).all(&store.db()).await? {
                    rooms.entry(row.c_id).or_default().push(row);
                }
                let mut rooms: HashMap<_, _> =
                    rooms.into_iter().filter_map(|(id, rows)| Some((id, room(rows)?))).collect();
                let taken = asked.iter().enumerate().map(|(place, Self(id))| {
                    // A room of thousands is not copied, unless it is asked for twice.
                    let again = asked.iter().skip(place + 1).any(|later| later.0 == *id);
                    if again { rooms.get(&id.0).cloned() } else { rooms.remove(&id.0) }
                });
                Ok(taken.collect())
            })
            .await
    }
}

impl Store {
    /// A conversation with everyone in it, in one query, together with others that are asked for meanwhile; `None` where there is no
    /// such conversation.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn room(&self, conversation: ConversationId) -> Result<Option<RoomRow>, ChatError> {
        self.gather(Waking(conversation)).await
    }
}

/// The rows of one conversation; there is one at least.
fn room(rows: Vec<SeatRow>) -> Option<RoomRow> {
    let first = rows.first()?;
    let last_seq = Seq(first.last_seq);
    let mut topic = topic(ConversationId(first.c_id), first);
    let people: Vec<_> = rows.into_iter().filter_map(seat).collect();
    if people.len() <= TOPIC_PEOPLE_MAX {
        topic.people = people.iter().map(|seat| (seat.person.clone(), Arc::clone(&seat.role))).collect();
    }
    Some(RoomRow { topic: Arc::new(topic), last_seq, people })
}

fn topic(id: ConversationId, row: &SeatRow) -> Topic {
    Topic {
        id,
        key: row.c_key.as_deref().map(Into::into),
        kind: row.c_kind.as_str().into(),
        subject: row.subject.subject(),
        people: Vec::new(),
    }
}

fn seat(row: SeatRow) -> Option<Seat> {
    let person = row.person?;
    Some(Seat {
        role: row.seat_role?.into(),
        active: person.active,
        person: person.into(),
        received: Seq(row.received_seq?),
        read: Seq(row.read_seq?),
        own_after_read: count(row.own_after_read),
    })
}
