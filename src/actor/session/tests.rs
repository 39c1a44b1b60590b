//! The session alone: a door, a room and a pump that the test plays itself, and a clock that stands still until it is told.
//!
//! What lives here: the stage. What must not: cases; life and order have a file each.

mod catch_up;
mod life;
mod order;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::Waker;

use bytestring::ByteString;
use futures_util::FutureExt;
use futures_util::future::ready;

use super::*;
use crate::actor::outbox::{Outbox, Outgoing};
use crate::protocol::command::Since;
use crate::protocol::reply::Reply;
use crate::protocol::{ConversationRef, Message as ChatMessage, MessageId, Topic};
use crate::vocabulary::{Call, Fanout, Manner, Vocabulary, Welcome};

/// Writes each thing as few words, which is all that these tests compare.
struct Plain;

impl Codec for Plain {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Native
    }

    fn manner(&self) -> Manner {
        Manner { echo: false, everywhere: false, acknowledges: true, queue: false }
    }

    fn decode(&self, _: &Call<'_>) -> Request {
        Request { tag: Tag::default(), incoming: Err(ChatError::invalid("nothing is decoded here")) }
    }

    fn event(&self, event: &Event, _: Option<&Topic>, audience: Audience) -> Option<ByteString> {
        match event {
            Event::Message(message) if audience.joined => Some(format!("message {}", message.seq.0).into()),
            Event::Unread(unread) => Some(format!("unread {} of {}", unread.count, unread.total).into()),
            Event::Bye(bye) => Some(format!("bye {}", bye.code).into()),
            _ => None,
        }
    }

    fn reply(&self, tag: &Tag, reply: &Outcome) -> Vec<Word> {
        let code = reply.as_ref().map_or_else(ChatError::code, |_| "ok");
        vec![Word::Answer(format!("{} {code}", tag.id.unwrap_or(0)).into())]
    }

    fn welcome(&self, tag: &Tag, welcome: &Welcome) -> Vec<Word> {
        vec![Word::Answer(format!("{} welcome {}", tag.id.unwrap_or(0), welcome.person.id).into())]
    }
}

/// How a command is to be begun.
enum Script {
    /// It is in its room's mailbox at once.
    UnderWay,
    /// Its room is looked up until this is told.
    Finding(oneshot::Receiver<()>),
}

/// A house whose every answer the test gives.
struct House {
    directory: Arc<Directory>,
    presence: Addr<Presence>,
    /// How the next commands begin; `UnderWay` when there is nothing here.
    script: Mutex<VecDeque<Script>>,
    /// Commands that stand in their rooms' mailboxes, in order.
    begun: Mutex<Vec<By<Command>>>,
    /// Where their answers go, in the same order.
    waiting: Arc<Mutex<VecDeque<oneshot::Sender<Outcome>>>>,
    /// How far the room had told when each command reached it.
    reached: Mutex<VecDeque<i64>>,
    told: Mutex<i64>,
    /// What the database holds of the one conversation.
    stored: Mutex<Vec<ChatMessage>>,
    /// How many turns the database takes for the next pages.
    turns: Mutex<VecDeque<usize>>,
    /// Malformed requests and refreshes that may still be made.
    admitted: Mutex<usize>,
    /// Connections that may still say whose they are.
    connects: Mutex<usize>,
    token_lasts_s: Mutex<i64>,
    receipts: Receipts,
}

const PAGE: usize = 3;

impl Door for House {
    fn verify(&self, token: &str) -> Result<Claims, ChatError> {
        let user = UserId::parse(token).map_err(|_| ChatError::unauthorized("no token"))?;
        let expires_at_s = Timestamp::now().0 / 1_000 + *self.token_lasts_s.lock().unwrap();
        Ok(Claims { user, name: None, role: None, expires_at_s })
    }

    fn arrive(&self, claims: Claims, _: bool) -> BoxFuture<'static, Result<Arrived, ChatError>> {
        let person = person(claims.user.as_str());
        ready(Ok(Arrived { person, unread: Unread::default(), places: Vec::new() })).boxed()
    }

    fn known(&self, claims: Claims) -> BoxFuture<'static, Result<Person, ChatError>> {
        ready(Ok(person(claims.user.as_str()))).boxed()
    }

    fn replay(&self, _: UserId, _: ConversationId, after: Seq) -> BoxFuture<'static, Result<Messages, ChatError>> {
        let stored = self.stored.lock().unwrap();
        let page = stored.iter().filter(|message| message.seq > after).take(PAGE);
        let page = page.cloned().collect();
        let turns = self.turns.lock().unwrap().pop_front().unwrap_or(0);
        async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            Ok(Messages { topic: topic(), messages: page, has_more: false, last_seq: Seq(0), readers: Vec::new() })
        }
        .boxed()
    }

    fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    fn keeper(&self) -> Option<&Recipient<Save>> {
        None
    }

    fn began(&self) -> Timestamp {
        Timestamp(0)
    }

    fn admit(&self, _: &Caller) -> Result<(), ChatError> {
        let mut admitted = self.admitted.lock().unwrap();
        *admitted = admitted.checked_sub(1).ok_or(ChatError::RateLimited(Duration::from_secs(1)))?;
        Ok(())
    }

    fn connects(&self, _: &UserId) -> Result<(), ChatError> {
        let mut connects = self.connects.lock().unwrap();
        *connects = connects.checked_sub(1).ok_or(ChatError::RateLimited(Duration::from_secs(1)))?;
        Ok(())
    }

    #[expect(clippy::async_yields_async, reason = "the door tells when a room was found, apart from its answer")]
    fn begin(&self, by: By<Command>) -> Begun {
        let (sender, outcome) = oneshot::channel();
        self.begun.lock().unwrap().push(by);
        self.reached.lock().unwrap().push_back(*self.told.lock().unwrap());
        let outcome = outcome.map(|outcome| outcome.unwrap_or_else(|_| Err(ChatError::unavailable()))).boxed();
        let waiting = Arc::clone(&self.waiting);
        match self.script.lock().unwrap().pop_front().unwrap_or(Script::UnderWay) {
            Script::UnderWay => {
                waiting.lock().unwrap().push_back(sender);
                Begun::UnderWay(outcome)
            }
            Script::Finding(found) => Begun::Finding(
                async move {
                    drop(found.await);
                    waiting.lock().unwrap().push_back(sender);
                    outcome
                }
                .boxed(),
            ),
        }
    }

    fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    fn presence(&self) -> &Addr<Presence> {
        &self.presence
    }
}

fn person(id: &str) -> Person {
    Person { id: UserId::stored(id), name: id.into(), role: "".into() }
}

fn conversation() -> ConversationId {
    ConversationId(1)
}

/// The one conversation.
fn topic() -> Arc<Topic> {
    Arc::new(Topic { id: conversation(), key: None, kind: "direct".into(), subject: None, people: Vec::new() })
}

fn message(seq: i64) -> ChatMessage {
    ChatMessage {
        id: MessageId(seq),
        seq: Seq(seq),
        conversation: conversation(),
        sender: person("bob"),
        body: "x".into(),
        kind: "text".into(),
        client_id: None,
        created_at: Timestamp(0),
    }
}

/// A session and all that it stands between.
struct Stage {
    house: Arc<House>,
    outbox: Arc<Outbox>,
    session: Addr<Session>,
}

const PATIENCE: Patience = Patience { slow_reader: Duration::from_secs(30), anonymous: Duration::from_secs(10) };

impl Stage {
    /// A session of nobody yet.
    fn anonymous() -> Self {
        Self::with_outbox(64 * 1024)
    }

    /// The same, with a way out of so many bytes.
    fn with_outbox(bytes: usize) -> Self {
        let house = Arc::new(House {
            directory: Arc::new(Directory::new(Box::new(|_, _| None))),
            presence: Context::new().address(),
            script: Mutex::default(),
            begun: Mutex::default(),
            waiting: Arc::default(),
            reached: Mutex::default(),
            told: Mutex::default(),
            stored: Mutex::default(),
            turns: Mutex::default(),
            admitted: Mutex::new(usize::MAX),
            connects: Mutex::new(usize::MAX),
            token_lasts_s: Mutex::new(3_600),
            receipts: Receipts::default(),
        });
        let outbox = Arc::new(Outbox::new(bytes));
        let door: Arc<House> = Arc::clone(&house);
        let outlet: Arc<Outbox> = Arc::clone(&outbox);
        let session = Session::open(&Plain, outlet, door, PATIENCE, None, Arrival::Anonymous);
        Self { house, outbox, session }
    }

    /// A session of alice, greeted.
    async fn alice() -> Self {
        let stage = Self::anonymous();
        stage.auth(0, "alice");
        assert_eq!(stage.texts().await, ["0 welcome alice"]);
        stage
    }

    fn hear(&self, id: i64, incoming: Result<Incoming, ChatError>) {
        self.session.do_send(Heard(Request { tag: Tag { id: Some(id), ..Tag::default() }, incoming }));
    }

    fn auth(&self, id: i64, token: &str) {
        self.hear(id, Ok(Incoming::Auth(token.to_owned())));
    }

    fn ask(&self, id: i64, command: Command) {
        self.hear(id, Ok(Incoming::Command(command)));
    }

    fn join(&self, id: i64, after: Option<i64>) {
        let join = crate::protocol::command::Join {
            conversation: here(),
            since: after.map_or(Since::Now, |after| Since::Place(Seq(after))),
            recent: 0,
        };
        self.ask(id, Command::Join(join));
    }

    /// A room tells one message to a session that has joined.
    fn deliver(&self, message: ChatMessage) {
        *self.house.told.lock().unwrap() = message.seq.0;
        let events = Arc::from([Fanout::new(Event::Message(message), Some(topic()), None)]);
        self.session.do_send(Deliver { events, joined: true, unread: None });
    }

    /// A message is committed and told.
    fn commit(&self, member: bool) {
        let mut stored = self.house.stored.lock().unwrap();
        let message = message(stored.len() as i64 + 1);
        stored.push(message.clone());
        if member {
            self.deliver(message);
        }
    }

    /// Gives the answer to the command that has waited longest.
    fn answer(&self, outcome: Outcome) {
        let waiting = self.house.waiting.lock().unwrap().pop_front().expect("a command waits");
        drop(waiting.send(outcome));
    }

    fn joined_at(&self, last_seq: i64) -> Outcome {
        let joined = crate::protocol::reply::Joined {
            topic: topic(),
            last_seq: Seq(last_seq),
            participants: Vec::new(),
            recent: None,
            reset: false,
        };
        Ok(Reply::Joined(joined))
    }

    /// All that a pump would write by now.
    async fn frames(&self) -> Vec<Outgoing> {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let mut frames = Vec::new();
        let _ = self.outbox.poll_take(&mut std::task::Context::from_waker(Waker::noop()), |frame| {
            frames.push(frame);
            false
        });
        frames
    }

    /// The texts among them.
    async fn texts(&self) -> Vec<String> {
        let texts = self.frames().await.into_iter().filter_map(|frame| match frame {
            Outgoing::Text(text) => Some(text.to_string()),
            Outgoing::Ping | Outgoing::Pong(_) | Outgoing::Close(..) => None,
        });
        texts.collect()
    }
}

fn here() -> ConversationRef {
    ConversationRef::Id(conversation())
}

/// How a connection ended, where it has: the Close frame's code, which must be the last frame.
fn closed(frames: &[Outgoing]) -> Option<u16> {
    let close = frames.iter().position(|frame| matches!(frame, Outgoing::Close(..)))?;
    assert_eq!(close + 1, frames.len(), "something follows the Close frame: {frames:?}");
    if let Some(Outgoing::Close(code, _)) = frames.last() { Some(*code) } else { None }
}

/// Runs a test on a system of its own, with a clock that moves only when everyone waits for it.
fn paused(test: impl Future<Output = ()>) {
    System::new().block_on(async {
        tokio::time::pause();
        test.await;
    });
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
