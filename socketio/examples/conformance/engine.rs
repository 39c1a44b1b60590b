//! `engine` and `engine-client`: what the Engine.IO protocol's suite and `engine.io-client`'s expect.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use bytes::Bytes;
use serde_json::{Map, Value};
use socketio::engine::packet::{Frame, Message};
use socketio::engine::{CloseReason, Config, Engine, Factory, Refused, RequestHead, Service, Session, Work};

use crate::Mount;

/// Answers a message, or not.
type Answer = fn(&Message, &RequestHead) -> Option<Frame>;

/// Greets, then answers messages.
struct Application {
    greeting: Option<&'static str>,
    answer: Answer,
}

struct Talk {
    session: Arc<Session>,
    greeting: Option<&'static str>,
    answer: Answer,
}

impl Factory for Application {
    type Service = Talk;

    fn open(&self, session: &Arc<Session>) -> Talk {
        Talk { session: Arc::clone(session), greeting: self.greeting, answer: self.answer }
    }
}

impl Service for Talk {
    type Outcome = ();

    fn opened(&mut self, _: &mut Work<()>) {
        if let Some(greeting) = self.greeting {
            let _ = self.session.send(&[Frame::message(greeting)]);
        }
    }

    fn message(&mut self, message: Message, request: &Arc<RequestHead>, _: &mut Work<()>) {
        if let Some(answer) = (self.answer)(&message, request) {
            let _ = self.session.send(&[answer]);
        }
    }

    fn outcome(&mut self, (): (), _: &mut Work<()>) {}

    fn poked(&mut self, _: bool, _: &mut Work<()>) {}

    fn closed(&mut self, _: CloseReason) {}
}

fn repeat(message: &Message, _: &RequestHead) -> Option<Frame> {
    Some(Frame::from(message.clone()))
}

fn give(message: &Message, request: &RequestHead) -> Option<Frame> {
    let Message::Text(text) = message else {
        return repeat(message, request);
    };
    match &**text {
        "give binary" => Some(Frame::Binary(Bytes::from_static(&[0, 1, 2, 3, 4]))),
        "give utf8" => Some(Frame::message("пойду спать всем спокойной ночи")),
        "sendHeaders" => {
            let headers = request.headers().map(|(name, value)| (name.to_owned(), Value::from(value)));
            Some(Frame::message(&Value::Object(headers.collect::<Map<_, _>>()).to_string()))
        }
        _ => repeat(message, request),
    }
}

pub(crate) fn echo() -> Mount {
    let config = Config {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        max_payload: 1_000_000,
        ..Config::default()
    };
    let engine = Arc::new(Engine::new(config, Application { greeting: None, answer: repeat }));
    Box::new(move |config| engine.configure("/engine.io/")(config))
}

pub(crate) fn client() -> Mount {
    let config = Config { ping_interval: Duration::from_millis(500), max_payload: 100, ..Config::default() };
    let engine = Engine::new(config, Application { greeting: Some("hi"), answer: give })
        .allow(|request: &HttpRequest| {
            let denied = RequestHead::new(request).query_value("deny").is_some();
            std::future::ready(if denied { Err(Refused::default()) } else { Ok(()) })
        })
        .initial_headers(|_, headers| cookies(headers));
    let engine = Arc::new(engine);
    Box::new(move |config| engine.configure("/engine.io/")(config))
}

fn cookies(headers: &mut HeaderMap) {
    for cookie in [
        "1=1; Max-Age=86400",
        "2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
        "3=3; Max-Age=0",
        "4=4; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ] {
        headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
    }
}
