//! A TCP proxy that does to a link what networks do: delay, throttle, split, swallow, cut.
//!
//! What lives here: passing bytes on, badly. What must not: knowing what the bytes mean, beyond a word to wait for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Bytes passed on at once.
const CHUNK: usize = 16 * 1024;

/// What a link is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// Each piece arrives so much later.
    Delayed(Duration),
    /// Bytes a second.
    Throttled(u32),
    /// Pieces of so many bytes.
    Split(usize),
    /// Nothing is passed on, and nothing says so.
    Blackhole,
    /// The client's side says that it has nothing more to send, after the first bytes.
    HalfClosed,
}

/// A proxy in front of one address.
pub struct Proxy {
    pub address: SocketAddr,
    weather: watch::Sender<Weather>,
    storm: Arc<Storm>,
    accepted: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

/// What is to happen once, to whichever connection it fits.
#[derive(Default)]
struct Storm {
    /// Cuts all connections.
    cut: Notify,
    /// The answer to a request that has this in it is not passed on.
    trap: Mutex<Option<Trap>>,
    /// The trap has caught an answer.
    caught: Notify,
}

struct Trap {
    word: Vec<u8>,
    /// Cuts the connection instead of holding the answer for ever.
    cuts: bool,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Proxy {
    /// A proxy on a free port.
    pub async fn before(target: SocketAddr, weather: Weather) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::support::postgres::free_port())).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, weather) = watch::channel(weather);
        let storm = Arc::new(Storm::default());
        let storms = Arc::clone(&storm);
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(pass(client, target, weather.clone(), Arc::clone(&storms)));
            }
        });
        Self { address, weather: sender, storm, accepted, accepting }
    }

    /// How many connections it has taken.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Changes the weather, for open connections too.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Cuts every open connection.
    pub fn cut(&self) {
        self.storm.cut.notify_waiters();
    }

    /// The answer to the next request that has this word in it is swallowed, and its connection cut (or left hanging).
    pub fn set_trap(&self, word: &str, cuts: bool) {
        *self.storm.trap.lock().expect("nobody panics") = Some(Trap { word: word.into(), cuts });
    }

    /// Waits until the trap has caught an answer.
    pub async fn caught(&self, within: Duration) -> bool {
        timeout(within, self.storm.caught.notified()).await.is_ok()
    }
}

/// One connection.
async fn pass(client: TcpStream, target: SocketAddr, weather: watch::Receiver<Weather>, storm: Arc<Storm>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let caught = Arc::new(Mutex::new(None));
    let up = pump(from_client, to_server, weather.clone(), Side::Up(Arc::clone(&storm), Arc::clone(&caught)));
    let down = pump(from_server, to_client, weather, Side::Down(Arc::clone(&storm), caught));
    tokio::select! {
        ((), ()) = async { tokio::join!(up, down) } => {}
        () = storm.cut.notified() => {}
    }
}

/// Which way, and what the two ways share: whether the trap cuts, once it has been stepped into.
enum Side {
    Up(Arc<Storm>, Arc<Mutex<Option<bool>>>),
    Down(Arc<Storm>, Arc<Mutex<Option<bool>>>),
}

impl Side {
    /// Looks at what comes by; true when it must not go on.
    async fn traps(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Up(storm, caught) => {
                let mut trap = storm.trap.lock().expect("nobody panics");
                let steps = |trap: &Trap| bytes.windows(trap.word.len()).any(|some| some == trap.word);
                if trap.as_ref().is_some_and(steps)
                    && let Some(trap) = trap.take()
                {
                    *caught.lock().expect("nobody panics") = Some(trap.cuts);
                }
                false
            }
            Self::Down(storm, caught) => {
                let Some(cuts) = *caught.lock().expect("nobody panics") else { return false };
                storm.caught.notify_one();
                if !cuts {
                    std::future::pending::<()>().await;
                }
                true
            }
        }
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>, side: Side) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(read) = from.read(&mut buffer).await {
        let bytes = &buffer[..read];
        if read == 0 || side.traps(bytes).await {
            break;
        }
        let now = *weather.borrow();
        let passed = match now {
            Weather::Fair => to.write_all(bytes).await,
            Weather::Delayed(by) => {
                sleep(by).await;
                to.write_all(bytes).await
            }
            Weather::Throttled(rate) => {
                sleep(Duration::from_secs(1) * u32::try_from(read).expect("small") / rate).await;
                to.write_all(bytes).await
            }
            Weather::Split(size) => split(&mut to, bytes, size).await,
            Weather::Blackhole => {
                // What was swallowed never comes: a connection that lost bytes is of no more use when the weather clears.
                drop(weather.changed().await);
                break;
            }
            Weather::HalfClosed => {
                let passed = to.write_all(bytes).await;
                if matches!(side, Side::Up(..)) {
                    drop(to.shutdown().await);
                    std::future::pending::<()>().await;
                }
                passed
            }
        };
        if passed.is_err() {
            break;
        }
    }
    drop(to.shutdown().await);
}

async fn split(to: &mut OwnedWriteHalf, bytes: &[u8], size: usize) -> std::io::Result<()> {
    for piece in bytes.chunks(size) {
        to.write_all(piece).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
