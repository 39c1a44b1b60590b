//! What a client, a browser or a load balancer notices of the HTTP side: timeouts, CORS, the session
//! cookie. What the official clients notice is in `js/`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{App, HttpServer};
use futures_util::{SinkExt as _, StreamExt as _};
use socketio::engine::{self, CloseReason, Cors};
use socketio::{Builder, Config, Connecting, EventBuilder, Events, SocketIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// The timeout that a test waits for.
const SHORT: Duration = Duration::from_millis(300);

fn serve(engine: engine::Config, build: impl FnOnce(Builder) -> Builder) -> String {
    let events = Arc::new(Events::new());
    let config = Config { engine, ..Config::default() };
    let builder = SocketIo::builder(config)
        .namespace("/", move |connecting: Connecting| std::future::ready(Ok(events.accept(&connecting))));
    let io = build(builder).build();
    let server = HttpServer::new(move || App::new().configure(io.configure("/socket.io/")))
        .workers(1)
        .h1_allow_half_closed(false)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = server.addrs().first().unwrap().to_string();
    actix_web::rt::spawn(server.run());
    address
}

/// One request on a connection of its own; the whole answer, headers in small letters.
async fn ask(address: &str, request: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

const OPEN: &str = "GET /socket.io/?EIO=4&transport=polling";

fn sid(answer: &str) -> String {
    let (_, rest) = answer.split_once("\"sid\":\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

async fn opened(address: &str) -> String {
    sid(&ask(address, OPEN, "", "").await)
}

#[actix_web::test]
async fn an_upgrade_that_is_never_completed_ends_and_polling_goes_on() {
    let address = serve(engine::Config { upgrade_timeout: SHORT, ..engine::Config::default() }, |builder| builder);
    let sid = opened(&address).await;
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket&sid={sid}");
    let (mut socket, _) = connect_async(&url).await.unwrap();
    socket.send(Frame::text("2probe")).await.unwrap();
    let started = Instant::now();
    assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text("3probe"));
    let end = timeout(PATIENCE, socket.next()).await.unwrap();
    assert!(matches!(end, Some(Ok(Frame::Close(_)))), "{end:?}");
    assert!(started.elapsed() >= SHORT / 2, "{:?}", started.elapsed());

    let post = format!("POST /socket.io/?EIO=4&transport=polling&sid={sid}");
    assert!(ask(&address, &post, "content-length: 2\r\n", "40").await.ends_with("ok"));
    let polled = ask(&address, &format!("{OPEN}&sid={sid}"), "", "").await;
    assert!(polled.contains("40{\"sid\":"), "{polled}");
    drop(socket);
    // Nobody holds the place for an upgrade any more.
    let free = async {
        loop {
            let (mut again, _) = connect_async(&url).await.unwrap();
            again.send(Frame::text("2probe")).await.unwrap();
            if again.next().await.unwrap().unwrap() == Frame::text("3probe") {
                break;
            }
        }
    };
    assert!(timeout(PATIENCE, free).await.is_ok());
}

#[actix_web::test]
async fn what_waits_is_told_before_the_end_and_in_a_payload_of_its_own() {
    let events = Arc::new(Events::new());
    let address = serve(engine::Config::default(), move |builder| {
        builder.namespace("/over", move |connecting: Connecting| {
            let socket = connecting.socket().clone();
            actix_web::rt::spawn(async move {
                tokio::time::sleep(SHORT / 10).await;
                socket.emit(&EventBuilder::new("last").arg(&"words")).unwrap();
                socket.session().close(CloseReason::ForcedServerClose);
            });
            std::future::ready(Ok(events.accept(&connecting)))
        })
    });
    let sid = opened(&address).await;
    let post = format!("POST /socket.io/?EIO=4&transport=polling&sid={sid}");
    assert!(ask(&address, &post, "content-length: 8\r\n", "40/over,").await.ends_with("ok"));
    // Nobody polls meanwhile.
    tokio::time::sleep(SHORT).await;
    let poll = format!("{OPEN}&sid={sid}");
    let mut payloads = Vec::new();
    while payloads.last().is_none_or(|last: &String| last != "1") {
        let answer = ask(&address, &poll, "", "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        payloads.push(answer.split_once("\r\n\r\n").unwrap().1.to_owned());
    }
    // The official client ends at a `1` before it looks at what came with it.
    assert_eq!(payloads.len(), 2, "{payloads:?}");
    assert!(payloads.first().unwrap().ends_with("42/over,[\"last\",\"words\"]"), "{payloads:?}");
}

#[actix_web::test]
async fn a_post_that_declares_and_does_not_send_ends_its_session() {
    let address = serve(engine::Config { post_timeout: SHORT, ..engine::Config::default() }, |builder| builder);
    let sid = opened(&address).await;
    let post = format!("POST /socket.io/?EIO=4&transport=polling&sid={sid}");
    let started = Instant::now();
    let answer = ask(&address, &post, "content-length: 100\r\n", "40").await;
    assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let polled = ask(&address, &format!("{OPEN}&sid={sid}"), "", "").await;
    assert!(polled.starts_with("HTTP/1.1 400"), "{polled}");
}

#[actix_web::test]
async fn pages_of_allowed_origins_may_read_the_answers_and_others_may_not() {
    let address = serve(engine::Config::default(), |builder| {
        builder.engine(|engine| engine.cors(Cors::new(|origin| origin == "https://shop.example")))
    });
    let own = ask(&address, OPEN, "origin: https://shop.example\r\n", "").await;
    assert!(own.contains("access-control-allow-origin: https://shop.example\r\n"), "{own}");
    assert!(own.contains("access-control-allow-credentials: true\r\n"), "{own}");
    assert!(own.contains("vary: Origin\r\n"), "{own}");
    let foreign = ask(&address, OPEN, "origin: https://evil.example\r\n", "").await;
    assert!(!foreign.contains("access-control-"), "{foreign}");
    assert!(foreign.contains("vary: Origin\r\n"), "{foreign}");
    // An error is readable too.
    let error = format!("{OPEN}&sid=nobody");
    let error = ask(&address, &error, "origin: https://shop.example\r\n", "").await;
    assert!(error.contains("access-control-allow-origin: https://shop.example\r\n"), "{error}");

    let asked = "access-control-request-method: POST\r\naccess-control-request-headers: x-shop\r\n";
    let preflight = "OPTIONS /socket.io/?EIO=4&transport=polling";
    let own = format!("origin: https://shop.example\r\n{asked}");
    let answer = ask(&address, preflight, &own, "").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(answer.contains("access-control-allow-methods: GET, POST\r\n"), "{answer}");
    assert!(answer.contains("access-control-allow-headers: x-shop\r\n"), "{answer}");
    let foreign = format!("origin: https://evil.example\r\n{asked}");
    let answer = ask(&address, preflight, &foreign, "").await;
    assert!(!answer.contains("access-control-"), "{answer}");
}

#[actix_web::test]
async fn the_session_cookie_is_set_once_on_either_transport() {
    let address =
        serve(engine::Config { cookie: Some("io".to_owned()), ..engine::Config::default() }, |builder| builder);
    let answer = ask(&address, OPEN, "", "").await;
    let id = sid(&answer);
    let cookie = format!("set-cookie: io={id}; Path=/; HttpOnly; SameSite=Lax\r\n");
    assert!(answer.contains(&cookie), "{answer}");
    let post = format!("POST /socket.io/?EIO=4&transport=polling&sid={id}");
    let answer = ask(&address, &post, "content-length: 2\r\n", "40").await;
    assert!(!answer.contains("set-cookie"), "{answer}");

    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let (mut socket, answer) = connect_async(url).await.unwrap();
    let id = sid(&socket.next().await.unwrap().unwrap().into_text().unwrap());
    let cookie = answer.headers().get("set-cookie").unwrap().to_str().unwrap();
    assert_eq!(cookie, format!("io={id}; Path=/; HttpOnly; SameSite=Lax"));
}
