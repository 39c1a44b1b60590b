//! The names of things: users, conversations, messages, sequence numbers, sessions.
//!
//! What lives here: the newtypes and what makes a value of each well-formed. What must not: lookups.

use std::fmt;
use std::sync::Arc;

use crate::error::ChatError;

/// The longest user id, in bytes.
pub const USER_ID_MAX: usize = 128;
/// The longest conversation key, in bytes.
pub const KEY_MAX: usize = 256;
/// The longest client id, in bytes (CONTRACT section 3).
pub const CLIENT_ID_MAX: usize = 64;
/// The largest integer that every JavaScript client reads exactly: 2^53 - 1.
pub const SAFE_INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// Who somebody is, in the shop's own words. 1 to [`USER_ID_MAX`] bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

/// A conversation's number, 1 or more, exact in JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId(pub i64);

/// A message's number, 1 or more, unique in the whole server, exact in JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub i64);

/// A message's place in its conversation: 1, 2, 3 … without gaps. 0 stands before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub i64);

/// A connection's name in this process: random, so that nothing comes to depend on its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// The client's own name for a message it sends, the key of idempotence. 1 to [`CLIENT_ID_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(Arc<str>);

/// How a client names a conversation: by number, or by the shop's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConversationRef {
    /// By number.
    Id(ConversationId),
    /// By the shop's key, e.g. `order:42`.
    Key(Arc<str>),
    /// By what it is about and who talks.
    Between(Arc<Between>),
}

/// The conversation of two people on a subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Between {
    /// What about: kind and id.
    pub subject: (Arc<str>, Arc<str>),
    /// Who.
    pub who: Who,
    /// The key that it gets, where it has none; of what has an owner the server gives one itself.
    pub spelling: Option<Arc<str>>,
    /// Another key that stands for the same.
    pub other_spelling: Option<Arc<str>>,
    /// Whether it is opened where there is none.
    pub opens: bool,
}

/// Who talks in a conversation that is named by its subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// These two; one of them is the caller, or it is refused as somebody else's.
    Two(UserId, UserId),
    /// The subject's owner and a buyer: the caller where the caller is not the owner (whoever is named then must be the caller), else
    /// whoever is named. It is opened by buyers alone.
    WithOwner(Option<UserId>),
}

impl UserId {
    /// Takes a user id from outside.
    ///
    /// # Errors
    /// `invalid` when it is empty, too long or holds a control character.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        printable(text, USER_ID_MAX, "a user id").map(Self)
    }

    /// A user id that the database holds already.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ConversationId {
    /// Takes a number from outside.
    ///
    /// # Errors
    /// `invalid` when it is not in 1 ..= 2^53 - 1.
    pub fn parse(number: i64) -> Result<Self, ChatError> {
        in_range(number, 1, "a conversation id").map(Self)
    }
}

impl MessageId {
    /// Takes a number from outside.
    ///
    /// # Errors
    /// `invalid` when it is not in 1 ..= 2^53 - 1.
    pub fn parse(number: i64) -> Result<Self, ChatError> {
        in_range(number, 1, "a message id").map(Self)
    }
}

impl Seq {
    /// Takes a number from outside.
    ///
    /// # Errors
    /// `invalid` when it is not in 0 ..= 2^53 - 1.
    pub fn parse(number: i64) -> Result<Self, ChatError> {
        in_range(number, 0, "a seq").map(Self)
    }

    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl SessionId {
    /// A fresh random name.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl ClientId {
    /// Takes a client id from outside.
    ///
    /// # Errors
    /// `invalid` when it is empty, over [`CLIENT_ID_MAX`] bytes or holds NUL.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        if text.is_empty() || text.len() > CLIENT_ID_MAX || text.contains('\0') {
            return Err(ChatError::invalid(format!("a client id has 1 to {CLIENT_ID_MAX} bytes")));
        }
        Ok(Self(text.into()))
    }

    /// A client id that the database holds already.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ConversationRef {
    /// Takes a conversation's name from outside: digits alone are its number, anything else is its key.
    ///
    /// # Errors
    /// `invalid` when the number is out of range, or the key empty, too long or with a control character.
    pub fn parse(text: &str) -> Result<Self, ChatError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = text.parse().map_err(|_| ChatError::invalid("a conversation id is too large"))?;
            return ConversationId::parse(number).map(Self::Id);
        }
        key(text).map(Self::Key)
    }
}

/// A conversation's key from outside, as the shop's backend may give it.
///
/// # Errors
/// `invalid` when it is empty, too long, holds a control character, or is all digits (that would be an id).
pub fn key(text: &str) -> Result<Arc<str>, ChatError> {
    let key = printable(text, KEY_MAX, "a conversation key")?;
    if key.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ChatError::invalid("a conversation key cannot be digits alone: those are ids"));
    }
    Ok(key)
}

/// Text of 1 to `max` bytes without control characters.
pub(crate) fn printable(text: &str, max: usize, what: &'static str) -> Result<Arc<str>, ChatError> {
    if text.is_empty() || text.len() > max {
        return Err(ChatError::invalid(format!("{what} has 1 to {max} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(ChatError::invalid(format!("{what} has no control characters")));
    }
    Ok(text.into())
}

fn in_range(number: i64, min: i64, what: &'static str) -> Result<i64, ChatError> {
    if (min..=SAFE_INTEGER_MAX).contains(&number) {
        Ok(number)
    } else {
        Err(ChatError::invalid(format!("{what} is an integer from {min} to {SAFE_INTEGER_MAX}")))
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_an_id_and_anything_else_a_key() {
        assert_eq!(ConversationRef::parse("42"), Ok(ConversationRef::Id(ConversationId(42))));
        assert_eq!(ConversationRef::parse("order:42"), Ok(ConversationRef::Key("order:42".into())));
        for bad in ["", "0", "9007199254740992", "99999999999999999999", "a\nb", &"k".repeat(257)] {
            assert!(ConversationRef::parse(bad).is_err(), "{bad:?} must be refused");
        }
        assert!(key("42").is_err(), "an all-digit key could never be told from an id");
    }

    #[test]
    fn ids_from_outside_have_bounds() {
        assert!(UserId::parse("alice").is_ok());
        for bad in ["", "a\0", "a\u{1b}[31m", &"u".repeat(129)] {
            assert!(UserId::parse(bad).is_err(), "{bad:?} must be refused");
        }
        assert!(ClientId::parse(&"c".repeat(64)).is_ok());
        assert!(ClientId::parse(&"c".repeat(65)).is_err());
        assert!(Seq::parse(-1).is_err());
        assert!(Seq::parse(i64::MAX).is_err());
    }
}
