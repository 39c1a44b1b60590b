#![doc = include_str!("../README.md")]
//!
//! What lives where: [`engine`] is the transport and knows nothing of Socket.IO; [`packet`] is Socket.IO's
//! packets as bytes; `client` puts the two together, one for each session, in the session's actor; `connect`,
//! `event`, `handler` and `socket` are what an application sees of it; `namespace` is rooms; [`recovery`] is what is
//! remembered; `server` is where all of it is put together. Nothing here knows what the events mean.

mod client;
mod connect;
pub mod engine;
mod event;
mod handler;
mod namespace;
pub mod packet;
pub mod recovery;
mod server;
mod socket;

pub use connect::{Accepted, Connecting, Handshake, Refusal};
pub use event::{Ack, DisconnectReason, Event, SendFailure, Sink, SocketEvent};
pub use handler::{Data, Events, FromEvent, Handler, Mismatch};
pub use namespace::Broadcast;
pub use packet::{Args, Attachment, Encoded, EventBuilder};
pub use server::{Builder, Clients, Config, SocketIo};
pub use socket::{AckError, Socket};
