//! The whole way once.

use haggle::protocol::command::{Open, Page};
use haggle::protocol::{ConversationRef, Seq};
use haggle::store::{Appended, CursorMove};
use rstest::rstest;

use super::{Kind, fixture, put, say, user};

#[rstest]
#[tokio::test]
async fn what_is_said_is_kept(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let f = fixture(kind).await;
    let s = &f.store;
    s.ready().await.unwrap();
    let (id, created) = s.put_conversation(&put("order:1", &["alice", "bob"])).await.unwrap();
    assert!(created);
    let mut w = s.writer().await.unwrap();
    let (stored, _) = w
        .write(
            &[
                say(id, "alice", Some("a"), "hi"),
                say(id, "bob", None, "ho"),
                say(id, "alice", Some("a"), "hi"),
                say(id, "mallory", None, "x"),
            ],
            &[],
        )
        .await;
    eprintln!("{stored:?}");
    let Ok(Appended::Stored { id: m1, seq: Seq(1) }) = stored[0] else { panic!() };
    assert!(matches!(stored[1], Ok(Appended::Stored { seq: Seq(2), .. })));
    assert!(matches!(&stored[2], Ok(Appended::Repeated { id, seq: Seq(1), .. }) if *id == m1));
    assert_eq!(stored[3].as_ref().unwrap_err().code(), "not_found");
    let (stored, moved) = w
        .write(
            &[say(id, "alice", Some("a"), "hi"), say(id, "alice", Some("a"), "other"), say(id, "bob", None, "3")],
            &[CursorMove { conversation: id, user: user("alice"), received: Seq(9), read: Some(Seq(1)) }],
        )
        .await;
    eprintln!("{stored:?} {moved:?}");
    assert!(matches!(&stored[0], Ok(Appended::Repeated { id, seq: Seq(1), .. }) if *id == m1));
    assert_eq!(stored[1].as_ref().unwrap_err().code(), "invalid");
    let r = ConversationRef::Key("order:1".into());
    let h = s.history(&user("alice"), &r, Page::Newest, 2).await.unwrap();
    eprintln!("{h:?}");
    assert!(h.has_more);
    eprintln!("{:?}", s.room(id).await.unwrap());
    eprintln!("{:?}", s.conversations(&user("alice"), 10, None).await.unwrap());
    eprintln!("{:?}", s.unread(&user("alice")).await.unwrap());
    eprintln!("{:?}", s.conversation(&user("alice"), &r).await.unwrap());
    eprintln!("{:?}", s.conversation_for_shop(id).await.unwrap());
    eprintln!("{:?}", s.arrive(&user("alice"), Some("Alice"), None).await.unwrap());
    eprintln!("{:?}", s.arrive(&user("alice"), Some("Alice"), Some("customer")).await.unwrap());
    eprintln!("{:?}", s.user(&user("alice")).await.unwrap());
    eprintln!("{:?}", s.partners(&[user("alice"), user("bob")]).await.unwrap());
    eprintln!("{:?}", s.knows(&user("alice"), &user("bob")).await.unwrap());
    let open = Open { participants: vec![user("carol")], subject: Some(("item".into(), "7".into())), title: None };
    let (one, true) = s.open(&user("alice"), &open).await.unwrap() else { panic!() };
    assert_eq!(s.open(&user("alice"), &open).await.unwrap(), (one, false));
    s.set_last_seen(&[(user("alice"), haggle::protocol::Timestamp(5))]).await.unwrap();
    assert_eq!(s.last_seen(&user("alice")).await.unwrap(), Some(Some(haggle::protocol::Timestamp(5))));
    s.remove_participant(&r, &user("bob")).await.unwrap();
}
