//! What the vocabularies on Socket.IO share: reading an event's argument, writing events and answers, the event `auth`.
//!
//! What lives here: forms that are alike in all of them. What must not: any vocabulary's own names, or Socket.IO's packets
//! (the transport frames what is written here).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytestring::ByteString;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::native::unreadable;
use super::{Call, Incoming, Request, Tag, Welcome, Word};
use crate::error::ChatError;
use crate::protocol::{Body, ClientId, ConversationId, UserId, ids, model};

/// The event by which a client brings a fresh token.
pub const AUTH: &str = "auth";

/// A failure as acknowledgements tell it, and most vocabularies' error events.
#[derive(Serialize)]
pub struct Failure<'a> {
    error: String,
    code: &'a str,
    #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Failure<'_> {
    /// The shape of an error.
    #[must_use]
    pub fn of(error: &ChatError) -> Failure<'static> {
        Failure { error: error.to_string(), code: error.code(), retry_after: error.retry_after() }
    }
}

/// Writes an event: its name and its one argument. Shapes here have string keys only, so writing cannot fail; if it did, nothing
/// is sent.
pub fn event<T: Serialize>(name: &str, payload: &T) -> Option<ByteString> {
    let mut text = serde_json::to_string(name).ok()?;
    text.push(',');
    text.push_str(&serde_json::to_string(payload).ok()?);
    Some(text.into())
}

/// An event on its own, as part of what answers a request.
pub fn told<T: Serialize>(name: &str, payload: &T) -> Option<Word> {
    event(name, payload).map(Word::Event)
}

/// The acknowledgement, where the client asked for one.
pub fn answer<T: Serialize>(tag: &Tag, payload: &T) -> Option<Word> {
    tag.ack?;
    serde_json::to_string(payload).ok().map(|text| Word::Answer(text.into()))
}

/// What a refused request is answered with: its acknowledgement, where the client asked for one, else the vocabulary's own event.
pub fn refusal(tag: &Tag, error: &ChatError, event: impl FnOnce() -> Option<ByteString>) -> Vec<Word> {
    answer(tag, &Failure::of(error)).or_else(|| event().map(Word::Event)).into_iter().collect()
}

/// What answers a fresh token.
pub fn welcome(tag: &Tag, welcome: &Welcome) -> Vec<Word> {
    #[derive(Serialize)]
    struct Renewed {
        ok: bool,
        exp: i64,
    }
    answer(tag, &Renewed { ok: true, exp: welcome.expires_at_s }).into_iter().collect()
}

/// A request of this name; `decode` makes of it what it asks for. Names that are not among `known` are passed over, as in Node, but an
/// acknowledgement asked for is given.
pub fn request(
    call: &Call<'_>,
    known: &[&'static str],
    decode: impl FnOnce(&'static str) -> Result<Incoming, ChatError>,
) -> Request {
    let tag = |event| Tag { id: None, ack: call.ack, event };
    if call.name == AUTH {
        return Request { tag: tag(AUTH), incoming: auth(call) };
    }
    let Some(event) = known.iter().find(|name| **name == call.name) else {
        let incoming = match call.ack {
            Some(_) => Err(ChatError::invalid(format!("unknown event; known are {}", known.join(", ")))),
            None => Ok(Incoming::Unknown),
        };
        return Request { tag: tag(""), incoming };
    };
    Request { tag: tag(event), incoming: decode(event) }
}

fn auth(call: &Call<'_>) -> Result<Incoming, ChatError> {
    #[derive(Deserialize)]
    struct Fresh {
        token: Option<String>,
    }
    argument::<Fresh>(call)?.token.map(Incoming::Auth).ok_or_else(|| missing("token"))
}

/// An event's first argument, an object.
///
/// # Errors
/// `invalid` when it is absent, no object, or has not the fields that are asked for.
pub fn argument<T: DeserializeOwned>(call: &Call<'_>) -> Result<T, ChatError> {
    let first = first(call)?;
    if !first.get().starts_with('{') {
        return Err(ChatError::invalid("the event's argument must be an object"));
    }
    serde_json::from_str(first.get()).map_err(|error| unreadable(&error))
}

/// An event's first argument as it was written, without the white space around it; `{}` where there is none.
///
/// # Errors
/// `invalid` when the arguments are no JSON array.
pub fn first(call: &Call<'_>) -> Result<Box<serde_json::value::RawValue>, ChatError> {
    struct First;
    impl<'de> Visitor<'de> for First {
        type Value = Option<Box<serde_json::value::RawValue>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
            let first = all.next_element()?;
            while all.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }
    let mut json = serde_json::Deserializer::from_str(call.body);
    let first = json.deserialize_seq(First).map_err(|error| unreadable(&error))?;
    match first {
        Some(first) => Ok(first),
        None => serde_json::value::RawValue::from_string("{}".to_owned()).map_err(|_| ChatError::Internal),
    }
}

/// An id as clients write it: text, or a number read as its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id(pub String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected an id: a string or an integer")]
        enum Written<'a> {
            Text(#[serde(borrow)] Cow<'a, str>),
            Whole(i64),
        }
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text.into_owned())),
            Written::Whole(number) if number >= 0 => Ok(Self(number.to_string())),
            Written::Whole(_) => Err(D::Error::custom("expected an id that is not negative")),
        }
    }
}

impl Id {
    /// It as a user's.
    ///
    /// # Errors
    /// `invalid` when it cannot be one.
    pub fn user(&self) -> Result<UserId, ChatError> {
        UserId::parse(&self.0)
    }

    /// It as a conversation's number.
    ///
    /// # Errors
    /// `invalid` when it cannot be one.
    pub fn number(&self) -> Result<ConversationId, ChatError> {
        let number = self.0.parse().map_err(|_| ChatError::invalid("a conversation id is an integer"))?;
        ConversationId::parse(number)
    }

    /// It as a subject's: 1 to [`ids::KEY_MAX`] bytes without control characters.
    ///
    /// # Errors
    /// `invalid` when it cannot be one.
    pub fn subject(&self) -> Result<Arc<str>, ChatError> {
        ids::printable(&self.0, ids::KEY_MAX, "an id")
    }
}

/// Reads JSON text.
///
/// # Errors
/// `invalid` when it is not of this shape.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, ChatError> {
    serde_json::from_str(text).map_err(|error| unreadable(&error))
}

/// Checks every claim to be somebody that an event's argument makes, by `senderId`, `userId`, or a `sender` or `user` that is an id or
/// an object with one.
///
/// # Errors
/// As [`claim`].
pub fn claims(call: &Call<'_>) -> Result<(), ChatError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Claims {
        sender_id: Option<Claimed>,
        user_id: Option<Claimed>,
        sender: Option<Claimed>,
        user: Option<Claimed>,
    }
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected an id, or an object with one")]
    enum Claimed {
        Plain(Id),
        Nested(Nested),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Nested {
        id: Option<Id>,
        #[serde(rename = "_id")]
        under_id: Option<Id>,
        user_id: Option<Id>,
        sender_id: Option<Id>,
    }
    let first = first(call)?;
    if !first.get().starts_with('{') {
        return Ok(());
    }
    let Claims { sender_id, user_id, sender, user } = read(first.get())?;
    for claimed in [sender_id, user_id, sender, user].into_iter().flatten() {
        let ids = match claimed {
            Claimed::Plain(id) => [Some(id), None, None, None],
            Claimed::Nested(Nested { id, under_id, user_id, sender_id }) => [id, under_id, user_id, sender_id],
        };
        ids.iter().try_for_each(|id| claim(id.as_ref(), call.caller))?;
    }
    Ok(())
}

/// A claim to be somebody: it equals the caller, or the request is refused.
///
/// # Errors
/// `forbidden` when it is somebody else, `invalid` when it can be nobody.
pub fn claim(claimed: Option<&Id>, caller: Option<&UserId>) -> Result<(), ChatError> {
    match claimed {
        None => Ok(()),
        Some(id) if caller.is_some_and(|caller| caller.as_str() == id.0) => Ok(()),
        Some(id) => {
            id.user()?;
            Err(ChatError::forbidden("this is somebody else's id: one speaks for oneself alone"))
        }
    }
}

/// Who a client says that it is; it is what its token says, or the request is refused.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The caller, or it is refused.
    #[schema(value_type = Option<String>)]
    sender_id: Option<Id>,
    /// The caller, or it is refused.
    #[schema(value_type = Option<String>)]
    user_id: Option<Id>,
    /// The caller, by id or in an object, or it is refused.
    #[schema(value_type = Option<Object>)]
    sender: Option<Sender>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a sender: an id or an object with one")]
enum Sender {
    Id(Id),
    #[serde(rename_all = "camelCase")]
    Whole {
        id: Option<Id>,
        user_id: Option<Id>,
    },
}

impl Claims {
    /// Whether all of it is true.
    ///
    /// # Errors
    /// `forbidden` when it is somebody else, `invalid` when it can be nobody.
    pub fn check(&self, caller: Option<&UserId>) -> Result<(), ChatError> {
        let nested = match &self.sender {
            None => [None, None],
            Some(Sender::Id(id)) => [Some(id), None],
            Some(Sender::Whole { id, user_id }) => [id.as_ref(), user_id.as_ref()],
        };
        let claims = [self.sender_id.as_ref(), self.user_id.as_ref()].into_iter().chain(nested);
        claims.into_iter().try_for_each(|claimed| claim(claimed, caller))
    }
}

/// A message's text, type and client id as they came.
///
/// # Errors
/// `invalid` or `too_large`.
pub fn text(text: Option<&str>, field: &'static str) -> Result<Body, ChatError> {
    Body::parse(text.ok_or_else(|| missing(field))?)
}

/// The type of a message, `text` where none is given.
///
/// # Errors
/// `invalid`.
pub fn kind(said: Option<&str>) -> Result<Arc<str>, ChatError> {
    said.map_or_else(|| Ok("text".into()), model::word)
}

/// The client's own name for a message. Any string: an empty one is none.
///
/// # Errors
/// `invalid`.
pub fn client_id(said: Option<&str>) -> Result<Option<ClientId>, ChatError> {
    said.filter(|said| !said.is_empty()).map(ClientId::parse).transpose()
}

/// A field that must be there is not.
#[must_use]
pub fn missing(field: &'static str) -> ChatError {
    ChatError::invalid(format!("`{field}` is missing"))
}

/// Why the connection ends, as an error event tells it.
#[derive(Serialize)]
pub struct Farewell<'a> {
    /// In words.
    pub error: &'a str,
    /// One of the error codes.
    pub code: &'a str,
}

/// A request was carried out, and its confirming event says so; the acknowledgement, where one was asked for, says the same.
pub fn confirmed<T: Serialize>(tag: &Tag, name: &str, payload: &T) -> Vec<Word> {
    told(name, payload).into_iter().chain(answer(tag, payload)).collect()
}

/// A request was carried out, and there is nothing to say of it but to whoever asked for an acknowledgement.
pub fn done(tag: &Tag) -> Vec<Word> {
    #[derive(Serialize)]
    struct Done {
        ok: bool,
    }
    answer(tag, &Done { ok: true }).into_iter().collect()
}
