//! A small Socket.IO client for tests, over a WebSocket: one namespace a connection, every event that it hears kept.
//!
//! What lives here: connecting, asking with an acknowledgement, hearing, each with a bound. What must not: assertions about Haggle, or
//! proof that the protocol is spoken right (the official clients do that).

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::client::DEADLINE;

/// Engine.IO and Socket.IO packets are text; these are their first digits.
const CONNECT: &str = "40";
const DISCONNECT: &str = "41";
const EVENT: &str = "42";
const ACK: &str = "43";
const CONNECT_ERROR: &str = "44";
const PING: &str = "2";
const PONG: &str = "3";

/// What nobody calls an event: its acknowledgement comes after all that the session was told before.
const FENCE: &str = "test:fence";

/// An event that was heard: its name and its first argument.
pub type Heard = (String, Value);

/// One connection in one namespace.
pub struct SocketIo {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What stands between a packet's type and the rest: empty in `/`.
    prefix: String,
    next_ack: u64,
    acks: VecDeque<(u64, Value)>,
    events: VecDeque<Heard>,
    /// The answer to CONNECT: `sid` and `pid`.
    pub connected: Value,
    /// The last argument of the newest event that had more than one: where recovery goes on.
    pub offset: Option<Value>,
    ended: bool,
}

impl SocketIo {
    /// A connection that is in no namespace yet, and will speak to this one.
    pub async fn open(address: SocketAddr, namespace: &str) -> Self {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let request = url.into_client_request().expect("a request");
        let (stream, _) = connect_async(request).await.expect("a WebSocket");
        let prefix = if namespace == "/" { String::new() } else { format!("{namespace},") };
        let (acks, events) = (VecDeque::new(), VecDeque::new());
        let connected = Value::Null;
        let mut socket = Self { stream, prefix, next_ack: 0, acks, events, connected, offset: None, ended: false };
        assert!(socket.packet().await.is_some_and(|text| text.starts_with('0')), "no handshake");
        socket
    }

    /// A connection in a namespace; else `connect_error`: its message and `data`.
    pub async fn connect(address: SocketAddr, namespace: &str, auth: &Value) -> Result<Self, Value> {
        let mut socket = Self::open(address, namespace).await;
        socket.joins(auth).await.expect("an answer to CONNECT").map(|()| socket)
    }

    /// Asks to join the namespace. `None` where the connection ended without an answer.
    pub async fn joins(&mut self, auth: &Value) -> Option<Result<(), Value>> {
        self.write(format!("{CONNECT}{}{auth}", self.prefix)).await;
        loop {
            let text = self.packet().await?;
            if let Some(rest) = text.strip_prefix(CONNECT_ERROR) {
                return Some(Err(read(rest.strip_prefix(&self.prefix).expect("this namespace"))));
            }
            if let Some(rest) = text.strip_prefix(CONNECT) {
                self.connected = read(rest.strip_prefix(&self.prefix).expect("this namespace"));
                return Some(Ok(()));
            }
            self.take(&text);
        }
    }

    /// Says something and waits for the acknowledgement: its first argument.
    pub async fn ask(&mut self, event: &str, payload: &Value) -> Value {
        self.maybe_ask(event, payload).await.unwrap_or_else(|| panic!("closed before `{event}` was acknowledged"))
    }

    /// The same; `None` where the connection ended without one.
    pub async fn maybe_ask(&mut self, event: &str, payload: &Value) -> Option<Value> {
        self.maybe_ask_text(event, &payload.to_string()).await
    }

    /// The same with a payload of any text, such as numbers that no JSON library writes.
    pub async fn maybe_ask_text(&mut self, event: &str, payload: &str) -> Option<Value> {
        self.next_ack += 1;
        let ack = self.next_ack;
        self.write(format!("{EVENT}{}{ack}[{},{payload}]", self.prefix, json!(event))).await;
        loop {
            if let Some(at) = self.acks.iter().position(|(number, _)| *number == ack) {
                return self.acks.remove(at).map(|(_, answer)| answer);
            }
            let Ok(next) = timeout(DEADLINE / 2, self.packet()).await else {
                panic!("`{event}` was not acknowledged; events: {:?}", self.events);
            };
            self.take(&next?);
        }
    }

    /// The next event of a name; others stay for later.
    pub async fn expect(&mut self, event: &str) -> Value {
        loop {
            if let Some(at) = self.events.iter().position(|(name, _)| name == event) {
                return self.events.remove(at).expect("it is there").1;
            }
            let Ok(next) = timeout(DEADLINE / 2, self.packet()).await else {
                panic!("no event `{event}` came; others: {:?}", self.events);
            };
            let Some(text) = next else { panic!("closed before `{event}`; others: {:?}", self.events) };
            self.take(&text);
        }
    }

    /// All events that have come by the time that the session has answered one more request.
    pub async fn heard(&mut self) -> Vec<Heard> {
        self.ask(FENCE, &Value::Null).await;
        self.events.drain(..).collect()
    }

    /// Reads on until the connection, or this namespace's, ends.
    pub async fn ended(&mut self) {
        while let Some(text) = self.packet().await {
            self.take(&text);
        }
    }

    /// The next packet; `None` when the connection has ended. Pings are answered.
    async fn packet(&mut self) -> Option<String> {
        while !self.ended {
            match timeout(DEADLINE, self.stream.next()).await.expect("a packet in time") {
                Some(Ok(Message::Text(text))) if text.as_str() == PING => self.write(PONG.to_owned()).await,
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => self.ended = true,
                Some(Ok(_)) => {}
            }
        }
        None
    }

    fn take(&mut self, text: &str) {
        if text.starts_with(DISCONNECT) {
            self.ended = true;
        } else if let Some(rest) = text.strip_prefix(EVENT) {
            let rest = rest.strip_prefix(&self.prefix).expect("this namespace");
            let mut said = read(rest);
            let name = said[0].as_str().expect("a name").to_owned();
            if let Some([_, _, .., offset]) = said.as_array().map(Vec::as_slice) {
                self.offset = Some(offset.clone());
            }
            self.events.push_back((name, said[1].take()));
        } else if let Some(rest) = text.strip_prefix(ACK) {
            let rest = rest.strip_prefix(&self.prefix).expect("this namespace");
            let (number, said) = rest.split_at(rest.find('[').expect("arguments"));
            self.acks.push_back((number.parse().expect("a number"), read(said)[0].take()));
        }
    }

    /// Writes a packet, whether it is still taken or not.
    pub async fn write(&mut self, text: String) {
        drop(self.stream.send(Message::text(text)).await);
    }
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("the server writes JSON")
}
