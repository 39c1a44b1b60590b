//! What an application notices: its actors as sinks, broadcasts, tickets, limits, recovery, shutdown.
//! What clients notice is in `js/` and `python/`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use actix_web::{App, HttpServer};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use socketio::engine::{self, CloseReason, EmitError, Refused};
use socketio::recovery::{Claim, Recovered, RecoveryStore, SavedSocket};
use socketio::{
    Accepted, Builder, Config, Connecting, DisconnectReason, EventBuilder, Events, Refusal, Socket, SocketEvent,
    SocketIo,
};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

#[path = "support/client.rs"]
mod client;

use client::{Client, PATIENCE};

type Log = Arc<Mutex<Vec<String>>>;

/// An application's session: answers, and writes down what it hears.
struct Session {
    socket: Socket,
    log: Log,
}

impl Actor for Session {
    type Context = Context<Self>;
}

impl Handler<SocketEvent> for Session {
    type Result = ();

    fn handle(&mut self, event: SocketEvent, ctx: &mut Context<Self>) {
        match event {
            SocketEvent::Connected => assert!(self.socket.is_connected()),
            SocketEvent::Event(event) => {
                self.log.lock().unwrap().push(format!("{} {}", event.name, event.args.as_json()));
                if let Some(ack) = event.ack {
                    ack.send(&EventBuilder::new("").json(event.args.as_json())).unwrap();
                }
            }
            SocketEvent::Disconnected(reason) => {
                assert!(self.socket.disconnected().is_some());
                self.log.lock().unwrap().push(reason.as_str().to_owned());
                ctx.stop();
            }
        }
    }
}

#[derive(Clone, Default)]
struct Seen {
    log: Log,
    sockets: Arc<Mutex<Vec<Socket>>>,
}

impl Seen {
    fn join(&self, connecting: &Connecting) -> Result<Accepted, Refusal> {
        let socket = connecting.socket().clone();
        self.sockets.lock().unwrap().push(socket.clone());
        let session = Session { socket, log: Arc::clone(&self.log) }.start();
        Ok(session.recipient::<SocketEvent>().into())
    }

    fn last(&self) -> Socket {
        self.sockets.lock().unwrap().last().unwrap().clone()
    }

    async fn wait_for(&self, line: &str) {
        let seen = async {
            while !self.log.lock().unwrap().iter().any(|own| own == line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, seen).await.is_ok(), "{line} not in {:?}", self.log.lock().unwrap());
    }
}

/// Serves what `build` describes, with one namespace whose sockets `Seen` looks after.
fn serve(config: Config, build: impl FnOnce(Builder) -> Builder) -> (SocketIo, Seen, String) {
    let seen = Seen::default();
    let joining = seen.clone();
    let builder = SocketIo::builder(config).namespace("/shop", move |connecting| {
        let joined = joining.join(&connecting);
        async move { joined }
    });
    let io = build(builder).build();
    let mounted = io.clone();
    let server = HttpServer::new(move || App::new().configure(mounted.configure("/socket.io/"))).workers(1);
    let server = server.h1_allow_half_closed(false).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs().first().unwrap().to_string();
    actix_web::rt::spawn(server.run());
    (io, seen, address)
}

fn say(number: usize) -> EventBuilder {
    EventBuilder::new("say").arg(&number)
}

#[actix_web::test]
async fn an_actor_hears_events_in_order_and_answers() {
    let (_, seen, address) = serve(Config::default(), |builder| builder);
    let (mut client, answer) = Client::join(&address, "40/shop,").await;
    assert!(answer.starts_with("40/shop,{\"sid\":\""), "{answer}");
    for number in 0..100 {
        client.say(&format!("42/shop,[\"say\",{number}]")).await;
    }
    client.say("42/shop,7[\"last\",\"é\"]").await;
    assert_eq!(client.hear().await, "43/shop,7[\"é\"]");
    let expected: Vec<_> = (0..100).map(|number| format!("say {number}")).chain(["last \"é\"".to_owned()]).collect();
    assert_eq!(*seen.log.lock().unwrap(), expected);
    client.say("41/shop,").await;
    seen.wait_for("client namespace disconnect").await;
}

#[actix_web::test]
async fn what_a_client_says_before_it_goes_is_heard() {
    const COUNT: usize = 5_000;
    for round in 0..3 {
        let (_, seen, address) = serve(Config::default(), |builder| builder);
        let (mut client, _) = Client::join(&address, "40/shop,").await;
        for number in 0..COUNT {
            client.say(&format!("42/shop,[\"say\",{number}]")).await;
        }
        // Without a Close frame, and with one.
        if round > 0 {
            client.0.close(None).await.unwrap();
        }
        drop(client);
        seen.wait_for("transport close").await;
        assert_eq!(seen.log.lock().unwrap().len(), COUNT + 1);
    }
}

#[actix_web::test]
async fn one_encoded_packet_reaches_many_and_its_flush_is_known() {
    let (io, seen, address) = serve(Config::default(), |builder| builder);
    let (mut alice, _) = Client::join(&address, "40/shop,").await;
    let first = seen.last();
    let (mut bob, _) = Client::join(&address, "40/shop,").await;
    let packet = say(1).encode("/shop", None, Some("offset")).unwrap();
    let ticket = first.emit_encoded(&packet).unwrap();
    seen.last().emit_encoded(&packet).unwrap();
    assert_eq!(alice.hear().await, "42/shop,[\"say\",1,\"offset\"]");
    assert_eq!(bob.hear().await, "42/shop,[\"say\",1,\"offset\"]");
    timeout(PATIENCE, first.session().wait_flushed(ticket)).await.unwrap().unwrap();
    assert!(first.flushed() >= ticket);

    first.join("room");
    assert_eq!(io.of("/shop").to("room").emit(&say(2)).unwrap(), 1);
    assert_eq!(io.of("/shop").except("room").emit(&say(3)).unwrap(), 1);
    assert_eq!(io.of("/shop").to(first.id()).emit(&say(4)).unwrap(), 1);
    assert_eq!(io.of("/nowhere").emit(&say(5)).unwrap(), 0);
    assert_eq!(alice.hear().await, "42/shop,[\"say\",2]");
    assert_eq!(alice.hear().await, "42/shop,[\"say\",4]");
    assert_eq!(bob.hear().await, "42/shop,[\"say\",3]");

    first.disconnect(true);
    assert_eq!(alice.hear().await, "41/shop,");
    assert_eq!(alice.hear().await, "closed");
    seen.wait_for("server namespace disconnect").await;
    assert_eq!(first.emit_encoded(&packet), Err(EmitError::Closed));
}

#[actix_web::test]
async fn what_is_emitted_before_connect_is_answered_follows_the_answer() {
    let (_, _, address) = serve(Config::default(), |builder| {
        builder.namespace("/early", |connecting: Connecting| async move {
            connecting.socket().emit(&say(1)).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            connecting.socket().emit(&say(2)).unwrap();
            Ok(Arc::new(Events::new()).accept(&connecting))
        })
    });
    let (mut client, answer) = Client::join(&address, "40/early,").await;
    assert!(answer.starts_with("40/early,"), "{answer}");
    assert_eq!(client.hear().await, "42/early,[\"say\",1]");
    assert_eq!(client.hear().await, "42/early,[\"say\",2]");
}

#[actix_web::test]
async fn a_client_that_is_shown_the_door_at_once_hears_that_it_was_let_in() {
    let (_, seen, address) = serve(Config::default(), |builder| {
        builder.dynamic(
            |name| name.starts_with("/door"),
            |connecting: Connecting| async move {
                let socket = connecting.socket();
                socket.emit(&say(1)).unwrap();
                socket.disconnect(socket.namespace() == "/door-closed");
                assert!(socket.disconnected().is_some());
                assert!(socket.emit(&say(2)).is_err());
                Ok(Arc::new(Events::new()).accept(&connecting))
            },
        )
    });
    let (mut client, answer) = Client::join(&address, "40/door,").await;
    assert!(answer.starts_with("40/door,{\"sid\""), "{answer}");
    assert_eq!(client.hear().await, "42/door,[\"say\",1]");
    assert_eq!(client.hear().await, "41/door,");
    // The connection is still there, and the namespace free to be joined again.
    client.say("40/shop,").await;
    assert!(client.hear().await.starts_with("40/shop,"));
    client.say("40/door-closed,").await;
    assert!(client.hear().await.starts_with("40/door-closed,"));
    assert_eq!(client.hear().await, "42/door-closed,[\"say\",1]");
    assert_eq!(client.hear().await, "41/door-closed,");
    assert_eq!(client.hear().await, "41/shop,");
    assert_eq!(client.hear().await, "closed");
    seen.wait_for("server namespace disconnect").await;
}

#[actix_web::test]
async fn more_than_may_wait_is_streamed_by_pacing() {
    const COUNT: usize = 3_000;
    let config = Config {
        engine: engine::Config { max_outgoing_bytes: 100_000, ..engine::Config::default() },
        ..Config::default()
    };
    let (_, seen, address) = serve(config, |builder| builder);
    let (mut client, _) = Client::join(&address, "40/shop,").await;
    let socket = seen.last();
    let text = "a".repeat(1_000);
    actix_web::rt::spawn(async move {
        for number in 0..COUNT {
            socket.session().wait_below(50_000).await.unwrap();
            let event = EventBuilder::new("say").arg(&number).arg(&text);
            socket.emit(&event).unwrap();
        }
    });
    for number in 0..COUNT {
        let heard = client.hear().await;
        assert!(heard.starts_with(&format!("42/shop,[\"say\",{number},")), "{number}");
    }
}

#[actix_web::test]
async fn a_refusal_carries_message_and_data() {
    let (_, _, address) = serve(Config::default(), |builder| {
        builder.dynamic(
            |name| name.starts_with("/closed-"),
            |connecting: Connecting| async move {
                let data =
                    serde_json::json!({ "code": "unauthorized", "peer": connecting.request().peer_addr().is_some() });
                Err(Refusal::new("No").data(data))
            },
        )
    });
    let (_, answer) = Client::join(&address, "40/closed-1,").await;
    assert_eq!(answer, "44/closed-1,{\"data\":{\"code\":\"unauthorized\",\"peer\":true},\"message\":\"No\"}");
}

#[actix_web::test]
async fn a_foreign_origin_is_refused_on_every_transport() {
    let (_, _, address) = serve(Config::default(), |builder| {
        builder.engine(|engine| {
            engine.check(|request| match request.headers().get("origin") {
                Some(_) => Err(Refused::default()),
                None => Ok(()),
            })
        })
    });
    let mut request = format!("ws://{address}/socket.io/?EIO=4&transport=websocket").into_client_request().unwrap();
    request.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    let Err(Error::Http(answer)) = connect_async(request).await else { panic!("not refused") };
    assert_eq!(answer.status().as_u16(), 403);
    assert_eq!(answer.body().as_deref(), Some(b"{\"code\":4,\"message\":\"Forbidden\"}".as_slice()));
}

#[actix_web::test]
async fn a_reader_that_takes_nothing_is_cut_off_and_others_are_not() {
    let config = Config {
        engine: engine::Config { max_outgoing_bytes: 100_000, ..engine::Config::default() },
        ..Config::default()
    };
    let (_, seen, address) = serve(config, |builder| builder);
    let (stalled, _) = Client::join(&address, "40/shop,").await;
    let socket = seen.last();
    let packet = EventBuilder::new("say").arg(&"a".repeat(10_000)).encode("/shop", None, None).unwrap();
    let sent = timeout(PATIENCE, async {
        loop {
            // The kernel's buffers take some megabytes first.
            if let Err(error) = socket.emit_encoded(&packet) {
                return error;
            }
            assert!(socket.session().waiting_bytes() <= 100_000);
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(sent.await.unwrap(), EmitError::SlowReader);
    seen.wait_for("slow reader").await;
    assert_eq!(socket.disconnected(), Some(DisconnectReason::Connection(CloseReason::SlowReader)));
    assert_eq!(socket.session().waiting_bytes(), 0);
    drop(stalled);
    let (_, answer) = Client::join(&address, "40/shop,").await;
    assert!(answer.starts_with("40/shop,"));
}

#[actix_web::test]
async fn a_reader_that_stalls_with_something_waiting_is_cut_off_in_time() {
    let config = Config {
        engine: engine::Config { slow_reader_timeout: Duration::from_millis(400), ..engine::Config::default() },
        ..Config::default()
    };
    let (_, seen, address) = serve(config, |builder| builder);
    let (_stalled, _) = Client::join(&address, "40/shop,").await;
    let socket = seen.last();
    let packet = EventBuilder::new("say").arg(&"a".repeat(10_000)).encode("/shop", None, None).unwrap();
    let fill = async {
        loop {
            if socket.session().waiting_bytes() > 500_000 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else if socket.emit_encoded(&packet).is_err() {
                break;
            }
        }
    };
    timeout(PATIENCE, fill).await.unwrap();
    seen.wait_for("slow reader").await;
}

#[actix_web::test]
async fn shutdown_says_close_and_not_disconnect() {
    let (io, seen, address) = serve(Config::default(), |builder| builder);
    let (mut client, _) = Client::join(&address, "40/shop,").await;
    seen.last().emit(&say(1)).unwrap();
    let hears = async {
        assert_eq!(client.hear().await, "42/shop,[\"say\",1]");
        assert_eq!(client.hear().await, "closed");
    };
    let (all_heard, ()) = futures_util::future::join(io.shutdown(PATIENCE), hears).await;
    assert!(all_heard);
    seen.wait_for("server shutting down").await;
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let Err(Error::Http(answer)) = connect_async(url).await else { panic!("not refused") };
    assert_eq!(answer.status().as_u16(), 503);
}

#[actix_web::test]
async fn a_client_may_be_in_so_many_namespaces_and_no_more() {
    let (_, _, address) = serve(Config::default(), |builder| {
        let events = Arc::new(Events::new());
        builder.dynamic(|_| true, move |connecting: Connecting| std::future::ready(Ok(events.accept(&connecting))))
    });
    let mut client = Client::open(&address).await;
    for number in 0..32 {
        client.say(&format!("40/any{number},")).await;
        assert!(client.hear().await.starts_with("40/any"));
    }
    client.say("40/one-more,").await;
    assert_eq!(client.hear().await, "closed");
}

/// A store such as one on a database: it knows who a socket belongs to, and gives it back once.
#[derive(Debug, Default)]
struct Store {
    sockets: Mutex<Vec<SavedSocket>>,
}

impl RecoveryStore for Store {
    fn opened(&self, socket: &SavedSocket) {
        self.sockets.lock().unwrap().push(socket.clone());
    }

    fn closed(&self, socket: SavedSocket, recoverable: bool) {
        if !recoverable {
            self.sockets.lock().unwrap().retain(|own| own.pid != socket.pid);
        }
    }

    fn take<'a>(&'a self, claim: Claim<'a>) -> LocalBoxFuture<'a, Option<Recovered>> {
        async move {
            if !claim.auth.contains("alice") {
                return None;
            }
            let mut sockets = self.sockets.lock().unwrap();
            let place = sockets.iter().position(|own| own.pid == claim.pid && own.namespace == claim.namespace)?;
            let saved = sockets.swap_remove(place);
            Some(Recovered { sid: saved.sid, rooms: vec!["room".to_owned()], missed: Vec::new() })
        }
        .boxed_local()
    }
}

#[actix_web::test]
async fn a_socket_is_recovered_once_and_by_its_own_user() {
    let (io, seen, address) = serve(Config::default(), |builder| builder.recovery(Arc::new(Store::default())));
    let (client, answer) = Client::join(&address, "40/shop,{\"user\":\"alice\"}").await;
    let socket = seen.last();
    let (sid, pid) = (socket.id().to_owned(), socket.pid().unwrap().to_owned());
    assert_eq!(answer, format!("40/shop,{{\"sid\":\"{sid}\",\"pid\":\"{pid}\"}}"));
    drop(client);
    seen.wait_for("transport close").await;

    let claim = |user: &str| format!("40/shop,{{\"user\":\"{user}\",\"pid\":\"{pid}\",\"offset\":\"o1\"}}");
    let (_bob, answer) = Client::join(&address, &claim("bob")).await;
    assert!(!answer.contains(&sid) && !answer.contains(&pid), "{answer}");
    let (mut alice, answer) = Client::join(&address, &claim("alice")).await;
    assert_eq!(answer, format!("40/shop,{{\"sid\":\"{sid}\",\"pid\":\"{pid}\"}}"));
    assert!(seen.last().is_recovered());
    assert_eq!(io.of("/shop").to("room").emit(&say(1)).unwrap(), 1);
    assert_eq!(alice.hear().await, "42/shop,[\"say\",1]");
}

#[actix_web::test]
async fn a_store_that_survives_brings_sockets_back_after_a_restart() {
    let store = Arc::new(Store::default());
    let kept = Arc::clone(&store);
    let (first, seen, address) = serve(Config::default(), |builder| builder.recovery(kept));
    let (mut client, _) = Client::join(&address, "40/shop,{\"user\":\"alice\"}").await;
    let socket = seen.last();
    let (sid, pid) = (socket.id().to_owned(), socket.pid().unwrap().to_owned());
    let (all_heard, end) = futures_util::future::join(first.shutdown(PATIENCE), client.hear()).await;
    assert!(all_heard);
    assert_eq!(end, "closed");

    let (second, seen, address) = serve(Config::default(), |builder| builder.recovery(store));
    let claim = format!("40/shop,{{\"user\":\"alice\",\"pid\":\"{pid}\",\"offset\":\"o1\"}}");
    let (mut client, answer) = Client::join(&address, &claim).await;
    assert_eq!(answer, format!("40/shop,{{\"sid\":\"{sid}\",\"pid\":\"{pid}\"}}"));
    assert!(seen.last().is_recovered());
    assert_eq!(second.of("/shop").to("room").emit(&say(1)).unwrap(), 1);
    assert_eq!(client.hear().await, "42/shop,[\"say\",1]");
    let (_, answer) =
        Client::join(&address, "40/shop,{\"user\":\"alice\",\"pid\":\"made up\",\"offset\":\"o1\"}").await;
    assert!(!answer.contains(&sid), "{answer}");
}
