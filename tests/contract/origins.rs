//! Section 2: which browser origins may read and write.

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::client::Socket;
use crate::support::rest::token;
use crate::support::server::{Process, SERVER_KEY, Server};

#[rstest]
#[tokio::test]
async fn a_foreign_origin_writes_nothing_and_opens_no_socket(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = Server::start(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    for origin in ["https://evil.example", "null", "http://localhost.evil.example", "nonsense"] {
        let alice = server.user("alice").with("origin", origin);
        let shop = server.shop().with("origin", origin);
        assert_eq!(alice.say(id, "x").await.verdict(), (403, "forbidden"), "{origin}");
        let body = json!({ "participants": [{ "user_id": "bob" }] });
        assert_eq!(alice.post("/v1/conversations", body).await.verdict(), (403, "forbidden"));
        assert_eq!(shop.put("/v1/users/bob", json!({ "name": "x" })).await.verdict(), (403, "forbidden"));
        let path = "/v1/conversations/order:1/participants/bob";
        assert_eq!(shop.delete(path).await.verdict(), (403, "forbidden"));
        let refused = Socket::with_headers(server.address, &[("origin", origin)]).await;
        let (status, body) = refused.err().expect("no socket");
        assert_eq!((status, &body["code"]), (403, &json!("forbidden")));
        // What a browser may show to a page of that origin is said by the answer's headers.
        let read = alice.get("/v1/unread").await;
        assert!(!read.headers.contains_key("access-control-allow-origin"), "{origin}: {:?}", read.headers);
    }
    // In development any port of this machine is no stranger, and a client that is no browser has no origin.
    for origin in ["http://localhost:5173", "http://127.0.0.1:8080"] {
        let alice = server.user("alice").with("origin", origin);
        let said = alice.say(id, "x").await;
        assert_eq!(said.status, 201, "{origin}");
        assert_eq!(said.headers["access-control-allow-origin"], origin);
    }
    assert_eq!(server.user("alice").say(id, "x").await.status, 201);
    assert_eq!(server.messages("bob", id).await.len(), 3);
}

#[tokio::test]
async fn a_foreign_origin_is_refused_in_the_words_of_whose_route_it_is() {
    let server = Server::start(On::Sqlite).await;
    let alice = server.user("alice").with("origin", "https://evil.example");
    let shown = |body: &serde_json::Value| (body["success"].clone(), body["status"].clone(), body["code"].clone());
    for (path, success, status) in [
        ("/api/messages", json!(false), json!(null)),
        ("/api/chat/conversations", json!(false), json!(null)),
        ("/api/v0/chat/read/42", json!(null), json!("error")),
        ("/v1/conversations", json!(null), json!(403)),
    ] {
        let answer = alice.post(path, json!({})).await;
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(shown(&answer.body), (success, status, json!("forbidden")), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn in_production_this_machine_is_foreign_too_and_nothing_of_development_is_there() {
    let env = [("HAGGLE_MODE", "production"), ("HAGGLE_ALLOWED_ORIGINS", "https://shop.example")];
    let server = Process::start(On::Sqlite, &env).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let alice = server.user("alice");
    let strange = alice.clone().with("origin", "http://localhost:5173");
    assert_eq!(strange.say(id, "x").await.verdict(), (403, "forbidden"));
    assert_eq!(alice.clone().with("origin", "https://shop.example").say(id, "x").await.status, 201);
    let own = format!("http://{}", server.address);
    assert_eq!(alice.with("origin", &own).say(id, "x").await.status, 201, "its own pages");
    assert_eq!(server.anybody().get("/dev/token?userId=alice").await.status, 404);
    let demo = server.anybody().get("/").await;
    assert!(!demo.text.contains("dev/token"), "the demo is in production");
    let log = server.log();
    for secret in [SERVER_KEY, "a-jwt-secret", &token("alice")[..20], "eyJ"] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

#[tokio::test]
async fn whoever_refuses_does_it_in_the_words_of_the_route() {
    let server = Server::start(On::Sqlite).await;
    let alice = server.user("alice");
    let strange = alice.clone().with("origin", "https://evil.example");
    let told = |code: &str, answer: &crate::support::rest::Answer| {
        assert!(answer.text.contains(&format!("\"code\":\"{code}\"")), "{}", answer.text);
    };
    for (path, begins) in [
        ("/api/messages", "{\"success\":false,\"error\":"),
        ("/api/v0/chat/read/42", "{\"status\":\"error\",\"message\":"),
        ("/api/chat/conversations", "{\"success\":false,\"error\":"),
    ] {
        let foreign = strange.post(path, json!({})).await;
        assert!(foreign.status == 403 && foreign.text.starts_with(begins), "{path}: {}", foreign.text);
        told("forbidden", &foreign);
        let nowhere = alice.get(&format!("{path}/no/such/route/here")).await;
        assert!(nowhere.status == 404 && nowhere.text.starts_with(begins), "{path}: {}", nowhere.text);
        told("not_found", &nowhere);
    }
    // A page that may read answers may read refusals.
    let page = alice.clone().with("origin", "http://localhost:5173");
    for path in ["/api/messages/unread/bob", "/api/v0/chat/messages/nothing", "/api/chat/nothing", "/v1/nothing"] {
        let refused = page.get(path).await;
        assert!(refused.status >= 400 && !refused.code().is_empty(), "{path}: {}", refused.text);
        assert_eq!(refused.headers["access-control-allow-origin"], "http://localhost:5173", "{path}");
    }
    let other = alice.get("/api/chatter").await;
    assert!(other.text.contains("about:blank"), "a route that is nobody's: {}", other.text);
}

#[tokio::test]
async fn in_development_anybody_gets_a_token_for_anybody() {
    let server = Server::start(On::Sqlite).await;
    let answer = server.anybody().get("/dev/token?userId=alice&name=Alice&role=customer").await.ok();
    let token = answer["token"].as_str().unwrap();
    let mut socket = Socket::anonymous(server.address).await;
    assert_eq!(socket.ask("auth", json!({ "token": token })).await.ok()["name"], "Alice");
    assert_eq!(server.anybody().get("/dev/token").await.verdict(), (400, "invalid"));
}
