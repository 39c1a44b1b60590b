//! Section 2: absent and forbidden are told alike, so that nothing can be found out by asking.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::server::Server;

#[rstest]
#[tokio::test]
async fn what_is_not_ones_own_is_told_as_what_is_not_there(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    server.user("alice").say(id, "secret").await.ok();
    let carol = server.user("carol");
    let absent = id + 1_000;
    for (forbidden, absent) in [(id.to_string(), absent.to_string()), ("order:1".to_owned(), "order:2".to_owned())] {
        for path in ["", "/messages", "/messages?after=0&limit=1"] {
            let there = carol.get(&format!("/v1/conversations/{forbidden}{path}")).await;
            let nowhere = carol.get(&format!("/v1/conversations/{absent}{path}")).await;
            assert_eq!(there.verdict(), (404, "not_found"), "{path}");
            assert_eq!(there.text, nowhere.text, "{path}");
            assert_eq!(there.headers["content-type"], nowhere.headers["content-type"]);
        }
        for (path, body) in [("messages", json!({ "body": "x" })), ("read", json!({ "seq": 1 }))] {
            let there = carol.post(&format!("/v1/conversations/{forbidden}/{path}"), body.clone()).await;
            let nowhere = carol.post(&format!("/v1/conversations/{absent}/{path}"), body).await;
            assert_eq!(there.verdict(), (404, "not_found"), "{path}");
            assert_eq!(there.text, nowhere.text, "{path}");
        }
    }
    let mut socket = server.socket("carol").await;
    for (forbidden, absent) in [(json!(id), json!(absent)), (json!("order:1"), json!("order:2"))] {
        for (kind, fields) in [
            ("join", json!({})),
            ("join", json!({ "after": 0 })),
            ("leave", json!({})),
            ("send", json!({ "body": "x" })),
            ("typing", json!({ "on": true })),
            ("received", json!({ "seq": 1 })),
            ("read", json!({ "seq": 1 })),
            ("history", json!({})),
        ] {
            let mut ask = async |conversation: &Value| {
                let mut fields = fields.clone();
                fields["conversation"] = conversation.clone();
                socket.ask(kind, fields).await.0["error"].take()
            };
            let (there, nowhere) = (ask(&forbidden).await, ask(&absent).await);
            assert_eq!(there["code"], "not_found", "{kind}");
            assert_eq!(there, nowhere, "{kind}");
        }
    }
    // Somebody one does not talk to is as absent as nobody.
    let stranger = carol.get("/v1/users/alice/presence").await;
    let nobody = carol.get("/v1/users/nobody-at-all/presence").await;
    assert_eq!(stranger.verdict(), (404, "not_found"));
    assert_eq!(stranger.text, nobody.text);
    assert_eq!(carol.get("/v1/conversations").await.ok(), json!({ "conversations": [], "next": null }));
    assert_eq!(server.messages("bob", id).await.len(), 1);
    assert_eq!(server.user("bob").get("/v1/unread").await.ok()["total"], 1);
}
