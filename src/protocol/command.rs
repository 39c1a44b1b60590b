//! What somebody asks for: one plain struct a command, the same for every vocabulary and transport.
//!
//! What lives here: the commands of users and of the shop's backend. What must not: how they were spelt.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::ids::{ClientId, ConversationRef, MessageId, Seq, UserId};
use super::model::{Body, Person, Timestamp};

/// Who is calling, as their token and the database say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person, with the name and role in force.
    pub person: Person,
    /// Where from, where that is known: limits are by address too.
    pub address: Option<IpAddr>,
}

/// What a token says, once its signature and times were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who.
    pub user: UserId,
    /// Their name, where the token gives one.
    pub name: Option<Arc<str>>,
    /// Their role, where the token gives one.
    pub role: Option<Arc<str>>,
    /// When the token ends, in seconds since 1970 UTC.
    pub expires_at_s: i64,
}

/// Messages a page where the client does not say (CONTRACT section 3).
pub const PAGE_DEFAULT: u32 = 50;
/// Messages a page at most.
pub const PAGE_MAX: u32 = 200;
/// Conversations a page at most.
pub const CONVERSATIONS_MAX: u32 = 100;
/// Conversations in a list that has no pages.
pub const CONVERSATIONS_WHOLE: u32 = 1_000;

/// What a user can ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Hear a conversation from now on, or from a cursor.
    Join(Join),
    /// Hear it no longer.
    Leave(Leave),
    /// Say something.
    Send(Send),
    /// Be seen typing, or no longer.
    Typing(Typing),
    /// Have received everything up to a place.
    Received(Received),
    /// Have read everything up to a place.
    Read(Read),
    /// A page of a conversation.
    History(History),
    /// A page of one's conversations.
    Conversations(Conversations),
    /// One of one's conversations.
    Conversation(ConversationRef),
    /// Open a conversation, or find the one that two people have already.
    Open(Open),
    /// Open the caller's conversation with all who answer for the shop, or find it.
    Desk(Desk),
    /// All unread counts.
    Unread(UnreadCounts),
    /// Be seen as online, or not though this socket is open.
    Appear(bool),
    /// Whether somebody is online.
    Presence(UserId),
}

/// `Command::Join`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Which conversation.
    pub conversation: ConversationRef,
    /// From where on messages are told.
    pub since: Since,
    /// With the answer, so many of the newest messages; 0 to [`PAGE_MAX`].
    pub recent: u32,
}

/// From where on messages are told to whoever joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// From now on.
    Now,
    /// After the last place seen, one's own included.
    Place(Seq),
    /// The same, of a message that was taken in at this moment: where the message of that place is another one, the database was
    /// restored to before it.
    Seen(Seq, Timestamp),
    /// After what the caller's devices have received, others' alone, at most the newest [`QUEUE_MAX`].
    Received,
}

impl Since {
    /// The last place that the caller says to have seen.
    #[must_use]
    pub fn seen(self) -> Option<Seq> {
        match self {
            Self::Place(seq) | Self::Seen(seq, _) => Some(seq),
            Self::Now | Self::Received => None,
        }
    }
}

/// What none of a user's devices has received is told on the next connect, at most so many messages a conversation
/// (CONTRACT section 3).
pub const QUEUE_MAX: i64 = 500;

/// `Command::Leave`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave(pub ConversationRef);

/// `Command::Received`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received(pub Mark);

/// `Command::Read`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read(pub Mark);

/// `Command::Send`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Where.
    pub conversation: ConversationRef,
    /// What.
    pub body: Body,
    /// `text` or the client's word.
    pub kind: Arc<str>,
    /// The key of idempotence.
    pub client_id: Option<ClientId>,
}

/// `Command::Typing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typing {
    /// Where.
    pub conversation: ConversationRef,
    /// Begun or ended.
    pub on: bool,
    /// After how long it ends by itself, unless said again.
    pub lasts: Duration,
}

/// `Command::Received` and `Command::Read`: a cursor moves forward, never back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where.
    pub conversation: ConversationRef,
    /// Up to and with this place; `None` is the newest. Past the newest counts as the newest.
    pub seq: Option<Seq>,
}

/// `Command::History`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Where.
    pub conversation: ConversationRef,
    /// Which page.
    pub page: Page,
    /// At most so many messages, 1 to [`PAGE_MAX`].
    pub limit: u32,
    /// Whether how far others have read is asked for too.
    pub readers: bool,
}

/// Which messages a page holds; whichever, they come oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest.
    Newest,
    /// The newest before a place.
    Before(Seq),
    /// Of pages that are numbered from the newest, 1, this one.
    Numbered(u32),
    /// The newest before a message.
    BeforeMessage(MessageId),
    /// The oldest after a place.
    After(Seq),
}

/// `Command::Conversations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversations {
    /// At most so many, 1 to [`CONVERSATIONS_WHOLE`].
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<ListCursor>,
    /// Only those about a subject of this kind, and with this id where one is given.
    pub about: Option<(Arc<str>, Option<Arc<str>>)>,
}

/// `Command::Unread`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadCounts {
    /// Whether what each conversation is, is asked for too.
    pub topics: bool,
}

/// The place in a list of conversations, newest activity first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListCursor {
    /// The last shown conversation's latest activity, in milliseconds since 1970 UTC.
    pub active_at_ms: i64,
    /// Its number.
    pub id: i64,
}

/// `Command::Open`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Whom to talk to; the caller is added.
    pub participants: Vec<UserId>,
    /// What about: kind and id.
    pub subject: Option<(Arc<str>, Arc<str>)>,
    /// A title.
    pub title: Option<Arc<str>>,
    /// Which roles may talk with each other, and what their conversation is; everyone named must be known then. `None`: everybody
    /// may, and the usual kinds.
    pub pairings: Option<&'static [Pairing]>,
}

/// Roles whose people may talk with each other, in either order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// Any of these roles …
    pub one: &'static [&'static str],
    /// … with any of these.
    pub other: &'static [&'static str],
    /// The kind of their conversation.
    pub kind: &'static str,
}

impl Pairing {
    /// The kind of a conversation of two people with these roles in the shop; `None` where they may not talk.
    #[must_use]
    pub fn kind_of(pairings: &[Self], role: &str, other: &str) -> Option<&'static str> {
        let meets = |pairing: &&Self| {
            (pairing.one.contains(&role) && pairing.other.contains(&other))
                || (pairing.one.contains(&other) && pairing.other.contains(&role))
        };
        pairings.iter().find(meets).map(|pairing| pairing.kind)
    }
}

/// `Command::Desk`: the caller's one conversation with all who answer for the shop. Whoever answers by now is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Desk {
    /// The roles of those who answer; they cannot ask.
    pub staff: &'static [&'static str],
    /// Which roles may ask, and what the conversation is.
    pub pairings: &'static [Pairing],
}

/// What the key of a conversation at the desk begins with; the user who asks follows: `support:alice`.
pub const DESK_KEY: &str = "support:";
/// How many of those who answer are in a conversation at the desk: with whoever asks they are 50, within which all chatter and
/// presence is told.
pub const DESK_STAFF_MAX: u32 = 49;

/// How many participants one call may bring (CONTRACT section 3).
pub const PARTICIPANTS_MAX: usize = 10_000;

/// What the shop's backend can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provision {
    /// Create a user or change what is given.
    User(PutUser),
    /// Create a subject or change what is given.
    Subject(PutSubject),
    /// Create a conversation by its key or change what is given, and add participants.
    Conversation(PutConversation),
    /// Take somebody out of a conversation.
    RemoveParticipant(Arc<str>, UserId),
}

/// `Provision::User`. What is `None` stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutUser {
    /// Who.
    pub id: UserId,
    /// The name, before any token's.
    pub name: Option<Arc<str>>,
    /// The role, before any token's.
    pub role: Option<Arc<str>>,
    /// Whether they may come in.
    pub active: Option<bool>,
}

/// `Provision::Subject`. What is `None` stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutSubject {
    /// One of [`super::model::SUBJECT_KINDS`].
    pub kind: Arc<str>,
    /// The shop's id of it.
    pub id: Arc<str>,
    /// What to call it.
    pub title: Option<Arc<str>>,
    /// Who sells it.
    pub owner: Option<UserId>,
    /// Its page.
    pub url: Option<Arc<str>>,
    /// Its picture.
    pub image_url: Option<Arc<str>>,
}

/// `Provision::Conversation`. What is `None` stays as it was; participants are added, none removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutConversation {
    /// The shop's key.
    pub key: Arc<str>,
    /// The shop's word for what it is.
    pub kind: Option<Arc<str>>,
    /// A title.
    pub title: Option<Arc<str>>,
    /// What it is about: kind and id.
    pub subject: Option<(Arc<str>, Arc<str>)>,
    /// Who is in it, each with their part.
    pub participants: Vec<(UserId, Option<Arc<str>>)>,
}
