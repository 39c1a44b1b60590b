//! HTTP long-polling: the waiting GET and the POST of one session. Frames are the outbox's, packets
//! the actor's.

use std::future::poll_fn;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use futures_util::StreamExt as _;

use super::connection::{Input, Source};
use super::http::Problem;
use super::outbox::PollAnswer;
use super::packet::{Frame, Payload};
use super::request::RequestHead;
use super::session::{CloseReason, Session};

/// How soon a poll is ended with a noop while an upgrade waits for it.
const UPGRADE_POLL: Duration = Duration::from_millis(20);
/// Answers of at least this many bytes are compressed in a thread of their own.
const COMPRESS_ASIDE: usize = 64 * 1024;
/// As in Node: no answer to a poll or a POST is kept.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The answer that opens a session.
pub(crate) fn open(packet: &Frame) -> HttpResponse {
    let mut payload = Vec::new();
    packet.append_to_payload(&mut payload);
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, NO_STORE))
        .content_type("text/plain; charset=UTF-8")
        .body(payload)
}

/// Holds a poll's place; a poll dropped before its answer was cancelled by the client.
struct Waiting {
    session: Arc<Session>,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let cancelled = self.session.outbox().close_poll(self.id);
        if cancelled {
            self.session.close(CloseReason::TransportError);
        }
    }
}

/// Waits for something to say.
pub(crate) async fn poll(session: Arc<Session>, request: &HttpRequest) -> HttpResponse {
    let expired = session.outbox().is_expired();
    if expired && !session.is_posting() {
        session.close(CloseReason::PingTimeout);
    }
    let place = session.outbox().open_poll();
    let Some(id) = place else {
        session.close(CloseReason::TransportError);
        return HttpResponse::BadRequest().finish();
    };
    let waiting = Waiting { session: Arc::clone(&session), id };
    let answer = match wait(&waiting).await {
        PollAnswer::Gone => Problem::BadRequest.answer(),
        PollAnswer::Payload(payload, upto) => answer_poll(&session, payload, upto, request).await,
    };
    session.outbox().close_poll(id);
    let owes_the_end = session.outbox().owes_the_end();
    if !session.is_open() && !owes_the_end {
        // The client hears of the end by this answer.
        session.registry().remove(session.id(), None);
    }
    answer
}

async fn wait(waiting: &Waiting) -> PollAnswer {
    let mut hurry = None;
    poll_fn(|cx| {
        let mut outbox = waiting.session.outbox();
        if outbox.hurries_polls() && hurry.is_none() {
            hurry = Some(Box::pin(tokio::time::sleep(UPGRADE_POLL)));
        }
        let due = hurry.as_mut().is_some_and(|hurry| hurry.as_mut().poll(cx).is_ready());
        outbox.poll_answer(waiting.id, due, cx)
    })
    .await
}

async fn answer_poll(session: &Arc<Session>, payload: Vec<u8>, upto: u64, request: &HttpRequest) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CACHE_CONTROL, NO_STORE)).content_type("text/plain; charset=UTF-8");
    let compressible = session.config().compression_threshold.is_some_and(|least| payload.len() >= least);
    if compressible {
        answer.insert_header((header::VARY, "Accept-Encoding"));
    }
    let encoding = if compressible { accepted_encoding(request.headers()) } else { None };
    let bytes = match encoding {
        Some(encoding) => {
            answer.insert_header((header::CONTENT_ENCODING, encoding.name()));
            if payload.len() < COMPRESS_ASIDE {
                encoding.compress(&payload)
            } else {
                web::block(move || encoding.compress(&payload)).await.unwrap_or_default()
            }
        }
        None => payload,
    };
    answer.body(PollBody { bytes: Bytes::from(bytes), session: Arc::clone(session), upto })
}

/// An encoding of ours.
#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Deflate,
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Writing to memory does not fail.
    fn compress(self, payload: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(payload).and_then(|()| encoder.finish()).unwrap_or_default()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(payload).and_then(|()| encoder.finish()).unwrap_or_default()
            }
        }
    }
}

/// The encoding of ours that the client likes best; of equals the one that it names first.
///
/// Source: RFC 9110, section 12.5.3.
fn accepted_encoding(headers: &HeaderMap) -> Option<Encoding> {
    let accepted = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    let liking = |encoding: Encoding| {
        let named = |wanted: &str| {
            accepted.split(',').enumerate().find_map(|(place, one)| {
                let (name, weight) = one.split_once(';').unwrap_or((one, "q=1"));
                let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
                name.trim().eq_ignore_ascii_case(wanted).then(|| (weight.unwrap_or_default(), place))
            })
        };
        named(encoding.name()).or_else(|| named("*")).filter(|(weight, _)| *weight > 0.0)
    };
    match (liking(Encoding::Gzip), liking(Encoding::Deflate)) {
        (Some((gzip, first)), Some((deflate, second))) => {
            Some(if deflate > gzip || (deflate == gzip && second < first) { Encoding::Deflate } else { Encoding::Gzip })
        }
        (Some(_), None) => Some(Encoding::Gzip),
        (None, deflate) => deflate.map(|_| Encoding::Deflate),
    }
}

/// A poll's body, which knows when the server has taken it.
struct PollBody {
    bytes: Bytes,
    session: Arc<Session>,
    upto: u64,
}

impl MessageBody for PollBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        self.session.outbox().poll_written(self.upto);
        Poll::Ready(Some(Ok(std::mem::take(&mut self.bytes))))
    }
}

/// One that is dropped with its bytes never reached the server's buffer: what it carried is lost.
impl Drop for PollBody {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.session.close(CloseReason::TransportError);
        }
    }
}

/// Marks a POST as under way; one that is dropped on the way was cut off by the client.
struct Posting {
    session: Arc<Session>,
    finished: bool,
}

impl Drop for Posting {
    fn drop(&mut self) {
        self.session.end_post();
        if !self.finished {
            self.session.close(CloseReason::TransportError);
        }
    }
}

/// Takes packets.
pub(crate) async fn post(session: Arc<Session>, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
    if !session.begin_post() {
        session.close(CloseReason::TransportError);
        return HttpResponse::BadRequest().finish();
    }
    let mut posting = Posting { session: Arc::clone(&session), finished: false };
    let received = receive(&session, request, payload).await;
    posting.finished = !matches!(received, Err(PostError::Broken));
    let taken = match received {
        // In a task of its own: the client may go now, its packets are heard.
        Ok(packets) => actix_web::rt::spawn(take(posting, packets)).await.unwrap_or_default(),
        Err(PostError::TooLarge) => return HttpResponse::PayloadTooLarge().finish(),
        Err(PostError::Broken) => false,
        Err(PostError::NotPackets) => {
            session.close(CloseReason::ParseError);
            false
        }
    };
    if taken { accepted() } else { HttpResponse::BadRequest().finish() }
}

/// Waits until the actor has taken all packets; `false` if one of them ended the session, but for one
/// that asks to.
async fn take(posting: Posting, packets: Input) -> bool {
    let session = &posting.session;
    let Some(actor) = session.actor() else {
        return false;
    };
    actor.send(packets).await.unwrap_or_default() || session.outbox().is_closed_by_peer()
}

fn accepted() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, NO_STORE))
        // As in Node: some browsers offer to download anything else.
        .insert_header((header::CONTENT_TYPE, "text/html"))
        .body("ok")
}

enum PostError {
    /// More than [`super::Config::max_payload`]; the session lives on.
    TooLarge,
    /// The request broke off, took too long, or has the wrong type.
    Broken,
    /// Not text, or too many packets.
    NotPackets,
}

async fn receive(session: &Session, request: &HttpRequest, payload: web::Payload) -> Result<Input, PostError> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes() == b"application/octet-stream") {
        return Err(PostError::Broken);
    }
    let config = session.config();
    let body = read_body(payload, declared_length(request), session.max_payload());
    let body = tokio::time::timeout(config.post_timeout, body).await.map_err(|_| PostError::Broken)??;
    let text = ByteString::try_from(body).map_err(|_| PostError::NotPackets)?;
    if Payload::count(&text) > config.max_packets_per_payload {
        return Err(PostError::NotPackets);
    }
    let head = Arc::new(RequestHead::new(request));
    Ok(Input::Packets(Source::Post(Payload::new(text)), head))
}

fn declared_length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read_body(mut payload: web::Payload, declared: Option<usize>, max: usize) -> Result<Bytes, PostError> {
    if declared.is_some_and(|length| length > max) {
        return Err(PostError::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_: PayloadError| PostError::Broken)?;
        if body.len() + chunk.len() > max {
            return Err(PostError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::super::registry::Registry;
    use super::*;

    #[actix_web::test]
    async fn an_answer_that_the_server_never_took_ends_its_session() {
        let request = actix_web::test::TestRequest::get().to_http_request();
        for taken in [true, false] {
            let (config, head) = (Arc::default(), Arc::new(RequestHead::new(&request)));
            let session = Arc::new(Session::new("id".into(), config, head, Arc::new(Registry::new(1))));
            let mut body = PollBody { bytes: Bytes::from_static(b"4a"), session: Arc::clone(&session), upto: 0 };
            if taken {
                assert!(futures_util::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await.is_some());
            }
            drop(body);
            assert_eq!(session.is_open(), taken);
        }
    }

    #[test]
    fn the_client_gets_the_encoding_that_it_asks_for() {
        for (accepted, expected) in [
            ("gzip, deflate, br", Some("gzip")),
            ("deflate, gzip", Some("deflate")),
            ("gzip;q=0.5, deflate;q=0.8", Some("deflate")),
            ("GZIP; q=0.1", Some("gzip")),
            ("gzip;q=0, *", Some("deflate")),
            ("*", Some("gzip")),
            ("*;q=0", None),
            ("gzip;q=none", None),
            ("br", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(accepted_encoding(&headers).map(Encoding::name), expected, "{accepted}");
        }
        assert!(accepted_encoding(&HeaderMap::new()).is_none());
    }
}
