//! Socket.IO abused against the whole server: requests out of turn, packets that are none, more than anybody may send.
//!
//! What lives here: what comes of it in Haggle. What must not: what the crate `socketio` tests with an application of its own (its
//! `tests/js` have the protocol's every refusal).

use std::time::Duration;

use futures_util::future::join_all;
use haggle::transport::socketio::{MESSAGE_MAX, STRANGER_MAX};
use reqwest::Method;
use serde_json::{Value, json};

use super::polling::Polling;
use super::raw::{Raw, frame, header};
use super::{Besieged, SAID};
use crate::support::rest::token;
use crate::support::socketio::SocketIo;

const LIMITS_OFF: (&str, &str) = ("HAGGLE_RATE_LIMITS", "off");
const SOCKETIO: &str = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

fn text(payload: &[u8]) -> Vec<u8> {
    frame(0x81, payload)
}

fn auth() -> Value {
    json!({ "token": token("alice") })
}

async fn known(besieged: &Besieged) -> Polling {
    let mut session = Polling::open(besieged.server.address, &[]).await;
    session.connect("/shop", &auth()).await.expect("alice");
    session
}

#[actix_web::test]
async fn requests_that_belong_to_no_session_are_refused() {
    let mut besieged = Besieged::start(&[LIMITS_OFF]).await;
    let anybody = besieged.server.anybody();
    let long = "x".repeat(10_000);
    let rows = [
        (Method::GET, "/socket.io/".to_owned(), 0),
        (Method::GET, "/socket.io/?EIO=3&transport=polling".into(), 5),
        (Method::GET, "/socket.io/?EIO=4&EIO=3&transport=polling".into(), 5),
        (Method::GET, "/socket.io/?transport=polling".into(), 5),
        (Method::GET, "/socket.io/?EIO=4&transport=websocket".into(), 3),
        (Method::GET, "/socket.io/?EIO=4&transport=webtransport".into(), 0),
        (Method::GET, "/socket.io/?EIO=4&transport=flashsocket".into(), 0),
        (Method::GET, format!("{SOCKETIO}&sid=nobody"), 1),
        (Method::GET, format!("{SOCKETIO}&sid=%00"), 1),
        (Method::GET, format!("{SOCKETIO}&sid={long}"), 1),
        (Method::GET, format!("{SOCKETIO}&sid=../../etc/passwd"), 1),
        (Method::GET, format!("{SOCKETIO}&sid=%27%20OR%201=1--"), 1),
        (Method::POST, format!("{SOCKETIO}&sid=nobody"), 1),
        (Method::POST, SOCKETIO.into(), 2),
        (Method::PUT, SOCKETIO.into(), 2),
        (Method::DELETE, SOCKETIO.into(), 2),
    ];
    for (method, path, code) in rows {
        let answer = anybody.call(method.clone(), &path, None).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!(code)), "{method} {path:.80}: {}", answer.text);
    }
    besieged.is_well("sessions that are none").await;
    besieged.end().await;
}

#[actix_web::test]
async fn no_answer_can_be_run_as_a_script() {
    // A script element asks without an Origin: what it gets must be no JavaScript (JSONP) in any browser's eyes.
    let besieged = Besieged::start(&[LIMITS_OFF]).await;
    for query in ["&j=0", "&j=0&b64=1", "&callback=alert", "&jsonp=alert"] {
        let answer = besieged.server.anybody().get(&format!("{SOCKETIO}{query}")).await;
        assert!(answer.text.starts_with("0{"), "{query}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "text/plain; charset=UTF-8", "{query}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{query}");
    }
    besieged.end().await;
}

#[actix_web::test]
async fn a_session_out_of_turn_ends_and_harms_nobody() {
    let mut besieged = Besieged::start(&[LIMITS_OFF]).await;
    let address = besieged.server.address;
    for _ in 0..10 {
        // Two polls at once, two posts at once, a session's id on another transport, all at once.
        let polls = Polling::open(address, &[]).await;
        let (first, second) = tokio::join!(polls.poll(), polls.poll());
        assert!(first.0 == 400 || second.0 == 400, "{first:?} {second:?}");
        assert_eq!(polls.poll().await.0, 400, "the session is over");
        let posts = known(&besieged).await;
        let message = format!("42/shop,[\"chat:send_message\",{{\"message\":\"{SAID}\"}}]");
        let statuses = join_all((0..20).map(|_| posts.post(&message))).await;
        assert!(statuses.iter().all(|(status, _)| [200, 400].contains(status)), "{statuses:?}");
        let other = known(&besieged).await;
        let sid = other.url.rsplit_once("sid=").expect("a sid").1.to_owned();
        for query in [format!("transport=websocket&sid={sid}"), format!("transport=polling&sid={sid}&sid=other")] {
            let wrong = besieged.server.anybody().get(&format!("/socket.io/?EIO=4&{query}")).await;
            assert_eq!(wrong.status, 400, "{query}");
        }
        // Twenty upgrades for one place.
        let path = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
        let upgrades = join_all((0..20).map(async |_| {
            let (mut raw, head) = Raw::upgrade(address, &path, "").await;
            raw.send(&[frame(0x81, b"2probe"), frame(0x81, b"5")].concat()).await;
            (raw, head)
        }));
        let mut taken = upgrades.await;
        let mut probed = 0;
        for (raw, _) in &mut taken {
            let mut seen = super::raw::Ending::default();
            let open = raw.until(&mut seen, |seen| seen.texts.iter().any(|text| text == "3probe")).await;
            probed += usize::from(open);
        }
        assert_eq!(probed, 1, "one transport takes over, the others are turned away");
    }
    besieged.is_well("sessions out of turn").await;
    besieged.end().await;
}

/// What is said in a namespace that one is in, and whether the connection goes on.
fn packets() -> Vec<(String, bool)> {
    let mut all: Vec<(String, bool)> = Vec::new();
    let mut row =
        |goes_on: bool, packets: &[String]| all.extend(packets.iter().map(|packet| (packet.clone(), goes_on)));
    // What only the beginning of a session has is passed over.
    row(true, &["0{}".into(), "5".into(), "6".into(), "3".into(), "3probe".into()]);
    // Acknowledgements: any number that JavaScript counts, and nobody's.
    row(
        true,
        &[
            "42/shop,9007199254740991[\"x\"]".into(),
            "43/shop,99[1]".into(),
            "43/shop,9007199254740991[]".into(),
            "43/shop,[]".into(),
        ],
    );
    row(
        false,
        &[
            "42/shop,18446744073709551616[\"x\"]".into(),
            format!("42/shop,{}[\"x\"]", "9".repeat(100_000)),
            "43/shop,-1[1]".into(),
        ],
    );
    // Attachments announced by the billion, or by nothing, or with numbers that are none.
    for count in ["0", "11", "1000000000", "-1", "1e9", "18446744073709551616", "", "x"] {
        row(false, &[format!("45{count}-/shop,[\"x\"]"), format!("46{count}-/shop,1[]")]);
    }
    for number in
        ["1", "-1", "0.5", "1e400", "18446744073709551616", "\"0\"", "null", "[]", "{\"_placeholder\":true,\"num\":0}"]
    {
        row(false, &[format!("451-/shop,[\"x\",{{\"_placeholder\":true,\"num\":{number}}}]")]);
    }
    all.extend(packets_of_names_and_json());
    all
}

/// The same: namespaces, JSON, and what only a server says.
fn packets_of_names_and_json() -> Vec<(String, bool)> {
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let event = |args: &str| format!("42/shop,[\"chat:get_conversations\"{args}]");
    let mut all: Vec<(String, bool)> = Vec::new();
    let mut row =
        |goes_on: bool, packets: &[String]| all.extend(packets.iter().map(|packet| (packet.clone(), goes_on)));
    // Namespaces: unknown ones are refused, and what has no room for a name is no packet.
    row(
        true,
        &[
            "40/nobody,{}".into(),
            format!("40/{},{{}}", "n".repeat(255)),
            "40/__proto__,{}".into(),
            "40/shop?token=x,{}".into(),
            "40//shop,{}".into(),
        ],
    );
    row(
        false,
        &[
            format!("40/{},{{}}", "n".repeat(256)),
            format!("40/{}", "n".repeat(100_000)),
            "42/nobody,[\"x\"]".into(),
            "41/nobody,".into(),
            "40/shop,{}".into(),
        ],
    );
    // JSON.
    row(
        true,
        &[
            event(&format!(",{}", deep(60_000))),
            event(",1e400"),
            event(",-0,1e-400"),
            event(&format!(",{}", "9".repeat(100_000))),
        ],
    );
    row(
        false,
        &[
            event(",NaN"),
            event(","),
            event(",{\"a\":}"),
            "42/shop,{}".into(),
            "42/shop,[]".into(),
            "42/shop,[null]".into(),
        ],
    );
    row(
        false,
        &[
            format!("40/item,{}", deep(60_000)),
            "40/item,[]".into(),
            format!("40/item,{{\"token\":\"{}\"}}", "x".repeat(70_000)),
        ],
    );
    // Packets that only a server sends, pings that only a server sends, and none at all.
    row(false, &["44/shop,{}", "2", "2probe", "", "4", "7", "49", "\u{0}", "€"].map(str::to_owned));
    all
}

#[actix_web::test]
async fn packets_that_are_none_end_their_connection_and_no_other() {
    let mut besieged = Besieged::start(&[LIMITS_OFF]).await;
    for (packet, goes_on) in packets() {
        let mut socket = SocketIo::connect(besieged.server.address, "/shop", &auth()).await.expect("alice");
        socket.write(packet.clone()).await;
        // Answered only by a connection that goes on.
        let asked =
            tokio::time::timeout(Duration::from_secs(10), socket.maybe_ask("chat:get_conversations", &json!({}))).await;
        let asked = asked.unwrap_or_else(|_| panic!("{packet:.100}: neither answered nor closed"));
        assert_eq!(asked.is_some(), goes_on, "{packet:.100}: {asked:?}");
    }
    besieged.is_well("packets that are none").await;
    besieged.end().await;
}

#[actix_web::test]
async fn attachments_that_never_come_hold_up_their_own_connection_alone() {
    let mut besieged = Besieged::start(&[LIMITS_OFF]).await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut socket = SocketIo::connect(besieged.server.address, "/shop", &auth()).await.expect("alice");
        let filling = "x".repeat(100_000);
        socket.write(format!("4510-/shop,[\"x\",{{\"_placeholder\":true,\"num\":0}},\"{filling}\"]")).await;
        waiting.push(socket);
    }
    besieged.is_well("attachments that never come").await;
    drop(waiting);
    // For whoever is in no namespace, or not in this one, none is waited for.
    let announced = text(br#"451-/shop,["x",{"_placeholder":true,"num":0}]"#);
    let (mut raw, _) = Raw::upgrade(besieged.server.address, WEBSOCKET, "").await;
    raw.send(&announced).await;
    assert_eq!(raw.ending().await.close, None);
    let mut other = SocketIo::connect(besieged.server.address, "/item", &auth()).await.expect("alice");
    other.write(r#"451-/shop,["x",{"_placeholder":true,"num":0}]"#.to_owned()).await;
    tokio::time::timeout(Duration::from_secs(5), other.ended()).await.expect("it is closed");
    besieged.end().await;
}

#[actix_web::test]
async fn who_is_in_no_namespace_may_send_little_and_who_is_may_send_all() {
    let mut besieged = Besieged::start(&[LIMITS_OFF]).await;
    let address = besieged.server.address;
    let max = STRANGER_MAX as u64;
    for (sent, close) in [
        (header(0x81, max + 1), Some(1009)),
        (header(0x82, max + 1), Some(1009)),
        (frame(0x01, &vec![b'6'; STRANGER_MAX]), Some(1009)),
        (frame(0x89, b"ping").repeat(STRANGER_MAX / 10 + 1), Some(1009)),
        (text(b"6").repeat(STRANGER_MAX / 6), Some(1009)),
    ] {
        let (mut raw, _) = Raw::upgrade(address, WEBSOCKET, "").await;
        raw.send(&sent).await;
        assert_eq!(raw.ending().await.close, close);
    }
    let (most, more) = ("6".repeat(STRANGER_MAX), "6".repeat(STRANGER_MAX + 1));
    let mut polling = Polling::open(address, &[]).await;
    assert_eq!(polling.post(&more).await.0, 413);
    assert_eq!(polling.post(&most).await.0, 200);
    polling.connect("/shop", &auth()).await.expect("alice");
    assert_eq!(polling.post(&"6".repeat(MESSAGE_MAX)).await.0, 200);
    assert_eq!(polling.post(&"6".repeat(MESSAGE_MAX + 1)).await.0, 413);
    let mut socket = SocketIo::connect(address, "/shop", &auth()).await.expect("alice");
    socket.write("6".repeat(MESSAGE_MAX)).await;
    assert!(socket.ask("chat:get_conversations", &json!({})).await["conversations"].is_array());
    besieged.is_well("large packets").await;
    besieged.end().await;
}

#[actix_web::test]
async fn who_floods_is_told_so_whatever_the_transport_and_neighbours_are_heard() {
    let mut besieged = Besieged::start(&[]).await;
    let mut flood = SocketIo::connect(besieged.server.address, "/shop", &auth()).await.expect("alice");
    let message = json!({ "conversationId": besieged.conversation, "message": SAID });
    for _ in 0..400 {
        flood.write(format!("42/shop,[\"chat:send_message\",{message}]")).await;
    }
    let last = flood.ask("chat:send_message", &message).await;
    assert_eq!(last["code"], "rate_limited", "{last}");
    assert!(last["retryAfter"].as_u64().is_some_and(|seconds| seconds >= 1), "{last}");
    // The same user by polling, a thousand in a body: refused with the others, and the session lives.
    let mut polling = known(&besieged).await;
    let body = vec![format!("42/shop,7[\"chat:send_message\",{message}]"); 500].join("\u{1e}");
    assert_eq!(polling.post(&body).await.0, 200);
    let (mut refused, mut answers) = (0, 0);
    while answers < 500 {
        let (status, body) = polling.poll().await;
        assert_eq!(status, 200, "{body}");
        let packets: Vec<_> = body.split('\u{1e}').filter(|packet| packet.starts_with("43/shop,7")).collect();
        answers += packets.len();
        refused += packets.iter().filter(|packet| packet.contains("rate_limited")).count();
        polling.packets.clear();
    }
    assert!(refused > 400, "{refused} of {answers} were refused");
    let by_rest = besieged.server.user("alice").say(besieged.conversation, SAID).await;
    assert!(by_rest.status == 201 || by_rest.verdict() == (429, "rate_limited"), "{}", by_rest.text);
    besieged.is_well("a flood").await;
    // Bob is another user: what alice spent is hers.
    besieged.neighbour.say(besieged.conversation, "and I?").await;
    let stored = besieged.server.messages("bob", besieged.conversation).await.len();
    assert!(stored < 450, "{stored} messages are stored");
    besieged.end().await;
}

#[actix_web::test]
async fn an_address_that_opens_too_much_is_turned_away_without_shutting_out_who_is_in() {
    let env = [("HAGGLE_CONNECTS_PER_SECOND", "1"), ("HAGGLE_CONNECTS_BURST", "2"), ("HAGGLE_ADDRESS_FACTOR", "10")];
    let mut besieged = Besieged::start(&env).await;
    let address = besieged.server.address;
    // Bad tokens count: they cost the same.
    let bad = [("authorization", "Bearer nonsense")];
    let mut turned_away = 0;
    for _ in 0..60 {
        let refused = crate::support::client::Socket::with_headers(address, &bad).await.err().expect("no socket");
        assert!([401, 429].contains(&refused.0), "{refused:?}");
        turned_away += usize::from(refused.0 == 429);
    }
    assert!(turned_away >= 30, "{turned_away} of 60 alone were turned away");
    let mut sessions = 0;
    for _ in 0..60 {
        sessions += usize::from(Polling::try_open(address, "", &[]).await.is_ok());
    }
    assert!(sessions <= 40, "{sessions} sessions of 60");
    // From elsewhere, as a proxy tells it, one comes in.
    let elsewhere = [("x-forwarded-for", "203.0.113.9")];
    assert!(Polling::try_open(address, "", &elsewhere).await.is_ok());
    besieged.is_well("an address at its limit").await;
    assert!(!besieged.server.log().contains("panicked"));
}
