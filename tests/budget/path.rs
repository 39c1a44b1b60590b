//! A message's way from a client's frame to everyone's, on one thread, without sockets and without waiting for a database.
//!
//! What lives here: the real parts, put together (codec, sessions, front door with its limits, directory, room, outboxes, metrics), and a
//! writer that answers at once. What must not: budgets.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::prelude::*;
use haggle::actor::directory::Directory;
use haggle::actor::meters;
use haggle::actor::outbox::{Outbox, Outgoing};
use haggle::actor::persistence::{Appended, Committed, Job, QUEUE_MAX, Reader, Work};
use haggle::actor::recovery::Keeper;
use haggle::actor::room::{Room, Services};
use haggle::actor::session::{Arrival, Heard, Patience, Session};
use haggle::chat::{Chat, House, Limits, Rate, Rates};
use haggle::error::ChatError;
use haggle::protocol::command::{Claims, PutConversation};
use haggle::protocol::{ConversationId, MessageId, Seq, Timestamp, UserId};
use haggle::store::{Direction, Options, Store};
use haggle::vocabulary::{Call, Codec, Vocabulary};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::allocator;

/// A room of two, one of whom speaks: what a message costs altogether, its one delivery included.
pub const MESSAGE: Scenario = Scenario { name: "message", people: 2, messages: 400, each_is: Each::Message };
/// A room of many, one of whom speaks: what it costs to tell each of the others, a message's own cost spread over them.
pub const DELIVERY: Scenario = Scenario { name: "delivery", people: 200, messages: 40, each_is: Each::Delivery };

/// Messages that are sent before anything is counted, so that queues and tables have found their size.
const WARM_UP: usize = 20;
/// Longer than anything here takes, under callgrind on a busy machine too.
const WITHIN: Duration = Duration::from_secs(300);
/// What a connection may have waiting, as the settings have it.
const BUFFER_BYTES: usize = 1024 * 1024;
/// A message's text: a sentence.
const BODY: &str = "Is it still for sale? I could come by on Friday after work.";

/// What the cost is divided by.
#[derive(Clone, Copy)]
enum Each {
    Message,
    Delivery,
}

/// Some people in one room, one of whom sends messages, each when the one before is acknowledged and delivered to everyone.
pub struct Scenario {
    /// Also the name of the test that runs it.
    pub name: &'static str,
    people: usize,
    messages: usize,
    each_is: Each,
}

impl Scenario {
    /// How many messages or deliveries are counted.
    pub fn counted(&self) -> u64 {
        let each = match self.each_is {
            Each::Message => self.messages,
            Each::Delivery => self.messages * (self.people - 1),
        };
        each as u64
    }

    /// Sets the room up, has its people speak, and prints what was allocated meanwhile.
    pub fn run(&self) {
        let system = System::new();
        let stage = system.block_on(Stage::of(self.people));
        let frames: Vec<_> = (0..WARM_UP + self.messages).map(frame).collect();
        let (warm_up, frames) = frames.split_at(WARM_UP);
        system.block_on(stage.speak(warm_up));
        let before = allocator::counted();
        measured(&system, &stage, frames);
        let after = allocator::counted();
        println!("\nallocated {} times {} bytes", after.0 - before.0, after.1 - before.1);
        stage.check(WARM_UP + self.messages);
    }
}

/// What callgrind counts, by this name.
#[inline(never)]
fn measured(system: &SystemRunner, stage: &Stage, frames: &[String]) {
    system.block_on(stage.speak(frames));
}

/// What a client sends.
fn frame(number: usize) -> String {
    format!(
        r#"{{"id":{number},"type":"send","conversation":1,"body":"{BODY}","client_id":"0199d1f2-8a51-7c3e-9d40-{number:012}"}}"#
    )
}

/// A writer that commits at once, each message by itself.
struct Clerk {
    last_seq: i64,
}

impl Actor for Clerk {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(QUEUE_MAX);
    }
}

impl Handler<Job> for Clerk {
    type Result = ();

    fn handle(&mut self, Job { ticket, room, work }: Job, _: &mut Self::Context) {
        assert!(matches!(work, Work::Append(_)), "a message");
        self.last_seq += 1;
        let stored = Appended::Stored { id: MessageId(self.last_seq), seq: Seq(self.last_seq) };
        room.do_send(Committed { appended: vec![(ticket, Ok(stored))], moved: Vec::new() });
    }
}

/// How many frames the connections' writers have taken, and who waits for how many.
#[derive(Default)]
struct Tally {
    taken: Cell<usize>,
    wanted: Cell<usize>,
    reached: Notify,
}

/// One connection: its session, and the last frame that its writer took.
struct Client {
    session: Addr<Session>,
    last: Rc<RefCell<Option<Outgoing>>>,
}

impl Client {
    /// Opens a session, and takes what it writes as a connection's writer does.
    fn come(user: String, chat: &Chat, tally: &Rc<Tally>) -> Self {
        let outbox = Arc::new(Outbox::new(BUFFER_BYTES));
        let claims = Claims { user: UserId::stored(&user), name: None, role: None, expires_at_s: i64::MAX / 1_000 };
        let patience = Patience { slow_reader: WITHIN * 2, anonymous: WITHIN };
        let address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let outlet: Arc<Outbox> = Arc::clone(&outbox);
        let session = Session::open(codec(), outlet, Arc::new(chat.clone()), patience, address, Arrival::Known(claims));
        let last = Rc::<RefCell<Option<Outgoing>>>::default();
        let (newest, tally) = (Rc::clone(&last), Rc::clone(tally));
        actix::spawn(async move {
            loop {
                let write = |frame| {
                    tally.taken.set(tally.taken.get() + 1);
                    newest.replace(Some(frame));
                    false
                };
                let mut write = Some(write);
                poll_fn(|cx| outbox.poll_take(cx, write.as_mut().unwrap())).await;
                if tally.taken.get() >= tally.wanted.get() {
                    tally.reached.notify_one();
                }
            }
        });
        Self { session, last }
    }

    /// A frame came from the client.
    fn hear(&self, frame: &str) {
        let call = Call { name: "", body: frame, ack: None, caller: None };
        self.session.do_send(Heard(codec().decode(&call)));
    }
}

/// Everyone in one room.
struct Stage {
    clients: Vec<Client>,
    tally: Rc<Tally>,
    reading: Arbiter,
    _folder: TempDir,
}

impl Stage {
    async fn of(people: usize) -> Self {
        let seconds = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
        let recorder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &seconds);
        recorder.unwrap().install_recorder().expect("the first recorder");
        meters::install();
        let users: Vec<_> = (0..people).map(|number| format!("user{number}")).collect();
        let (folder, store, conversation) = store(&users).await;
        assert_eq!(conversation, ConversationId(1), "frames name it");
        let reading = Arbiter::new();
        let chat = chat(store, &reading);
        let tally = Rc::<Tally>::default();
        let mut stage = Self { clients: Vec::new(), tally, reading, _folder: folder };
        for (before, user) in users.into_iter().enumerate() {
            stage.clients.push(Client::come(user, &chat, &stage.tally));
            // They are told that they have joined, and those who are there already hear of it.
            stage.hear(before, r#"{"id":0,"type":"join","conversation":1}"#, before + 1).await;
        }
        stage
    }

    /// A frame came from one of the clients; waits until all clients together were told so many frames.
    async fn hear(&self, client: usize, frame: &str, frames: usize) {
        self.tally.wanted.set(self.tally.wanted.get() + frames);
        self.clients.get(client).expect("a client").hear(frame);
        while self.tally.taken.get() < self.tally.wanted.get() {
            self.tally.reached.notified().await;
        }
    }

    /// The first client says these, one after the other.
    async fn speak(&self, frames: &[String]) {
        let speaking = async {
            for frame in frames {
                // Its answer, and the message for everyone else.
                self.hear(0, frame, self.clients.len()).await;
            }
        };
        timeout(WITHIN, speaking).await.expect("everyone is told");
    }

    /// Everyone was told so many messages, and nothing else since.
    fn check(&self, messages: usize) {
        assert_eq!(self.tally.taken.get(), self.tally.wanted.get());
        for (number, client) in self.clients.iter().enumerate() {
            let last = client.last.borrow();
            let Some(Outgoing::Text(text)) = &*last else { panic!("{last:?}") };
            let kind = if number == 0 { r#""ok":true"# } else { r#""type":"message""# };
            assert!(text.contains(kind) && text.contains(&format!(r#""seq":{messages},"#)), "{text}");
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.reading.stop();
    }
}

fn codec() -> &'static dyn Codec {
    Vocabulary::Native.codec()
}

/// A database with one conversation.
async fn store(users: &[String]) -> (TempDir, Store, ConversationId) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("haggle.db").display());
    let store = Store::connect(&url, Options { connections: 2, timeout: WITHIN }).await.expect("a database");
    store.migrate(Direction::Up).await.expect("a schema");
    let participants = users.iter().map(|user| (UserId::stored(user), None)).collect();
    let put = PutConversation { key: "order:1".into(), kind: None, title: None, subject: None, participants };
    let (conversation, _) = store.put_conversation(&put).await.expect("a conversation");
    (folder, store, conversation)
}

/// The front door, with limits that nobody reaches, and rooms on this thread.
fn chat(store: Store, reading: &Arbiter) -> Chat {
    let writer = Clerk { last_seq: 0 }.start().recipient();
    let (for_rooms, for_sockets) = (store.clone(), store.clone());
    let reader = Reader::start_in_arbiter(&reading.handle(), move |_| Reader::new(for_rooms));
    let keeper = Keeper::start_in_arbiter(&reading.handle(), move |_| Keeper::new(for_sockets));
    let arbiter = Arbiter::current();
    let directory = Arc::new_cyclic(|weak: &Weak<Directory>| {
        let weak = weak.clone();
        Directory::new(Box::new(move |conversation, waiting| {
            let services = Services { directory: weak.upgrade()?, reader: reader.clone(), writer: writer.clone() };
            Some(Room::wake(conversation, waiting, services, &arbiter))
        }))
    });
    let plenty = Rate { per_second: 1_000_000, burst: 1_000_000 };
    let rates = Rates {
        messages: plenty,
        joins: plenty,
        typing: plenty,
        connects: plenty,
        commands: plenty,
        address_factor: 1,
    };
    Chat::new(House {
        store,
        directory,
        // Nobody announces who comes and goes: its time is not a message's.
        presence: Context::new().address(),
        limits: Limits::new(rates),
        receipts: Arc::default(),
        keeper: keeper.recipient(),
        began: Timestamp::now(),
        verify: Box::new(|_| Err(ChatError::unauthorized("tokens were checked"))),
        keys: dashmap::DashMap::new(),
        pairs: dashmap::DashMap::new(),
    })
}
