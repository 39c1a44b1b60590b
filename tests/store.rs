//! The store on both databases: what it keeps, what it refuses, what it answers when the database is gone.
//!
//! What lives here: a store per test, and small makers of rows. What must not: anything above the store.

mod connecting;
mod constraints;
mod desk;
mod migrations;
mod outage;
mod plans;
mod reading;
mod together;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use haggle::protocol::command::{Conversations, History, ListCursor, Page, PutConversation};
use haggle::protocol::{ClientId, ConversationId, ConversationRef, Timestamp, UserId};
use haggle::store::{Append, Direction, Options, Store};
use tempfile::TempDir;

use crate::support;

pub const OPTIONS: Options = Options { connections: 4, timeout: Duration::from_secs(5) };

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A migrated store on a database of its own.
pub struct Fixture {
    pub store: Store,
    pub url: String,
    _folder: Option<TempDir>,
}

pub async fn empty(kind: Kind) -> (Option<TempDir>, String) {
    match kind {
        Kind::Sqlite => {
            let (folder, url) = support::sqlite();
            (Some(folder), url)
        }
        Kind::Postgres => (None, support::postgres::database().await),
    }
}

pub async fn fixture(kind: Kind) -> Fixture {
    let (folder, url) = empty(kind).await;
    let store = Store::connect(&url, OPTIONS).await.expect("a connection");
    store.migrate(Direction::Up).await.expect("a schema");
    Fixture { store, url, _folder: folder }
}

pub fn user(name: &str) -> UserId {
    UserId::stored(name)
}

pub fn put(key: &str, people: &[&str]) -> PutConversation {
    let participants = people.iter().map(|name| (user(name), None)).collect();
    PutConversation { key: key.into(), kind: None, title: None, subject: None, participants }
}

pub fn say(conversation: ConversationId, sender: &str, client_id: Option<&str>, body: &str) -> Append {
    Append {
        conversation,
        sender: user(sender),
        client_id: client_id.map(ClientId::stored),
        body: body.into(),
        kind: Arc::from("text"),
        at: Timestamp::now(),
    }
}

pub fn page_of(conversation: &ConversationRef, page: Page, limit: u32) -> History {
    History { conversation: conversation.clone(), page, limit, readers: false }
}

pub fn list(limit: u32, cursor: Option<ListCursor>) -> Conversations {
    Conversations { limit, cursor, about: None }
}
