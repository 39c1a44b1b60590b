//! While those who are in conversations do all that can be done, nobody outside hears any of it.
//!
//! What lives here: doing every event and every call of the tables where others listen. What must not: the tables.

use std::collections::HashMap;

use haggle::vocabulary::Vocabulary;
use rstest::rstest;
use serde_json::Value;

use super::Kind;
use super::ears::{Ear, OK, VOCABULARIES, code};
use super::events::{ROWS, Row, rows_of};
use super::routes::{caller, make, rows};
use super::world::{SELLER, World};
use crate::support::On;

/// Conversations of two alone: those who left one have left the seller behind, who talks on.
const OF_TWO: [Vocabulary; 2] = [Vocabulary::Item, Vocabulary::Book];

#[rstest]
#[tokio::test]
async fn nobody_outside_hears_what_is_done_on_sockets(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::set(on).await;
    let mut member = HashMap::new();
    for vocabulary in VOCABULARIES {
        member.insert(vocabulary.name(), Ear::of(world.server.address, vocabulary, Kind::Member.user()).await);
    }
    let target = world.target(Kind::Member);
    for Row { vocabulary, event, payload, told, .. } in &ROWS {
        world.seller(*vocabulary).heard().await;
        let answer = member.get_mut(vocabulary.name()).unwrap().ask(event, &payload(&target)).await;
        assert_eq!(code(&answer), OK, "{vocabulary:?} {event}: {answer}");
        // Whoever is in it hears of it, so that there is something to leak.
        if let Some(told) = told {
            world.seller(*vocabulary).expect(told).await;
        }
    }
    for kind in [Kind::Former, Kind::Removed, Kind::Suspended] {
        let target = world.target(kind);
        for vocabulary in OF_TWO {
            for row in rows_of(vocabulary).filter(|row| row.event != "auth") {
                let answer = world.seller(vocabulary).ask(row.event, &(row.payload)(&target)).await;
                assert_eq!(code(&answer), OK, "{vocabulary:?} {} with {kind:?}: {answer}", row.event);
            }
        }
    }
    // The last of a member's sockets closes: whoever talks to them is told, and nobody else.
    world.seller(Vocabulary::Book).heard().await;
    drop(member);
    assert_eq!(world.seller(Vocabulary::Book).expect("user:status").await["status"], "offline");
    nothing_was_heard(&mut world).await;
}

#[rstest]
#[tokio::test]
async fn nobody_outside_hears_what_is_done_by_calls(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut world = World::set(on).await;
    let target = world.target(Kind::Member);
    let (calls, backend) = (caller(&world, Kind::Member), caller(&world, Kind::Backend));
    for row in rows() {
        for (kind, by) in [(Kind::Member, &calls), (Kind::Backend, &backend)] {
            let answer = make(by, &row, &target).await;
            assert_eq!(answer.status, row.rule.status(kind), "{} {} by {kind:?}", row.method, row.path);
        }
    }
    for (vocabulary, told) in [
        (Vocabulary::Native, "message"),
        (Vocabulary::Order, "new-message"),
        (Vocabulary::Group, "receive_message"),
        (Vocabulary::Shop, "chat:new_message"),
        (Vocabulary::Book, "chat:message"),
    ] {
        world.seller(vocabulary).expect(told).await;
    }
    // In the conversations that others were in, the seller goes on.
    let seller = world.server.user(SELLER);
    for kind in [Kind::Former, Kind::Removed, Kind::Suspended] {
        for row in rows().iter().filter(|row| row.path.starts_with("/api/messages/{") || row.path == "/api/messages") {
            let answer = make(&seller, row, &world.target(kind)).await;
            assert_eq!(answer.status, row.rule.status(Kind::Member), "{} {} with {kind:?}", row.method, row.path);
        }
    }
    nothing_was_heard(&mut world).await;
}

/// Everything that was told so far has come, and none of it to anybody outside.
async fn nothing_was_heard(world: &mut World) {
    let mut leaked = Vec::new();
    for ((kind, vocabulary), ear) in &mut world.ears {
        let heard: Vec<(String, Value)> = ear.heard().await;
        leaked.extend(heard.into_iter().map(|(event, said)| format!("{kind:?} in {vocabulary}: {event} {said}")));
    }
    assert!(leaked.is_empty(), "{} leaked:\n{}", leaked.len(), leaked.join("\n"));
    // Those who were thrown out have no socket to hear with.
    assert!(world.ears.keys().all(|(kind, _)| Kind::OUTSIDE.contains(kind)));
    assert_eq!(world.ears.len(), Kind::OUTSIDE.len() * VOCABULARIES.len());
}
