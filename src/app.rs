//! The application: puts the parts together, runs them, and takes them down in order.
//!
//! What lives here: start-up and shutdown. What must not: what any part does.

mod banner;
mod metrics;
mod threads;

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ::socketio::SocketIo;
use actix::{Actor, Arbiter, Recipient};
use actix_cors::Cors;
use actix_http::HttpService;
use actix_service::IntoServiceFactory;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::{info, warn};
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::{Config as SwaggerConfig, SwaggerUi};

use self::threads::Threads;
use crate::actor::Control;
use crate::actor::directory::Directory;
use crate::actor::persistence::{Reader, Settle, Writer};
use crate::actor::presence::Presence;
use crate::actor::receipts::{Receipts, Recorder};
use crate::actor::recovery::{Keeper, Save};
use crate::actor::room::{Room, Services};
use crate::actor::session::Patience;
use crate::auth::Tokens;
use crate::chat::{Chat, House, Limits, Rate, Rates};
use crate::config::{self, Mode, RootVocabulary, Settings};
use crate::protocol::Timestamp;
use crate::store::{Direction, Options, Store, StoreError, Writer as Connection};
use crate::transport::gate::Gate;
use crate::transport::origin::{Origins, Verdict};
use crate::transport::rest::{self, book, native, operations, order, provisioning, shop};
use crate::transport::{Shared, pages, socketio, upgrade, websocket};
use crate::vocabulary::Vocabulary;

/// How often limits that nobody is near are forgotten.
const TIDY_UP_EVERY: Duration = Duration::from_secs(60);
/// How often durations that were measured are summed up, so that they do not gather where nobody asks for them.
const SUM_UP_EVERY: Duration = Duration::from_secs(5);
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;
/// Bytes that the kernel may hold for one peer that does not read; without it some 3 MB.
#[cfg(target_os = "linux")]
const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// How long clients may take to send a request's head.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take to end a connection that was answered for the last time.
const FAREWELL_AFTER_ANSWER: Duration = Duration::from_secs(1);
/// How long what is left to write may take when everyone has gone, and how long the database may take to close.
const SETTLE_WITHIN: Duration = Duration::from_millis(750);
/// How long sockets may take to close when they have been sent off: a little longer than a pump waits for its peer.
const FAREWELL_WITHIN: Duration = Duration::from_millis(2_500);
/// How long requests that are under way when everyone has gone may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// How often going down looks whether all is out.
const DRAIN_STEP: Duration = Duration::from_millis(20);
/// After going down, clients come back spread over so long.
const RECONNECT_SPREAD_MS: std::ops::Range<u64> = 500..5_000;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address.
    #[error("cannot listen on {0}: {1}; is another server running there? Choose another with --port")]
    Listen(String, std::io::Error),
    /// The server itself.
    #[error("the server failed: {0}")]
    Server(#[from] std::io::Error),
}

/// A server that listens; not yet running.
pub struct Application {
    server: Server,
    address: SocketAddr,
    shared: web::Data<Shared>,
    metrics: PrometheusHandle,
    sockets: SocketIo,
    store: Store,
    /// The thread of the actors that speak to the database.
    database: Arbiter,
    settling: Settling,
    shutdown_timeout: Duration,
}

/// Who may have something left to write when everyone has gone.
struct Settling {
    /// What sockets have noted: rooms write it, so the threads must still be there.
    noted: Recipient<Settle>,
    /// In this order, when nothing more can come.
    last: Vec<Recipient<Settle>>,
}

impl Application {
    /// Connects the database, applies what is pending, starts the actors and listens.
    ///
    /// # Errors
    /// What stands in the way, in words.
    pub async fn build(settings: Settings) -> Result<Self, AppError> {
        let listener = listen(&settings)?;
        let url = settings.database_url.expose_secret();
        let limits = settings.limits;
        let options = Options { connections: limits.database_connections, timeout: limits.database_timeout };
        let (database, url) = (Arbiter::new(), url.to_owned());
        let opening = threads::run_on(&database, async move {
            let store = Store::connect(&url, options).await?;
            for migration in store.migrate(Direction::Up).await? {
                info!(migration, "applied");
            }
            let writer = store.writer().await?;
            Ok::<_, StoreError>((store, writer))
        });
        let opened = opening.await.ok_or_else(|| std::io::Error::other("the database's thread ended"));
        let (store, writer) = opened?.inspect_err(|_| _ = database.stop())?;
        let metrics = metrics::recorder();
        let (shared, threads, settling) = assemble(&settings, &store, writer, &database);
        let shared = web::Data::new(shared);
        let address = listener.local_addr()?;
        let sockets = socketio::server(&shared, root(settings.root_vocabulary));
        let server = serve_on(listener, &settings, shared.clone(), metrics.clone(), (sockets.clone(), threads))?;
        Ok(Self {
            server,
            address,
            shared,
            metrics,
            sockets,
            store,
            database,
            settling,
            shutdown_timeout: limits.shutdown_timeout,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until `stop` is there, then goes down in order: nobody new comes in, what is under way is committed and answered,
    /// every socket is told to come back, and the database is closed last.
    ///
    /// # Errors
    /// When the server fails by itself.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> Result<(), AppError> {
        let Self { server, shared, metrics, sockets, store, database, settling, shutdown_timeout, .. } = self;
        let handle = server.handle();
        let chat = shared.chat.clone();
        let tidying = actix_web::rt::spawn(async move {
            loop {
                sleep(TIDY_UP_EVERY).await;
                chat.tidy_up();
            }
        });
        let summing = actix_web::rt::spawn(async move {
            loop {
                sleep(SUM_UP_EVERY).await;
                metrics.run_upkeep();
            }
        });
        let running = actix_web::rt::spawn(server);
        tokio::pin!(stop);
        tokio::select! {
            () = &mut stop => {}
            ended = running => return Ok(ended.map_err(std::io::Error::other)??),
        }
        tidying.abort();
        summing.abort();
        send_off(&shared, &sockets, shutdown_timeout).await;
        // A worker that has no request ends with the rooms on it, which others may wait for.
        handle.pause().await;
        let began = Instant::now();
        while shared.writing.load(Ordering::Acquire) > 0 && began.elapsed() < ANSWERED_WITHIN {
            sleep(DRAIN_STEP).await;
        }
        settle(&settling.noted).await;
        handle.stop(true).await;
        for last in &settling.last {
            settle(last).await;
        }
        drop(tokio::time::timeout(SETTLE_WITHIN, store.close()).await);
        database.stop();
        info!("down");
        Ok(())
    }
}

/// Runs the server until a signal asks it to go down.
///
/// # Errors
/// What stands in the way of starting, or made it fail.
pub async fn serve(settings: Settings) -> Result<(), AppError> {
    // Every socket is a file; the soft limit of many systems is 1,024. What is allowed is taken.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(%error, "the limit of open files stays as it is");
    }
    let banner = banner::Banner::of(&settings);
    let application = Application::build(settings).await?;
    banner.print(application.address());
    application.run_until_stopped(signalled()).await
}

/// Applies, takes back or shows migrations.
///
/// # Errors
/// What stands in the way.
pub async fn migrate(settings: Settings, what: crate::cli::Migrate) -> Result<(), AppError> {
    let limits = settings.limits;
    let options = Options { connections: 1, timeout: limits.database_timeout };
    let store = Store::connect(settings.database_url.expose_secret(), options).await?;
    banner::migrations(&store, what).await?;
    store.close().await;
    Ok(())
}

/// What is spoken in `/`.
const fn root(setting: RootVocabulary) -> Vocabulary {
    match setting {
        RootVocabulary::Item => Vocabulary::Item,
        RootVocabulary::Book => Vocabulary::Book,
        RootVocabulary::Order => Vocabulary::Order,
        RootVocabulary::Group => Vocabulary::Group,
        RootVocabulary::Shop => Vocabulary::Shop,
    }
}

/// Starts the actors and puts the parts together.
fn assemble(
    settings: &Settings,
    store: &Store,
    connection: Connection,
    database: &Arbiter,
) -> (Shared, Arc<Threads>, Settling) {
    let writer = Writer::start_in_arbiter(&database.handle(), move |_| Writer::new(connection));
    let reader_store = store.clone();
    let reader = Reader::start_in_arbiter(&database.handle(), move |_| Reader::new(reader_store));
    let threads = Arc::new(Threads::new(writer.clone()));
    let directory = Arc::new_cyclic(|weak: &std::sync::Weak<Directory>| {
        let (weak, threads, reader) = (weak.clone(), Arc::clone(&threads), reader.clone());
        Directory::new(Box::new(move |conversation, waiting| {
            // The directory itself is asking, so it is there; and whoever asks it came in on one of the threads.
            let (directory, thread) = (weak.upgrade()?, threads.of(conversation)?);
            let services = Services { directory, reader: reader.clone(), writer: thread.courier };
            Some(Room::wake(conversation, waiting, services, &thread.arbiter))
        }))
    });
    let presence = {
        let directory = Arc::clone(&directory);
        Presence::start_in_arbiter(&database.handle(), move |_| Presence::new(directory, reader))
    };
    let tokens =
        Arc::new(Tokens::new(&settings.jwt_secret, settings.jwt_issuer.clone(), settings.jwt_audience.clone()));
    let receipts = Arc::new(Receipts::default());
    let recorder = {
        let (receipts, directory) = (Arc::clone(&receipts), Arc::clone(&directory));
        Recorder::start_in_arbiter(&database.handle(), move |_| Recorder::new(receipts, directory))
    };
    let keeper_store = store.clone();
    let keeper = Keeper::start_in_arbiter(&database.handle(), move |_| Keeper::new(keeper_store));
    let settling = Settling {
        noted: recorder.recipient(),
        last: vec![writer.recipient(), presence.clone().recipient(), keeper.clone().recipient()],
    };
    let shared = share(settings, store, directory, presence, (receipts, keeper.recipient()), tokens);
    (shared, threads, settling)
}

/// The rates that limits go by.
const fn rates(limits: &config::Limits) -> Rates {
    Rates {
        messages: Rate { per_second: limits.messages_per_second, burst: limits.messages_burst },
        joins: Rate { per_second: limits.joins_per_second, burst: limits.joins_burst },
        typing: Rate { per_second: limits.typing_per_second, burst: limits.typing_burst },
        connects: Rate { per_second: limits.connects_per_second, burst: limits.connects_burst },
        commands: Rate { per_second: limits.commands_per_second, burst: limits.commands_burst },
        address_factor: limits.address_factor,
    }
}

fn share(
    settings: &Settings,
    store: &Store,
    directory: Arc<Directory>,
    presence: actix::Addr<Presence>,
    (receipts, keeper): (Arc<Receipts>, Recipient<Save>),
    tokens: Arc<Tokens>,
) -> Shared {
    let limits = settings.limits;
    let rate_limits = if settings.rate_limits { Limits::new(rates(&limits)) } else { Limits::off() };
    let verify = Arc::clone(&tokens);
    let chat = Chat::new(House {
        store: store.clone(),
        directory,
        presence,
        limits: rate_limits,
        receipts,
        keeper,
        began: Timestamp::now(),
        verify: Box::new(move |token| verify.verify(token)),
        keys: dashmap::DashMap::new(),
        pairs: dashmap::DashMap::new(),
    });
    let count = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let by_address = if settings.rate_limits { count(limits.connections_per_address) } else { usize::MAX };
    let development = settings.mode == Mode::Development;
    Shared {
        chat,
        tokens,
        server_key: settings.server_key.clone(),
        origins: Origins::new(&settings.allowed_origins, development),
        gate: Arc::new(Gate::new(count(limits.max_connections), by_address)),
        patience: Patience { slow_reader: settings.slow_reader, anonymous: limits.auth_timeout },
        session_buffer_bytes: limits.session_buffer_bytes,
        development,
        writing: Arc::default(),
    }
}

/// Listens, so that a taken port is told before anything else is.
fn listen(settings: &Settings) -> Result<TcpListener, AppError> {
    use socket2::{Domain, Protocol, Socket, Type};
    use std::net::ToSocketAddrs;
    let place = format!("{}:{}", settings.host, settings.port);
    let fail = |error| AppError::Listen(place.clone(), error);
    let mut addresses = (settings.host.as_str(), settings.port).to_socket_addrs().map_err(fail)?;
    let address = addresses.next().ok_or_else(|| fail(std::io::ErrorKind::AddrNotAvailable.into()))?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(fail)?;
    socket.set_reuse_address(true).map_err(fail)?;
    socket.bind(&address.into()).map_err(fail)?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX)).map_err(fail)?;
    socket.set_nonblocking(true).map_err(fail)?;
    Ok(socket.into())
}

fn serve_on(
    listener: TcpListener,
    settings: &Settings,
    shared: web::Data<Shared>,
    metrics: PrometheusHandle,
    (sockets, threads): (SocketIo, Arc<Threads>),
) -> Result<Server, AppError> {
    let development = settings.mode == Mode::Development;
    let slow_reader = settings.slow_reader;
    let metrics = web::Data::new(metrics);
    let most = usize::try_from(settings.limits.max_connections).unwrap_or(usize::MAX);
    let application = move || {
        let (app, api) = App::new()
            .into_utoipa_app()
            .openapi(crate::transport::rest::openapi())
            .map(|app| app.app_data(shared.clone()).app_data(metrics.clone()))
            // First: routes are tried in turn, and connections are what comes most.
            .map(|app| app.route("/ws", web::get().to(websocket::connect)).configure(sockets.configure(socketio::PATH)))
            .configure(native::configure)
            .configure(book::configure)
            .configure(order::configure)
            .configure(shop::configure)
            .configure(provisioning::configure)
            .configure(|config| operations::configure(config, development))
            .split_for_parts();
        app.configure(rest::configure_extractors)
            .configure(pages::configure)
            // The page of our own has the headers that keep it safe.
            .service(web::redirect("/docs/", "/docs"))
            .service(web::redirect("/docs/index.html", "/docs"))
            .service(
                SwaggerUi::new("/docs/{_:.*}")
                    .config(SwaggerConfig::default().use_base_layout())
                    .url("/openapi.json", api),
            )
            .default_service(web::to(rest::nothing_here))
            .wrap(cors(shared.origins.clone()))
            .wrap(from_fn(rest::attend))
    };
    let builder = Server::build().max_concurrent_connections(most).disable_signals().shutdown_timeout(1);
    let ending = builder.graceful_shutdown_signal();
    let server = builder.listen("haggle", listener, move || {
        threads.join();
        let made = upgrade::Made::default();
        let application = upgrade::application(application().into_factory(), Rc::clone(&made));
        let ending = ending.clone();
        HttpService::build()
            .on_connect_ext(move |io: &TcpStream, _| tune(io, slow_reader))
            .tcp_nodelay(true)
            .client_request_timeout(REQUEST_WITHIN)
            .client_disconnect_timeout(FAREWELL_AFTER_ANSWER)
            // A poll that its client gives up is noticed at once.
            .h1_allow_half_closed(false)
            .graceful_shutdown_signal(move || {
                let ending = ending.clone();
                async move { ending.notified().await }
            })
            .upgrade(upgrade::upgrades(made))
            .finish(application)
            .tcp()
    })?;
    Ok(server.run())
}

/// Which pages of other origins may read answers.
fn cors(origins: Origins) -> Cors {
    Cors::default()
        .allowed_origin_fn(move |_, head| origins.judge(head.headers()) == Verdict::Allowed)
        .block_on_origin_mismatch(false)
        .allow_any_method()
        .allow_any_header()
        .expose_any_header()
        .supports_credentials()
        .max_age(3_600)
}

/// Sees to it that the kernel lets a peer go that takes nothing, and holds little for it meanwhile.
fn tune(stream: &TcpStream, slow_reader: Duration) {
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        let tuned = socket
            .set_tcp_user_timeout(Some(slow_reader))
            .and_then(|()| socket.set_send_buffer_size(SEND_BUFFER_BYTES));
        if let Err(error) = tuned {
            warn!(%error, "a socket could not be tuned");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, slow_reader);
}

/// Waits for SIGTERM or SIGINT.
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => {
            warn!("signals cannot be heard; stop the process to stop the server");
            std::future::pending::<()>().await;
        }
    }
}

/// Has an actor write what it has left.
async fn settle(actor: &Recipient<Settle>) {
    let (settled, done) = oneshot::channel();
    // Not try_send: one message, at the end.
    actor.do_send(Settle(settled));
    drop(tokio::time::timeout(SETTLE_WITHIN, done).await);
}

/// Closes the gate, lets what is under way finish, and sends everyone off.
async fn send_off(shared: &Shared, sockets: &SocketIo, within: Duration) {
    let began = Instant::now();
    let left = || within.saturating_sub(began.elapsed());
    info!(sockets = shared.gate.open(), "going down");
    shared.gate.close();
    let orders = shared.chat.directory().all_sessions().into_iter().map(|session| {
        let retry_after_ms = rand::random_range(RECONNECT_SPREAD_MS);
        session.send(Control::Drain { retry_after_ms })
    });
    drop(tokio::time::timeout(left(), futures_util::future::join_all(orders)).await);
    // Whoever was in no namespace goes too.
    sockets.shutdown(left().min(FAREWELL_WITHIN)).await;
    // The last frames are on their way; a peer that does not take them is not waited for longer.
    let (sent_off, farewell) = (Instant::now(), left().min(FAREWELL_WITHIN));
    while shared.gate.open() > 0 && sent_off.elapsed() < farewell {
        sleep(DRAIN_STEP).await;
    }
    if shared.gate.open() > 0 {
        warn!(sockets = shared.gate.open(), "these did not take their last frame");
    }
}
