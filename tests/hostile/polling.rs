//! Engine.IO by long-polling, a request at a time: what a page would send, or what would never come from one.
//!
//! What lives here: opening, posting, polling. What must not: cases.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;

/// How long a request may take; a poll with nothing to say waits longer than any test.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// What packets of one payload are separated by.
const SEPARATOR: char = '\u{1e}';

/// One session.
pub struct Polling {
    http: Client,
    /// The address with its query, `sid` included.
    pub url: String,
    /// Packets that came with the answer that was looked for, and before it.
    pub packets: Vec<String>,
}

impl Polling {
    /// A session; headers go with each of its requests.
    pub async fn open(address: SocketAddr, headers: &[(&'static str, &str)]) -> Self {
        Self::open_with(address, "", headers).await
    }

    /// A session, with more in the query.
    pub async fn open_with(address: SocketAddr, query: &str, headers: &[(&'static str, &str)]) -> Self {
        Self::try_open(address, query, headers).await.unwrap_or_else(|refused| panic!("no session: {refused:?}"))
    }

    /// The same; `Err` with status and body where it is refused.
    pub async fn try_open(
        address: SocketAddr,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, (u16, String)> {
        let mut with = HeaderMap::new();
        for (name, value) in headers {
            with.append(*name, value.parse().expect("a header"));
        }
        let http =
            Client::builder().default_headers(with).no_proxy().timeout(ANSWERS_WITHIN).build().expect("a client");
        let url = format!("http://{address}/socket.io/?EIO=4&transport=polling{query}");
        let mut polling = Self { http, url, packets: Vec::new() };
        let (status, body) = polling.call(Method::GET, "").await;
        let Some(open) = body.strip_prefix('0').filter(|_| status == 200) else { return Err((status, body)) };
        let open: Value = serde_json::from_str(open).expect("a handshake");
        let sid = open["sid"].as_str().expect("a sid").to_owned();
        polling.url = format!("{}&sid={sid}", polling.url);
        Ok(polling)
    }

    /// A request of this session: status and body; status 0 where there was no answer.
    pub async fn call(&self, method: Method, body: &str) -> (u16, String) {
        let request = self.http.request(method, &self.url).header("content-type", "text/plain;charset=UTF-8");
        let Ok(answer) = request.body(body.to_owned()).send().await else { return (0, String::new()) };
        (answer.status().as_u16(), answer.text().await.unwrap_or_default())
    }

    /// Sends a payload.
    pub async fn post(&self, body: &str) -> (u16, String) {
        self.call(Method::POST, body).await
    }

    /// Takes what waits.
    pub async fn poll(&self) -> (u16, String) {
        self.call(Method::GET, "").await
    }

    /// Asks to join a namespace; else `connect_error`: its message and `data`.
    pub async fn connect(&mut self, namespace: &str, auth: &Value) -> Result<(), Value> {
        let posted = self.post(&format!("40{namespace},{auth}")).await;
        assert_eq!(posted.0, 200, "{posted:?}");
        self.connected(namespace).await
    }

    /// Polls for the answer to CONNECT.
    pub async fn connected(&mut self, namespace: &str) -> Result<(), Value> {
        loop {
            let (status, body) = self.poll().await;
            if status != 200 {
                return Err(Value::Null);
            }
            for packet in body.split(SEPARATOR) {
                if packet.starts_with(&format!("40{namespace},")) {
                    return Ok(());
                }
                if let Some(refused) = packet.strip_prefix(&format!("44{namespace},")) {
                    return Err(serde_json::from_str(refused).expect("a refusal"));
                }
                self.packets.push(packet.to_owned());
            }
        }
    }
}
