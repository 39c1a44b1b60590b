//! Tokens of every bad kind on every way in: refused as `unauthorized`, and nothing of them logged.
//!
//! What lives here: the ways in. What must not: how a token is made (in `forge`).

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::forge::{bad, claims_with, good, token_of};
use super::polling::Polling;
use super::raw::Raw;
use super::{Besieged, SAID};
use crate::support::client::{Closed, Socket};
use crate::support::rest::{now_s, token};
use crate::support::server::JWT_SECRET;
use crate::support::socketio::SocketIo;

const LIMITS_OFF: (&str, &str) = ("HAGGLE_RATE_LIMITS", "off");

/// Whether a token can stand in an HTTP header as it is.
fn fits_a_header(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A WebSocket handshake's answer: 101, or the status and the code of the refusal.
async fn handshake(besieged: &Besieged, headers: &[(&'static str, &str)]) -> (u16, Value) {
    match Socket::with_headers(besieged.server.address, headers).await {
        Ok(_) => (101, Value::Null),
        Err((status, problem)) => (status, problem["code"].clone()),
    }
}

/// Shows a token on every way that HTTP headers have, and tells what each answered.
async fn by_header(besieged: &Besieged, token: &str) -> [(&'static str, (u16, Value)); 5] {
    let (bearer, cookie) = (format!("Bearer {token}"), format!("haggle_token={token}"));
    let (pair, own) = (format!("haggle.v1, bearer.{token}"), format!("http://{}", besieged.server.address));
    let rest = async |name, value: &str| {
        let answer = besieged.server.anybody().with(name, value).get("/v1/unread").await;
        (answer.status, answer.body["code"].clone())
    };
    [
        ("REST, header", rest("authorization", &bearer).await),
        ("REST, cookie", rest("cookie", &cookie).await),
        ("WebSocket, header", handshake(besieged, &[("authorization", &bearer)]).await),
        ("WebSocket, cookie", handshake(besieged, &[("cookie", &cookie), ("origin", &own)]).await),
        ("WebSocket, subprotocol", handshake(besieged, &[("sec-websocket-protocol", &pair)]).await),
    ]
}

/// Shows a token on every way that takes it as JSON, and tells whether each let it in.
async fn by_json(besieged: &Besieged, token: &Value) -> [(&'static str, Result<(), Value>); 3] {
    let address = besieged.server.address;
    let mut socket = Socket::anonymous(address).await;
    let answer = socket.ask("auth", json!({ "token": token })).await;
    let first_frame = if answer.0["ok"] == true { Ok(()) } else { Err(answer.0["error"]["code"].clone()) };
    if first_frame.is_err() {
        let closed = socket.closed().await;
        assert!(matches!(closed, Closed::Frame(4401 | 4400, _)), "{closed:?}");
    }
    let auth = json!({ "token": token });
    let websocket =
        SocketIo::connect(address, "/shop", &auth).await.map(|_| ()).map_err(|refused| refused["data"]["code"].clone());
    let polling = Polling::open(address, &[])
        .await
        .connect("/shop", &auth)
        .await
        .map_err(|refused| refused["data"]["code"].clone());
    [("native, first frame", first_frame), ("Socket.IO, WebSocket", websocket), ("Socket.IO, polling", polling)]
}

#[actix_web::test]
async fn a_bad_token_opens_no_door_and_leaves_no_trace() {
    let mut besieged = Besieged::start(&[LIMITS_OFF]).await;
    let mut alice = besieged.server.socket("alice").await;
    let mut shop =
        SocketIo::connect(besieged.server.address, "/shop", &json!({ "token": token("alice") })).await.expect("alice");
    let tokens = bad();
    for (what, token) in &tokens {
        if fits_a_header(token) {
            for (way, answer) in by_header(&besieged, token).await {
                // A cookie's value may stand in quotes (RFC 6265 section 4.1.1) or percent-encoded: then it is the good one.
                // And a subprotocol ends at a comma.
                let another = way.ends_with("cookie") && token.contains(['"', '%'])
                    || way.ends_with("subprotocol") && token.contains(',');
                if !another {
                    assert_eq!(answer, (401, json!("unauthorized")), "{what}, {way}");
                }
            }
        }
        for (way, answer) in by_json(&besieged, &json!(token)).await {
            assert_eq!(answer, Err(json!("unauthorized")), "{what}, {way}");
        }
        // In place of a good one, on a connection that stands: it stays who it was.
        assert_eq!(alice.ask("auth", json!({ "token": token })).await.code(), "unauthorized", "{what}");
        assert_eq!(shop.ask("auth", &json!({ "token": token })).await["code"], "unauthorized", "{what}");
    }
    alice.ask("conversations", json!({})).await.ok();
    besieged.is_well("bad tokens").await;
    let log = besieged.server.log();
    for (what, token) in &tokens {
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!log.contains(part), "{what} stands in the log");
        }
    }
    besieged.end().await;
}

#[actix_web::test]
async fn what_a_good_token_carries_besides_is_not_looked_at() {
    let besieged = Besieged::start(&[LIMITS_OFF]).await;
    for (what, token) in good() {
        for (way, (status, code)) in by_header(&besieged, &token).await {
            assert!([101, 200].contains(&status), "{what}, {way}: {status} {code}");
        }
        for (way, answer) in by_json(&besieged, &json!(token)).await {
            assert_eq!(answer, Ok(()), "{what}, {way}");
        }
    }
    besieged.end().await;
}

#[actix_web::test]
async fn what_is_no_token_at_all_is_refused_as_such() {
    let besieged = Besieged::start(&[LIMITS_OFF]).await;
    for odd in [json!(7), json!(true), json!([token("alice")]), json!({ "token": token("alice") }), json!(null)] {
        for (way, answer) in by_json(&besieged, &odd).await {
            let code = answer.expect_err(way);
            assert!(code == "unauthorized" || code == "invalid", "{odd:.20}, {way}: {code}");
        }
    }
    besieged.end().await;
}

#[actix_web::test]
async fn issuer_and_audience_must_be_the_ones_expected() {
    let env = [LIMITS_OFF, ("HAGGLE_JWT_ISSUER", "shop"), ("HAGGLE_JWT_AUDIENCE", "chat")];
    let server = crate::support::server::Process::start(crate::support::On::Sqlite, &env).await;
    let rows = [
        (r#","iss":"shop","aud":"chat""#, true),
        (r#","iss":"shop","aud":["web","chat"]"#, true),
        (r#","iss":"shop""#, false),
        (r#","aud":"chat""#, false),
        (r#","iss":"shop","aud":"Chat""#, false),
        (r#","iss":"shop","aud":"chat ""#, false),
        (r#","iss":"shop","aud":"""#, false),
        (r#","iss":"shop","aud":[]"#, false),
        (r#","iss":"shop","aud":["web"]"#, false),
        (r#","iss":"shop","aud":null"#, false),
        (r#","iss":"shop","aud":{"chat":true}"#, false),
        (r#","iss":"shop","aud":["chat",7]"#, false),
        (r#","iss":"shop.evil.example","aud":"chat""#, false),
        (r#","iss":"SHOP","aud":"chat""#, false),
        (r#","iss":"","aud":"chat""#, false),
        (r#","iss":null,"aud":"chat""#, false),
        (r#","iss":7,"aud":"chat""#, false),
        (r#","iss":["shop"],"aud":"chat""#, false),
        (r#","iss":"shop\u0000","aud":"chat""#, false),
        (r#","iss":"evil","iss":"shop","aud":"chat""#, false),
    ];
    for (more, good) in rows {
        let token = token_of(r#"{"alg":"HS256"}"#, claims_with(more));
        let rest = server.bearer(&token).get("/v1/unread").await;
        assert_eq!(rest.status, if good { 200 } else { 401 }, "{more}");
        let auth = json!({ "token": token });
        assert_eq!(SocketIo::connect(server.address, "/item", &auth).await.is_ok(), good, "{more}");
    }
    assert!(!server.log().contains("evil"), "{}", server.log());
}

#[actix_web::test]
async fn a_token_of_a_megabyte_is_refused_before_it_is_looked_at() {
    let mut besieged = Besieged::start(&[LIMITS_OFF]).await;
    let address = besieged.server.address;
    let claims = format!("{{\"sub\":\"alice\",\"exp\":{},\"x\":\"{}\"}}", now_s() + 600, SAID.repeat(33_000));
    let header = format!("{{\"alg\":\"HS256\",\"kid\":\"{}\"}}", "../".repeat(22_000));
    let (of_claims, of_header) = (token_of(r#"{"alg":"HS256"}"#, claims), token_of(header, claims_with("")));
    assert!(of_claims.len() > 1_000_000 && of_header.len() > 64 * 1024);
    for token in [&of_claims, &of_header, &"x".repeat(1_000_000), &".".repeat(1_000_000)] {
        for name in ["Authorization: Bearer ", "Cookie: haggle_token=", "Sec-WebSocket-Protocol: haggle.v1, bearer."] {
            let mut raw = Raw::connect(address).await;
            raw.send(
                format!("GET /v1/unread HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{name}{token}\r\n\r\n").as_bytes(),
            )
            .await;
            let whole = raw.rest(Duration::from_secs(5)).await.expect("an end");
            assert!(whole.is_empty() || whole.starts_with("HTTP/1.1 4"), "{name}: {whole:.200}");
        }
        let mut socket = Socket::anonymous(address).await;
        socket.try_raw(Message::text(json!({ "id": 1, "type": "auth", "token": token }).to_string())).await;
        assert!(matches!(socket.closed().await, Closed::Frame(1009, _) | Closed::Cut));
        let mut polling = Polling::open(address, &[]).await;
        let answered = polling.post(&format!("40/shop,{}", json!({ "token": token }))).await;
        assert!([400, 413].contains(&answered.0) || polling.connected("/shop").await.is_err(), "{answered:?}");
        let mut sockets = SocketIo::open(address, "/shop").await;
        let joined = sockets.joins(&json!({ "token": token })).await;
        assert!(!matches!(joined, Some(Ok(()))), "a megabyte is taken for a token");
        besieged.is_well("a token of a megabyte").await;
    }
    let log = besieged.server.log();
    assert!(!log.contains("../../") && !log.contains(&"x".repeat(100)), "{log:.2000}");
    besieged.end().await;
}

#[actix_web::test]
async fn a_token_in_a_query_counts_nowhere() {
    let besieged = Besieged::start(&[LIMITS_OFF]).await;
    let (address, good) = (besieged.server.address, token("alice"));
    for name in ["token", "auth", "auth.token", "access_token", "haggle_token", "authorization", "jwt", "auth[token]"] {
        let query = format!("{name}={good}");
        let rest = besieged.server.anybody().get(&format!("/v1/unread?{query}")).await;
        assert_eq!(rest.verdict(), (401, "unauthorized"), "{name}");
        let mut polling = Polling::open_with(address, &format!("&{query}"), &[]).await;
        assert_eq!(
            polling.connect("/shop", &json!({})).await.expect_err(name)["data"]["code"],
            "unauthorized",
            "{name}"
        );
        let (mut socket, _) =
            Socket::open(address, &format!("/ws?{query}"), &[], None).await.expect("a socket of nobody's");
        assert_eq!(socket.ask("conversations", json!({})).await.code(), "unauthorized", "{name}");
    }
    let log = besieged.server.log();
    assert!(!log.contains(JWT_SECRET) && !log.contains(&good[good.len() - 40..]), "a query is logged");
    besieged.end().await;
}
