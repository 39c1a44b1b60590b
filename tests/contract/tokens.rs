//! Section 2: where a token may stand, what it says, when it ends.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::client::{Closed, Socket};
use crate::support::rest::{now_s, sign, sign_with, token};
use crate::support::server::{JWT_SECRET, SERVER_KEY, Server};

const FOREIGN: &str = "https://evil.example";
const ALLOWED: &str = "https://shop.example";

async fn server(on: On) -> Server {
    Server::start_with(on, |settings| settings.allowed_origins = vec![ALLOWED.to_owned()]).await
}

/// Whether a WebSocket with these headers is one of a known user: `Ok`, or the status or close code that refused it.
async fn comes_in(server: &Server, path: &str, headers: &[(&'static str, &str)]) -> Result<(), u16> {
    let (mut socket, _) = Socket::open(server.address, path, headers, None).await.map_err(|(status, _)| status)?;
    let id = socket.try_begin("conversations", json!({})).await;
    match socket.maybe_answer(id).await {
        Some(reply) if reply.code().is_empty() => Ok(()),
        _ => match socket.closed().await {
            Closed::Frame(code, _) => Err(code),
            Closed::Cut => Err(0),
        },
    }
}

#[rstest]
#[tokio::test]
async fn a_websocket_takes_a_token_in_four_places_and_never_from_the_query(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = server(on).await;
    let token = token("alice");
    let bearer = format!("Bearer {token}");
    assert_eq!(comes_in(&server, "/ws", &[("authorization", &bearer)]).await, Ok(()));
    let cookie = format!("other=1; haggle_token={token}");
    let (good, bad, own) = (("origin", ALLOWED), ("origin", FOREIGN), format!("http://{}", server.address));
    assert_eq!(comes_in(&server, "/ws", &[("cookie", &cookie), good]).await, Ok(()));
    assert_eq!(comes_in(&server, "/ws", &[("cookie", &cookie), ("origin", &own)]).await, Ok(()));
    assert_eq!(comes_in(&server, "/ws", &[("cookie", &cookie)]).await, Err(4401), "a cookie without an origin");
    assert_eq!(comes_in(&server, "/ws", &[("cookie", &cookie), bad]).await, Err(403));
    assert_eq!(comes_in(&server, "/ws", &[("authorization", &bearer), bad]).await, Err(403), "however it came");
    assert_eq!(comes_in(&server, "/ws", &[("authorization", &bearer), ("origin", "null")]).await, Err(403));
    for query in ["token", "access_token", "haggle_token", "jwt", "auth"] {
        let path = format!("/ws?{query}={token}");
        assert_eq!(comes_in(&server, &path, &[]).await, Err(4401), "{path}");
    }
    let offered = format!("haggle.v1, bearer.{token}");
    let pair = [("sec-websocket-protocol", offered.as_str())];
    let (mut socket, response) = Socket::with_headers(server.address, &pair).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "haggle.v1", "the token must not be echoed");
    socket.ask("conversations", json!({})).await.ok();
    let mut socket = Socket::anonymous(server.address).await;
    let welcome = socket.ask("auth", json!({ "token": token })).await.ok();
    assert_eq!(welcome, json!({ "id": 1, "ok": true, "user_id": "alice", "name": "alice", "unread": 0 }));
}

#[rstest]
#[tokio::test]
async fn rest_takes_a_token_by_header_or_cookie_and_never_from_the_query(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = server(on).await;
    let id = server.conversation("order:1", &["alice", "bob"]).await;
    let token = token("alice");
    let cookie = server.anybody().with("cookie", &format!("haggle_token={token}"));
    let (allowed, foreign) = (cookie.clone().with("origin", ALLOWED), cookie.clone().with("origin", FOREIGN));
    assert_eq!(server.bearer(&token).get("/v1/unread").await.status, 200);
    assert_eq!(cookie.get("/v1/unread").await.status, 200, "a page's own GET has no origin");
    assert_eq!(allowed.get("/v1/unread").await.status, 200);
    assert_eq!(foreign.get("/v1/unread").await.verdict(), (401, "unauthorized"), "a cookie of another site's making");
    assert_eq!(allowed.say(id, "hi").await.status, 201);
    assert_eq!(cookie.say(id, "hi").await.verdict(), (401, "unauthorized"), "a writing cookie without an origin");
    assert_eq!(foreign.say(id, "hi").await.verdict(), (403, "forbidden"));
    let header = server.bearer(&token).with("origin", FOREIGN);
    assert_eq!(header.say(id, "hi").await.verdict(), (403, "forbidden"), "however the token came");
    assert_eq!(server.anybody().get(&format!("/v1/unread?token={token}")).await.verdict(), (401, "unauthorized"));
    assert_eq!(server.anybody().get(&format!("/v1/unread?access_token={token}")).await.status, 401);
    let none = server.anybody().get("/v1/unread").await;
    assert_eq!(none.headers["content-type"], "application/problem+json");
    assert_eq!(server.messages("bob", id).await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn claims_name_the_user_by_any_of_their_spellings(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = server(on).await;
    let exp = now_s() + 600;
    for (claims, user, name) in [
        (json!({ "sub": "u1", "userId": "x", "id": "y", "name": "One", "exp": exp }), "u1", "One"),
        (json!({ "userId": "u2", "id": "y", "displayName": "Two", "username": "z", "exp": exp }), "u2", "Two"),
        (json!({ "id": "u3", "username": "three", "exp": exp }), "u3", "three"),
        (json!({ "id": 42, "name": "Numbered", "exp": exp }), "42", "Numbered"),
        (json!({ "sub": "u5", "exp": exp }), "u5", "u5"),
    ] {
        let mut socket = Socket::anonymous(server.address).await;
        let welcome = socket.ask("auth", json!({ "token": sign(&claims) })).await.ok();
        assert_eq!((&welcome["user_id"], &welcome["name"]), (&json!(user), &json!(name)), "{claims}");
    }
    // The shop's name goes before the token's, whichever came first.
    server.shop().put("/v1/users/u1", json!({ "name": "Shop One" })).await.ok();
    let mut socket = Socket::anonymous(server.address).await;
    let claims = json!({ "sub": "u1", "name": "Token One", "exp": exp });
    assert_eq!(socket.ask("auth", json!({ "token": sign(&claims) })).await.ok()["name"], "Shop One");
}

#[rstest]
#[tokio::test]
async fn a_token_that_is_not_good_is_unauthorized_everywhere(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = server(on).await;
    let exp = now_s() + 600;
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6OTk5OTk5OTk5OX0.";
    for bad in [
        sign(&json!({ "sub": "alice", "exp": now_s() - 1 })),
        sign(&json!({ "sub": "alice" })),
        sign(&json!({ "exp": exp })),
        sign(&json!({ "sub": "alice", "exp": exp, "nbf": exp })),
        sign_with(&json!({ "sub": "alice", "exp": exp }), "another-secret-that-is-long-enough-0123"),
        none.to_owned(),
        "nonsense".to_owned(),
        JWT_SECRET.to_owned(),
        SERVER_KEY.to_owned(),
    ] {
        assert_eq!(server.bearer(&bad).get("/v1/unread").await.verdict(), (401, "unauthorized"), "{bad}");
        let header = format!("Bearer {bad}");
        assert_eq!(comes_in(&server, "/ws", &[("authorization", &header)]).await, Err(401), "{bad}");
        let mut socket = Socket::anonymous(server.address).await;
        assert_eq!(socket.ask("auth", json!({ "token": bad })).await.code(), "unauthorized", "{bad}");
        assert!(matches!(socket.closed().await, Closed::Frame(4401, _)));
        assert_eq!(socket.expect("bye").await["reconnect"], false);
    }
    // A user's token opens no door of the shop's.
    let user = server.user("alice");
    assert_eq!(user.put("/v1/users/bob", json!({})).await.verdict(), (401, "unauthorized"));
    assert_eq!(user.put("/v1/subjects/item/1", json!({})).await.verdict(), (401, "unauthorized"));
    let body = json!({ "participants": [] });
    assert_eq!(user.put("/v1/conversations/order:1", body.clone()).await.verdict(), (401, "unauthorized"));
    assert_eq!(user.delete("/v1/conversations/order:1/participants/bob").await.verdict(), (401, "unauthorized"));
    assert_eq!(server.anybody().put("/v1/conversations/order:1", body).await.verdict(), (401, "unauthorized"));
    // Before it says who it is, a socket can do nothing.
    let mut socket = Socket::anonymous(server.address).await;
    assert_eq!(socket.ask("conversations", json!({})).await.code(), "unauthorized");
    assert!(matches!(socket.closed().await, Closed::Frame(4401, _)));
}

#[rstest]
#[tokio::test]
async fn a_socket_does_not_outlive_its_token_unless_it_is_renewed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let server = server(on).await;
    let exp = now_s() + 3;
    let short = sign(&json!({ "sub": "alice", "exp": exp }));
    let mut renewed = Socket::anonymous(server.address).await;
    renewed.ask("auth", json!({ "token": short })).await.ok();
    // Somebody else's token is refused, and the connection stays who it was.
    assert_eq!(renewed.ask("auth", json!({ "token": token("bob") })).await.code(), "forbidden");
    assert_eq!(renewed.ask("auth", json!({ "token": "nonsense" })).await.code(), "unauthorized");
    let mut left = Socket::anonymous(server.address).await;
    left.ask("auth", json!({ "token": short })).await.ok();
    let bearer = format!("Bearer {short}");
    let (mut by_header, _) = Socket::with_headers(server.address, &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(renewed.ask("auth", json!({ "token": token("alice") })).await.ok()["user_id"], "alice");
    for socket in [&mut left, &mut by_header] {
        assert!(matches!(socket.closed().await, Closed::Frame(4401, _)));
        let bye = socket.expect("bye").await;
        assert_eq!((&bye["code"], &bye["reconnect"]), (&json!("unauthorized"), &json!(true)), "a fresh token will do");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let end = u128::try_from(exp).unwrap() * 1_000;
        assert!((end..end + 2_000).contains(&now), "closed {} ms after the end", now.saturating_sub(end));
    }
    assert_eq!(server.bearer(&short).get("/v1/unread").await.status, 401, "no leeway");
    renewed.ask("conversations", json!({})).await.ok();
}

#[tokio::test]
async fn a_socket_that_never_says_who_it_is_is_closed() {
    let anonymous = Duration::from_secs(1);
    let server = Server::start_with(On::Sqlite, |settings| settings.limits.auth_timeout = anonymous).await;
    let began = Instant::now();
    let mut socket = Socket::anonymous(server.address).await;
    assert!(matches!(socket.closed().await, Closed::Frame(4401, _)));
    assert!(began.elapsed() >= anonymous && began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
