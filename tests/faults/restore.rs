//! An older backup is restored while clients hold newer cursors: they are told, and nobody is left with a hole that they do not know of.

use rstest::rstest;
use sea_orm::sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::On;
use crate::support::server::{Process, WITHIN};

/// A copy of a database that nobody uses: its URL, and the folder that it goes with.
async fn copy(on: On, url: &str, to: &str) -> (Option<TempDir>, String) {
    match on {
        On::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            let file = url.trim_start_matches("sqlite://").trim_end_matches("?mode=rwc");
            let copied = folder.path().join("haggle.db");
            std::fs::copy(file, &copied).unwrap();
            let copied = format!("sqlite://{}?mode=rwc", copied.display());
            (Some(folder), copied)
        }
        On::Postgres => {
            let (server, name) = url.rsplit_once('/').unwrap();
            let mut admin = PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
            admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}_{to} TEMPLATE {name}"))).await.unwrap();
            (None, format!("{server}/{name}_{to}"))
        }
    }
}

async fn say(server: &Process, id: i64, what: &str, many: usize) {
    let mut alice = server.joined("alice", id).await;
    for n in 1..=many {
        alice.say(id, &format!("{what} {n}")).await;
    }
    alice.close().await;
}

async fn stop(server: &mut Process) {
    server.ask_to_go();
    assert!(server.gone(WITHIN).await.success());
}

async fn join(server: &Process, fields: Value) -> (Value, Vec<i64>) {
    let mut bob = server.socket("bob").await;
    let answer = bob.ask("join", fields).await.ok();
    // The fence: what is told again comes before this.
    let id = answer["conversation"].as_i64().unwrap();
    server.user("alice").say(id, "and now").await.ok();
    let mut told = Vec::new();
    loop {
        let message = bob.expect("message").await["message"].take();
        told.push(message["seq"].as_i64().unwrap());
        if message["body"] == "and now" && told.last() > answer["last_seq"].as_i64().as_ref() {
            return (answer, told);
        }
    }
}

#[rstest]
#[tokio::test]
async fn whoever_has_seen_more_than_a_restored_database_holds_is_told(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (_folder, url) = on.database().await;
    let mut server = Process::on(&url, &[]).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    say(&server, id, "kept", 10).await;
    stop(&mut server).await;
    let (_backup, backup) = copy(on, &url, "backup").await;
    server.restart().await;
    say(&server, id, "lost", 10).await;
    let seen = server.messages("bob", id).await;
    assert_eq!(seen.len(), 20);
    server.kill9();

    let restored = Process::on(&backup, &[]).await;
    // What bob holds goes beyond what there is.
    let (answer, told) = join(&restored, json!({ "conversation": id, "after": 20 })).await;
    assert_eq!((&answer["reset"], &answer["last_seq"]), (&json!(true), &json!(10)), "{answer}");
    assert_eq!(told, [11]);
    // As much is said again, and more: only the time of what bob has seen tells that it is something else.
    say(&restored, id, "new", 15).await;
    let at = &seen[19]["created_at"];
    let (answer, told) = join(&restored, json!({ "conversation": id, "after": 20, "after_at": at })).await;
    assert_eq!((&answer["reset"], &answer["last_seq"]), (&json!(true), &json!(26)), "{answer}");
    assert_eq!(told, [27]);
    // Whoever had seen no more than was restored goes on without a word.
    let at = &seen[9]["created_at"];
    let (answer, told) = join(&restored, json!({ "conversation": id, "after": 10, "after_at": at })).await;
    assert_eq!(answer.get("reset"), None, "{answer}");
    assert_eq!(told, (11..=28).collect::<Vec<_>>());
    let (answer, told) = join(&restored, json!({ "conversation": id, "after": 0, "after_at": at })).await;
    assert_eq!(answer.get("reset"), None, "{answer}");
    assert_eq!(told, (1..=29).collect::<Vec<_>>());
}
