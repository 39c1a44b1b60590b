//! The plain WebSocket at `/ws` (RFC 6455): letting a connection in and putting a pump in front of its session.
//!
//! What lives here: the handshake. The pump of what comes in is in `websocket/pump.rs`, the guard before its parser in
//! `websocket/guard.rs`, the writer of what goes out in `websocket/writer.rs`. What must not: heartbeats, deadlines, limits (the session
//! has them).

mod guard;
mod pump;
mod writer;

use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::ws::Codec;
use actix_web::{HttpRequest, HttpResponse, rt, web};
use actix_web_actors::ws::{self, WebsocketContext};
use futures_util::StreamExt;

#[cfg(any(test, fuzzing))]
pub use self::guard::guarded;
use self::guard::{Guard, Tally};
use self::pump::Pump;
use self::writer::Writer;
use super::Shared;
use super::credentials::{self, SUBPROTOCOL};
use super::gate;
use super::origin::Verdict;
use super::rest::problem::Problem;
use crate::actor::outbox::Outbox;
use crate::actor::session::{Arrival, Session};
use crate::error::ChatError;
use crate::vocabulary::Vocabulary;

/// The largest message that a client may send, in bytes, in one frame or in fragments.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// Bytes that a connection that came without a token may send until its first message, which brings the token, is whole; pings and
/// headers count.
pub const INTRODUCTION_MAX: usize = 16 * 1024;

/// Opens a WebSocket. A token may come with the request; else the first frame must bring it.
///
/// # Errors
/// `forbidden` from a foreign origin, `unauthorized` with a bad token, `unavailable` or `rate_limited` when there is no place,
/// `invalid` when it is no WebSocket handshake.
pub async fn connect(
    request: HttpRequest,
    payload: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Problem> {
    let origin = shared.origins.judge(request.headers());
    if origin == Verdict::Foreign {
        return Err(ChatError::forbidden("this origin may not connect").into());
    }
    let token = credentials::bearer(&request)
        .or_else(|| credentials::subprotocol(&request))
        .or_else(|| credentials::cookie(&request, origin, false));
    let address = gate::address(&request);
    let (claims, passage) = shared.let_in(token.as_deref(), address)?;
    let outbox = Arc::new(Outbox::new(shared.session_buffer_bytes));
    let codec = Vocabulary::Native.codec();
    let tally = Rc::new(Tally::default());
    let door = Arc::new(shared.chat.clone());
    let first_max = claims.is_none().then_some(INTRODUCTION_MAX);
    let open = {
        let outbox = Arc::clone(&outbox);
        let patience = shared.patience;
        let arrival = claims.map_or(Arrival::Anonymous, Arrival::Known);
        move || Session::open(codec, outbox, door, patience, address, arrival)
    };
    let no_handshake = "this is no WebSocket handshake; connect with a WebSocket client";
    let mut answer = ws::handshake_with_protocols(&request, &[SUBPROTOCOL])
        .map_err(|_| Problem::from(ChatError::invalid(no_handshake)))?;
    let pump = Pump::new(Box::new(open), Arc::clone(&outbox), codec, Rc::clone(&tally));
    let guarded = Guard::new(payload, Arc::clone(&outbox), tally, first_max);
    let pumping = WebsocketContext::with_codec(pump, guarded, Codec::new().max_size(MESSAGE_MAX));
    let over = Over(Arc::clone(&outbox));
    rt::spawn(async move {
        // Also where it panics.
        let _over = over;
        // It writes nothing: the writer does.
        pumping.for_each(|_| ready(())).await;
    });
    Ok(answer.message_body(Writer::new(outbox, passage)).map_err(|_| ChatError::Internal)?.map_into_boxed_body())
}

/// Tells the writer, dropped, that the pump has ended.
struct Over(Arc<Outbox>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.end();
    }
}
