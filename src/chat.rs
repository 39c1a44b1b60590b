//! The front door: everything that users and the shop's backend ask for enters here, from sockets and REST alike.
//!
//! What lives here: taking a command to its room or to the store, the limits, the answers of rooms awaited with a bound.
//! What must not: transports, vocabularies, tokens as text. The backend's calls are in `chat/provision.rs`.

mod limits;
mod provision;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Recipient};
use dashmap::DashMap;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::oneshot;
use tokio::time::timeout;

pub use self::limits::{Limit, Limits, Rate, Rates};
pub use self::provision::Provisioned;
use crate::actor::directory::Directory;
use crate::actor::presence::Presence;
use crate::actor::receipts::Receipts;
use crate::actor::recovery::{Offset, Resumed, Save};
use crate::actor::room::Room;
use crate::actor::session::{Arrived, Begun, Door, Standing};
use crate::actor::{Ask, By, Outcome};
use crate::defects::{Defect, strikes};
use crate::error::ChatError;
use crate::protocol::command::{Claims, Desk, History, Join, Open, Page, Since, UnreadCounts};
use crate::protocol::reply::{self, Messages, Reply};
use crate::protocol::{
    Between, Caller, Command, Conversation, ConversationId, ConversationRef, Person, Seq, Timestamp, UserId,
};
use crate::store::{self, Extent, Place, Store};

/// How long a room's answer is awaited. The store's own bounds are shorter; nothing hangs past 10 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(9);
/// Keys whose conversations are remembered. A key never changes its conversation.
const KEYS_MAX: usize = 100_000;
/// Messages a page while a session catches up.
const REPLAY_PAGE: u32 = 100;

/// Checks a token; the application's signing keys are behind it.
pub type Verify = Box<dyn Fn(&str) -> Result<Claims, ChatError> + Send + Sync>;

/// The front door. Cheap to clone.
#[derive(Clone)]
pub struct Chat(Arc<House>);

/// What stands behind the door.
pub struct House {
    /// The database.
    pub store: Store,
    /// Where everyone is.
    pub directory: Arc<Directory>,
    /// Who announces that people come and go.
    pub presence: Addr<Presence>,
    /// How much users and addresses may ask for.
    pub limits: Limits,
    /// How far users have received, where their vocabulary has no acknowledgement.
    pub receipts: Arc<Receipts>,
    /// Who writes where sockets stand that may be recovered.
    pub keeper: Recipient<Save>,
    /// When this process began.
    pub began: Timestamp,
    /// Checks tokens.
    pub verify: Verify,
    /// Conversations by key, as far as they were asked for.
    pub keys: DashMap<Arc<str>, ConversationId>,
    /// Conversations by what they are about, as callers asked for them.
    pub pairs: DashMap<(UserId, Arc<Between>), ConversationId>,
}

impl Chat {
    /// Opens the door.
    #[must_use]
    pub fn new(house: House) -> Self {
        Self(Arc::new(house))
    }

    /// Carries out a command of somebody who has no session.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn run(&self, caller: Caller, command: Command) -> Outcome {
        self.begin(By { caller, session: None, command }).outcome().await
    }

    /// Who a token belongs to, known from now on.
    ///
    /// # Errors
    /// `forbidden` when they are suspended, `unavailable` when the database is away.
    pub async fn known(&self, claims: &Claims) -> Result<Person, ChatError> {
        Ok(self.come_in(claims, Extent::Person).await?.known.person)
    }

    /// Who a token belongs to, and where they stand.
    async fn come_in(&self, claims: &Claims, extent: Extent) -> Result<store::Arrived, ChatError> {
        let (name, role) = (claims.name.as_deref(), claims.role.as_deref());
        let arrived = self.0.store.come_in(&claims.user, name, role, extent).await?;
        if arrived.known.changed {
            self.rename(&arrived.known.person).await;
        }
        if arrived.known.active { Ok(arrived) } else { Err(ChatError::forbidden("this user is suspended")) }
    }

    /// Takes the socket that a user's client was cut off from, and says where it goes on; nobody else finds it after this. `None` where
    /// there is none any more, or where it stood cannot be told.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn resume(
        &self,
        namespace: &str,
        pid: &str,
        user: &UserId,
        offset: &Offset,
    ) -> Result<Option<(String, Resumed)>, ChatError> {
        let Some(taken) = self.0.store.take_socket(namespace, pid, user).await? else { return Ok(None) };
        Ok(Resumed::new(taken.state, offset, &taken.came_in).map(|resumed| (taken.sid, resumed)))
    }

    /// Counts one more of a user and of an address, as far as they are known.
    ///
    /// # Errors
    /// `rate_limited`, with how long to wait, when it is too many.
    pub fn admit(&self, user: Option<&UserId>, address: Option<IpAddr>, limit: Limit) -> Result<(), ChatError> {
        self.0.limits.admit(user, address, limit)
    }

    /// Whether requests can be served: the database is reachable and its schema current.
    ///
    /// # Errors
    /// `unavailable` otherwise.
    pub async fn ready(&self) -> Result<(), ChatError> {
        self.0.store.ready().await
    }

    /// Where everyone is.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.0.directory
    }

    /// Forgets limits that nobody is near any more, so that they do not grow with everyone who ever came.
    pub fn tidy_up(&self) {
        self.0.limits.tidy_up();
    }

    /// Takes a room's command to its room: at once where the room's number is known, else after looking it up.
    #[expect(
        clippy::async_yields_async,
        reason = "finding the room and awaiting its answer are two steps; order hangs on the first"
    )]
    fn to_room<C>(&self, conversation: &ConversationRef, by: By<C>) -> Begun
    where
        C: Send + 'static,
        Room: actix::Handler<Ask<C>>,
    {
        if let Some(id) = self.number(&by.caller.person.id, conversation) {
            return Begun::UnderWay(self.ask(id, by));
        }
        let (chat, conversation) = (self.clone(), conversation.clone());
        let finding = async move {
            match chat.find(&by.caller.person.id, &conversation).await {
                Ok(id) => chat.ask(id, by),
                Err(error) => refuse(error),
            }
        };
        Begun::Finding(finding.boxed())
    }

    /// The conversation's number, where it needs no looking up.
    fn number(&self, caller: &UserId, conversation: &ConversationRef) -> Option<ConversationId> {
        match conversation {
            ConversationRef::Id(id) => Some(*id),
            ConversationRef::Key(key) => self.0.keys.get(key).map(|id| *id),
            ConversationRef::Between(between) => self.0.pairs.get(&(caller.clone(), Arc::clone(between))).map(|id| *id),
        }
    }

    async fn find(&self, caller: &UserId, conversation: &ConversationRef) -> Result<ConversationId, ChatError> {
        if let ConversationRef::Between(between) = conversation {
            let opened = self.0.store.between(caller, between).await?;
            if opened.changed {
                // Somebody who guessed its number may have woken a room that found nothing, or it had no key.
                self.reseat(opened.id, None).await?;
            }
            if self.0.pairs.len() >= KEYS_MAX {
                self.0.pairs.clear();
            }
            self.0.pairs.insert((caller.clone(), Arc::clone(between)), opened.id);
            return Ok(opened.id);
        }
        let id = self.0.store.resolve(conversation).await?.ok_or(ChatError::NotFound("conversation"))?;
        if let ConversationRef::Key(key) = conversation {
            if self.0.keys.len() >= KEYS_MAX {
                self.0.keys.clear();
            }
            self.0.keys.insert(Arc::clone(key), id);
        }
        Ok(id)
    }

    /// Puts a command into its room's mailbox now; the answer is awaited by whoever awaits the future.
    fn ask<C>(&self, conversation: ConversationId, by: By<C>) -> BoxFuture<'static, Outcome>
    where
        C: Send + 'static,
        Room: actix::Handler<Ask<C>>,
    {
        let (reply, answer) = oneshot::channel();
        if let Err(error) = self.0.directory.tell(conversation, Ask { by, reply }) {
            return refuse(error);
        }
        // No answer in time, or a room that fell: the outcome is not known.
        async move {
            timeout(ANSWER_WITHIN, answer)
                .await
                .map_err(drop)
                .and_then(|it| it.map_err(drop))
                .unwrap_or_else(|()| Err(ChatError::unavailable()))
        }
        .boxed()
    }

    async fn read(self, caller: UserId, command: Command) -> Outcome {
        let store = &self.0.store;
        match command {
            Command::History(history) => Ok(Reply::History(store.history(&caller, &history).await?)),
            Command::Conversations(list) => {
                let (mut conversations, next) = store.conversations(&caller, &list).await?;
                conversations.iter_mut().for_each(|conversation| self.look_around(conversation));
                Ok(Reply::Conversations { conversations, next })
            }
            Command::Conversation(conversation) => self.conversation(&caller, &conversation, false).await,
            Command::Open(open) => self.open(&caller, &open).await,
            Command::Desk(desk) => self.desk(&caller, desk).await,
            Command::Unread(UnreadCounts { topics }) => self.unread_counts(&caller, topics).await,
            Command::Presence(user) => self.presence_of(&caller, user).await,
            Command::Join(_)
            | Command::Leave(_)
            | Command::Send(_)
            | Command::Typing(_)
            | Command::Received(_)
            | Command::Read(_) => Err(ChatError::Internal),
            // Only a socket can be seen or not; its session does that itself.
            Command::Appear(_) => Err(ChatError::Internal),
        }
    }

    async fn unread_counts(&self, caller: &UserId, topics: bool) -> Outcome {
        let mut unread = self.0.store.unread(caller).await?;
        unread.conversations.iter_mut().for_each(|one| one.count += u64::from(strikes(Defect::MiscountUnread)));
        if topics {
            let ids: Vec<_> = unread.conversations.iter().map(|one| one.conversation).collect();
            let known = self.0.store.topics(&ids).await?;
            // Whatever was deleted in between is unread no longer.
            unread.conversations.retain(|one| known.contains_key(&one.conversation));
            unread.topics =
                unread.conversations.iter().filter_map(|one| known.get(&one.conversation).cloned()).collect();
        }
        Ok(Reply::Unread(unread))
    }

    /// Adds the newest messages to the answer of a join.
    async fn with_recent(self, caller: UserId, recent: u32, joined: BoxFuture<'static, Outcome>) -> Outcome {
        let outcome = joined.await?;
        let Reply::Joined(mut joined) = outcome else { return Ok(outcome) };
        let conversation = ConversationRef::Id(joined.topic.id);
        let history = History { conversation, page: Page::Newest, limit: recent, readers: true };
        joined.recent = Some(self.0.store.history(&caller, &history).await?);
        Ok(Reply::Joined(joined))
    }

    /// Sees to it that whoever goes on after a message goes on in the history that it is of: a database that was restored to an older
    /// state may have come to the same place by other messages.
    async fn checked(self, seen: Seq, at: Timestamp, joined: BoxFuture<'static, Outcome>) -> Outcome {
        let Reply::Joined(mut joined) = joined.await? else { return Err(ChatError::Internal) };
        if !joined.reset && seen > Seq(0) {
            joined.reset = self.0.store.said_at(joined.topic.id, seen).await? != Some(at);
        }
        Ok(Reply::Joined(joined))
    }

    /// A join, answered with the newest messages too where they are asked for.
    fn join(&self, By { caller, session, command: join }: By<Join>) -> Begun {
        let (recent, user, since) = (join.recent, caller.person.id.clone(), join.since);
        let mut begun = self.to_room(&join.conversation.clone(), By { caller, session, command: join });
        if let Since::Seen(seen, at) = since {
            let chat = self.clone();
            begun = begun.then(move |outcome| chat.checked(seen, at, outcome));
        }
        if recent > 0 {
            let chat = self.clone();
            begun = begun.then(move |outcome| chat.with_recent(user, recent, outcome));
        }
        begun
    }

    async fn conversation(&self, caller: &UserId, conversation: &ConversationRef, created: bool) -> Outcome {
        let mut conversation = self.0.store.conversation(caller, conversation).await?;
        self.look_around(&mut conversation);
        Ok(Reply::Conversation { conversation: Box::new(conversation), created })
    }

    async fn open(&self, caller: &UserId, open: &Open) -> Outcome {
        let (id, created) = self.0.store.open(caller, open).await?;
        if created {
            // Somebody who guessed its number may have woken a room that found nothing.
            self.reseat(id, None).await?;
        }
        self.conversation(caller, &ConversationRef::Id(id), created).await
    }

    async fn desk(&self, caller: &UserId, desk: Desk) -> Outcome {
        let seated = self.0.store.desk(caller, desk).await?;
        if seated.changed {
            self.reseat(seated.id, None).await?;
        }
        self.conversation(caller, &ConversationRef::Id(seated.id), seated.created).await
    }

    async fn presence_of(&self, caller: &UserId, user: UserId) -> Outcome {
        if *caller != user && !self.0.store.knows(caller, &user).await? {
            return Err(ChatError::NotFound("user"));
        }
        let last_seen = self.0.store.last_seen(&user).await?.ok_or(ChatError::NotFound("user"))?;
        let online = self.0.directory.is_online(&user);
        Ok(Reply::Presence(reply::Presence { user, online, last_seen }))
    }

    /// Fills in who of a conversation is online.
    fn look_around(&self, conversation: &mut Conversation) {
        for participant in &mut conversation.participants {
            participant.online = self.0.directory.is_online(&participant.person.id);
        }
    }
}

/// What a command counts as.
const fn limit(command: &Command) -> Limit {
    match command {
        Command::Send(_) => Limit::Message,
        Command::Join(_) => Limit::Join,
        Command::Typing(_) => Limit::Typing,
        Command::Leave(_)
        | Command::Received(_)
        | Command::Read(_)
        | Command::History(_)
        | Command::Conversations(_)
        | Command::Conversation(_)
        | Command::Open(_)
        | Command::Unread(_)
        | Command::Appear(_)
        | Command::Presence(_)
        | Command::Desk(_) => Limit::Command,
    }
}

/// An outcome that is an error already.
fn refuse(error: ChatError) -> BoxFuture<'static, Outcome> {
    ready(Err(error)).boxed()
}

impl Door for Chat {
    fn verify(&self, token: &str) -> Result<Claims, ChatError> {
        (self.0.verify)(token)
    }

    fn arrive(&self, claims: Claims, places: bool) -> BoxFuture<'static, Result<Arrived, ChatError>> {
        let chat = self.clone();
        let extent = if places { Extent::Places } else { Extent::Unread };
        let standing = |place: Place| Standing {
            conversation: place.conversation,
            last_seq: place.last_seq,
            received: place.received,
        };
        async move {
            let store::Arrived { known, unread, places: all } = chat.come_in(&claims, extent).await?;
            let places = if places { all.into_iter().map(standing).collect() } else { Vec::new() };
            Ok(Arrived { person: known.person, unread, places })
        }
        .boxed()
    }

    fn known(&self, claims: Claims) -> BoxFuture<'static, Result<Person, ChatError>> {
        let chat = self.clone();
        async move { chat.known(&claims).await }.boxed()
    }

    fn replay(
        &self,
        caller: UserId,
        conversation: ConversationId,
        after: Seq,
    ) -> BoxFuture<'static, Result<Messages, ChatError>> {
        let chat = self.clone();
        let conversation = ConversationRef::Id(conversation);
        let history = History { conversation, page: Page::After(after), limit: REPLAY_PAGE, readers: false };
        async move { chat.0.store.history(&caller, &history).await }.boxed()
    }

    fn receipts(&self) -> &Receipts {
        &self.0.receipts
    }

    fn keeper(&self) -> Option<&Recipient<Save>> {
        Some(&self.0.keeper)
    }

    fn began(&self) -> Timestamp {
        self.0.began
    }

    fn admit(&self, caller: &Caller) -> Result<(), ChatError> {
        self.0.limits.admit(Some(&caller.person.id), caller.address, Limit::Command)
    }

    fn connects(&self, user: &UserId) -> Result<(), ChatError> {
        self.0.limits.admit(Some(user), None, Limit::Connect)
    }

    fn begin(&self, By { caller, session, command }: By<Command>) -> Begun {
        if let Err(error) = self.0.limits.admit(Some(&caller.person.id), caller.address, limit(&command)) {
            return Begun::UnderWay(refuse(error));
        }
        match command {
            Command::Join(join) => self.join(By { caller, session, command: join }),
            Command::Leave(leave) => self.to_room(&leave.0.clone(), By { caller, session, command: leave }),
            Command::Send(send) => self.to_room(&send.conversation.clone(), By { caller, session, command: send }),
            Command::Typing(typing) => {
                self.to_room(&typing.conversation.clone(), By { caller, session, command: typing })
            }
            Command::Received(received) => {
                self.to_room(&received.0.conversation.clone(), By { caller, session, command: received })
            }
            Command::Read(read) => self.to_room(&read.0.conversation.clone(), By { caller, session, command: read }),
            Command::History(_)
            | Command::Conversations(_)
            | Command::Conversation(_)
            | Command::Open(_)
            | Command::Desk(_)
            | Command::Unread(_)
            | Command::Appear(_)
            | Command::Presence(_) => Begun::UnderWay(self.clone().read(caller.person.id, command).boxed()),
        }
    }

    fn directory(&self) -> &Arc<Directory> {
        &self.0.directory
    }

    fn presence(&self) -> &Addr<Presence> {
        &self.0.presence
    }
}
