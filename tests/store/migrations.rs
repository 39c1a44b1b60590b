//! Applying the schema: twice, at once, back and forth.

use haggle::store::{Direction, Store};
use rstest::rstest;
use sea_orm::{Database, EntityTrait};

use super::{Kind, OPTIONS, empty, fixture};

/// How many migrations there are.
const ALL: usize = 3;

#[rstest]
#[tokio::test]
async fn a_second_time_changes_nothing(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let (_folder, url) = empty(kind).await;
    let store = Store::connect(&url, OPTIONS).await.unwrap();
    assert_eq!(store.pending().await.unwrap().len(), ALL);
    assert_eq!(store.ready().await.unwrap_err().code(), "unavailable", "a server without its schema is not ready");
    assert_eq!(store.migrate(Direction::Up).await.unwrap().len(), ALL);
    assert!(store.migrate(Direction::Up).await.unwrap().is_empty());
    assert!(store.pending().await.unwrap().is_empty());
    store.ready().await.unwrap();
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_at_once_make_one_schema(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let (_folder, url) = empty(kind).await;
    // Each has a pool of its own, as each process would, and the file is new to all of them.
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move {
                let store = Store::connect(&url, OPTIONS).await.expect("a connection");
                store.migrate(Direction::Up).await.expect("a schema").len()
            })
        })
        .collect();
    let mut applied = 0;
    for task in tasks {
        applied += task.await.unwrap();
    }
    assert_eq!(applied, ALL, "one of them migrates, the others find it done");
}

#[rstest]
#[tokio::test]
async fn down_and_up_again(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    for taken_back in 1..=ALL {
        assert_eq!(f.store.migrate(Direction::Down).await.unwrap().len(), 1);
        assert_eq!(f.store.pending().await.unwrap().len(), taken_back);
    }
    assert!(f.store.migrate(Direction::Down).await.unwrap().is_empty());
    assert_eq!(f.store.migrate(Direction::Up).await.unwrap().len(), ALL);
    f.store.ready().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn the_entities_are_the_tables(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let db = Database::connect(&f.url).await.unwrap();
    entity::app_user::Entity::find().all(&db).await.unwrap();
    entity::subject::Entity::find().all(&db).await.unwrap();
    entity::conversation::Entity::find().all(&db).await.unwrap();
    entity::participant::Entity::find().all(&db).await.unwrap();
    entity::message::Entity::find().all(&db).await.unwrap();
    entity::node::Entity::find().all(&db).await.unwrap();
    entity::saved_socket::Entity::find().all(&db).await.unwrap();
}
