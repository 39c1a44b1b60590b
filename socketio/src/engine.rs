//! Engine.IO, revision 4: sessions over HTTP long-polling and WebSocket. Knows nothing of Socket.IO.

mod config;
mod connection;
mod cors;
pub mod frame;
mod http;
mod outbox;
pub mod packet;
mod polling;
mod registry;
mod request;
mod session;
mod websocket;

pub use config::Config;
pub use connection::{Service, Work};
pub use cors::Cors;
pub use http::{Engine, Factory, Refused};
pub use outbox::EmitError;
pub(crate) use registry::new_id;
pub use request::RequestHead;
pub use session::{CloseReason, Session};
