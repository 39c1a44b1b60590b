//! How this vocabulary names conversations: `<bookId>|<userA>:<userB>`.
//!
//! What lives here: reading such a name, and which one a conversation goes by. What must not: events, payloads.
//!
//! User ids may hold `:` and `|`, and book ids `|`; so a name is read by whoever writes it: one of the two is the caller.

use std::sync::Arc;

use crate::error::ChatError;
use crate::protocol::{Between, ConversationRef, Person, Topic, UserId, Who};
use crate::vocabulary::words::Id;

/// The kind of subject that is talked about here.
pub const KIND: &str = "book";

/// What a payload says of a conversation beside its name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// Which book.
    pub book: Option<&'a Id>,
    /// Who the other one is.
    pub other: Option<&'a Id>,
}

/// One way to read a name.
struct Reading<'a> {
    book: &'a str,
    other: &'a str,
    caller_first: bool,
}

/// Takes a conversation's name from a client. `opens` says whether the conversation is opened where there is none.
///
/// # Errors
/// `invalid` when it has not the form, or contradicts the hints; `not_found` when the caller is none of the two.
pub fn conversation(id: &Id, hints: Hints<'_>, caller: &UserId, opens: bool) -> Result<ConversationRef, ChatError> {
    let mut readings = readings(&id.0, caller.as_str()).peekable();
    if readings.peek().is_none() {
        return Err(if has_form(&id.0) { ChatError::NotFound("conversation") } else { malformed() });
    }
    // Where there are several readings the hints decide, then the shortest book id.
    let agrees = |hint: Option<&Id>, part: &str| hint.is_none_or(|hint| hint.0 == part);
    let Reading { book, other, caller_first } = readings
        .find(|reading| agrees(hints.book, reading.book) && agrees(hints.other, reading.other))
        .ok_or_else(|| ChatError::invalid("`bookId` or `recipientId` is not that of the conversation"))?;
    let (book, other) = (Id(book.to_owned()).subject()?, UserId::parse(other)?);
    if other == *caller {
        return Err(ChatError::invalid("a conversation needs somebody else"));
    }
    let (first, last) = if caller_first { (caller.clone(), other) } else { (other, caller.clone()) };
    Ok(ConversationRef::Between(Arc::new(Between {
        spelling: Some(id.0.as_str().into()),
        other_spelling: Some(spelt(&book, &last, &first).into()),
        subject: (KIND.into(), book),
        who: Who::Two(first, last),
        opens,
    })))
}

fn readings<'a>(text: &'a str, caller: &'a str) -> impl Iterator<Item = Reading<'a>> {
    let cuts = text.match_indices('|').filter_map(|(at, _)| Some((text.get(..at)?, text.get(at + 1..)?)));
    let both = cuts.flat_map(move |(book, two)| {
        let first = two.strip_prefix(caller).and_then(|rest| rest.strip_prefix(':'));
        let last = two.strip_suffix(caller).and_then(|rest| rest.strip_suffix(':'));
        [(first, true), (last, false)]
            .into_iter()
            .filter_map(move |(other, caller_first)| Some(Reading { book, other: other?, caller_first }))
    });
    both.filter(|reading| !reading.book.is_empty() && !reading.other.is_empty())
}

/// Whether it could be somebody's.
fn has_form(text: &str) -> bool {
    let two = text.split_once('|').filter(|(book, _)| !book.is_empty()).map(|(_, two)| two);
    two.is_some_and(|two| two.trim_matches(':').contains(':'))
}

fn malformed() -> ChatError {
    ChatError::invalid("a `conversationId` is <bookId>|<userA>:<userB>")
}

fn spelt(book: &str, first: &UserId, last: &UserId) -> String {
    format!("{book}|{first}:{last}")
}

/// A conversation that this vocabulary speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The name that all answers use.
    pub id: String,
    /// Which book.
    pub book: Arc<str>,
    /// The two who talk.
    pub two: [Person; 2],
}

impl Spoken {
    /// What a conversation is here: one of two people about a book. Whoever else the shop has put into it is none of the two.
    #[must_use]
    pub fn of(topic: &Topic) -> Option<Self> {
        let book = topic.about(KIND)?;
        if let Some((id, two)) = topic.key.as_deref().and_then(|key| Some((key, named_by(key, book, topic)?))) {
            return Some(Self { id: id.to_owned(), book: Arc::clone(book), two });
        }
        let [(one, _), (other, _)] = topic.people.as_slice() else { return None };
        let (one, other) = if one.id <= other.id { (one, other) } else { (other, one) };
        let id = spelt(book, &one.id, &other.id);
        Some(Self { id, book: Arc::clone(book), two: [one.clone(), other.clone()] })
    }

    /// Whether somebody is one of the two.
    #[must_use]
    pub fn includes(&self, user: &UserId) -> bool {
        self.two.iter().any(|person| person.id == *user)
    }

    /// Whom somebody talks to.
    #[must_use]
    pub fn other_than(&self, user: &UserId) -> &Person {
        let [one, other] = &self.two;
        if one.id == *user { other } else { one }
    }
}

/// The two whom a key names, where it is the name of a conversation about this book.
fn named_by(key: &str, book: &str, topic: &Topic) -> Option<[Person; 2]> {
    let two = key.strip_prefix(book)?.strip_prefix('|')?;
    let people = || topic.people.iter().map(|(person, _)| person);
    for one in people() {
        let Some(rest) = two.strip_prefix(one.id.as_str()).and_then(|rest| rest.strip_prefix(':')) else { continue };
        if let Some(other) = people().find(|other| other.id.as_str() == rest && other.id != one.id) {
            return Some([one.clone(), other.clone()]);
        }
    }
    // One of them was removed: the other still has what was said.
    let [(left, _)] = topic.people.as_slice() else { return None };
    let gone = readings(key, left.id.as_str()).find(|reading| reading.book == book)?;
    let gone = Person { id: UserId::stored(gone.other), name: gone.other.into(), role: "".into() };
    Some([left.clone(), gone])
}
