//! HTTP requests that cannot be served: on every route, in every way, refused as a problem with a `code`.
//!
//! What lives here: methods, paths, queries, headers and bodies. What must not: slowness (in `slow`).

use super::raw::Raw;
use super::{Besieged, SAID};
use crate::support::rest::token;
use crate::support::server::SERVER_KEY;

/// One request as bytes, without `Host` and `Connection`.
struct Sent {
    what: String,
    line: String,
    headers: String,
    body: Vec<u8>,
}

/// Every route that takes a body: its line, and whether the shop's backend calls it.
const WITH_BODY: [(&str, bool); 6] = [
    ("POST /v1/conversations", false),
    ("POST /v1/conversations/order:1/messages", false),
    ("POST /v1/conversations/order:1/read", false),
    ("PUT /v1/users/carol", true),
    ("PUT /v1/subjects/order/9", true),
    ("PUT /v1/conversations/order:9", true),
];

/// Every route that takes none, likewise.
const WITHOUT_BODY: [(&str, bool); 6] = [
    ("GET /v1/conversations", false),
    ("GET /v1/conversations/order:1", false),
    ("GET /v1/conversations/order:1/messages", false),
    ("GET /v1/unread", false),
    ("GET /v1/users/bob/presence", false),
    ("DELETE /v1/conversations/order:9/participants/bob", true),
];

/// Sends one and reads its answer: status, code, and the whole for the message of a failure.
async fn answer(besieged: &Besieged, sent: &Sent) -> (u16, String, String) {
    let mut raw = Raw::connect(besieged.server.address).await;
    let Sent { line, headers, body, .. } = sent;
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n");
    raw.send(head.as_bytes()).await;
    raw.send(body).await;
    let whole = raw.rest(std::time::Duration::from_secs(5)).await.unwrap_or_else(|| panic!("{}: no end", sent.what));
    let status = whole.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = whole.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let code = problem["code"].as_str().unwrap_or_default().to_owned();
    if !code.is_empty() {
        assert!(
            whole.to_ascii_lowercase().contains("content-type: application/problem+json"),
            "{}: {whole}",
            sent.what
        );
        assert_eq!(problem["status"], status, "{}: {whole}", sent.what);
        assert!(!problem["detail"].as_str().unwrap_or_default().is_empty(), "{}: {whole}", sent.what);
    }
    assert!(!whole.contains(SAID), "{}: what was sent is repeated: {whole}", sent.what);
    (status, code, whole)
}

fn bearer(shop: bool) -> String {
    format!("Authorization: Bearer {}\r\n", if shop { SERVER_KEY.to_owned() } else { token("alice") })
}

fn json(line: &str, headers: &str, body: impl Into<Vec<u8>>) -> Sent {
    let body = body.into();
    let shown = String::from_utf8_lossy(&body).chars().take(60).collect::<String>();
    let headers = format!("{headers}Content-Type: application/json\r\n");
    Sent { what: format!("{line} {shown}"), line: line.to_owned(), headers, body }
}

fn get(path: &str) -> Sent {
    Sent { what: path.to_owned(), line: format!("GET {path}"), headers: bearer(false), body: Vec::new() }
}

async fn check(besieged: &mut Besieged, rows: Vec<(Sent, u16, &str)>) {
    for (sent, status, code) in rows {
        let (seen, seen_code, whole) = answer(besieged, &sent).await;
        assert_eq!((seen, seen_code.as_str()), (status, code), "{}: {whole}", sent.what);
    }
    besieged.is_well("bad requests").await;
}

#[actix_web::test]
async fn a_body_that_cannot_be_read_is_refused_on_every_route() {
    let mut besieged = Besieged::start(&[("HAGGLE_RATE_LIMITS", "off")]).await;
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    let mut bodies: Vec<(Vec<u8>, u16, &str)> =
        ["", " ", "{", "nul", "null", "7", "[]", "\"x\"", "{}x", "{\"a\":1,}", "\u{feff}{}"]
            .iter()
            .map(|body| (body.as_bytes().to_vec(), 400, "invalid"))
            .collect();
    bodies.push((SAID.into(), 400, "invalid"));
    bodies.push((deep("[", "]").into(), 400, "invalid"));
    bodies.push((b"{\"x\":\"\xff\"}".to_vec(), 400, "invalid"));
    for (line, shop) in WITH_BODY {
        let large = if line.starts_with("PUT /v1/conversations") { 4 * 1024 * 1024 + 1 } else { 64 * 1024 + 1 };
        let mut rows: Vec<_> = bodies
            .iter()
            .map(|(body, status, code)| (json(line, &bearer(shop), body.clone()), *status, *code))
            .collect();
        rows.push((json(line, &bearer(shop), vec![b' '; large]), 413, "too_large"));
        for kind in [
            "",
            "Content-Type: text/plain\r\n",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "Content-Type: application/jsonx\r\n",
        ] {
            let headers = format!("{}{kind}", bearer(shop));
            let body = format!("{{\"body\":\"{SAID}\"}}").into_bytes();
            rows.push((Sent { what: format!("{line} {kind}"), line: line.to_owned(), headers, body }, 400, "invalid"));
        }
        let squeezed = format!("{}Content-Encoding: gzip\r\n", bearer(shop));
        rows.push((json(line, &squeezed, &b"\x1f\x8b\x08\x00"[..]), 400, "invalid"));
        check(&mut besieged, rows).await;
    }
    besieged.end().await;
}

#[actix_web::test]
async fn a_field_that_is_missing_or_wrong_is_named() {
    let mut besieged = Besieged::start(&[("HAGGLE_RATE_LIMITS", "off")]).await;
    let user = bearer(false);
    let shop = bearer(true);
    let say = |body: String| json("POST /v1/conversations/order:1/messages", &user, body);
    let read = |body: &str| json("POST /v1/conversations/order:1/read", &user, body);
    let open = |body: &str| json("POST /v1/conversations", &user, body);
    let put_user = |body: &str| json("PUT /v1/users/carol", &shop, body);
    let put = |body: &str| json("PUT /v1/conversations/order:9", &shop, body);
    let subject = |body: &str| json("PUT /v1/subjects/order/9", &shop, body);
    let text = |text: &str| serde_json::json!({ "body": text }).to_string();
    let rows = vec![
        (say("{}".into()), 400, "invalid"),
        (say(r#"{"body":5}"#.into()), 400, "invalid"),
        (say(r#"{"body":null}"#.into()), 400, "invalid"),
        (say(text("")), 400, "invalid"),
        (say(text(" \n ")), 400, "invalid"),
        (say(text("a\0b")), 400, "invalid"),
        (say(r#"{"body":"\ud800"}"#.into()), 400, "invalid"),
        (say(r#"{"body":"\udc00\ud800"}"#.into()), 400, "invalid"),
        (read(r#"{"seq":1e999}"#), 400, "invalid"),
        (say(text(&"ü".repeat(4_001))), 413, "too_large"),
        (say(r#"{"body":"x","body":"y"}"#.into()), 400, "invalid"),
        (say(format!(r#"{{"body":"x","client_id":"{}"}}"#, "c".repeat(65))), 400, "invalid"),
        (say(r#"{"body":"x","client_id":7}"#.into()), 400, "invalid"),
        (read("{}"), 400, "invalid"),
        (read(r#"{"seq":-1}"#), 400, "invalid"),
        (read(r#"{"seq":1.0}"#), 400, "invalid"),
        (read(r#"{"seq":"1"}"#), 400, "invalid"),
        (read(r#"{"seq":9223372036854775807}"#), 400, "invalid"),
        (read(r#"{"seq":99999999999999999999}"#), 400, "invalid"),
        (open("{}"), 400, "invalid"),
        (open(r#"{"participants":[]}"#), 400, "invalid"),
        (open(r#"{"participants":[{"user_id":"alice"}]}"#), 400, "invalid"),
        (open(r#"{"participants":["bob"]}"#), 400, "invalid"),
        (open(r#"{"participants":[{"user_id":""}]}"#), 400, "invalid"),
        (open(r#"{"participants":[{"user_id":"a\u0000"}]}"#), 400, "invalid"),
        (open(r#"{"participants":[{"user_id":"bob"}],"subject":{"kind":"car","id":"1"}}"#), 400, "invalid"),
        (open(r#"{"participants":[{"user_id":"bob"}],"subject":{"kind":"item","id":""}}"#), 400, "invalid"),
        (open(r#"{"participants":[{"user_id":"bob"}],"title":"a\nb"}"#), 400, "invalid"),
        (put_user(r#"{"status":"gone"}"#), 400, "invalid"),
        (put_user(r#"{"name":7}"#), 400, "invalid"),
        (put_user(r#"{"name":""}"#), 400, "invalid"),
        (put_user(r#"{"role":"r\u001b[31m"}"#), 400, "invalid"),
        (put("{}"), 400, "invalid"),
        (put(r#"{"participants":[{"user_id":5}]}"#), 400, "invalid"),
        (put(r#"{"participants":[{}]}"#), 400, "invalid"),
        (put(r#"{"participants":[],"kind":"a kind of more than thirty-two bytes"}"#), 400, "invalid"),
        (put(r#"{"participants":[],"subject":{"kind":"order"}}"#), 400, "invalid"),
        (
            put(&serde_json::json!({"participants": vec![serde_json::json!({"user_id": "x"}); 10_001]}).to_string()),
            413,
            "too_large",
        ),
        (subject(r#"{"owner_id":""}"#), 400, "invalid"),
        (subject(r#"{"url":7}"#), 400, "invalid"),
        (json("PUT /v1/subjects/car/9", &shop, "{}"), 400, "invalid"),
        (json("PUT /v1/conversations/42", &shop, r#"{"participants":[]}"#), 400, "invalid"),
    ];
    check(&mut besieged, rows).await;
    besieged.end().await;
}

#[actix_web::test]
async fn a_path_or_query_that_cannot_be_read_is_refused() {
    let mut besieged = Besieged::start(&[("HAGGLE_RATE_LIMITS", "off")]).await;
    let mut rows = Vec::new();
    for query in [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=",
        "before=-1",
        "after=9007199254740992",
        "before=1&after=1",
        "limit=1&limit=2",
        "before=%00",
        "after=99999999999999999999",
    ] {
        rows.push((get(&format!("/v1/conversations/order:1/messages?{query}")), 400, "invalid"));
    }
    for query in ["cursor=x", "cursor=1", "cursor=%ff", "limit=-5", "cursor=1.99999999999999999999"] {
        rows.push((get(&format!("/v1/conversations?{query}")), 400, "invalid"));
    }
    for (id, status, code) in [
        ("0", 400, "invalid"),
        ("9007199254740992", 400, "invalid"),
        ("99999999999999999999999", 400, "invalid"),
        ("%00", 400, "invalid"),
        ("a%0ab", 400, "invalid"),
        ("%1b%5b31m", 400, "invalid"),
        (&"k".repeat(257), 400, "invalid"),
        ("-1", 404, "not_found"),
        ("%", 404, "not_found"),
        ("%zz", 404, "not_found"),
        ("%f", 404, "not_found"),
        ("%ff%fe", 404, "not_found"),
        ("%c0%af", 404, "not_found"),
        ("%ed%a0%80", 404, "not_found"),
        ("order:1%2f..%2f..", 404, "not_found"),
        ("%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404, "not_found"),
        ("'%20or%201=1--", 404, "not_found"),
        ("a|b", 404, "not_found"),
        ("999999", 404, "not_found"),
    ] {
        for end in ["", "/messages"] {
            rows.push((get(&format!("/v1/conversations/{id}{end}")), status, code));
        }
    }
    check(&mut besieged, rows).await;
    besieged.end().await;
}

#[actix_web::test]
async fn a_path_that_is_not_there_is_told_so() {
    let mut besieged = Besieged::start(&[("HAGGLE_RATE_LIMITS", "off")]).await;
    let mut rows = Vec::new();
    for (path, status, code) in [
        ("/v1/users/%00/presence", 400, "invalid"),
        ("/v1/users/%ff/presence", 404, "not_found"),
        ("/v1/users//presence", 404, "not_found"),
        ("/v1/users/mallory/presence", 404, "not_found"),
        ("/v1/conversations/", 404, "not_found"),
        ("/v1", 404, "not_found"),
        ("//", 404, "not_found"),
        ("/../../etc/passwd", 404, "not_found"),
        ("/js/..%2f..%2fCargo.toml", 404, "not_found"),
        ("/js/%2e%2e/index.html", 404, "not_found"),
        ("/css/%00", 404, "not_found"),
        ("/dev/token", 400, "invalid"),
        ("/dev/token?userId=", 400, "invalid"),
        ("/dev/token?userId=%00", 400, "invalid"),
        ("/dev/token?userId=a&userId=b", 400, "invalid"),
        ("/ws", 400, "invalid"),
    ] {
        rows.push((get(path), status, code));
    }
    check(&mut besieged, rows).await;
    besieged.end().await;
}

#[actix_web::test]
async fn nobody_and_the_wrong_caller_are_told_so_on_every_route() {
    let mut besieged = Besieged::start(&[("HAGGLE_RATE_LIMITS", "off")]).await;
    let mut rows = Vec::new();
    for (line, shop) in WITH_BODY.into_iter().chain(WITHOUT_BODY) {
        let wrong = [
            String::new(),
            bearer(!shop),
            format!("Authorization: Bearer {SAID}\r\n"),
            "Authorization: Bearer\r\n".to_owned(),
            "Authorization: Basic YWxpY2U6\r\n".to_owned(),
            "Authorization: Bearer \u{fc}\r\n".to_owned(),
            format!("Authorization: Bearer {}\r\n", "x".repeat(20_000)),
            format!("Cookie: haggle_token={SAID}\r\n"),
        ];
        rows.extend(wrong.into_iter().map(|headers| (json(line, &headers, "{}"), 401, "unauthorized")));
        if !line.starts_with("GET") {
            let headers = format!("{}Origin: https://evil.example\r\n", bearer(shop));
            rows.push((json(line, &headers, "{}"), 403, "forbidden"));
        }
    }
    check(&mut besieged, rows).await;
    besieged.end().await;
}

#[actix_web::test]
async fn a_method_that_a_path_does_not_know_is_refused_with_a_code() {
    let mut besieged = Besieged::start(&[]).await;
    let mut rows = Vec::new();
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "OPTIONS"] {
        for path in [
            "/ws",
            "/healthz",
            "/readyz",
            "/metrics",
            "/v1/unread",
            "/",
            "/js/demo.js",
            "/openapi.json",
            "/asyncapi.json",
            "/dev/token?userId=a",
        ] {
            let line = format!("{method} {path}");
            rows.push((Sent { what: line.clone(), line, headers: bearer(false), body: Vec::new() }, 404, "not_found"));
        }
    }
    for line in [
        "DELETE /v1/conversations/order:1",
        "PATCH /v1/conversations/order:1/messages",
        "GET /v1/conversations/order:1/read",
    ] {
        rows.push((
            Sent { what: line.into(), line: line.into(), headers: bearer(false), body: Vec::new() },
            404,
            "not_found",
        ));
    }
    check(&mut besieged, rows).await;
    besieged.end().await;
}

#[actix_web::test]
async fn what_is_no_http_is_refused_and_closed() {
    let mut besieged = Besieged::start(&[]).await;
    let many = (0..200).map(|n| format!("X-{n}: {n}\r\n")).collect::<String>();
    let rows = [
        b"\r\n\r\n\x00\x01\x02\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_vec(),
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_vec(),
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1_000_000)).into_bytes(),
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1_000_000)).into_bytes(),
        [b"GET / HTTP/1.1\r\nHost: a\r\n \xff\xfe: ".to_vec(), SAID.into(), b"\r\n\r\n".to_vec()].concat(),
    ];
    for bytes in rows {
        let shown = String::from_utf8_lossy(&bytes).chars().take(80).collect::<String>();
        let mut raw = Raw::connect(besieged.server.address).await;
        raw.send(&bytes).await;
        let whole = raw.rest(std::time::Duration::from_secs(5)).await.unwrap_or_else(|| panic!("{shown:?}: left open"));
        let refused = whole.is_empty() || whole.starts_with("HTTP/1.1 4");
        assert!(refused, "{shown:?}: {whole}");
    }
    besieged.is_well("no HTTP").await;
    besieged.end().await;
}
