//! The ways in: plain WebSocket, Socket.IO and REST. What a request is, who it comes from, whether it may enter.
//!
//! What lives here: what all transports share. What must not: rules of the chat, or the database.

pub mod credentials;
pub mod gate;
pub mod origin;
pub mod pages;
pub mod rest;
pub mod socketio;
pub mod upgrade;
pub mod websocket;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use secrecy::SecretString;

use self::gate::{Gate, Passage};
use self::origin::Origins;
use crate::actor::session::Patience;
use crate::auth::Tokens;
use crate::chat::{Chat, Limit};
use crate::error::ChatError;
use crate::protocol::command::Claims;

/// What every handler needs; one for the whole server.
pub struct Shared {
    /// The front door.
    pub chat: Chat,
    /// Checks tokens.
    pub tokens: Arc<Tokens>,
    /// The key of the shop's backend.
    pub server_key: SecretString,
    /// Which browser origins may come in.
    pub origins: Origins,
    /// How many connections there are, and may be.
    pub gate: Arc<Gate>,
    /// How long things may take.
    pub patience: Patience,
    /// Bytes that may wait for one connection.
    pub session_buffer_bytes: usize,
    /// Development hands out tokens and shows the demo.
    pub development: bool,
    /// Requests under way that may write.
    pub writing: Arc<AtomicUsize>,
}

impl Shared {
    /// Lets a connection in, with a place of its own, and tells whose token it brought, where it brought one. It counts as one of
    /// its address, with a bad token too, and of its user.
    ///
    /// # Errors
    /// `unauthorized` with a bad token, `rate_limited` when too many come at once or the address holds too many,
    /// `unavailable` when there is no place.
    pub fn let_in(&self, token: Option<&str>, address: Option<IpAddr>) -> Result<(Option<Claims>, Passage), ChatError> {
        let claims = token.map(|token| self.tokens.verify(token)).transpose();
        let user = claims.as_ref().ok().and_then(Option::as_ref).map(|claims| &claims.user);
        self.chat.admit(user, address, Limit::Connect)?;
        Ok((claims?, self.gate.enter(address)?))
    }
}
