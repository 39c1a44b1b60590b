//! Sections 3 and 5: pages of messages, forwards and backwards.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::server::Server;

/// More than the largest page.
const SAID: i64 = 230;

fn seqs(page: &Value) -> Vec<i64> {
    page["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
}

#[rstest]
#[tokio::test]
async fn pages_go_both_ways_and_say_whether_there_is_more(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let mut alice = server.joined("alice", id).await;
    let mut sent = Vec::new();
    for n in 1..=SAID {
        sent.push(alice.feed("send", json!({ "conversation": id, "body": n.to_string() })).await);
    }
    alice.flush().await;
    for sent in sent {
        alice.answer(sent).await.ok();
    }
    let bob = server.user("bob");
    let mut socket = server.socket("bob").await;
    let range = |from: i64, to: i64| (from..=to).collect::<Vec<_>>();
    for (asked, expected, has_more) in [
        (json!({}), range(181, 230), true),
        (json!({ "limit": 10 }), range(221, 230), true),
        (json!({ "limit": 200 }), range(31, 230), true),
        (json!({ "limit": 1_000 }), range(31, 230), true),
        (json!({ "before": 51, "limit": 50 }), range(1, 50), false),
        (json!({ "before": 52, "limit": 50 }), range(2, 51), true),
        (json!({ "before": 3 }), range(1, 2), false),
        (json!({ "before": 1 }), vec![], false),
        (json!({ "before": 9_000 }), range(181, 230), true),
        (json!({ "after": 0 }), range(1, 50), true),
        (json!({ "after": 180 }), range(181, 230), false),
        (json!({ "after": 179 }), range(180, 229), true),
        (json!({ "after": 228, "limit": 2 }), range(229, 230), false),
        (json!({ "after": 230 }), vec![], false),
        (json!({ "after": 9_000 }), vec![], false),
    ] {
        let query: Vec<_> = asked.as_object().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let page = bob.get(&format!("/v1/conversations/{id}/messages?{}", query.join("&"))).await.ok();
        assert_eq!((seqs(&page), &page["has_more"]), (expected, &json!(has_more)), "{asked}");
        let mut fields = asked.clone();
        fields["conversation"] = id.into();
        let mut reply = socket.ask("history", fields).await.ok();
        assert_eq!(reply["messages"].take(), page["messages"], "{asked}");
        assert_eq!(reply["has_more"], page["has_more"], "{asked}");
    }
    for bad in ["before=-1", "after=x", "limit=0", "limit=-5", "before=1&after=1", "before=9007199254740992"] {
        let page = bob.get(&format!("/v1/conversations/{id}/messages?{bad}")).await;
        assert_eq!(page.verdict(), (400, "invalid"), "{bad}");
    }
    assert_eq!(bob.get("/v1/unread").await.ok()["total"], SAID, "fetching marks nothing read");
}
