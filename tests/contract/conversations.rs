//! Saying something and hearing it.

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::server::{Process, Server};

#[rstest]
#[tokio::test]
async fn what_one_says_the_other_hears(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    let mut bob = server.joined("bob", id).await;
    let said = alice.say(id, "hello").await;
    let heard = bob.expect("message").await;
    assert_eq!(heard, json!({ "type": "message", "conversation": id, "message": said }));
    assert_eq!(server.messages("bob", id).await, [said]);
}

#[rstest]
#[tokio::test]
async fn smoke_of_the_process(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut server = Process::start(on, &[]).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    server.joined("alice", id).await.say(id, "hello").await;
    server.kill9();
    server.restart().await;
    assert_eq!(server.messages("bob", id).await.len(), 1);
    assert!(server.terminate().await.success());
}
