//! Engine.IO v4 and Socket.IO v5 for actix-web.

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
