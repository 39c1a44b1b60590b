//! Who may open a conversation by their roles, and the desk where all who answer for the shop hear whoever asks.
//!
//! What lives here: the two questions of `Store::open` and `Store::desk` that roles decide. What must not: who hears of it.

use haggle::protocol::command::{DESK_STAFF_MAX, Desk, Open, Pairing, PutUser};
use haggle::protocol::{ConversationRef, UserId};
use rstest::rstest;

use super::{Fixture, Kind, fixture, user};

const STAFF: &[&str] = &["admin", "manager"];
const PAIRINGS: &[Pairing] = &[
    Pairing { one: &["customer"], other: &["seller"], kind: "sale" },
    Pairing { one: &["customer"], other: STAFF, kind: "help" },
    Pairing { one: STAFF, other: STAFF, kind: "internal" },
];
const DESK: Desk = Desk { staff: STAFF, pairings: PAIRINGS };

async fn people(f: &Fixture, people: &[(&str, &str)]) {
    for (name, role) in people {
        put(f, name, Some(role), None).await;
    }
}

async fn put(f: &Fixture, name: &str, role: Option<&str>, active: Option<bool>) {
    f.store.put_user(&PutUser { id: user(name), name: None, role: role.map(Into::into), active }).await.unwrap();
}

fn open(other: &str) -> Open {
    Open { participants: vec![user(other)], subject: None, title: None, pairings: Some(PAIRINGS) }
}

async fn seated(f: &Fixture, id: haggle::protocol::ConversationId) -> Vec<String> {
    let conversation = f.store.conversation_for_shop(id).await.unwrap();
    conversation.participants.iter().map(|one| one.person.id.to_string()).collect()
}

#[rstest]
#[tokio::test]
async fn roles_decide_who_talks_and_what_it_is(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    people(&f, &[("alice", "customer"), ("bob", "seller"), ("carol", "admin"), ("dave", "customer")]).await;
    let alice = user("alice");
    let (id, created) = f.store.open(&alice, &open("bob")).await.unwrap();
    assert!(created);
    assert_eq!(&*f.store.conversation_for_shop(id).await.unwrap().kind, "sale");
    assert_eq!(f.store.open(&user("bob"), &open("alice")).await.unwrap(), (id, false), "the other way round");
    let (help, _) = f.store.open(&user("carol"), &open("alice")).await.unwrap();
    assert_eq!(&*f.store.conversation_for_shop(help).await.unwrap().kind, "help");
    for (other, code) in [("dave", "invalid"), ("nobody", "not_found"), ("alice", "invalid")] {
        assert_eq!(f.store.open(&alice, &open(other)).await.unwrap_err().code(), code, "{other}");
    }
    assert!(f.store.user(&user("nobody")).await.unwrap().is_none(), "asking for somebody does not make them");
}

#[rstest]
#[tokio::test]
async fn whoever_asks_reaches_all_who_answer(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    people(&f, &[("alice", "customer"), ("bob", "seller"), ("erin", "")]).await;
    let alice = user("alice");
    assert_eq!(f.store.desk(&alice, DESK).await.unwrap_err().code(), "not_found", "nobody answers yet");
    people(&f, &[("carol", "admin"), ("dave", "manager"), ("gone", "admin")]).await;
    put(&f, "gone", None, Some(false)).await;
    let (one, two) = tokio::join!(f.store.desk(&alice, DESK), f.store.desk(&alice, DESK));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.id, one.created ^ two.created), (two.id, true), "both at once get the same one");
    assert_eq!(seated(&f, one.id).await, ["alice", "carol", "dave"]);
    let found = f.store.conversation(&user("dave"), &ConversationRef::Key("support:alice".into())).await.unwrap();
    assert_eq!((found.id, &*found.kind), (one.id, "help"));

    let again = f.store.desk(&alice, DESK).await.unwrap();
    assert!(!again.created && !again.changed, "nobody is new");
    people(&f, &[("frank", "admin")]).await;
    let again = f.store.desk(&alice, DESK).await.unwrap();
    assert!(again.id == one.id && !again.created && again.changed);
    assert_eq!(seated(&f, one.id).await, ["alice", "carol", "dave", "frank"]);

    for (who, code) in [("carol", "invalid"), ("bob", "invalid"), ("erin", "invalid")] {
        assert_eq!(f.store.desk(&user(who), DESK).await.unwrap_err().code(), code, "{who}");
    }
    f.store.remove_participant(&ConversationRef::Id(one.id), &alice).await.unwrap();
    assert_eq!(f.store.desk(&alice, DESK).await.unwrap_err().code(), "not_found", "who was removed stays out");
}

#[rstest]
#[tokio::test]
async fn what_is_said_to_one_is_not_said_at_the_desk(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    people(&f, &[("alice", "customer"), ("carol", "admin")]).await;
    let alice = user("alice");
    let desk = f.store.desk(&alice, DESK).await.unwrap();
    let (alone, created) = f.store.open(&alice, &open("carol")).await.unwrap();
    assert!(created && alone != desk.id, "others may join the desk's");
}

#[rstest]
#[tokio::test]
async fn so_many_answer_at_most(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    people(&f, &[("alice", "customer")]).await;
    let most = usize::try_from(DESK_STAFF_MAX).unwrap();
    for number in 0..most + 2 {
        put(&f, &format!("agent{number:02}"), Some("admin"), None).await;
    }
    let desk = f.store.desk(&UserId::stored("alice"), DESK).await.unwrap();
    assert_eq!(seated(&f, desk.id).await.len(), most + 1);
}
