//! A ceiling, not a product: what a chat server on one thread must do at the least. Hand-written frames, no
//! validation, no heartbeat, no bound. Messages that arrive while a commit is under way go into the next one; what is
//! to be told to a member is written once a turn of the loop.
//!
//! Reads PORT, JWT_SECRET and DATABASE_URL; without the last, messages go by without a database. LIMIT_INSERT=each
//! inserts them one by one on 10 connections instead.

mod database;
mod wire;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use jsonwebtoken::{DecodingKey, Validation, decode};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::spawn_local;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Error = Box<dyn std::error::Error>;

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

/// A connection that has shown its token.
struct Member {
    stream: TcpStream,
    user: Rc<str>,
    /// What is to be written in this turn of the loop.
    out: RefCell<Vec<u8>>,
    /// Whether it is on the list of those to write to, or waits until its socket takes bytes.
    listed: Cell<bool>,
}

#[derive(Default)]
struct Room {
    members: Vec<Rc<Member>>,
    last_seq: i64,
}

/// A message on its way to the database.
struct Said {
    request: u32,
    conversation: i64,
    seq: i64,
    sender: Rc<Member>,
    body: String,
    created_at_ms: i64,
}

struct Server {
    key: DecodingKey,
    rooms: RefCell<HashMap<i64, Room>>,
    /// Who has something to be written.
    dirty: RefCell<Vec<Rc<Member>>>,
    flush: Notify,
    /// What waits for the next commit; none without a database.
    queue: Option<database::Queue>,
}

impl Server {
    fn write(&self, member: &Rc<Member>, frame: &[u8]) {
        member.out.borrow_mut().extend_from_slice(frame);
        if !member.listed.replace(true) {
            let mut dirty = self.dirty.borrow_mut();
            if dirty.is_empty() {
                self.flush.notify_one();
            }
            dirty.push(member.clone());
        }
    }

    /// Tells the room, then the sender.
    fn tell(&self, said: &Said, id: i64) {
        let message = wire::message(said, id);
        let frame =
            wire::framed(format!(r#"{{"type":"message","conversation":{},"message":{message}}}"#, said.conversation));
        if let Some(room) = self.rooms.borrow().get(&said.conversation) {
            for member in &room.members {
                if !Rc::ptr_eq(member, &said.sender) {
                    self.write(member, &frame);
                }
            }
        }
        let reply = wire::framed(format!(r#"{{"id":{},"ok":true,"message":{message}}}"#, said.request));
        self.write(&said.sender, &reply);
    }

    /// Everything that was to be written in this turn, one write a member.
    async fn flush(self: Rc<Self>) {
        let mut batch = Vec::new();
        loop {
            self.flush.notified().await;
            std::mem::swap(&mut batch, &mut self.dirty.borrow_mut());
            for member in batch.drain(..) {
                member.listed.set(false);
                if !written(&member) {
                    member.listed.set(true);
                    spawn_local(async move {
                        while member.stream.writable().await.is_ok() && !written(&member) {}
                        member.listed.set(false);
                    });
                }
            }
        }
    }

    fn heard(&self, member: &Rc<Member>, payload: &[u8]) {
        let Some(request) = wire::request(payload) else { return };
        let mut rooms = self.rooms.borrow_mut();
        let room = rooms.entry(request.conversation).or_default();
        let Some(body) = request.body else {
            room.members.push(member.clone());
            drop(rooms);
            return self.write(member, &wire::framed(format!(r#"{{"id":{},"ok":true}}"#, request.id)));
        };
        room.last_seq += 1;
        let seq = room.last_seq;
        drop(rooms);
        let said = Said {
            request: request.id,
            conversation: request.conversation,
            seq,
            sender: member.clone(),
            body: body.to_owned(),
            created_at_ms: wire::now_ms(),
        };
        match &self.queue {
            None => self.tell(&said, seq),
            Some(queue) => queue.push(said),
        }
    }

    async fn serve(self: Rc<Self>, stream: TcpStream) -> Result<(), Error> {
        stream.set_nodelay(true)?;
        let mut rest = Vec::new();
        let member = loop {
            if !read(&stream, &mut rest).await? {
                return Ok(());
            }
            if let Some(end) = memchr::memmem::find(&rest, b"\r\n\r\n") {
                let head: Vec<u8> = rest.drain(..end + 4).collect();
                let (token, answer) = wire::upgrade(std::str::from_utf8(&head)?).ok_or("no token")?;
                let claims = decode::<Claims>(token, &self.key, &Validation::default())?.claims;
                let out = RefCell::default();
                let member = Rc::new(Member { stream, user: claims.sub.into(), out, listed: Cell::new(false) });
                self.write(&member, answer.as_bytes());
                break member;
            }
        };
        while read(&member.stream, &mut rest).await? {
            let mut taken = 0;
            while let Some((payload, length)) = wire::next(&mut rest[taken..]) {
                self.heard(&member, payload);
                taken += length;
            }
            rest.drain(..taken);
            if rest.is_empty() {
                rest = Vec::new();
            }
        }
        Ok(())
    }
}

/// Reads what has come into a buffer that all connections share, and from there to the end of `rest`.
async fn read(stream: &TcpStream, rest: &mut Vec<u8>) -> Result<bool, Error> {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 65_536]);
    }
    loop {
        stream.readable().await?;
        let result = BUFFER.with_borrow_mut(|buffer| {
            let count = stream.try_read(buffer)?;
            rest.extend_from_slice(&buffer[..count]);
            Ok::<_, std::io::Error>(count)
        });
        match result {
            Ok(count) => return Ok(count > 0),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes what waits; answers whether all of it went, or nobody is there any more.
fn written(member: &Member) -> bool {
    let mut out = member.out.borrow_mut();
    match member.stream.try_write(&out) {
        Ok(count) if count < out.len() => {
            out.drain(..count);
            false
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
        _ => {
            // A thousand idle members keep no buffers.
            *out = Vec::new();
            true
        }
    }
}

async fn run() -> Result<(), Error> {
    let queue = match std::env::var("DATABASE_URL") {
        Ok(_) => Some(database::Queue::default()),
        Err(_) => None,
    };
    let server = Rc::new(Server {
        key: DecodingKey::from_secret(std::env::var("JWT_SECRET")?.as_bytes()),
        rooms: RefCell::default(),
        dirty: RefCell::default(),
        flush: Notify::new(),
        queue,
    });
    spawn_local(server.clone().flush());
    if let Ok(url) = std::env::var("DATABASE_URL") {
        database::start(&server, &url).await?;
    }
    let listener = TcpListener::bind(format!("127.0.0.1:{}", std::env::var("PORT")?)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(server.clone().serve(stream));
    }
}

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run())
}
