//! What goes wrong at an awkward moment and must leave nothing behind, and lose nothing: handlers that
//! panic, ends while others begin, events from many threads. Hostile clients are in `js/hostile.test.js`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use actix_web::{App, HttpServer};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use socketio::engine::{self, CloseReason};
use socketio::recovery::{Claim, MemoryStore, Recorded, Recovered, RecoveryStore, SavedSocket};
use socketio::{Accepted, Builder, Config, Connecting, DisconnectReason, Event, EventBuilder, Events, Sink, SocketIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[path = "support/client.rs"]
mod client;

use client::{Client, PATIENCE};

/// Long enough for another thread to do what it is not to do yet.
const A_MOMENT: Duration = Duration::from_millis(50);

fn serve(config: Config, workers: usize, build: impl FnOnce(Builder) -> Builder) -> (SocketIo, String) {
    let io = build(SocketIo::builder(config)).build();
    let mounted = io.clone();
    let server = HttpServer::new(move || App::new().configure(mounted.configure("/socket.io/"))).workers(workers);
    let server = server.h1_allow_half_closed(false).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs().first().unwrap().to_string();
    actix_web::rt::spawn(server.run());
    (io, address)
}

async fn wait_until(what: &str, reached: impl Fn() -> bool) {
    let waiting = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

fn say(number: usize) -> EventBuilder {
    EventBuilder::new("say").arg(&number)
}

/// The `sid` and `pid` of an answer to CONNECT.
fn ids(answer: &str) -> (String, String) {
    let value = |name: &str| {
        let (_, rest) = answer.split_once(&format!("\"{name}\":\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    (value("sid"), value("pid"))
}

#[actix_web::test]
async fn a_session_that_ends_while_its_client_is_let_in_leaves_nothing() {
    let gone = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&gone);
    let events = Arc::new(Events::new().on_disconnect(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    let (io, address) = serve(Config::default(), 1, |builder| {
        builder.namespace("/", move |connecting: Connecting| {
            connecting.socket().session().close(CloseReason::ForcedClose);
            std::future::ready(Ok(events.accept(&connecting)))
        })
    });
    for round in 1..=5 {
        let (_, answer) = Client::join(&address, "40").await;
        assert_eq!(answer, "closed");
        wait_until("the sink heard of the end", || gone.load(Ordering::Relaxed) == round).await;
    }
    assert_eq!(io.of("/").sockets().len(), 0);
}

#[actix_web::test]
async fn a_handler_that_panics_takes_its_own_client_along_and_no_other() {
    let gone = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&gone);
    let events = Events::new()
        .on("boom", || async { panic!("on purpose") })
        .on("well", |ack: socketio::Ack| async move { drop(ack.send(&say(1))) })
        .on_disconnect(move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            panic!("again");
        });
    let events = Arc::new(events);
    let (io, address) = serve(Config::default(), 1, |builder| {
        builder.namespace("/", move |connecting: Connecting| std::future::ready(Ok(events.accept(&connecting))))
    });
    let (mut neighbour, _) = Client::join(&address, "40").await;
    let (mut client, _) = Client::join(&address, "40").await;
    client.say("42[\"boom\"]").await;
    assert_eq!(client.hear().await, "closed");
    wait_until("its session is forgotten", || io.sessions() == 1).await;
    assert_eq!((io.of("/").sockets().len(), gone.load(Ordering::Relaxed)), (1, 1));
    neighbour.say("427[\"well\"]").await;
    assert_eq!(neighbour.hear().await, "437[1]");
}

/// Takes its time for each event.
struct Slow(Arc<Mutex<Vec<String>>>);

impl Sink for Slow {
    fn event(&mut self, event: Event) -> Option<LocalBoxFuture<'static, ()>> {
        self.0.lock().unwrap().push(event.args.as_json().to_owned());
        Some(tokio::time::sleep(A_MOMENT / 5).boxed_local())
    }

    fn disconnected(&mut self, reason: DisconnectReason) {
        self.0.lock().unwrap().push(reason.as_str().to_owned());
    }
}

#[actix_web::test]
async fn a_post_that_has_arrived_is_heard_though_its_client_goes() {
    const COUNT: usize = 30;
    let log = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&log);
    let (_, address) = serve(Config::default(), 1, |builder| {
        builder.namespace("/", move |_: Connecting| std::future::ready(Ok(Accepted::new(Slow(Arc::clone(&log))))))
    });
    let ask = async |method: &str, sid: &str, body: &str| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!("{method} /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nhost: a\r\n");
        let rest = format!("connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all((head + &rest).as_bytes()).await.unwrap();
        stream
    };
    let read = async |mut stream: TcpStream| {
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    };
    let opened = read(ask("GET", "", "").await).await;
    let sid = format!("&sid={}", opened.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap());
    assert!(read(ask("POST", &sid, "40").await).await.ends_with("ok"));
    let packets: Vec<_> = (0..COUNT).map(|number| format!("42[\"say\",{number}]")).collect();
    let cut = ask("POST", &sid, &packets.join("\u{1e}")).await;
    wait_until("it has begun", || !heard.lock().unwrap().is_empty()).await;
    drop(cut);
    wait_until("all is heard", || heard.lock().unwrap().len() >= COUNT).await;
    let expected: Vec<_> = (0..COUNT).map(|number| number.to_string()).collect();
    assert_eq!(*heard.lock().unwrap(), expected);
    // The last one has taken its time, too: the place is free for another POST.
    tokio::time::sleep(A_MOMENT).await;
    assert!(read(ask("POST", &sid, "1").await).await.ends_with("ok"));
}

fn recovering(store: Arc<dyn RecoveryStore>) -> impl FnOnce(Builder) -> Builder {
    let events = Arc::new(Events::new());
    let handler = move |connecting: Connecting| std::future::ready(Ok(events.accept(&connecting)));
    move |builder| builder.recovery(store).namespace("/", handler)
}

#[actix_web::test]
async fn more_than_may_be_sent_at_once_is_not_recovered_and_ends_nobody() {
    let engine = engine::Config { max_outgoing_bytes: 50_000, ..engine::Config::default() };
    let store = Arc::new(MemoryStore::new(PATIENCE));
    let (io, address) = serve(Config { engine, ..Config::default() }, 1, recovering(store));
    let (mut client, answer) = Client::join(&address, "40").await;
    let (sid, pid) = ids(&answer);
    io.of("/").emit(&say(1)).unwrap();
    let heard = client.hear().await;
    let offset = heard.rsplit('"').nth(1).unwrap().to_owned();
    drop(client);
    wait_until("it is gone", || io.of("/").sockets().is_empty()).await;
    for _ in 0..10 {
        io.of("/").emit(&EventBuilder::new("long").arg(&"a".repeat(10_000))).unwrap();
    }
    let claim = format!("40{{\"pid\":\"{pid}\",\"offset\":\"{offset}\"}}");
    let (mut client, answer) = Client::join(&address, &claim).await;
    assert!(answer.starts_with("40{") && !answer.contains(&sid), "{answer}");
    io.of("/").emit(&say(2)).unwrap();
    assert!(client.hear().await.starts_with("42[\"say\",2,"));
}

#[actix_web::test]
async fn who_is_cut_off_while_it_recovers_may_recover_again() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let events = Arc::new(Events::new());
    let (io, address) = serve(Config::default(), 1, |builder| {
        builder.recovery(Arc::new(MemoryStore::new(PATIENCE))).namespace("/", move |connecting: Connecting| {
            if connecting.socket().is_recovered() && attempts.fetch_add(1, Ordering::Relaxed) == 0 {
                connecting.socket().session().close(CloseReason::TransportClose);
            }
            std::future::ready(Ok(events.accept(&connecting)))
        })
    });
    let (mut client, answer) = Client::join(&address, "40").await;
    let (sid, pid) = ids(&answer);
    io.of("/").sockets().pop().unwrap().join("room");
    io.of("/").emit(&say(1)).unwrap();
    let heard = client.hear().await;
    let offset = heard.rsplit('"').nth(1).unwrap().to_owned();
    drop(client);
    wait_until("it is gone", || io.of("/").sockets().is_empty()).await;
    io.of("/").to("room").emit(&say(2)).unwrap();
    let claim = format!("40{{\"pid\":\"{pid}\",\"offset\":\"{offset}\"}}");
    let (_, answer) = Client::join(&address, &claim).await;
    assert_eq!(answer, "closed");
    wait_until("its end was seen", || io.of("/").sockets().is_empty()).await;
    let (mut client, answer) = Client::join(&address, &claim).await;
    assert!(answer.contains(&sid), "{answer}");
    assert!(client.hear().await.starts_with("42[\"say\",2,"));
}

/// A store in memory that also writes down in which order events came, and may stop on the way.
#[derive(Debug)]
struct Watched {
    store: MemoryStore,
    offsets: Mutex<Vec<String>>,
    io: OnceLock<SocketIo>,
}

impl Watched {
    fn new() -> Arc<Self> {
        Arc::new(Self { store: MemoryStore::new(PATIENCE), offsets: Mutex::default(), io: OnceLock::new() })
    }
}

impl RecoveryStore for Watched {
    fn offset(&self) -> Option<String> {
        self.store.offset()
    }

    fn record(&self, event: Recorded) {
        self.offsets.lock().unwrap().push(event.offset.clone());
        self.store.record(event);
    }

    fn closed(&self, socket: SavedSocket, recoverable: bool) {
        self.store.closed(socket, recoverable);
    }

    fn take<'a>(&'a self, claim: Claim<'a>) -> LocalBoxFuture<'a, Option<Recovered>> {
        let taken = self.store.take(claim);
        async move {
            let recovered = taken.await;
            if let Some(io) = self.io.get().cloned() {
                thread::spawn(move || io.of("/").emit(&say(99)).unwrap());
                thread::sleep(A_MOMENT);
            }
            recovered
        }
        .boxed_local()
    }
}

#[actix_web::test]
async fn events_from_many_threads_reach_a_client_in_the_order_of_the_store() {
    const THREADS: usize = 4;
    const EACH: usize = 1_000;
    let store = Watched::new();
    let (io, address) = serve(Config::default(), 1, recovering(Arc::clone(&store) as Arc<dyn RecoveryStore>));
    let (mut client, _) = Client::join(&address, "40").await;
    let socket = io.of("/").sockets().pop().unwrap();
    for number in 0..THREADS {
        let (io, socket) = (io.clone(), socket.clone());
        thread::spawn(move || {
            for _ in 0..EACH {
                if number % 2 == 0 {
                    drop(io.of("/").emit(&say(number)));
                } else {
                    drop(socket.emit(&say(number)));
                }
            }
        });
    }
    let mut heard = Vec::new();
    while heard.len() < THREADS * EACH {
        heard.push(client.hear().await.rsplit('"').nth(1).unwrap().to_owned());
    }
    assert!(heard == *store.offsets.lock().unwrap(), "what was missed is told by the last offset");
}

#[actix_web::test]
async fn nothing_is_lost_between_what_was_missed_and_what_comes_next() {
    let store = Watched::new();
    let (io, address) = serve(Config::default(), 1, recovering(Arc::clone(&store) as Arc<dyn RecoveryStore>));
    let (mut client, answer) = Client::join(&address, "40").await;
    let (sid, pid) = ids(&answer);
    io.of("/").emit(&say(1)).unwrap();
    let heard = client.hear().await;
    let offset = heard.rsplit('"').nth(1).unwrap().to_owned();
    drop(client);
    wait_until("it is gone", || io.of("/").sockets().is_empty()).await;
    io.of("/").emit(&say(2)).unwrap();
    store.io.set(io).unwrap();
    let claim = format!("40{{\"pid\":\"{pid}\",\"offset\":\"{offset}\"}}");
    let (mut client, answer) = Client::join(&address, &claim).await;
    assert!(answer.contains(&sid), "{answer}");
    assert!(client.hear().await.starts_with("42[\"say\",2,"));
    assert!(client.hear().await.starts_with("42[\"say\",99,"));
}

/// Gives a state back though its socket is still there: its client came back before its end was noticed.
#[derive(Debug)]
struct Eager(OnceLock<String>);

impl RecoveryStore for Eager {
    fn closed(&self, _: SavedSocket, _: bool) {}

    fn take<'a>(&'a self, _: Claim<'a>) -> LocalBoxFuture<'a, Option<Recovered>> {
        let sid = self.0.get().cloned();
        let recovered = sid.map(|sid| Recovered { sid, rooms: vec!["new".to_owned()], missed: Vec::new() });
        std::future::ready(recovered).boxed_local()
    }
}

#[actix_web::test]
async fn a_socket_that_is_late_to_go_does_not_take_its_successor_along() {
    let store = Arc::new(Eager(OnceLock::new()));
    let (io, address) = serve(Config::default(), 1, recovering(Arc::clone(&store) as Arc<dyn RecoveryStore>));
    let (late, answer) = Client::join(&address, "40").await;
    let (sid, pid) = ids(&answer);
    io.of("/").sockets().pop().unwrap().join("old");
    store.0.set(sid.clone()).unwrap();
    let (mut client, answer) = Client::join(&address, &format!("40{{\"pid\":\"{pid}\",\"offset\":\"a\"}}")).await;
    assert!(answer.contains(&sid), "{answer}");
    assert_eq!(io.of("/").to("old").sockets().len(), 0);
    drop(late);
    wait_until("the late one is gone", || io.sessions() == 1).await;
    assert_eq!(io.of("/").to("new").emit(&say(1)).unwrap(), 1);
    assert_eq!(client.hear().await, "42[\"say\",1]");
}
