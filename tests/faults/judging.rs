//! The oracle on evidence made by hand: a clean run passes, and what no seeded defect shows is named.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rstest::rstest;

use super::evidence::{Evidence, Heard, Outcome, Record, Resumed, Row, Sent, Unread};
use super::verdict::{Fault, judge};

fn row(id: i64, seq: i64, client_id: &str) -> Row {
    Row {
        id,
        conversation: 7,
        seq,
        sender: "alice".into(),
        client_id: Some(client_id.into()),
        body: format!("text {client_id}"),
        created_at_ms: id,
    }
}

fn sent(client_id: &str, outcome: Outcome) -> Sent {
    Sent { conversation: 7, client_id: client_id.into(), text: format!("text {client_id}"), outcome }
}

fn heard(id: i64, seq: i64, client_id: &str) -> Heard {
    Heard { stint: 1, conversation: 7, id, seq: Some(seq), text: format!("text {client_id}") }
}

/// Alice said two things, and Bob heard them.
fn clean() -> Evidence {
    let stored = |id, seq| Outcome::Acknowledged { id, seq: Some(seq) };
    let alice = Record {
        device: "a".into(),
        user: "alice".into(),
        has_seqs: true,
        sent: vec![sent("x", stored(1, 1)), sent("y", stored(2, 2))],
        stints: 1,
        ..Record::default()
    };
    let bob = Record {
        device: "b".into(),
        user: "bob".into(),
        has_seqs: true,
        heard: vec![heard(1, 1, "x"), heard(2, 2, "y")],
        resumed: vec![Resumed { stint: 1, conversation: 7, after: 0 }],
        stints: 1,
        ..Record::default()
    };
    let unread = HashSet::from([Unread { user: "bob".into(), conversation: 7, count: 2 }]);
    Evidence {
        rows: vec![row(1, 1, "x"), row(2, 2, "y")],
        heads: HashMap::from([(7, 2)]),
        members: HashMap::from([(7, HashSet::from(["alice".into(), "bob".into()]))]),
        records: vec![alice, bob],
        unread_told: unread.clone(),
        unread_counted: unread,
        ..Evidence::default()
    }
}

#[test]
fn a_clean_run_passes() {
    let verdict = judge(&clean());
    assert_eq!(verdict.faults, []);
    assert_eq!((verdict.acknowledged, verdict.deliveries, verdict.repeated), (2, 2, 0));
}

#[rstest]
#[case::one_place_for_two(|it: &mut Evidence| it.rows.push(row(3, 2, "z")), Fault::PlaceTwice { conversation: 7, seq: 2 })]
#[case::stored_twice(|it: &mut Evidence| it.rows.push(row(3, 3, "y")), Fault::StoredTwice { conversation: 7, client_id: "y".into() })]
#[case::a_gap(|it: &mut Evidence| it.rows[1].seq = 3, Fault::Gap { conversation: 7, after: 1 })]
#[case::a_head_that_is_wrong(|it: &mut Evidence| { it.heads.insert(7, 3); }, Fault::Head { conversation: 7, told: 3, is: 2 })]
#[case::lost(|it: &mut Evidence| drop(it.rows.pop()), Fault::Lost { device: "a".into(), client_id: "y".into() })]
#[case::told_and_not_stored(|it: &mut Evidence| it.records[1].heard.push(heard(9, 3, "z")), Fault::Phantom { device: "b".into(), conversation: 7, id: 9 })]
#[case::never_known(|it: &mut Evidence| it.records[0].sent[1].outcome = Outcome::Unknown, Fault::NeverKnown { device: "a".into(), client_id: "y".into() })]
#[case::refused_and_stored(|it: &mut Evidence| it.records[0].sent[1].outcome = Outcome::Refused("invalid".into()), Fault::RefusedStored { device: "a".into(), client_id: "y".into() })]
#[case::another_place_acknowledged(|it: &mut Evidence| it.records[0].sent[1].outcome = Outcome::Acknowledged { id: 2, seq: Some(1) }, Fault::Otherwise { device: "a".into(), client_id: "y".into() })]
#[case::another_text_heard(|it: &mut Evidence| it.records[1].heard[0].text.clear(), Fault::Otherwise { device: "b".into(), client_id: "x".into() })]
#[case::out_of_order(|it: &mut Evidence| it.records[1].heard.reverse(), Fault::Order { device: "b".into(), conversation: 7, before: 2, then: 1 })]
#[case::a_hole(|it: &mut Evidence| drop(it.records[1].heard.remove(0)), Fault::Hole { device: "b".into(), conversation: 7, seq: 1 })]
#[case::behind(|it: &mut Evidence| drop(it.records[1].heard.pop()), Fault::Behind { device: "b".into(), conversation: 7, seq: 2 })]
#[case::no_part_in_it(|it: &mut Evidence| { it.members.get_mut(&7).unwrap().remove("bob"); }, Fault::Trespass { device: "b".into(), conversation: 7 })]
#[case::let_in(|it: &mut Evidence| { it.records[1].joined.insert(8); }, Fault::Trespass { device: "b".into(), conversation: 8 })]
#[case::miscounted(|it: &mut Evidence| it.unread_told.clear(), Fault::Unread { user: "bob".into(), conversation: 7 })]
#[case::hung(|it: &mut Evidence| it.records[0].longest_wait = Duration::from_secs(13), Fault::Hung { device: "a".into(), seconds: 13 })]
#[case::descriptors(|it: &mut Evidence| it.descriptors_left = 100, Fault::Leak { what: "file descriptors", many: 100 })]
#[case::memory(|it: &mut Evidence| it.bytes_left = 1 << 30, Fault::Leak { what: "bytes of memory", many: 1 << 30 })]
#[case::a_token_in_the_log(|it: &mut Evidence| it.log.push_str("token=eyJhbGciOi"), Fault::Secret)]
fn what_is_wrong_is_named(#[case] spoil: fn(&mut Evidence), #[case] fault: Fault) {
    let mut evidence = clean();
    spoil(&mut evidence);
    let verdict = judge(&evidence);
    assert!(verdict.faults.contains(&fault), "{verdict:?}");
}
