//! What a chat is: the plain commands, replies and events that every vocabulary is translated to and from.
//!
//! What lives here: types and the rules that hold for a value wherever it comes from (lengths, ranges).
//! What must not: JSON, actors, HTTP, SQL. A vocabulary knows the wire; the store knows the tables.

pub mod command;
pub mod event;
pub mod ids;
pub mod model;
pub mod reply;

pub use command::{Caller, Command};
pub use event::Event;
pub use ids::{Between, ClientId, ConversationId, ConversationRef, MessageId, Seq, SessionId, UserId, Who};
pub use model::{Body, Conversation, Message, Participant, Person, Timestamp, Topic};
pub use reply::Reply;
