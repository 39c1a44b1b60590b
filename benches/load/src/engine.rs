//! Many client connections on one thread: one read of the kernel for whatever has come, each answer written at once.
//!
//! What lives here: sockets, how a connection comes in, and the loop. What must not: what a scenario does with what it
//! hears.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Outcome;
use crate::wire::{self, Dialect, Heard};

/// One read takes at most so much: a thousand deliveries that a server wrote at once.
const BUFFER_BYTES: usize = 262_144;
/// Events taken from the kernel at once.
const EVENTS: usize = 1_024;
/// How long a server may take to let everybody in, or to answer at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Who comes in, and what they join.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) token: String,
    pub(crate) conversation: Option<u64>,
    /// The last place seen: what follows is told on joining.
    pub(crate) after: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Upgrading,
    /// Engine.IO opens, then Socket.IO takes the token.
    Greeting,
    Joining,
    Ready,
    Closed,
}

struct Connection {
    stream: TcpStream,
    state: State,
    plan: Plan,
    /// A frame that has come in part.
    rest: Vec<u8>,
    /// What the kernel did not take yet.
    out: Vec<u8>,
}

/// What a scenario does with what it hears. Times are nanoseconds since the engine began.
pub(crate) trait Load {
    /// Somebody else's message came on this connection.
    fn message(&mut self, connection: usize, payload: &[u8], now_ns: u64, sends: &mut Sends);
    /// The request of this number was answered.
    fn reply(&mut self, connection: usize, number: u32, now_ns: u64, sends: &mut Sends);
}

/// Frames to be written as soon as what was read is worked off.
#[derive(Default)]
pub(crate) struct Sends(Vec<(usize, Vec<u8>)>);

impl Sends {
    /// Sends a frame on a connection.
    pub(crate) fn push(&mut self, connection: usize, frame: Vec<u8>) {
        self.0.push((connection, frame));
    }
}

/// Hears nothing.
pub(crate) struct Deaf;

impl Load for Deaf {
    fn message(&mut self, _: usize, _: &[u8], _: u64, _: &mut Sends) {}
    fn reply(&mut self, _: usize, _: u32, _: u64, _: &mut Sends) {}
}

/// The connections to one server.
pub(crate) struct Engine {
    dialect: Dialect,
    port: u16,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    connections: Vec<Connection>,
    began: Instant,
    sends: Sends,
    ready: usize,
    opening: usize,
    refused: u64,
    lost: usize,
}

impl Engine {
    pub(crate) fn new(dialect: Dialect, port: u16) -> Outcome<Self> {
        Ok(Self {
            dialect,
            port,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            buffer: vec![0; BUFFER_BYTES],
            connections: Vec::new(),
            began: Instant::now(),
            sends: Sends::default(),
            ready: 0,
            opening: 0,
            refused: 0,
            lost: 0,
        })
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Nanoseconds since the engine began.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Requests that were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Connections that the server ended.
    pub(crate) fn lost(&self) -> usize {
        self.lost
    }

    /// Lets everybody in, at most so many at once; returns when all are there and have joined.
    pub(crate) fn open(&mut self, plans: Vec<Plan>, at_once: usize) -> Outcome<()> {
        self.open_with(plans, at_once, &mut Deaf)
    }

    /// The same, with a load that hears what comes on joining.
    pub(crate) fn open_with(&mut self, plans: Vec<Plan>, at_once: usize, load: &mut impl Load) -> Outcome<()> {
        let (target, lost_before) = (self.ready + plans.len(), self.lost);
        let mut plans = plans.into_iter();
        let deadline = Instant::now() + PATIENCE;
        while self.ready < target {
            while self.opening < at_once
                && let Some(plan) = plans.next()
            {
                self.connect(plan)?;
            }
            self.turn(Some(Duration::from_millis(100)), load)?;
            if self.refused > 0 || self.lost > lost_before || Instant::now() > deadline {
                let Self { ready, refused, lost, .. } = self;
                return Err(format!("{ready} of {target} came in, {refused} refused, {lost} lost").into());
            }
        }
        Ok(())
    }

    fn connect(&mut self, plan: Plan) -> Outcome<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let index = self.connections.len();
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        let request = self.dialect.upgrade(self.port, &plan.token);
        self.connections.push(Connection { stream, state: State::Upgrading, plan, rest: Vec::new(), out: Vec::new() });
        self.opening += 1;
        self.write(index, request.as_bytes())
    }

    /// Lets the load hear what has come; waits for it as long as given.
    pub(crate) fn turn(&mut self, wait: Option<Duration>, load: &mut impl Load) -> Outcome<()> {
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(1));
        for event in &events {
            let Token(index) = event.token();
            if event.is_writable() {
                self.write(index, &[])?;
            }
            if event.is_readable() || event.is_read_closed() {
                self.read(index, load)?;
                self.flush()?;
            }
        }
        self.events = events;
        Ok(())
    }

    /// Sends a frame at once.
    pub(crate) fn send(&mut self, connection: usize, frame: &[u8]) -> Outcome<()> {
        self.write(connection, frame)
    }

    /// Sends what was gathered.
    pub(crate) fn send_all(&mut self, sends: Sends) -> Outcome<()> {
        self.sends = sends;
        self.flush()
    }

    fn flush(&mut self) -> Outcome<()> {
        let mut sends = std::mem::take(&mut self.sends);
        for (connection, frame) in sends.0.drain(..) {
            self.write(connection, &frame)?;
        }
        self.sends = sends;
        Ok(())
    }

    fn read(&mut self, index: usize, load: &mut impl Load) -> Outcome<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(connection) = self.connections.get_mut(index)
            && connection.state != State::Closed
        {
            match connection.stream.read(&mut buffer) {
                Ok(count) if count > 0 => {
                    self.take(index, buffer.get(..count).unwrap_or_default(), load)?;
                    // Less than there was room for is all there was: what comes next is another event.
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => {
                    self.end(index);
                    break;
                }
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    fn end(&mut self, index: usize) {
        if let Some(connection) = self.connections.get_mut(index) {
            self.lost += 1;
            match connection.state {
                State::Ready => self.ready -= 1,
                State::Closed => self.lost -= 1,
                _ => self.opening -= 1,
            }
            connection.state = State::Closed;
            drop(self.poll.registry().deregister(&mut connection.stream));
            drop(connection.stream.shutdown(std::net::Shutdown::Both));
        }
    }

    /// Takes what was read on a connection.
    fn take(&mut self, index: usize, bytes: &[u8], load: &mut impl Load) -> Outcome<()> {
        let Some(connection) = self.connections.get_mut(index) else { return Ok(()) };
        let now_ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if connection.rest.is_empty() {
            let used = bytes.len() - self.frames(index, bytes, now_ns, load)?;
            if let (Some(connection), Some(rest)) = (self.connections.get_mut(index), bytes.get(used..))
                && !rest.is_empty()
            {
                connection.rest.extend_from_slice(rest);
            }
            return Ok(());
        }
        let mut all = std::mem::take(&mut connection.rest);
        all.extend_from_slice(bytes);
        let used = all.len() - self.frames(index, &all, now_ns, load)?;
        if used < all.len()
            && let Some(connection) = self.connections.get_mut(index)
        {
            all.drain(..used);
            connection.rest = all;
        }
        Ok(())
    }

    /// Works off the whole frames; answers how many bytes are left over.
    fn frames(&mut self, index: usize, bytes: &[u8], now_ns: u64, load: &mut impl Load) -> Outcome<usize> {
        let Some(connection) = self.connections.get(index) else { return Ok(0) };
        let mut state = connection.state;
        let mut left = bytes;
        if state == State::Upgrading {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(bytes.len()) };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                self.refused += 1;
                return Ok(0);
            }
            left = bytes.get(end + 4..).unwrap_or_default();
            state = self.upgraded(index)?;
        }
        while let Some((frame, rest)) = wire::next(left) {
            left = rest;
            match frame.opcode {
                0x1 => {}
                0x8 => {
                    self.end(index);
                    return Ok(0);
                }
                0x9 => {
                    self.write(index, &wire::pong(frame.payload))?;
                    continue;
                }
                _ => continue,
            }
            match self.dialect.read(frame.payload) {
                Heard::Message if state == State::Ready || state == State::Joining => {
                    load.message(index, frame.payload, now_ns, &mut self.sends);
                }
                Heard::Reply(number) if state == State::Ready => load.reply(index, number, now_ns, &mut self.sends),
                Heard::Reply(_) if state == State::Joining => state = self.enter(index, State::Ready),
                Heard::Refused => {
                    self.refused += 1;
                    if self.refused == 1 {
                        note!("refused: {}", String::from_utf8_lossy(frame.payload));
                    }
                }
                Heard::Ping => self.write(index, &wire::framed(b"3"))?,
                Heard::Opened => self.greet(index)?,
                Heard::Connected => state = self.come_in(index)?,
                _ => {}
            }
        }
        Ok(left.len())
    }

    fn enter(&mut self, index: usize, state: State) -> State {
        if let Some(connection) = self.connections.get_mut(index) {
            connection.state = state;
            if state == State::Ready {
                self.ready += 1;
                self.opening -= 1;
            }
        }
        state
    }

    fn upgraded(&mut self, index: usize) -> Outcome<State> {
        if self.dialect.is_socketio() { Ok(self.enter(index, State::Greeting)) } else { self.come_in(index) }
    }

    fn greet(&mut self, index: usize) -> Outcome<()> {
        let token = self.connections.get(index).map(|connection| connection.plan.token.as_str()).unwrap_or_default();
        let connect = format!(r#"40{{"token":"{token}"}}"#);
        self.write(index, &wire::framed(connect.as_bytes()))
    }

    fn come_in(&mut self, index: usize) -> Outcome<State> {
        let Some(connection) = self.connections.get(index) else { return Ok(State::Closed) };
        let Some(conversation) = connection.plan.conversation else { return Ok(self.enter(index, State::Ready)) };
        let join = self.dialect.join(conversation, connection.plan.after);
        self.write(index, &wire::framed(join.as_bytes()))?;
        Ok(self.enter(index, State::Joining))
    }

    /// Writes what waits and then these bytes, as far as the kernel takes them.
    fn write(&mut self, index: usize, bytes: &[u8]) -> Outcome<()> {
        let Some(connection) = self.connections.get_mut(index) else { return Ok(()) };
        if connection.state == State::Closed || (bytes.is_empty() && connection.out.is_empty()) {
            return Ok(());
        }
        if !connection.out.is_empty() {
            connection.out.extend_from_slice(bytes);
        }
        let waiting = if connection.out.is_empty() { bytes } else { &connection.out };
        match connection.stream.write(waiting) {
            Ok(count) if connection.out.is_empty() => {
                connection.out.extend_from_slice(bytes.get(count..).unwrap_or_default());
            }
            Ok(count) => drop(connection.out.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if connection.out.is_empty() {
                    connection.out.extend_from_slice(bytes);
                }
            }
            Err(_) => self.end(index),
        }
        Ok(())
    }

    /// Reads nothing more on a connection, which stays open.
    pub(crate) fn stall(&mut self, index: usize) -> Outcome<()> {
        if let Some(connection) = self.connections.get_mut(index) {
            self.poll.registry().deregister(&mut connection.stream)?;
        }
        Ok(())
    }

    /// Reads again on a connection that was stalled.
    pub(crate) fn wake(&mut self, index: usize) -> Outcome<()> {
        if let Some(connection) = self.connections.get_mut(index) {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut connection.stream, Token(index), interest)?;
        }
        Ok(())
    }

    /// The connection's port on this side.
    pub(crate) fn local_port(&self, index: usize) -> Outcome<u16> {
        let connection = self.connections.get(index).ok_or("no such connection")?;
        Ok(connection.stream.local_addr()?.port())
    }
}
