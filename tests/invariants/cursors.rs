//! 6: what is unread follows from cursors that only move forward, whoever was online on what.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::client::Socket;
use crate::support::server::Server;

async fn mark(socket: &mut Socket, id: i64, seq: i64) -> i64 {
    socket.ask("read", json!({ "conversation": id, "seq": seq })).await.ok()["unread"].as_i64().unwrap()
}

#[rstest]
#[tokio::test]
async fn two_devices_and_what_arrives_between_reading_and_marking(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut laptop, mut phone) = (server.joined("alice", id).await, server.socket("alice").await);
    let mut bob = server.joined("bob", id).await;
    for n in 1..=5 {
        bob.say(id, "hello").await;
        let unread = json!({ "type": "unread", "conversation": id, "count": n, "total": n });
        assert_eq!(phone.expect("unread").await, unread);
    }
    assert_eq!(seqs(&laptop.messages(5).await), [1, 2, 3, 4, 5]);
    // The laptop shows five; a sixth arrives, and one's own, before it says so.
    bob.say(id, "sixth").await;
    phone.expect("unread").await;
    laptop.say(id, "own").await;
    assert_eq!(mark(&mut laptop, id, 5).await, 1, "what arrived meanwhile stays unread, one's own does not count");
    assert_eq!(phone.expect("unread").await["count"], 1, "the other device's badge follows");
    let read = json!({ "type": "read", "conversation": id, "user_id": "alice", "seq": 5 });
    assert_eq!(bob.expect("read").await, read);
    // Backwards is nothing, past the newest is the newest.
    assert_eq!(mark(&mut phone, id, 2).await, 1);
    assert_eq!(mark(&mut phone, id, 1_000).await, 0);
    assert_eq!(bob.expect("read").await["seq"], 7);
    assert_eq!(mark(&mut laptop, id, 3).await, 0, "a cursor moved back");
    assert_eq!(server.user("alice").get("/v1/unread").await.ok(), json!({ "total": 0, "conversations": [] }));
    bob.say(id, "eighth").await;
    assert_eq!(phone.expect("unread").await["count"], 1);
    assert_eq!(mark(&mut laptop, id, 6).await, 1);
    let unread = json!({ "total": 1, "conversations": [{ "conversation": id, "count": 1 }] });
    assert_eq!(server.user("alice").get("/v1/unread").await.ok(), unread);
    // Sending marks nothing read; fetching history neither.
    assert_eq!(server.user("bob").get("/v1/unread").await.ok()["total"], 1);
    server.messages("bob", id).await;
    bob.say(id, "ninth").await;
    assert_eq!(server.user("bob").get("/v1/unread").await.ok()["total"], 1);
    // Bob hears of each step forward, once.
    let told: Vec<_> = bob.heard().await.into_iter().filter(|event| event["type"] == "read").collect();
    assert_eq!(told, Vec::<Value>::new());
}

fn seqs(messages: &[Value]) -> Vec<i64> {
    super::seqs(messages)
}

#[rstest]
#[tokio::test]
async fn receiving_is_told_to_others_and_only_forward(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let (mut alice, mut bob) = (server.joined("alice", id).await, server.joined("bob", id).await);
    for n in 0..6 {
        alice.say(id, &n.to_string()).await;
    }
    for seq in [4, 2, 4, 6] {
        bob.ask("received", json!({ "conversation": id, "seq": seq })).await.ok();
    }
    let received = |seq| json!({ "type": "received", "conversation": id, "user_id": "bob", "seq": seq });
    assert_eq!(alice.expect("received").await, received(4));
    assert_eq!(alice.expect("received").await, received(6), "a step back was told");
    assert_eq!(server.user("bob").get("/v1/unread").await.ok()["total"], 6, "received is not read");
    bob.ask("read", json!({ "conversation": id, "seq": 6 })).await.ok();
    alice.expect("read").await;
    let own: Vec<_> = bob.heard().await.into_iter().filter(|event| event["type"] != "message").collect();
    assert_eq!(own.iter().filter(|event| event["type"] == "received" || event["type"] == "read").count(), 0, "{own:?}");
}

/// What should be unread, kept in the simplest way.
#[derive(Default)]
struct Model {
    senders: Vec<usize>,
    read: [usize; 2],
}

impl Model {
    fn unread(&self, user: usize) -> i64 {
        let unread = self.senders.iter().skip(self.read[user]).filter(|sender| **sender != user).count();
        i64::try_from(unread).unwrap()
    }
}

#[rstest]
#[tokio::test]
async fn whatever_two_people_do_on_two_devices_each_all_counts_agree(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let names = ["alice", "bob"];
    let mut devices = Vec::new();
    for name in names {
        devices.push([server.joined(name, id).await, server.socket(name).await]);
    }
    let mut model = Model::default();
    let mut random: usize = 20_261_121;
    for step in 0..120 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (user, device, what) = ((random >> 33) % 2, (random >> 40) % 2, (random >> 45) % 5);
        let socket = &mut devices[user][device];
        if what < 3 {
            socket.say(id, &step.to_string()).await;
            model.senders.push(user);
        } else {
            let seq = (random >> 50) % (model.senders.len() + 3);
            model.read[user] = model.read[user].max(seq.min(model.senders.len()));
            let unread = mark(socket, id, i64::try_from(seq).unwrap()).await;
            assert_eq!(unread, model.unread(user), "step {step}");
        }
        if step % 20 == 19 {
            for (user, name) in names.into_iter().enumerate() {
                let stored = server.user(name).get("/v1/unread").await.ok()["total"].as_i64().unwrap();
                assert_eq!(stored, model.unread(user), "the database, step {step}");
                let listed = server.user(name).get(&format!("/v1/conversations/{id}")).await.ok();
                assert_eq!(listed["unread"], model.unread(user));
            }
        }
    }
    // A last word by each shows what the room itself has counted.
    for user in [0, 1] {
        devices[user][0].say(id, "last").await;
        model.senders.push(user);
        let other = 1 - user;
        let phone = &mut devices[other][1];
        let mut count = -1;
        while count != model.unread(other) || phone.has_event("unread") {
            count = phone.expect("unread").await["count"].as_i64().unwrap();
        }
        let left = phone.heard().await;
        assert!(left.iter().all(|event| event["type"] != "unread"), "a wrong count came after the right one: {left:?}");
    }
}
