//! The `order` vocabulary (CONTRACT section 4).
//!
//! What lives here: names and payloads to commands, replies and events to names and payloads. What must not: state, I/O, rules of the chat.

use bytestring::ByteString;

use super::words::{self, Failure};
use super::{Audience, Call, Codec, Incoming, Manner, Request, Tag, Vocabulary, Welcome, Word};
use crate::error::ChatError;
use crate::protocol::{Event, Reply, Topic};

/// What clients may say.
pub const EVENTS: [&str; 0] = [];

/// The translator.
pub struct Order;

impl Codec for Order {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Order
    }

    fn manner(&self) -> Manner {
        Manner { echo: true, everywhere: true, acknowledges: false, queue: true }
    }

    fn decode(&self, call: &Call<'_>) -> Request {
        words::request(call, &EVENTS, |_| Ok(Incoming::Unknown))
    }

    fn event(&self, _: &Event, _: Option<&Topic>, _: Audience) -> Option<ByteString> {
        None
    }

    fn reply(&self, tag: &Tag, reply: &Result<Reply, ChatError>) -> Vec<Word> {
        match reply {
            Ok(_) => words::done(tag),
            Err(error) => words::refusal(tag, error, || words::event("error", &Failure::of(error))),
        }
    }

    fn welcome(&self, tag: &Tag, welcome: &Welcome) -> Vec<Word> {
        words::welcome(tag, welcome)
    }
}
