//! A migration is killed half way, again and again, on a database that is in use.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};

use crate::support::On;
use crate::support::server::{JWT_SECRET, Process, SERVER_KEY, program};

/// Messages that a database has before the migrations begin, in conversations of a thousand.
const ROWS: i64 = 20_000;
const IN_ONE: i64 = 1_000;

/// Fills a new database with messages.
async fn fill(url: &str, rows: i64) {
    let db = Database::connect(url).await.unwrap();
    let run = async |sql: String| {
        let statement = Statement::from_string(db.get_database_backend(), sql);
        db.execute_raw(statement).await.unwrap();
    };
    run("INSERT INTO app_user (id, name, created_at_ms) VALUES ('alice', 'alice', 1)".into()).await;
    // On PostgreSQL the writer says where a conversation ends, on SQLite a trigger does.
    let numbers = if db.get_database_backend() == DbBackend::Postgres {
        format!(
            "WITH n AS (SELECT generate_series(1, {IN_ONE}) AS i), \
             c AS (UPDATE conversation SET last_seq = {IN_ONE} WHERE id = $id)"
        )
    } else {
        format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {IN_ONE})")
    };
    for id in 1..=rows / IN_ONE {
        let columns = "(id, kind, created_at_ms, active_at_ms)";
        run(format!("INSERT INTO conversation {columns} VALUES ({id}, 'direct', 1, 1)")).await;
        run(format!(
            "{} INSERT INTO message (conversation_id, seq, sender_id, body, kind, created_at_ms) \
             SELECT {id}, i, 'alice', 'text ' || i, 'text', i FROM n ORDER BY i",
            numbers.replace("$id", &id.to_string())
        ))
        .await;
    }
    db.close().await.unwrap();
}

async fn messages(url: &str) -> i64 {
    let db = Database::connect(url).await.unwrap();
    let sql = "SELECT count(*) FROM message";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql.to_owned())).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

/// Migrates down by one and up again so often, killed after ever longer times.
pub async fn killed_migrations(on: On, rows: i64, times: u32) {
    let (_folder, url) = on.database().await;
    migrate(&url, "up", None);
    fill(&url, rows).await;
    for round in 0..times {
        let after = Some(Duration::from_millis(u64::from(round) * 10));
        migrate(&url, "down", after);
        migrate(&url, "up", after);
        // Down takes back the last one, so that it must stand again before the next round.
        migrate(&url, "up", None);
    }
    // Whatever state they were left in, the server comes up on it, and nothing is missing.
    let server = Process::on(&url, &[]).await;
    assert_eq!(server.status("/readyz").await, Some(200));
    assert_eq!(messages(&url).await, rows);
}

fn migrate(url: &str, way: &str, killed_after: Option<Duration>) {
    let began = Instant::now();
    let mut child = Command::new(program())
        .args(["migrate", way])
        .env_clear()
        .env("HAGGLE_DATABASE_URL", url)
        .env("HAGGLE_JWT_SECRET", JWT_SECRET)
        .env("HAGGLE_SERVER_KEY", SERVER_KEY)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    if let Some(after) = killed_after {
        std::thread::sleep(after.saturating_sub(began.elapsed()));
        drop(child.kill());
        drop(child.wait());
    } else {
        assert!(child.wait().expect("it ends").success());
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_killed_half_way_leaves_a_database_that_works(#[values(On::Sqlite, On::Postgres)] on: On) {
    killed_migrations(on, ROWS, 15).await;
}
