//! Sections 3 and 5: someone is online while one of their sockets is.

use rstest::rstest;
use serde_json::{Value, json};

use super::{assert_time, fields};
use crate::support::On;
use crate::support::client::Socket;
use crate::support::server::Server;

/// The next that is told of somebody's presence.
async fn presence_of(socket: &mut Socket, user: &str) -> Value {
    loop {
        let presence = socket.expect("presence").await;
        if presence["user_id"] == user {
            return presence;
        }
    }
}

#[rstest]
#[tokio::test]
async fn online_with_the_first_socket_and_offline_with_the_last(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut alice, mut stranger) = (server.socket("alice").await, server.socket("carol").await);
    let asked = async || server.user("alice").get("/v1/users/bob/presence").await.ok();
    assert_eq!(asked().await, json!({ "user_id": "bob", "online": false, "last_seen": null }));
    let first = server.socket("bob").await;
    let online = json!({ "type": "presence", "user_id": "bob", "online": true, "last_seen": null });
    assert_eq!(presence_of(&mut alice, "bob").await, online);
    assert_eq!(asked().await["online"], true);
    let second = server.socket("bob").await;
    first.close().await;
    assert_eq!(asked().await["online"], true, "one of two sockets is still open");
    let listed = server.user("alice").get(&format!("/v1/conversations/{id}")).await.ok();
    let online = |listed: &Value| {
        listed["participants"].as_array().unwrap().iter().map(|one| one["online"] == true).collect::<Vec<_>>()
    };
    assert_eq!(online(&listed), [true, true]);
    second.close().await;
    let offline = presence_of(&mut alice, "bob").await;
    assert_eq!(fields(&offline), ["last_seen", "online", "type", "user_id"]);
    assert_eq!(offline["online"], false, "told of one of two sockets");
    assert_time(&offline["last_seen"]);
    assert_eq!(asked().await["last_seen"], offline["last_seen"]);
    let listed = server.user("alice").get(&format!("/v1/conversations/{id}")).await.ok();
    assert_eq!(online(&listed), [true, false]);
    // Back again, and told so.
    let _third = server.socket("bob").await;
    assert_eq!(presence_of(&mut alice, "bob").await["online"], true);
    let told = stranger.heard().await;
    assert!(told.iter().all(|event| event["user_id"] != "bob"), "a stranger was told: {told:?}");
    // REST alone makes nobody online.
    server.conversation("order:2", &["alice", "dave"]).await;
    server.user("dave").get("/v1/unread").await.ok();
    assert_eq!(server.user("alice").get("/v1/users/dave/presence").await.ok()["online"], false);
    assert_eq!(server.user("alice").get("/v1/users/alice/presence").await.ok()["online"], true);
}

#[rstest]
#[tokio::test]
async fn a_socket_that_is_cut_without_a_word_is_noticed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.socket("alice").await;
    let bob = server.socket("bob").await;
    assert_eq!(presence_of(&mut alice, "bob").await["online"], true);
    drop(bob);
    assert_eq!(presence_of(&mut alice, "bob").await["online"], false);
}
