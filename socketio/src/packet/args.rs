//! What an event or an acknowledgement carries: JSON that is parsed only as far as it is asked for,
//! and attachments.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The arguments are not what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("unexpected arguments: {0}")]
pub struct ArgsError(#[from] serde_json::Error);

/// The arguments of one packet, shared by reference.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// The whole JSON array; empty for none at all.
    array: ByteString,
    /// Elements of it that come before the arguments: the event's name.
    skip: usize,
    /// Where the arguments' own text starts.
    start: usize,
    attachments: Vec<Bytes>,
}

impl Args {
    /// `array` is a JSON array whose first `skip` elements end before `start`.
    pub(crate) fn new(array: ByteString, skip: usize, start: usize) -> Self {
        Self { array, skip, start, attachments: Vec::new() }
    }

    pub(crate) fn with_attachments(mut self, attachments: Vec<Bytes>) -> Self {
        self.attachments = attachments;
        self
    }

    /// The arguments as JSON, separated by commas, without brackets.
    #[must_use]
    pub fn as_json(&self) -> &str {
        let end = self.array.len().saturating_sub(1);
        self.array.get(self.start..end).unwrap_or_default()
    }

    /// The arguments as a tuple, a sequence or anything else that a JSON array fits. Arguments
    /// beyond those that `T` takes are ignored.
    ///
    /// # Errors
    /// There are too few, or they have other types.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        let text = if self.array.is_empty() { "[]" } else { &self.array };
        let mut reader = serde_json::Deserializer::from_str(text);
        let visitor = SkipVisitor { skip: self.skip, kind: PhantomData };
        Ok(reader.deserialize_seq(visitor)?)
    }

    /// The argument at `index`, from 0.
    ///
    /// # Errors
    /// There is none, or it has another type.
    pub fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, ArgsError> {
        let raw = self.parse::<Vec<Box<RawValue>>>()?;
        let value = raw.get(index).ok_or_else(|| ArgsError(serde_json::Error::custom("missing argument")))?;
        Ok(serde_json::from_str(value.get())?)
    }

    /// The arguments as JSON values.
    ///
    /// # Errors
    /// They are nested deeper than 128 levels, or hold text that is not Unicode.
    pub fn values(&self) -> Result<Vec<Value>, ArgsError> {
        self.parse()
    }

    /// The attachments, in the order that [`Attachment`]s in the arguments number them.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }
}

/// Takes a JSON array's elements after the first few as `T`.
struct SkipVisitor<T> {
    skip: usize,
    kind: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for SkipVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<T, A::Error> {
        for _ in 0..self.skip {
            array.next_element::<IgnoredAny>()?;
        }
        let value = T::deserialize(SeqAccessDeserializer::new(&mut array))?;
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(value)
    }
}

/// Stands in JSON for the attachment of that number, from 0: `{"_placeholder":true,"num":0}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment(pub usize);

impl Serialize for Attachment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut placeholder = serializer.serialize_struct("Attachment", 2)?;
        placeholder.serialize_field("_placeholder", &true)?;
        placeholder.serialize_field("num", &self.0)?;
        placeholder.end()
    }
}

impl<'de> Deserialize<'de> for Attachment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Placeholder {
            #[serde(rename = "_placeholder")]
            placeholder: bool,
            num: usize,
        }
        let read = Placeholder::deserialize(deserializer)?;
        if read.placeholder { Ok(Self(read.num)) } else { Err(D::Error::custom("not an attachment")) }
    }
}

/// Whether every placeholder in the array numbers one of `count` attachments. The depth of what is
/// looked at is bounded by the JSON reader, at 128.
pub(crate) fn placeholders_are_valid(array: &str, count: usize) -> bool {
    fn check(value: &Value, count: usize) -> bool {
        match value {
            Value::Array(values) => values.iter().all(|value| check(value, count)),
            Value::Object(object) if object.get("_placeholder") == Some(&Value::Bool(true)) => {
                let number = object.get("num").and_then(Value::as_u64);
                number.is_some_and(|number| number < count as u64)
            }
            Value::Object(object) => object.values().all(|value| check(value, count)),
            _ => true,
        }
    }
    serde_json::from_str::<Value>(array).is_ok_and(|value| check(&value, count))
}
