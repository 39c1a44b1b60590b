//! Hostile input against a running server, by WebSocket and on every REST route: each case is answered with a clear error or the right
//! Close code, memory stays flat, other connections feel nothing, and nothing of it stands in the log.
//!
//! What lives here: the server under attack, with somebody who just wants to talk. What must not: cases; each kind has a file.

mod autobahn;
mod engine;
mod floods;
mod forge;
mod frames;
mod origins;
mod polling;
mod raw;
mod requests;
mod slow;
mod strangers;
mod tokens;
mod trace;
mod values;
mod wire;

use std::time::Duration;

use serde_json::json;

use crate::support::On;
use crate::support::client::Socket;
use crate::support::rest::token;
use crate::support::server::{JWT_SECRET, Process, SERVER_KEY};

/// By how much the server's memory may grow under any attack here: many times what its own buffers may hold, and a fraction of what is
/// sent at it.
const GROWTH_MAX: u64 = 48 * 1024 * 1024;
/// How long a neighbour may wait for an answer while the attack is on.
const NEIGHBOUR_WITHIN: Duration = Duration::from_secs(2);
/// What attackers say; it must not be found in the log.
const SAID: &str = "hunter2-is-what-was-said";

/// A server under attack, and bob, who is in a conversation with alice.
struct Besieged {
    server: Process,
    neighbour: Socket,
    conversation: i64,
    resident_before: u64,
}

impl Besieged {
    async fn start(env: &[(&str, &str)]) -> Self {
        Self::start_on(On::Sqlite, env).await
    }

    async fn start_on(on: On, env: &[(&str, &str)]) -> Self {
        let more = [("HAGGLE_LOG", "haggle=debug,info"), ("HAGGLE_CONNECTIONS_PER_ADDRESS", "5000")];
        let server = Process::start(on, &[&more, env].concat()).await;
        let conversation = server.conversation("order:1", &["alice", "bob"]).await;
        let mut neighbour = server.joined("bob", conversation).await;
        neighbour.say(conversation, "is anybody there?").await;
        let resident_before = server.resident_bytes();
        Self { server, neighbour, conversation, resident_before }
    }

    /// The neighbour still gets answers at once, and memory has not grown.
    async fn is_well(&mut self, after: &str) {
        let asked = self.neighbour.ask("conversations", json!({ "limit": 1 }));
        let answered = tokio::time::timeout(NEIGHBOUR_WITHIN, asked).await;
        answered.unwrap_or_else(|_| panic!("the neighbour waits for an answer after {after}")).ok();
        let grown = self.server.resident_bytes().saturating_sub(self.resident_before);
        assert!(grown < GROWTH_MAX, "the server grew by {} KiB after {after}", grown / 1024);
    }

    /// At the end of it all alice and bob talk as before, and the log holds nothing that it must not.
    async fn end(mut self) {
        self.is_well("everything").await;
        let mut alice = self.server.joined("alice", self.conversation).await;
        // Her limit may be spent.
        let sent = json!({ "conversation": self.conversation, "body": "still here" });
        while alice.ask("send", sent.clone()).await.code() == "rate_limited" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        while self.neighbour.expect("message").await["message"]["body"] != "still here" {}
        let log = self.server.log();
        let signature = token("alice").rsplit_once('.').map(|(head, _)| head.to_owned()).unwrap();
        let head = signature.split_once('.').unwrap().0.to_owned();
        for secret in [SAID, JWT_SECRET, SERVER_KEY, &head, "is anybody there?", "still here"] {
            assert!(!log.contains(secret), "`{secret}` stands in the log:\n{log}");
        }
        assert!(!log.contains("panicked"), "{log}");
        assert!(!log.contains("\"level\":\"ERROR\""), "what any peer can send is no error of the server's:\n{log}");
    }
}
