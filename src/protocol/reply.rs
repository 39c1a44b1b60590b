//! What a command is answered with.
//!
//! What lives here: one plain variant a kind of answer. What must not: how it is written.

use std::sync::Arc;

use super::command::ListCursor;
use super::ids::{ConversationId, Seq, UserId};
use super::model::{Conversation, Message, Participant, Timestamp, Topic};

/// The answer to a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done, and nothing to say of it.
    Done,
    /// To `Join`.
    Joined(Joined),
    /// To `Leave`: which conversation is heard no longer.
    Left(Arc<Topic>),
    /// To `Send`: the message as the database holds it.
    Sent {
        /// The stored message.
        message: Message,
        /// Where it was said.
        topic: Arc<Topic>,
        /// It had been stored before, under the same client id.
        repeated: bool,
    },
    /// To `Read` and `Received`.
    Marked(Marked),
    /// To `History`, oldest first.
    History(Messages),
    /// To `Conversations`, newest activity first.
    Conversations {
        /// The page.
        conversations: Vec<Conversation>,
        /// Where the next page begins, where there is one.
        next: Option<ListCursor>,
    },
    /// To `Conversation`, `Open`, `Desk` and the provisioning of a conversation.
    Conversation {
        /// As the caller sees it.
        conversation: Box<Conversation>,
        /// It did not exist before.
        created: bool,
    },
    /// To `Unread`.
    Unread(Unread),
    /// To `Presence`.
    Presence(Presence),
}

/// To `Join`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Which conversation.
    pub topic: Arc<Topic>,
    /// The newest place when the caller began to hear.
    pub last_seq: Seq,
    /// Everyone in it, the caller first, with how far they are.
    pub participants: Vec<Listed>,
    /// The newest messages, where they were asked for.
    pub recent: Option<Messages>,
    /// What the caller said to have seen is not what the conversation holds: an older state of the database was restored. The caller
    /// hears from now on, and reads anew what it wants of before.
    pub reset: bool,
}

/// A participant in the answer to `Join`, with how far they have received and read: the marks that a client shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who.
    pub participant: Participant,
    /// All up to and with this place is received.
    pub received: Seq,
    /// All up to and with this place is read.
    pub read: Seq,
}

/// To `Read` and `Received`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Which conversation.
    pub topic: Arc<Topic>,
    /// Whose cursor.
    pub user: UserId,
    /// Where the cursor stands now.
    pub seq: Seq,
    /// How many messages of others are unread there now.
    pub unread: u64,
    /// How many messages of others were unread there and are no longer.
    pub updated: u64,
    /// When.
    pub at: Timestamp,
}

/// A page of messages, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    /// Which conversation.
    pub topic: Arc<Topic>,
    /// The page.
    pub messages: Vec<Message>,
    /// There are more in the direction asked.
    pub has_more: bool,
    /// The newest place: also how many messages there are.
    pub last_seq: Seq,
    /// The two who have read furthest, where that was asked for.
    pub readers: Vec<(UserId, Seq)>,
}

impl Messages {
    /// Whether somebody but its sender has read a message.
    #[must_use]
    pub fn is_read(&self, message: &Message) -> bool {
        self.readers.iter().any(|(reader, place)| *reader != message.sender.id && *place >= message.seq)
    }
}

/// To `Unread`: conversations with something unread, and the sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// The sum over all conversations.
    pub total: u64,
    /// Each with something unread.
    pub conversations: Vec<UnreadIn>,
    /// What each of them is, in their order, where that was asked for.
    pub topics: Vec<Arc<Topic>>,
}

/// What is unread in one conversation, and the newest place that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadIn {
    /// Which conversation.
    pub conversation: ConversationId,
    /// How many messages of others.
    pub count: u64,
    /// The conversation's newest place when it was counted.
    pub last_seq: Seq,
}

/// To `Presence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Who.
    pub user: UserId,
    /// One of their sockets is open.
    pub online: bool,
    /// When the last one closed, where one ever did.
    pub last_seen: Option<Timestamp>,
}
