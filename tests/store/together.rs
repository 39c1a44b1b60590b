//! What many ask for at once is read together: each is answered as if they had asked alone.

use futures_util::future::join_all;
use haggle::protocol::command::PutUser;
use haggle::protocol::{ConversationId, ConversationRef, Seq};
use haggle::store::{Arrived, CursorMove, Extent};
use rstest::rstest;

use super::{Fixture, Kind, fixture, put, say, user};

/// More than one statement takes.
const MANY: usize = 450;

async fn come(f: &Fixture, name: &str, extent: Extent) -> Arrived {
    f.store.come_in(&user(name), Some(&format!("{name} by token")), None, extent).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn many_who_come_at_once_are_each_told_their_own(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let (id, _) = f.store.put_conversation(&put("order:1", &["seller", "buyer"])).await.unwrap();
    let (quiet, _) = f.store.put_conversation(&put("order:2", &["seller", "buyer"])).await.unwrap();
    let mut writer = f.store.writer().await.unwrap();
    let said = [say(id, "seller", None, "one"), say(id, "seller", None, "two"), say(id, "buyer", None, "three")];
    let read = CursorMove { conversation: id, user: user("buyer"), received: Seq(2), read: Some(Seq(1)) };
    writer.write(&said, &[read]).await;
    let out = PutUser { id: user("out"), name: None, role: None, active: Some(false) };
    f.store.put_user(&out).await.unwrap();
    let names: Vec<String> = (0..MANY).map(|n| format!("new{}", n % (MANY - 50))).collect();
    let all = names.iter().map(String::as_str).chain(["buyer", "out", "seller"]);
    let arrived = join_all(all.clone().map(|name| come(&f, name, Extent::Places))).await;
    for (name, one) in all.zip(&arrived) {
        assert_eq!(one.known.person.id, user(name));
        assert_eq!(&*one.known.person.name, format!("{name} by token"));
        assert_eq!(one.known.active, name != "out");
        assert_eq!(one.places.is_empty(), !matches!(name, "buyer" | "seller"), "{name}");
    }
    let told = |changed: &Arrived| changed.known.changed;
    assert!(arrived.iter().rev().take(3).all(told), "who was known before has another name now");
    assert_eq!(arrived.iter().filter(|one| told(one)).count(), 3);
    let [buyer, ..] = &arrived[MANY..] else { panic!("the buyer came") };
    let places: Vec<_> =
        buyer.places.iter().map(|place| (place.conversation, place.last_seq, place.received)).collect();
    assert_eq!(places, [(id, Seq(3), Seq(2)), (quiet, Seq(0), Seq(0))], "the newest activity first");
    let unread: Vec<_> = buyer.unread.conversations.iter().map(|one| (one.conversation, one.count)).collect();
    assert_eq!((unread, buyer.unread.total), (vec![(id, 1)], 1));
    assert_eq!(f.store.unread(&user("buyer")).await.unwrap(), buyer.unread);
    let again = come(&f, "buyer", Extent::Unread).await;
    assert!(!told(&again));
    assert_eq!((again.unread, again.places.len()), (buyer.unread.clone(), 1), "only where something is unread");
    let alone = come(&f, "buyer", Extent::Person).await;
    assert_eq!((alone.unread.total, alone.places.len()), (0, 0));
}

#[rstest]
#[tokio::test]
async fn rooms_that_wake_at_once_each_get_their_own(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let mut ids = Vec::new();
    for n in 0..20 {
        let conversation = put(&format!("order:{n}"), &["alice", &format!("b{n}")]);
        ids.push(f.store.put_conversation(&conversation).await.unwrap().0);
    }
    let nobody = ConversationId(9_999);
    let asked: Vec<_> = ids.iter().cycle().take(MANY).copied().chain([nobody]).collect();
    let rooms = join_all(asked.iter().map(|id| f.store.room(*id))).await;
    for (id, room) in asked.iter().zip(rooms) {
        let room = room.unwrap();
        assert_eq!(room.is_some(), *id != nobody);
        let Some(room) = room else { continue };
        let other = ids.iter().position(|known| known == id).unwrap();
        assert_eq!(room.topic.id, *id);
        assert!(room.people.iter().any(|seat| seat.person.id == user(&format!("b{other}"))));
        assert_eq!((room.people.len(), room.topic.people.len()), (2, 2));
        assert_eq!(Some(room), f.store.room(*id).await.unwrap(), "as if it had been asked for alone");
    }
    let keys: Vec<_> = (0..25).map(|n| ConversationRef::Key(format!("order:{n}").into())).collect();
    let named = join_all(keys.iter().map(|key| f.store.resolve(key))).await;
    for (n, named) in named.into_iter().enumerate() {
        assert_eq!(named.unwrap(), ids.get(n).copied());
    }
}
