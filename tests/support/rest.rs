//! A server's HTTP side for tests: calls by a user, by the shop's backend, by anybody; tokens signed here.
//!
//! What lives here: making calls and reading answers. What must not: assertions about Haggle.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::client::Socket;
use super::server::{JWT_SECRET, SERVER_KEY};

/// How long a call may take. Nothing in Haggle hangs past 10 s.
const CALL_WITHIN: Duration = Duration::from_secs(15);

/// Seconds since 1970 UTC.
pub fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_secs()).expect("a time")
}

/// A token with these claims, signed with the tests' secret.
pub fn sign(claims: &Value) -> String {
    sign_with(claims, JWT_SECRET)
}

/// A token with these claims, signed with any secret.
pub fn sign_with(claims: &Value, secret: &str) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
}

/// A user's token for an hour.
pub fn token(user: &str) -> String {
    sign(&json!({ "sub": user, "exp": now_s() + 3_600 }))
}

/// Where a server is, and how to talk to it.
#[derive(Clone, Debug)]
pub struct Api {
    /// Where it listens.
    pub address: SocketAddr,
    http: Client,
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    api: Api,
    headers: HeaderMap,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The body as JSON; `null` where it is none.
    pub body: Value,
}

impl Answer {
    /// The error's code.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The body of an answer that must be a success.
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self.body
    }

    /// Status and code of an answer.
    pub fn verdict(&self) -> (u16, &str) {
        (self.status, self.code())
    }
}

impl Api {
    pub fn at(address: SocketAddr) -> Self {
        let http = Client::builder().timeout(CALL_WITHIN).no_proxy().build().expect("a client");
        Self { address, http }
    }

    /// Calls by nobody in particular.
    pub fn anybody(&self) -> Caller {
        Caller { api: self.clone(), headers: HeaderMap::new() }
    }

    /// Calls with a bearer.
    pub fn bearer(&self, bearer: &str) -> Caller {
        self.anybody().with("authorization", &format!("Bearer {bearer}"))
    }

    /// Calls by a user, with a token for an hour.
    pub fn user(&self, user: &str) -> Caller {
        self.bearer(&token(user))
    }

    /// Calls by the shop's backend.
    pub fn shop(&self) -> Caller {
        self.bearer(SERVER_KEY)
    }

    /// A user's WebSocket that is open and known.
    pub async fn socket(&self, user: &str) -> Socket {
        let mut socket = Socket::anonymous(self.address).await;
        socket.ask("auth", json!({ "token": token(user) })).await.ok();
        socket
    }

    /// A user's WebSocket that has joined a conversation.
    pub async fn joined(&self, user: &str, conversation: i64) -> Socket {
        let mut socket = self.socket(user).await;
        socket.ask("join", json!({ "conversation": conversation })).await.ok();
        socket
    }

    /// A conversation by the shop's key with these participants; its number.
    pub async fn conversation(&self, key: &str, people: &[&str]) -> i64 {
        let participants: Vec<_> = people.iter().map(|user| json!({ "user_id": user })).collect();
        let answer =
            self.shop().put(&format!("/v1/conversations/{key}"), json!({ "participants": participants })).await;
        answer.ok()["id"].as_i64().expect("an id")
    }

    /// All messages of a conversation by its history, oldest first.
    pub async fn messages(&self, user: &str, conversation: i64) -> Vec<Value> {
        let user = self.user(user);
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or(0, |message| message["seq"].as_i64().expect("a seq"));
            let path = format!("/v1/conversations/{conversation}/messages?after={after}&limit=200");
            let page = user.get(&path).await.ok();
            all.extend(page["messages"].as_array().expect("messages").iter().cloned());
            if page["has_more"] == false {
                return all;
            }
        }
    }

    /// The status of a page; `None` where nothing answers.
    pub async fn status(&self, path: &str) -> Option<u16> {
        let asked = self.http.get(format!("http://{}{path}", self.address)).send().await;
        asked.ok().map(|answer| answer.status().as_u16())
    }
}

impl Caller {
    /// The same with one more header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().expect("a header"));
        self
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Says something by REST.
    pub async fn say(&self, conversation: i64, body: &str) -> Answer {
        self.post(&format!("/v1/conversations/{conversation}/messages"), json!({ "body": body })).await
    }

    /// Makes a call with or without a JSON body.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let url = format!("http://{}{path}", self.api.address);
        let mut request = self.api.http.request(method, url).headers(self.headers.clone());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status, headers, text, body }
    }
}
