//! Rooms, the directory and the writer without sockets: listeners and a database writer that the test plays itself.
//!
//! What lives here: a room with everything that it needs, played. What must not: cases.

mod directory;
mod room;
mod writer;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix::prelude::*;
use haggle::actor::directory::Directory;
use haggle::actor::persistence::{Appended, Committed, Job, QUEUE_MAX, Reader, Work};
use haggle::actor::room::{Room, Services};
use haggle::actor::{Ask, By, Control, Deliver, Listener, Outcome};
use haggle::protocol::{Caller, ConversationId, Event, MessageId, Person, Seq, SessionId, UserId};
use haggle::store::{Direction, Options, Store};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::support;

/// Turns that everyone on this thread gets to do what there is to do.
const TURNS: usize = 200;

pub async fn settle() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

pub fn person(id: &str) -> Person {
    Person { id: UserId::stored(id), name: id.into(), role: "".into() }
}

/// A writer that writes nothing until the test says what came of it.
#[derive(Default)]
pub struct Desk(Arc<Mutex<Vec<Job>>>);

impl Actor for Desk {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(QUEUE_MAX);
    }
}

impl Handler<Job> for Desk {
    type Result = ();
    fn handle(&mut self, job: Job, _: &mut Self::Context) {
        self.0.lock().unwrap().push(job);
    }
}

/// Somebody's session, played: notes what it hears in few words. A stuck one takes nothing.
pub struct Ear {
    session: SessionId,
    heard: Arc<Mutex<Vec<String>>>,
    deliveries: Arc<AtomicUsize>,
    stuck: bool,
}

impl Actor for Ear {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        if self.stuck {
            ctx.set_mailbox_capacity(1);
            ctx.wait(std::future::pending::<()>().into_actor(self));
        }
    }
}

impl Handler<Deliver> for Ear {
    type Result = ();
    fn handle(&mut self, deliver: Deliver, _: &mut Self::Context) {
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        // As a session does: what it did itself it knows, but a message it must hear of, for its place in the order.
        let own = |event: &Event| !matches!(event, Event::Message(_));
        let heard = deliver.events.iter().filter(|it| it.origin != Some(self.session) || !own(&it.event));
        let words = heard.map(|fanout| match &fanout.event {
            Event::Message(message) => format!("message {} {}", message.seq.0, message.body),
            Event::Joined(_, person) => format!("joined {}", person.id),
            Event::Left(_, person) => format!("left {}", person.id),
            Event::Typing(_, person, on) => format!("typing {} {on}", person.id),
            Event::Read(read) => format!("read {} {}", read.user, read.seq.0),
            Event::Received(_, user, seq) => format!("received {user} {}", seq.0),
            other => format!("{other:?}"),
        });
        self.heard.lock().unwrap().extend(words);
    }
}

impl Handler<Control> for Ear {
    type Result = ();
    fn handle(&mut self, _: Control, _: &mut Self::Context) {}
}

/// A listener and what it heard.
pub struct Hearer {
    pub listener: Arc<Listener>,
    pub heard: Arc<Mutex<Vec<String>>>,
    /// In how many parts it was told.
    pub deliveries: Arc<AtomicUsize>,
    pub caller: Caller,
}

impl Hearer {
    pub fn of(user: &str, stuck: bool) -> Self {
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let session = SessionId::random();
        let deliveries = Arc::<AtomicUsize>::default();
        let ear = Ear { session, heard: Arc::clone(&heard), deliveries: Arc::clone(&deliveries), stuck }.start();
        let listener = Arc::new(Listener {
            session,
            deliver: ear.clone().recipient(),
            control: ear.recipient(),
            overrun: AtomicBool::new(false),
            away: AtomicBool::new(false),
        });
        Self { listener, heard, deliveries, caller: Caller { person: person(user), address: None } }
    }

    /// What was heard since it was last asked.
    pub async fn hears(&self) -> Vec<String> {
        settle().await;
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

/// One conversation's room in its directory, with a database to load it from and a desk instead of a writer.
pub struct House {
    pub directory: Arc<Directory>,
    pub conversation: ConversationId,
    /// How often its room was woken.
    pub woken: Arc<AtomicUsize>,
    jobs: Arc<Mutex<Vec<Job>>>,
    reading: Arbiter,
    _folder: TempDir,
}

impl House {
    /// The room of a conversation between these, on a thread.
    pub async fn of(people: &[&str], arbiter: ArbiterHandle) -> Self {
        let (folder, store, conversation) = store(people).await;
        let jobs = Arc::<Mutex<Vec<Job>>>::default();
        let desk = Desk(Arc::clone(&jobs));
        // Apart, since the time of the database is not the time of the test.
        let reading = Arbiter::new();
        let reader = Reader::start_in_arbiter(&reading.handle(), move |_| Reader::new(store));
        let writer = desk.start().recipient();
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let directory = Arc::new_cyclic(|weak: &std::sync::Weak<Directory>| {
            let weak = weak.clone();
            Directory::new(Box::new(move |conversation, waiting| {
                count.fetch_add(1, Ordering::Relaxed);
                let (reader, writer) = (reader.clone(), writer.clone());
                let services = Services { directory: weak.upgrade()?, reader, writer };
                Some(Room::wake(conversation, waiting, services, &arbiter))
            }))
        });
        Self { directory, conversation, woken, jobs, reading, _folder: folder }
    }

    /// Asks the room without waiting for its answer.
    pub fn ask<C>(&self, by: &Hearer, command: C) -> oneshot::Receiver<Outcome>
    where
        C: Send + 'static,
        Room: Handler<Ask<C>>,
    {
        let (reply, answer) = oneshot::channel();
        let by = By { caller: by.caller.clone(), session: Some(by.listener.clone()), command };
        self.directory.tell(self.conversation, Ask { by, reply }).expect("the room takes it");
        answer
    }

    /// What the room has handed to the writer since it was last asked.
    pub async fn jobs(&self) -> Vec<Job> {
        settle().await;
        std::mem::take(&mut *self.jobs.lock().unwrap())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.reading.stop();
    }
}

/// A store with one conversation.
pub async fn store(people: &[&str]) -> (TempDir, Store, ConversationId) {
    let (folder, url) = support::sqlite();
    let options = Options { connections: 2, timeout: std::time::Duration::from_secs(5) };
    let store = Store::connect(&url, options).await.expect("a database");
    store.migrate(Direction::Up).await.expect("a schema");
    let (conversation, _) =
        store.put_conversation(&crate::store::put("order:1", people)).await.expect("a conversation");
    (folder, store, conversation)
}

/// Tells a room that these were committed, from this seq on, in one transaction.
pub fn commit(jobs: Vec<Job>, first: i64) {
    let Some(room) = jobs.first().map(|job| job.room.clone()) else { return };
    let appended = jobs.into_iter().zip(first..).map(|(job, seq)| {
        assert!(matches!(job.work, Work::Append(_)), "a message");
        (job.ticket, Ok(Appended::Stored { id: MessageId(seq), seq: Seq(seq) }))
    });
    room.do_send(Committed { appended: appended.collect(), moved: Vec::new() });
}
