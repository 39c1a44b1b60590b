//! One socket of any vocabulary, alike for all.
//!
//! What lives here: connecting, asking, what was heard. What must not: who may what.

use std::net::SocketAddr;

use haggle::vocabulary::{Vocabulary, book, group, item, native, order, shop, words};
use serde_json::{Value, json};

use crate::support::client::{Closed, Socket};
use crate::support::rest::token;
use crate::support::server::SERVER_KEY;
use crate::support::socketio::{Heard, SocketIo};

/// Every vocabulary.
pub const VOCABULARIES: [Vocabulary; Vocabulary::COUNT] =
    [Vocabulary::Native, Vocabulary::Item, Vocabulary::Book, Vocabulary::Order, Vocabulary::Group, Vocabulary::Shop];

/// What clients may say in a vocabulary, as the server has it.
pub fn events_of(vocabulary: Vocabulary) -> Vec<&'static str> {
    let known: &[&str] = match vocabulary {
        Vocabulary::Native => return native::TYPES.to_vec(),
        Vocabulary::Item => &item::EVENTS,
        Vocabulary::Book => &book::EVENTS,
        Vocabulary::Order => &order::EVENTS,
        Vocabulary::Group => &group::EVENTS,
        Vocabulary::Shop => &shop::EVENTS,
    };
    known.iter().copied().chain([words::AUTH]).collect()
}

/// The code of what was done.
pub const OK: &str = "ok";

/// One socket.
pub enum Ear {
    Native(Box<Socket>),
    SocketIo(Box<SocketIo>),
}

impl Ear {
    /// A socket of somebody by their token; else the code of the refusal.
    pub async fn open(address: SocketAddr, vocabulary: Vocabulary, token: Option<&str>) -> Result<Self, String> {
        if vocabulary == Vocabulary::Native {
            let mut socket = Socket::anonymous(address).await;
            if let Some(token) = token {
                let answer = socket.ask("auth", json!({ "token": token })).await;
                if !answer.code().is_empty() {
                    return Err(answer.code().to_owned());
                }
            }
            return Ok(Self::Native(Box::new(socket)));
        }
        let auth = token.map_or_else(|| json!({}), |token| json!({ "token": token }));
        let namespace = format!("/{}", vocabulary.name());
        let socket = SocketIo::connect(address, &namespace, &auth).await;
        let refused = |error: Value| error["data"]["code"].as_str().unwrap_or_default().to_owned();
        socket.map(|socket| Self::SocketIo(Box::new(socket))).map_err(refused)
    }

    /// A user's socket.
    pub async fn of(address: SocketAddr, vocabulary: Vocabulary, user: &str) -> Self {
        let opened = Self::open(address, vocabulary, Some(&token(user))).await;
        opened.unwrap_or_else(|code| panic!("{user} is refused in {vocabulary:?}: {code}"))
    }

    /// What whoever has no token, or the server key for one, is answered.
    pub async fn of_nobody(address: SocketAddr, vocabulary: Vocabulary, key: bool) -> Result<Self, String> {
        Self::open(address, vocabulary, key.then_some(SERVER_KEY)).await
    }

    /// Asks for something; the whole answer.
    pub async fn ask(&mut self, event: &str, payload: &Value) -> Value {
        match self {
            Self::Native(socket) => socket.ask(event, payload.clone()).await.0,
            Self::SocketIo(socket) => socket.ask(event, payload).await,
        }
    }

    /// Waits for an event of a name.
    pub async fn expect(&mut self, event: &str) -> Value {
        match self {
            Self::Native(socket) => socket.expect(event).await,
            Self::SocketIo(socket) => socket.expect(event).await,
        }
    }

    /// All that was heard and not asked for yet.
    pub async fn heard(&mut self) -> Vec<Heard> {
        match self {
            Self::Native(socket) => {
                let named = |event: Value| (event["type"].as_str().unwrap_or_default().to_owned(), event);
                socket.heard().await.into_iter().map(named).collect()
            }
            Self::SocketIo(socket) => socket.heard().await,
        }
    }

    /// Waits until the server has ended it.
    pub async fn ended(&mut self) {
        match self {
            Self::Native(socket) => assert_ne!(socket.closed().await, Closed::Cut),
            Self::SocketIo(socket) => socket.ended().await,
        }
    }
}

/// The code of an answer of any vocabulary, `ok` where it was carried out.
pub fn code(answer: &Value) -> &str {
    match (&answer["error"]["code"], &answer["code"]) {
        (Value::String(code), _) | (_, Value::String(code)) => code,
        _ => OK,
    }
}
