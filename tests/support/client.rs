//! A native WebSocket client for tests.
//!
//! What lives here: asking and hearing, each with a bound. What must not: assertions about Haggle beyond "it answered".
//!
//! Nothing is read but when the test asks for something: a client that is not asked is one that does not read.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long an answer or event may take before the test fails: more than anything in Haggle may take.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// One connection.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    next_id: i64,
    /// Events that came and were not asked for yet.
    events: VecDeque<Value>,
    /// Answers that came and were not asked for yet.
    replies: VecDeque<Value>,
    closed: Option<Closed>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// With a Close frame: its code and reason. Code 0 stands for a frame without one.
    Frame(u16, String),
    /// Without one.
    Cut,
}

/// An answer to one request.
#[derive(Clone, Debug)]
pub struct Reply(pub Value);

impl Reply {
    /// The answer to what must have been carried out.
    pub fn ok(self) -> Value {
        assert_eq!(self.0["ok"], true, "{}", self.0);
        self.0
    }

    /// The code of a refusal; `""` where it was carried out.
    pub fn code(&self) -> &str {
        self.0["error"]["code"].as_str().unwrap_or_default()
    }
}

impl Socket {
    /// A connection of nobody in particular: the first frame must say who it is.
    pub async fn anonymous(address: SocketAddr) -> Self {
        Self::with_headers(address, &[]).await.expect("a WebSocket").0
    }

    /// A connection with request headers; `Err` with the status where the handshake is refused.
    pub async fn with_headers(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<(Self, Response<Option<Vec<u8>>>), (u16, Value)> {
        Self::open(address, "/ws", headers, None).await
    }

    /// A connection whose kernel takes only so many bytes while nothing is read.
    pub async fn small(address: SocketAddr, receive_bytes: u32) -> Self {
        Self::open(address, "/ws", &[], Some(receive_bytes)).await.expect("a WebSocket").0
    }

    /// Any of these.
    pub async fn open(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
        receive_bytes: Option<u32>,
    ) -> Result<(Self, Response<Option<Vec<u8>>>), (u16, Value)> {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes).expect("a size");
        }
        let stream = socket.connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let mut request = format!("ws://{address}{path}").into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).expect("a header"));
        }
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((stream, response)) => {
                let (events, replies) = (VecDeque::new(), VecDeque::new());
                Ok((Self { stream, next_id: 0, events, replies, closed: None }, response))
            }
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err((response.status().as_u16(), serde_json::from_slice(body).unwrap_or_default()))
            }
            Err(error) => panic!("no WebSocket: {error}"),
        }
    }

    /// Asks for something and waits for its answer. Fields are those beside `id` and `type`.
    pub async fn ask(&mut self, kind: &str, fields: Value) -> Reply {
        let id = self.begin(kind, fields).await;
        self.answer(id).await
    }

    /// Asks for something without waiting; the number to wait for its answer by.
    pub async fn begin(&mut self, kind: &str, fields: Value) -> i64 {
        let (id, frame) = self.frame(kind, fields);
        self.raw(Message::text(frame)).await;
        id
    }

    /// Asks for something of a server that may be gone; `maybe_answer` tells what came of it.
    pub async fn try_begin(&mut self, kind: &str, fields: Value) -> i64 {
        let (id, frame) = self.frame(kind, fields);
        self.try_raw(Message::text(frame)).await;
        id
    }

    /// Writes a frame without sending it off, so that many go out at once.
    pub async fn feed(&mut self, kind: &str, fields: Value) -> i64 {
        let (id, frame) = self.frame(kind, fields);
        self.stream.feed(Message::text(frame)).await.expect("it takes frames");
        id
    }

    /// Sends off what was fed.
    pub async fn flush(&mut self) {
        self.stream.flush().await.expect("it takes frames");
    }

    fn frame(&mut self, kind: &str, mut fields: Value) -> (i64, String) {
        self.next_id += 1;
        fields["id"] = self.next_id.into();
        fields["type"] = kind.into();
        (self.next_id, fields.to_string())
    }

    /// Sends any frame.
    pub async fn raw(&mut self, message: Message) {
        self.stream.send(message).await.expect("it takes frames");
    }

    /// Sends any frame, whether it is still taken or not.
    pub async fn try_raw(&mut self, message: Message) {
        drop(self.stream.send(message).await);
    }

    /// Waits for the answer to one request.
    pub async fn answer(&mut self, id: i64) -> Reply {
        self.maybe_answer(id).await.unwrap_or_else(|| panic!("closed ({:?}) before answer {id}", self.closed))
    }

    /// Whether the answer to a request has been read already.
    pub fn has_answer(&self, id: i64) -> bool {
        self.replies.iter().any(|reply| reply["id"] == id)
    }

    /// Waits for the answer to one request; `None` where the connection ended without one.
    pub async fn maybe_answer(&mut self, id: i64) -> Option<Reply> {
        let by = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.replies.iter().position(|reply| reply["id"] == id) {
                return self.replies.remove(at).map(Reply);
            }
            if !self.read(by).await.unwrap_or_else(|()| panic!("no answer to {id} in time")) {
                return None;
            }
        }
    }

    /// The next answer, to whatever; `None` where the connection ended without one.
    pub async fn next_reply(&mut self) -> Option<Reply> {
        let by = Instant::now() + DEADLINE;
        while self.replies.is_empty() {
            if !self.read(by).await.expect("an answer in time") {
                return None;
            }
        }
        self.replies.pop_front().map(Reply)
    }

    /// Says something and waits for the stored message.
    pub async fn say(&mut self, conversation: i64, body: &str) -> Value {
        let sent = self.ask("send", json!({ "conversation": conversation, "body": body })).await;
        sent.ok()["message"].take()
    }

    /// The next event of a type; others stay for later.
    pub async fn expect(&mut self, kind: &str) -> Value {
        self.expect_within(kind, DEADLINE)
            .await
            .unwrap_or_else(|| panic!("no event `{kind}` came; closed: {:?}; others: {:?}", self.closed, self.events))
    }

    /// The next event of a type, if one comes in time.
    pub async fn expect_within(&mut self, kind: &str, within: Duration) -> Option<Value> {
        let by = Instant::now() + within;
        loop {
            if let Some(at) = self.events.iter().position(|event| event["type"] == kind) {
                return self.events.remove(at);
            }
            if !self.read(by).await.unwrap_or(false) {
                return None;
            }
        }
    }

    /// The messages heard next, `count` of them, as they came.
    pub async fn messages(&mut self, count: usize) -> Vec<Value> {
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            messages.push(self.expect("message").await["message"].take());
        }
        messages
    }

    /// All events that have come by the time that the server has answered one more request. It answers in no order with
    /// events of rooms, so this shows what is still missing only where something later from the same room has come.
    pub async fn heard(&mut self) -> Vec<Value> {
        self.ask("conversations", json!({ "limit": 1 })).await.ok();
        self.events.drain(..).collect()
    }

    /// Whether an event of a type has been read already.
    pub fn has_event(&self, kind: &str) -> bool {
        self.events.iter().any(|event| event["type"] == kind)
    }

    /// Reads on until the connection ends, and tells how.
    pub async fn closed(&mut self) -> Closed {
        let by = Instant::now() + DEADLINE;
        while self.read(by).await.expect("the connection ends in time") {}
        self.closed.clone().expect("it ended")
    }

    /// Closes as a browser does, and waits until the server has.
    pub async fn close(mut self) {
        drop(self.stream.close(None).await);
        self.closed().await;
    }

    /// Takes one frame. False when the connection has ended, an error when nothing came in time.
    async fn read(&mut self, by: Instant) -> Result<bool, ()> {
        if self.closed.is_some() {
            return Ok(false);
        }
        match timeout_at(by, self.stream.next()).await.map_err(drop)? {
            Some(Ok(Message::Text(text))) => {
                let frame: Value = serde_json::from_str(&text).expect("the server writes JSON");
                let queue = if frame.get("ok").is_some() { &mut self.replies } else { &mut self.events };
                queue.push_back(frame);
            }
            Some(Ok(Message::Close(frame))) => {
                let (code, reason) =
                    frame.map_or((0, String::new()), |CloseFrame { code, reason }| (code.into(), reason.to_string()));
                self.closed = Some(Closed::Frame(code, reason));
                // Sends the library's own Close in answer. The server lingers a second for what a client may still send.
                drop(self.stream.flush().await);
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => self.closed = Some(Closed::Cut),
        }
        Ok(true)
    }
}
