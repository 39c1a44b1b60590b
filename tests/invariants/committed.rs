//! 1: nobody hears of a message that the database does not hold. 4: an outcome that is not known is `unavailable`.

use std::time::Duration;

use rstest::rstest;
use sea_orm::sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use serde_json::json;

use crate::support::On;
use crate::support::server::Server;

/// For how long nothing may be heard while the database is held. A leak shows within a millisecond.
const SILENCE: Duration = Duration::from_millis(400);

/// Somebody else who keeps the server from committing.
enum Holder {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Holder {
    /// Takes the lock that every message of the conversation needs.
    async fn hold(url: &str, conversation: i64) -> Self {
        if url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            connection.execute("BEGIN IMMEDIATE").await.unwrap();
            return Self::Sqlite(connection);
        }
        let mut connection = PgConnection::connect(url).await.unwrap();
        connection.execute("BEGIN").await.unwrap();
        let lock = format!("SELECT 1 FROM conversation WHERE id = {conversation} FOR UPDATE");
        connection.execute(AssertSqlSafe(lock)).await.unwrap();
        Self::Postgres(connection)
    }

    /// Returns when the server waits for the lock, where the database tells.
    async fn until_waited_for(&mut self) {
        let Self::Postgres(connection) = self else { return };
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while connection.fetch_one(waiting).await.unwrap().get::<i64, _>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn release(self) {
        match self {
            Self::Sqlite(mut connection) => drop(connection.execute("ROLLBACK").await.unwrap()),
            Self::Postgres(mut connection) => drop(connection.execute("ROLLBACK").await.unwrap()),
        }
    }
}

#[rstest]
#[tokio::test]
async fn nobody_hears_of_a_message_before_it_is_committed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob", "carol"]).await;
    let (mut alice, mut phone) = (server.joined("alice", id).await, server.joined("alice", id).await);
    let (mut bob, mut carol) = (server.joined("bob", id).await, server.socket("carol").await);

    let mut holder = Holder::hold(&server.url, id).await;
    let send = alice.begin("send", json!({ "conversation": id, "body": "hello" })).await;
    let by_rest = server.user("bob");
    let said = tokio::spawn(async move { by_rest.say(id, "by REST").await });
    holder.until_waited_for().await;
    assert_eq!(bob.expect_within("message", SILENCE).await, None, "the other heard what is not committed");
    assert_eq!(phone.expect_within("message", SILENCE / 8).await, None, "the sender's other device heard it");
    assert_eq!(carol.expect_within("unread", SILENCE / 8).await, None, "a badge counts what is not committed");
    assert_eq!(alice.heard().await.iter().filter(|event| event["type"] == "message").count(), 0);
    assert!(!alice.has_answer(send), "the sender was told of what is not committed");
    assert!(!said.is_finished(), "REST answered with what is not committed");
    assert!(server.messages("bob", id).await.is_empty());

    holder.release().await;
    let message = alice.answer(send).await.ok()["message"].clone();
    let by_rest = said.await.unwrap();
    assert_eq!(by_rest.status, 201);
    let history = server.messages("bob", id).await;
    assert!(history.contains(&message) && history.contains(&by_rest.body) && history.len() == 2, "{history:?}");
    assert_eq!(bob.messages(2).await, history);
    assert_eq!(phone.messages(2).await, history);
}

#[rstest]
#[tokio::test]
async fn what_could_not_be_committed_in_time_is_unavailable_and_stored_once_when_sent_again(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let server = Server::start_with(on, |settings| settings.limits.database_timeout = Duration::from_secs(1)).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut alice, mut bob) = (server.joined("alice", id).await, server.joined("bob", id).await);
    let send = json!({ "conversation": id, "body": "hello", "client_id": "one" });

    let holder = Holder::hold(&server.url, id).await;
    let refused = alice.ask("send", send.clone()).await;
    assert_eq!(refused.code(), "unavailable");
    assert!(refused.0["error"]["retry_after"].as_u64().unwrap() >= 1, "{refused:?}");
    let by_rest = server.user("alice").post(&format!("/v1/conversations/{id}/messages"), send.clone()).await;
    assert_eq!(by_rest.verdict(), (503, "unavailable"));
    assert!(by_rest.headers.contains_key("retry-after") && by_rest.body["retry_after"].is_u64(), "{by_rest:?}");
    holder.release().await;

    let first = alice.ask("send", send.clone()).await.ok();
    let again = alice.ask("send", send).await.ok();
    assert_eq!(first["message"], again["message"]);
    assert_eq!(bob.expect("message").await["message"], first["message"]);
    alice.say(id, "next").await;
    assert_eq!(bob.expect("message").await["message"]["body"], "next", "it was told twice");
    assert_eq!(server.messages("bob", id).await.len(), 2);
}
