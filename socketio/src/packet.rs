//! Socket.IO packets as bytes: pure, stateless translation both ways. No I/O, no sockets.
//!
//! Source: Socket.IO protocol, revision 5, "Packet encoding"; where it is silent, `socket.io-parser` 4.2.

mod args;
mod decode;
mod encode;

pub use args::{Args, ArgsError, Attachment};
pub use decode::{InvalidPacket, Packet, decode};
pub use encode::{EncodeError, Encoded, Event as EventBuilder, ack, connect, connect_error, disconnect};
