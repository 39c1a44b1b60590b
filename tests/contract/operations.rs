//! Section 1: what operators and machines ask of the server.

use std::process::Command;

use rstest::rstest;
use serde_json::json;

use super::fields;
use crate::support::On;
use crate::support::server::{JWT_SECRET, Process, SERVER_KEY, Server};

#[rstest]
#[tokio::test]
async fn health_and_readiness_are_told(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.anybody().get(path).await.status, 200, "{path}");
    }
    let missing = server.anybody().get("/v1/nowhere").await;
    assert_eq!(missing.verdict(), (404, "not_found"));
    assert_eq!(missing.headers["content-type"], "application/problem+json");
}

#[rstest]
#[tokio::test]
async fn metrics_count_what_happens(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Process::start(on, &[]).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut alice, mut bob) = (server.joined("alice", id).await, server.joined("bob", id).await);
    for _ in 0..3 {
        alice.say(id, "hi").await;
    }
    bob.messages(3).await;
    let metrics = server.anybody().get("/metrics").await.text;
    for line in [
        "haggle_connections 2",
        "haggle_rooms 1",
        "haggle_messages_in_total 3",
        "haggle_messages_out_total 3",
        "haggle_commit_batch_size_count",
        "haggle_commit_seconds_bucket{le=",
        "haggle_http_request_seconds_bucket{le=",
        "haggle_command_seconds_bucket{le=",
        "haggle_writer_queue_depth",
    ] {
        assert!(metrics.contains(line), "no `{line}` in:\n{metrics}");
    }
    for line in metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        assert!(line.starts_with("haggle_"), "{line}");
    }
}

#[tokio::test]
async fn the_description_lists_every_route() {
    let server = Server::start(On::Sqlite).await;
    let api = server.anybody().get("/openapi.json").await.ok();
    for (path, methods) in [
        ("/healthz", vec!["get"]),
        ("/readyz", vec!["get"]),
        ("/metrics", vec!["get"]),
        ("/asyncapi.json", vec!["get"]),
        ("/v1/conversations", vec!["get", "post"]),
        ("/v1/conversations/{id}", vec!["get"]),
        ("/v1/conversations/{id}/messages", vec!["get", "post"]),
        ("/v1/conversations/{id}/read", vec!["post"]),
        ("/v1/conversations/{key}", vec!["put"]),
        ("/v1/conversations/{key}/participants/{user_id}", vec!["delete"]),
        ("/v1/subjects/{kind}/{id}", vec!["put"]),
        ("/v1/unread", vec!["get"]),
        ("/v1/users/{id}", vec!["put"]),
        ("/v1/users/{id}/presence", vec!["get"]),
    ] {
        assert_eq!(fields(&api["paths"][path]), methods, "{path}");
    }
    assert_eq!(fields(&api["components"]["securitySchemes"]), ["shop", "user"]);
    let sockets = server.anybody().get("/asyncapi.json").await.ok();
    assert!(sockets["asyncapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(server.anybody().get("/docs/").await.status, 200);
}

#[tokio::test]
async fn production_does_not_start_without_what_keeps_strangers_out() {
    let folder = tempfile::tempdir().unwrap();
    let good = [
        ("HAGGLE_MODE", "production"),
        ("HAGGLE_JWT_SECRET", JWT_SECRET),
        ("HAGGLE_SERVER_KEY", SERVER_KEY),
        ("HAGGLE_ALLOWED_ORIGINS", "https://shop.example"),
    ];
    for (spoilt, value, complaint) in [
        ("HAGGLE_JWT_SECRET", None, "HAGGLE_JWT_SECRET"),
        ("HAGGLE_SERVER_KEY", None, "HAGGLE_SERVER_KEY"),
        ("HAGGLE_JWT_SECRET", Some("short"), "HAGGLE_JWT_SECRET"),
        ("HAGGLE_SERVER_KEY", Some("short"), "HAGGLE_SERVER_KEY"),
        ("HAGGLE_ALLOWED_ORIGINS", Some("*"), "HAGGLE_ALLOWED_ORIGINS"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haggle"));
        command.env_clear().current_dir(folder.path());
        command.envs(good.iter().filter(|(name, _)| *name != spoilt).copied());
        command.envs(value.map(|value| (spoilt, value)));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{spoilt}={value:?}: {output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(complaint), "{told}");
    }
}

#[rstest]
#[tokio::test]
async fn commands_are_answered_under_their_number_and_others_feel_nothing_of_a_bad_one(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    for (kind, fields) in [
        ("nonsense", json!({})),
        ("send", json!({ "conversation": id })),
        ("send", json!({ "body": "x" })),
        ("join", json!({ "conversation": -1 })),
        ("join", json!({ "conversation": id, "after": -1 })),
        ("read", json!({ "conversation": id })),
        ("conversations", json!({ "limit": 0 })),
    ] {
        let reply = alice.ask(kind, fields.clone()).await;
        assert_eq!(reply.code(), "invalid", "{kind} {fields}");
        assert!(!reply.0["error"]["message"].as_str().unwrap().is_empty());
    }
    alice.say(id, "still here").await;
}
