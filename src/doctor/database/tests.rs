//! Each trouble with a database as an operator meets it.

use std::{
    fs, io,
    io::{Read, Write},
    net::TcpListener,
    str::FromStr,
    thread,
    time::Duration,
};

use sea_orm::sqlx::{self, postgres::PgConnectOptions};
use tempfile::TempDir;

use super::{
    Check, Mark, examine,
    postgres::{io_trouble, place, trouble as postgres_trouble},
};
use crate::config::Settings;

async fn found(url: &str) -> Vec<Check> {
    let mut settings = Settings::for_test(url);
    settings.limits.database_timeout = Duration::from_secs(1);
    examine(&settings).await
}

/// What is said of a database that cannot be used.
async fn trouble(url: &str) -> String {
    let checks = found(url).await;
    assert_eq!(checks[0].mark, Mark::Wrong, "{checks:?}");
    assert_eq!(checks[1].mark, Mark::Note, "{checks:?}");
    checks[0].text.clone()
}

/// The text of a PostgreSQL server that answers the first message with these bytes.
async fn trouble_by(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut startup = [0; 1024];
        assert!(socket.read(&mut startup).unwrap() > 0);
        socket.write_all(&answer).unwrap();
    });
    let text = trouble(&format!("postgres://alice:hunter2@127.0.0.1:{port}/chat?sslmode=disable")).await;
    server.join().unwrap();
    assert!(!text.contains("hunter2"), "the password was shown: {text}");
    text
}

/// `ErrorResponse` of the PostgreSQL protocol, version 3 (its section "Message Formats").
fn error_response(code: &str, message: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat()
}

#[actix_web::test]
async fn what_postgresql_refuses_is_told_with_the_way_out() {
    for (code, words) in [
        ("28P01", "wrong password for user alice"),
        ("28000", "createuser --pwprompt alice"),
        ("3D000", "createdb --owner alice chat"),
        ("53300", "max_connections"),
        ("57P03", "try again in a moment"),
        ("XX000", "refuses: it says so"),
    ] {
        let text = trouble_by(error_response(code, "it says so")).await;
        assert!(text.contains(words), "{code}: {text}");
    }
}

#[actix_web::test]
async fn a_server_that_is_no_postgresql_or_not_there_is_told() {
    let broken_off = trouble_by(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
    assert!(broken_off.contains("check that PostgreSQL is what listens there"), "{broken_off}");
    let other = sqlx::Error::Protocol("unexpected".to_owned());
    let web = postgres_trouble(&other, &PgConnectOptions::from_str("postgres://a@db.example:1/b").unwrap());
    assert!(web.contains("not as PostgreSQL does (unexpected)"), "{web}");

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = trouble(&format!("postgres://a@127.0.0.1:{free}/b")).await;
    assert!(refused.contains(&format!("nothing listens on 127.0.0.1, port {free}")), "{refused}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let timed_out = trouble(&format!("postgres://a@127.0.0.1:{port}/b")).await;
    assert!(timed_out.contains("does not answer within 1 s"), "{timed_out}");

    let unknown = trouble("postgres://a@no-such-host.invalid/b").await;
    assert!(unknown.contains("no-such-host.invalid"), "{unknown}");
}

#[test]
fn an_unknown_host_name_is_told() {
    let error = io::Error::other("failed to lookup address information: Name or service not known");
    let text = io_trouble(&error, "db.example, port 5432", "db.example");
    assert!(text.contains("the host name db.example is not known"), "{text}");
    let options = PgConnectOptions::from_str("postgres://a@db.example:1/b").unwrap();
    assert_eq!(place(&options), "db.example, port 1");
}

#[actix_web::test]
async fn a_sqlite_file_that_is_not_there_yet_is_made_by_the_first_start_and_not_before() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.db");
    let checks = found(&format!("sqlite://{}?mode=rwc", file.display())).await;
    assert_eq!(checks[0].mark, Mark::Well, "{checks:?}");
    assert!(checks[0].text.contains("the first start makes the file"), "{checks:?}");
    assert!(checks[1].text.contains("all pending"), "{checks:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the doctor left a file behind");
}

#[actix_web::test]
async fn a_sqlite_file_that_cannot_be_used_is_told() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let says = async |url: String, words: &str| {
        let text = trouble(&url).await;
        assert!(text.contains(words), "{url}: {text}");
    };
    says(format!("sqlite://{}", at("a.db")), "add ?mode=rwc").await;
    says(format!("sqlite://{}?mode=rwc", at("none/a.db")), "mkdir -p").await;
    says(format!("sqlite://{}", folder.path().display()), "is a folder").await;
    says(format!("sqlite://{}?mode=wrong", at("a.db")), "not a SQLite URL").await;
    fs::write(at("b.db"), "").unwrap();
    says(format!("sqlite://{}?mode=ro", at("b.db")), "leave out mode=ro").await;
}

#[actix_web::test]
async fn a_file_that_is_no_database_is_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.db");
    fs::write(&file, "these are notes, not a database, and long enough to look at".repeat(99)).unwrap();
    let checks = found(&format!("sqlite://{}", file.display())).await;
    assert_eq!(checks[1].mark, Mark::Wrong, "{checks:?}");
    assert!(checks[1].text.contains("Haggle's own database"), "{checks:?}");
}

#[actix_web::test]
async fn an_empty_database_has_all_migrations_pending() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.db");
    fs::write(&file, "").unwrap();
    let checks = found(&format!("sqlite://{}", file.display())).await;
    assert_eq!((checks[0].mark, checks[1].mark), (Mark::Well, Mark::Note), "{checks:?}");
    assert!(checks[1].text.contains("pending"), "{checks:?}");
}
