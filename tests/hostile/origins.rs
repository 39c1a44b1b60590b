//! Origins that look like a good one, on every way in that a page has: WebSocket, Socket.IO's WebSocket, polling, preflight, writing.
//!
//! What lives here: the list and the ways. What must not: judging an origin without a server (`transport::origin` has that).

use reqwest::Method;
use serde_json::json;

use super::polling::Polling;
use super::raw::Raw;
use super::{Besieged, SAID};
use crate::support::rest::token;

const SHOP: &str = "https://shop.example";
/// The shop's other origin, as browsers write it: bücher.example, on a port of its own.
const OTHER: &str = "https://xn--bcher-kva.example:8443";

/// Strange ones, each like a good one in some way.
const FOREIGN: &[&str] = &[
    "null",
    "",
    "*",
    "shop.example",
    "https://evil.example",
    // A part of it, or more than it.
    "https://shop.example.evil.example",
    "https://evil-shop.example",
    "https://evil.shop.example",
    "https://shopXexample",
    "https://shop.exampl",
    "https://example",
    "https://shop.example.",
    "https://.shop.example",
    // Another port or scheme, or the usual port written out, as no browser does.
    "http://shop.example",
    "https://shop.example:444",
    "https://shop.example:80",
    "https://shop.example:443",
    "https://shop.example:0",
    "https://shop.example:",
    "https://shop.example:65536",
    "wss://shop.example",
    "ws://shop.example",
    "ftp://shop.example",
    "file://",
    "file://shop.example",
    "chrome-extension://shop.example",
    "data:text/html,https://shop.example",
    "blob:https://shop.example/1",
    "https:shop.example",
    "https:/shop.example",
    "https:///shop.example",
    "https:\\\\shop.example",
    "//shop.example",
    // Userinfo, paths, queries.
    "https://shop.example@evil.example",
    "https://user@shop.example",
    "https://user:password@shop.example",
    "https://shop.example/",
    "https://shop.example/path",
    "https://shop.example?x",
    "https://shop.example#x",
    "https://evil.example/https://shop.example",
    "https://evil.example?https://shop.example",
    "https://evil.example#https://shop.example",
    "https://evil.example\\@shop.example",
    // Spellings.
    "https://sh%6fp.example",
    "https://shop%2eexample",
    "https://shop.example%00.evil.example",
    "https://shop.example\t.evil.example",
    "https://xn--bcher-kva.example",
    "https://xn--bcher-kva.example.:8443",
    "https://xn--bcher-kvb.example:8443",
    // The address of this machine, which is no stranger in development alone, and in other spellings.
    "http://localhost",
    "http://localhost:3000",
    "http://127.0.0.1",
    "http://2130706433",
    "http://0x7f.1",
    "http://[::1]",
    "http://[::ffff:127.0.0.1]",
    // Several in one.
    "https://shop.example, https://evil.example",
    "https://evil.example, https://shop.example",
    "https://shop.example https://evil.example",
    "https://shop.example,https://shop.example",
];

/// What a browser on the shop's pages, or none at all, sends.
fn good(own: &str) -> Vec<Vec<String>> {
    let one = |origin: &str| vec![origin.to_owned()];
    vec![vec![], one(SHOP), one(OTHER), one(own), one("HTTPS://SHOP.EXAMPLE"), one("https://Shop.example")]
}

/// Everything else: each with what a browser, or a forger, would send as `Origin`.
fn bad(port: u16) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = FOREIGN.iter().map(|origin| vec![(*origin).to_owned()]).collect();
    all.push(vec![format!("http://127.0.0.1:{}", port ^ 1)]);
    all.push(vec![format!("ws://127.0.0.1:{port}")]);
    all.push(vec![format!("https://{}", SAID.repeat(1_000))]);
    // Two headers cannot both be right.
    for (first, second) in
        [(SHOP, "https://evil.example"), ("https://evil.example", SHOP), (SHOP, SHOP), ("null", SHOP)]
    {
        all.push(vec![first.to_owned(), second.to_owned()]);
    }
    all
}

fn lines(origins: &[String]) -> String {
    origins.iter().map(|origin| format!("Origin: {origin}\r\n")).collect()
}

/// A polling session opened with these origins; the answer's status.
async fn polling(besieged: &Besieged, origins: &[String]) -> u16 {
    let mut raw = Raw::connect(besieged.server.address).await;
    let (path, lines) = ("/socket.io/?EIO=4&transport=polling", lines(origins));
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{lines}\r\n", besieged.server.address).as_bytes()).await;
    status(&raw.head().await)
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// A WebSocket's handshake with these origins; the answer's status.
async fn websocket(besieged: &Besieged, path: &str, origins: &[String]) -> u16 {
    let headers = format!("Authorization: Bearer {}\r\n{}", token("alice"), lines(origins));
    let (_, head) = Raw::upgrade(besieged.server.address, path, &headers).await;
    status(&head)
}

/// Tries a page's every way, and whether it came in by it.
async fn ways(besieged: &Besieged, origins: &[String]) -> Vec<(String, bool)> {
    let mut page = besieged.server.user("alice");
    for origin in origins {
        page = page.with("origin", origin);
    }
    let mut ways = Vec::new();
    for (way, path) in [("native", "/ws"), ("Socket.IO", "/socket.io/?EIO=4&transport=websocket")] {
        let status = websocket(besieged, path, origins).await;
        assert!([101, 403].contains(&status), "{way}: {status}");
        ways.push((way.to_owned(), status == 101));
    }
    let status = polling(besieged, origins).await;
    assert!([200, 403].contains(&status), "polling: {status}");
    ways.push(("polling".into(), status == 200));
    let said = page.post(&format!("/v1/conversations/{}/read", besieged.conversation), json!({ "seq": 1 })).await;
    assert!(said.status == 200 || said.verdict() == (403, "forbidden"), "{}", said.text);
    ways.push(("REST".into(), said.status == 200));
    if origins.is_empty() {
        return ways;
    }
    for path in ["/v1/conversations", "/socket.io/?EIO=4&transport=polling", "/api/messages", "/v1/users/bob"] {
        let asked = page.clone().with("access-control-request-method", "POST");
        let asked = asked.with("access-control-request-headers", "authorization,content-type");
        for (way, answer) in
            [("preflight", asked.call(Method::OPTIONS, path, None).await), ("reading", page.get(path).await)]
        {
            let allowed = answer.headers.get("access-control-allow-origin");
            assert!(allowed.is_none_or(|allowed| origins.iter().any(|origin| allowed == origin)), "{allowed:?}");
            ways.push((format!("{way} {path}"), allowed.is_some()));
        }
    }
    ways
}

#[actix_web::test]
async fn only_the_shops_own_pages_come_in_by_any_way() {
    let env = [
        ("HAGGLE_MODE", "production"),
        ("HAGGLE_ALLOWED_ORIGINS", "https://shop.example,https://bücher.example:8443"),
        ("HAGGLE_RATE_LIMITS", "off"),
    ];
    let mut besieged = Besieged::start(&env).await;
    let own = format!("http://{}", besieged.server.address);
    for origins in good(&own) {
        for (way, came_in) in ways(&besieged, &origins).await {
            assert!(came_in, "{way}: {origins:?} was refused");
        }
    }
    for origins in bad(besieged.server.address.port()) {
        for (way, came_in) in ways(&besieged, &origins).await {
            assert!(!came_in, "{way}: {origins:?} came in");
        }
    }
    besieged.is_well("strange origins").await;
    besieged.end().await;
}

#[actix_web::test]
async fn a_session_that_a_good_page_opened_hears_nothing_of_a_bad_one() {
    let env = [("HAGGLE_MODE", "production"), ("HAGGLE_ALLOWED_ORIGINS", SHOP)];
    let besieged = Besieged::start(&env).await;
    let (address, bearer) = (besieged.server.address, format!("Bearer {}", token("alice")));
    let good = Polling::open(address, &[("origin", SHOP), ("authorization", &bearer)]).await;
    for origin in ["null", "https://evil.example", "https://shop.example.evil.example"] {
        let http = reqwest::Client::new();
        for method in [Method::GET, Method::POST] {
            let request = http.request(method, &good.url).header("origin", origin).body("40/shop,{}");
            assert_eq!(request.send().await.expect("an answer").status(), 403, "{origin}");
        }
        // The cookie that its browser adds does not help it.
        let cookie = format!("haggle_token={}", token("alice"));
        let strange = Polling::try_open(address, "", &[("origin", origin), ("cookie", &cookie)]).await;
        assert_eq!(strange.err().map(|(status, _)| status), Some(403), "{origin}");
    }
    assert_eq!(good.post("40/shop,").await.0, 200);
    let cookie = format!("haggle_token={}", token("alice"));
    let mut nobody = Polling::open(address, &[("cookie", &cookie)]).await;
    let refused = nobody.connect("/shop", &json!({})).await.expect_err("a cookie without an origin");
    assert_eq!(refused["data"]["code"], "unauthorized");
    besieged.end().await;
}
