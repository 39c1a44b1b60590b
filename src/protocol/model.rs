//! The things a chat is made of: people, conversations, messages, times, texts.
//!
//! What lives here: plain values and what makes a text acceptable. What must not: how they are written or stored.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::ids::{ClientId, ConversationId, MessageId, Seq, UserId, printable};
use crate::error::ChatError;

/// The longest message text, in Unicode scalar values, measured trimmed (CONTRACT section 3).
pub const BODY_SCALARS_MAX: usize = 4_000;
/// The longest message text as sent, surrounding white space included, in bytes.
pub const BODY_BYTES_MAX: usize = 32_768;
/// The longest name or title, in bytes.
pub const NAME_MAX: usize = 256;
/// The longest role, kind or message type, in bytes.
pub const WORD_MAX: usize = 32;
/// The longest link, in bytes.
pub const URL_MAX: usize = 2_048;

/// A moment, in milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A message's text as it was sent: 1 to [`BODY_SCALARS_MAX`] scalar values when trimmed, without NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(Arc<str>);

/// Somebody, as others see them. `role` is `""` where nobody gave one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The shop's id.
    pub id: UserId,
    /// The name to show.
    pub name: Arc<str>,
    /// The role in the shop, not in a conversation.
    pub role: Arc<str>,
}

/// Somebody's part in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub person: Person,
    /// The part they play here: `buyer`, `seller`, `agent` …; `""` where nobody gave one.
    pub role: Arc<str>,
    /// Whether one of their sockets is open, on any node, when this was asked.
    pub online: bool,
    /// How many messages of others they have not read, where the conversation is of at most two and this was read from the
    /// database; else 0.
    pub unread: u64,
}

/// What a conversation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// One of `item`, `book`, `order`, `product`.
    pub kind: Arc<str>,
    /// The shop's id of it.
    pub id: Arc<str>,
    /// What to call it.
    pub title: Option<Arc<str>>,
    /// Who sells it.
    pub owner: Option<UserId>,
}

/// The kinds of subject there are (CONTRACT section 2).
pub const SUBJECT_KINDS: [&str; 4] = ["item", "book", "order", "product"];

/// How many people a [`Topic`] names; of conversations of more it names none.
pub const TOPIC_PEOPLE_MAX: usize = 8;

/// What a conversation is, as far as one must know to speak of it: everything that is told of a conversation comes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its number.
    pub id: ConversationId,
    /// The shop's key, or the spelling under which it was opened.
    pub key: Option<Arc<str>>,
    /// `direct`, `group`, or the shop's word.
    pub kind: Arc<str>,
    /// What it is about.
    pub subject: Option<Subject>,
    /// Everyone in it with their part, by user id, where they are at most [`TOPIC_PEOPLE_MAX`]; else nobody.
    pub people: Vec<(Person, Arc<str>)>,
}

/// One message, committed: nothing that is not in the database is ever a `Message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number, unique in the server.
    pub id: MessageId,
    /// Its place in the conversation.
    pub seq: Seq,
    /// Where it was said.
    pub conversation: ConversationId,
    /// Who said it.
    pub sender: Person,
    /// What was said.
    pub body: Arc<str>,
    /// `text` unless the client said otherwise.
    pub kind: Arc<str>,
    /// The sender's own name for it.
    pub client_id: Option<ClientId>,
    /// When it was taken in; never the source of an order.
    pub created_at: Timestamp,
}

/// A conversation as one of its participants sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its number.
    pub id: ConversationId,
    /// The shop's key, where it gave one.
    pub key: Option<Arc<str>>,
    /// `direct`, `group`, or the shop's word.
    pub kind: Arc<str>,
    /// The shop's title.
    pub title: Option<Arc<str>>,
    /// What it is about.
    pub subject: Option<Subject>,
    /// Everyone in it.
    pub participants: Vec<Participant>,
    /// The newest message.
    pub last_message: Option<Message>,
    /// Who wrote first, where anyone has written.
    pub opener: Option<UserId>,
    /// How many messages of others the viewer has not read.
    pub unread: u64,
    /// When it was opened.
    pub created_at: Timestamp,
}

impl Conversation {
    /// What it is, as those need to know who speak of it.
    #[must_use]
    pub fn topic(&self) -> Topic {
        let people = self.participants.iter().map(|one| (one.person.clone(), Arc::clone(&one.role)));
        let few = self.participants.len() <= TOPIC_PEOPLE_MAX;
        Topic {
            id: self.id,
            key: self.key.clone(),
            kind: Arc::clone(&self.kind),
            subject: self.subject.clone(),
            people: if few { people.collect() } else { Vec::new() },
        }
    }
}

impl Topic {
    /// The shop's id of what it is about, where that is of this kind.
    #[must_use]
    pub fn about(&self, kind: &str) -> Option<&Arc<str>> {
        self.subject.as_ref().filter(|subject| &*subject.kind == kind).map(|subject| &subject.id)
    }

    /// Somebody in it who is not this user, where it names people: of two the other one.
    #[must_use]
    pub fn other_than(&self, user: &UserId) -> Option<&Person> {
        self.people.iter().map(|(person, _)| person).find(|person| person.id != *user)
    }

    /// Whoever has this part in it.
    #[must_use]
    pub fn playing(&self, role: &str) -> Option<&Person> {
        self.people.iter().find(|(_, part)| &**part == role).map(|(person, _)| person)
    }
}

impl Timestamp {
    /// The present moment.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Takes a moment as it is written to clients: ISO 8601, UTC, `Z`; what is finer than milliseconds is left out.
    ///
    /// # Errors
    /// `invalid` for anything else, and before 1970.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        let wrong = || ChatError::invalid("a moment is written as 2026-01-20T12:35:00.000Z");
        let since = humantime::parse_rfc3339(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
        ms.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601, UTC, milliseconds, `Z`: `2026-01-20T12:35:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The year 9999 is the last that the form can write.
        const LAST_MS: i64 = 253_402_300_799_999;
        let ms = u64::try_from(self.0.clamp(0, LAST_MS)).unwrap_or(0);
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).fmt(f)
    }
}

impl Body {
    /// Takes a text from outside.
    ///
    /// # Errors
    /// `invalid` when nothing is left of it trimmed or it holds NUL, `too_large` when it is too long.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(ChatError::invalid("a message needs some text"));
        }
        if trimmed.chars().nth(BODY_SCALARS_MAX).is_some() {
            return Err(ChatError::TooLarge(format!("a message has at most {BODY_SCALARS_MAX} characters").into()));
        }
        if text.len() > BODY_BYTES_MAX {
            let words = format!("a message has at most {BODY_BYTES_MAX} bytes, white space around it included");
            return Err(ChatError::TooLarge(words.into()));
        }
        if text.contains('\0') {
            return Err(ChatError::invalid("a message cannot hold the character NUL"));
        }
        Ok(Self(text.into()))
    }

    /// The text as sent.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.0
    }
}

/// A name or title from outside: 1 to [`NAME_MAX`] bytes, no control characters.
///
/// # Errors
/// `invalid` otherwise.
pub fn name(text: &str) -> Result<Arc<str>, ChatError> {
    printable(text, NAME_MAX, "a name or title")
}

/// A role, kind or message type from outside: 1 to [`WORD_MAX`] bytes, no control characters.
///
/// # Errors
/// `invalid` otherwise.
pub fn word(text: &str) -> Result<Arc<str>, ChatError> {
    printable(text, WORD_MAX, "a role, kind or type")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_measured_trimmed_and_kept_as_sent() {
        assert_eq!(&**Body::parse("  hi \n").unwrap().text(), "  hi \n");
        assert!(Body::parse(&format!(" {} ", "ü".repeat(4_000))).is_ok());
        assert_eq!(Body::parse(&"ü".repeat(4_001)).unwrap_err().code(), "too_large");
        assert_eq!(Body::parse(&" ".repeat(40_000)).unwrap_err().code(), "invalid");
        assert_eq!(Body::parse(" \t\n").unwrap_err().code(), "invalid");
        assert_eq!(Body::parse("a\0b").unwrap_err().code(), "invalid");
    }

    #[test]
    fn times_are_iso_8601_with_milliseconds() {
        assert_eq!(Timestamp(1_768_912_500_007).to_string(), "2026-01-20T12:35:00.007Z");
        assert_eq!(Timestamp(-5).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }
}
