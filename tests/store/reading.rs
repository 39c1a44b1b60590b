//! History, lists and unread counts against a model that keeps everything in vectors.

use std::collections::BTreeMap;

use haggle::protocol::command::{Open, Page, PutSubject, PutUser};
use haggle::protocol::{ConversationId, ConversationRef, MessageId, Seq, Timestamp};
use haggle::store::{Append, Appended, CursorMove};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;

use super::{Fixture, Kind, fixture, list, page_of, put, say, user};

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

#[derive(Clone, Debug)]
enum Step {
    Say { at: usize, who: usize },
    Read { at: usize, who: usize, seq: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let say = (0..3_usize, 0..3_usize).prop_map(|(at, who)| Step::Say { at, who });
    let read = (0..3_usize, 0..3_usize, 0..12_i64).prop_map(|(at, who, seq)| Step::Read { at, who, seq });
    prop::collection::vec(prop_oneof![3 => say, 1 => read], 1..40)
}

/// One conversation of the model: who said each message (its place is its index + 1), and read cursors.
#[derive(Default)]
struct Model {
    said: Vec<(MessageId, usize)>,
    read: [i64; 3],
    active_at_ms: i64,
}

async fn play(f: &Fixture, prefix: &str, steps: &[Step]) -> (Vec<ConversationId>, Vec<Model>) {
    let people: Vec<String> = PEOPLE.iter().map(|name| format!("{prefix}{name}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let (mut ids, mut model) = (Vec::new(), Vec::new());
    for n in 0..3 {
        ids.push(f.store.put_conversation(&put(&format!("{prefix}{n}"), &names)).await.unwrap().0);
        model.push(Model { active_at_ms: i64::MIN, ..Model::default() });
    }
    let mut writer = f.store.writer().await.unwrap();
    // Far in the future, so that what was said orders the list before what was only opened.
    let mut clock = 4_000_000_000_000;
    for step in steps {
        match *step {
            Step::Say { at, who } => {
                clock += 1;
                let append = Append { at: Timestamp(clock), ..say(ids[at], names[who], None, "hello") };
                let Ok(Appended::Stored { id, seq }) = writer.write(&[append], &[]).await.0[0] else {
                    panic!("stored")
                };
                model[at].said.push((id, who));
                model[at].active_at_ms = clock;
                assert_eq!(seq.0, i64::try_from(model[at].said.len()).unwrap());
            }
            Step::Read { at, who, seq } => {
                let read = Some(Seq(seq));
                let one = CursorMove { conversation: ids[at], user: user(names[who]), received: Seq(0), read };
                writer.write(&[], &[one]).await.1[0].as_ref().unwrap();
                let last = i64::try_from(model[at].said.len()).unwrap();
                model[at].read[who] = model[at].read[who].max(seq.min(last));
            }
        }
    }
    (ids, model)
}

async fn check(f: &Fixture, prefix: &str, ids: &[ConversationId], model: &[Model], limit: u32, from: i64) {
    for (who, name) in PEOPLE.iter().enumerate() {
        let viewer = user(&format!("{prefix}{name}"));
        let unread_of = |one: &Model| {
            let after = usize::try_from(one.read[who]).unwrap();
            u64::try_from(one.said[after..].iter().filter(|(_, sender)| *sender != who).count()).unwrap()
        };
        let told = f.store.unread(&viewer).await.unwrap();
        let expected: BTreeMap<_, _> =
            ids.iter().zip(model).map(|(id, one)| (*id, unread_of(one))).filter(|(_, count)| *count > 0).collect();
        assert_eq!(
            told.conversations.iter().map(|one| (one.conversation, one.count)).collect::<BTreeMap<_, _>>(),
            expected
        );
        assert_eq!(told.total, expected.values().sum::<u64>());
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|n| std::cmp::Reverse((model[*n].active_at_ms, ids[*n])));
        let (mut listed, mut cursor) = (Vec::new(), None);
        loop {
            let (page, next) = f.store.conversations(&viewer, &list(2, cursor)).await.unwrap();
            assert!(page.len() <= 2);
            listed.extend(page);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        let spoken = |n: &&usize| !model[**n].said.is_empty();
        let expected: Vec<_> = order.iter().filter(spoken).map(|n| ids[*n]).collect();
        assert_eq!(listed.len(), ids.len(), "every page together is every conversation once");
        assert_eq!(listed.iter().map(|one| one.id).take(expected.len()).collect::<Vec<_>>(), expected);
        for one in &listed {
            let n = ids.iter().position(|id| *id == one.id).unwrap();
            assert_eq!(one.unread, unread_of(&model[n]));
            assert_eq!(one.last_message.as_ref().map(|message| message.id), model[n].said.last().map(|(id, _)| *id));
            assert_eq!(one.participants.len(), 3);
        }
        for (id, one) in ids.iter().zip(model) {
            pages(f, &viewer, *id, one, limit, from).await;
        }
    }
    for (id, one) in ids.iter().zip(model) {
        let room = f.store.room(*id).await.unwrap().unwrap();
        assert_eq!(room.last_seq.0, i64::try_from(one.said.len()).unwrap());
        for seat in &room.people {
            let who = PEOPLE.iter().position(|name| seat.person.id == user(&format!("{prefix}{name}"))).unwrap();
            let after = usize::try_from(one.read[who]).unwrap();
            assert_eq!(seat.read.0, one.read[who]);
            let own = one.said[after..].iter().filter(|(_, sender)| *sender == who).count();
            assert_eq!(seat.own_after_read, u64::try_from(own).unwrap());
        }
    }
}

async fn pages(f: &Fixture, viewer: &haggle::protocol::UserId, id: ConversationId, one: &Model, limit: u32, from: i64) {
    let last = i64::try_from(one.said.len()).unwrap();
    let limit_i = i64::from(limit);
    let mut asked = vec![
        (Page::Newest, (last - limit_i + 1).max(1)..=last, last > limit_i),
        (Page::After(Seq(from)), from + 1..=last.min(from + limit_i), last > from + limit_i),
    ];
    let end = (from - 1).min(last);
    asked.push((Page::Before(Seq(from)), (end - limit_i + 1).max(1)..=end, end > limit_i));
    if let Some((message, _)) = usize::try_from(from - 1).ok().and_then(|n| one.said.get(n)) {
        asked.push((Page::BeforeMessage(*message), (end - limit_i + 1).max(1)..=end, end > limit_i));
    }
    for (page, expected, has_more) in asked {
        let told = f.store.history(viewer, &page_of(&ConversationRef::Id(id), page, limit)).await.unwrap();
        let places: Vec<i64> = told.messages.iter().map(|message| message.seq.0).collect();
        assert_eq!(places, expected.collect::<Vec<_>>(), "{page:?} of {last} by {limit}");
        assert_eq!(told.has_more, has_more, "{page:?} of {last} by {limit}");
        for message in told.messages {
            assert_eq!(message.id, one.said[usize::try_from(message.seq.0 - 1).unwrap()].0);
        }
    }
}

#[rstest]
fn reads_agree_with_a_naive_model(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let f = runtime.block_on(fixture(kind));
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let mut case = 0;
    let played = std::cell::RefCell::new(&mut case);
    let result = runner.run(&(steps(), 1..8_u32, 1..12_i64), |(steps, limit, from)| {
        let prefix = {
            let mut case = played.borrow_mut();
            **case += 1;
            format!("case{case}-")
        };
        runtime.block_on(async {
            let (ids, model) = play(&f, &prefix, &steps).await;
            check(&f, &prefix, &ids, &model, limit, from).await;
        });
        Ok(())
    });
    result.unwrap();
}

#[rstest]
#[tokio::test]
async fn strangers_are_told_nothing(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let (id, _) = f.store.put_conversation(&put("order:1", &["alice", "bob"])).await.unwrap();
    f.store.arrive(&user("mallory"), None, None).await.unwrap();
    for name in
        [ConversationRef::Id(id), ConversationRef::Key("order:1".into()), ConversationRef::Id(ConversationId(99))]
    {
        let page = f.store.history(&user("mallory"), &page_of(&name, Page::Newest, 10)).await;
        assert_eq!(page.unwrap_err().code(), "not_found");
        assert_eq!(f.store.conversation(&user("mallory"), &name).await.unwrap_err().code(), "not_found");
    }
    assert!(!f.store.knows(&user("mallory"), &user("alice")).await.unwrap());
    assert!(f.store.knows(&user("bob"), &user("alice")).await.unwrap());
    f.store.remove_participant(&ConversationRef::Id(id), &user("bob")).await.unwrap();
    assert!(!f.store.knows(&user("bob"), &user("alice")).await.unwrap());
    let page = f.store.history(&user("bob"), &page_of(&ConversationRef::Id(id), Page::Newest, 10)).await;
    assert_eq!(page.unwrap_err().code(), "not_found");
    let again = f.store.remove_participant(&ConversationRef::Id(id), &user("bob")).await;
    assert_eq!(again.unwrap_err().code(), "not_found");
}

#[rstest]
#[tokio::test]
async fn the_shops_word_wins_over_the_tokens(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let alice = user("alice");
    let shown =
        |known: haggle::store::Known| (known.person.name.to_string(), known.person.role.to_string(), known.active);
    let expect = |name: &str, role: &str, active| (name.to_owned(), role.to_owned(), active);
    assert_eq!(f.store.user(&alice).await.unwrap(), None);
    assert_eq!(shown(f.store.arrive(&alice, None, None).await.unwrap()), expect("alice", "", true));
    assert_eq!(
        shown(f.store.arrive(&alice, Some("Al"), Some("customer")).await.unwrap()),
        expect("Al", "customer", true)
    );
    assert_eq!(shown(f.store.arrive(&alice, None, None).await.unwrap()), expect("Al", "customer", true));
    let named = PutUser { id: alice.clone(), name: Some("Alice".into()), role: None, active: None };
    let (known, created) = f.store.put_user(&named).await.unwrap();
    assert_eq!((shown(known), created), (expect("Alice", "customer", true), false));
    let out = PutUser { id: alice.clone(), name: None, role: Some("seller".into()), active: Some(false) };
    assert_eq!(shown(f.store.put_user(&out).await.unwrap().0), expect("Alice", "seller", false));
    assert_eq!(
        shown(f.store.arrive(&alice, Some("Other"), Some("admin")).await.unwrap()),
        expect("Alice", "seller", false)
    );
    let new = PutUser { id: user("bob"), name: None, role: None, active: None };
    assert!(f.store.put_user(&new).await.unwrap().1);
    let seen = |at| [(alice.clone(), Timestamp(at))];
    f.store.set_last_seen(&seen(7)).await.unwrap();
    f.store.set_last_seen(&seen(5)).await.unwrap();
    assert_eq!(f.store.last_seen(&alice).await.unwrap(), Some(Some(Timestamp(7))), "it does not go back");
    assert_eq!(f.store.last_seen(&user("bob")).await.unwrap(), Some(None));
    assert_eq!(f.store.last_seen(&user("nobody")).await.unwrap(), None);
}

#[rstest]
#[tokio::test]
async fn provisioning_adds_and_changes_what_is_given(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let mut order = put("order:1", &["alice", "bob"]);
    order.subject = Some(("order".into(), "1".into()));
    order.participants[0].1 = Some("buyer".into());
    let (one, two) = tokio::join!(f.store.put_conversation(&order), f.store.put_conversation(&order));
    let ((id, created), (same, also)) = (one.unwrap(), two.unwrap());
    assert_eq!((id, created ^ also), (same, true), "two at once make one conversation, and one of them made it");
    let subject = PutSubject {
        kind: "order".into(),
        id: "1".into(),
        title: Some("Order 1".into()),
        owner: Some(user("shopkeeper")),
        url: None,
        image_url: None,
    };
    let (row, created) = f.store.put_subject(&subject).await.unwrap();
    assert!(!created, "naming a subject made it");
    assert_eq!((row.owner, row.title.as_deref()), (Some(user("shopkeeper")), Some("Order 1")));
    assert!(f.store.user(&user("shopkeeper")).await.unwrap().is_some());
    let mut writer = f.store.writer().await.unwrap();
    writer.write(&[say(id, "alice", None, "before carol")], &[]).await;
    let mut more = put("order:1", &["alice", "carol"]);
    more.title = Some("A title".into());
    assert_eq!(f.store.put_conversation(&more).await.unwrap(), (id, false));
    let seen = f.store.conversation(&user("carol"), &ConversationRef::Key("order:1".into())).await.unwrap();
    let people: Vec<_> = seen.participants.iter().map(|one| (one.person.id.as_str(), &*one.role)).collect();
    assert_eq!(people, [("alice", "buyer"), ("bob", ""), ("carol", "")], "none is removed, no role is lost");
    assert_eq!((&*seen.kind, seen.title.as_deref(), seen.unread), ("direct", Some("A title"), 0));
    assert_eq!(seen.subject.unwrap().title.as_deref(), Some("Order 1"));
    let told = f.store.history(&user("carol"), &page_of(&ConversationRef::Id(id), Page::Newest, 10)).await.unwrap();
    assert_eq!(told.messages.len(), 1, "who comes later sees what was said");
}

#[rstest]
#[tokio::test]
async fn two_people_have_one_conversation_on_a_subject(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let open = |who: &[&str], subject: Option<(&str, &str)>| Open {
        participants: who.iter().map(|name| user(name)).collect(),
        subject: subject.map(|(kind, id)| (kind.into(), id.into())),
        title: None,
        pairings: None,
    };
    let alice = user("alice");
    let (with_bob, with_alice) = (open(&["bob"], None), open(&["alice", "bob"], None));
    let bob = user("bob");
    let (one, two) = tokio::join!(f.store.open(&alice, &with_bob), f.store.open(&bob, &with_alice));
    let ((id, created), (same, also)) = (one.unwrap(), two.unwrap());
    assert_eq!((id, created ^ also), (same, true), "both at once get the same one");
    let (item, created) = f.store.open(&alice, &open(&["bob"], Some(("item", "7")))).await.unwrap();
    assert!(created && item != id, "another subject is another conversation");
    let (group, true) = f.store.open(&alice, &open(&["bob", "carol"], None)).await.unwrap() else { panic!("new") };
    let (other, true) = f.store.open(&alice, &open(&["bob", "carol"], None)).await.unwrap() else { panic!("new") };
    assert_ne!(group, other, "three people may have many");
    assert_eq!(&*f.store.conversation_for_shop(group).await.unwrap().kind, "group");
    assert_eq!(f.store.open(&alice, &open(&["alice"], None)).await.unwrap_err().code(), "invalid");
    f.store.remove_participant(&ConversationRef::Id(id), &user("bob")).await.unwrap();
    let (new, created) = f.store.open(&alice, &open(&["bob"], None)).await.unwrap();
    assert!(created && new != id, "who was removed is not let back in by this");
    let mut pairs = f.store.partners(&[alice.clone(), user("nobody")]).await.unwrap();
    pairs.sort();
    assert_eq!(pairs, [(alice.clone(), user("bob")), (alice, user("carol"))]);
}
