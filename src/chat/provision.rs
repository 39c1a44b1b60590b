//! What the shop's backend asks for: users, subjects, conversations and their participants.
//!
//! What lives here: writing them and making it hold on live sockets before the answer. What must not: who may call (transport).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;

use super::Chat;
use crate::actor::{Control, PersonChanged, Reseat};
use crate::error::ChatError;
use crate::protocol::command::{Provision, PutConversation, PutSubject, PutUser};
use crate::protocol::{Conversation, ConversationId, ConversationRef, Person, UserId};
use crate::store::PLACES_MAX;

/// How long live sockets and rooms may take to go by what was provisioned.
const APPLY_WITHIN: Duration = Duration::from_secs(5);

/// What came of a call of the shop's backend.
#[derive(Clone, Debug)]
pub enum Provisioned {
    /// The user as they are now.
    User {
        /// Who.
        person: Person,
        /// Whether they may come in.
        active: bool,
        /// They did not exist before.
        created: bool,
    },
    /// The subject as it is now.
    Subject {
        /// All that is known of it.
        subject: PutSubject,
        /// It did not exist before.
        created: bool,
    },
    /// The conversation as it is now.
    Conversation {
        /// With everyone in it.
        conversation: Box<Conversation>,
        /// It did not exist before.
        created: bool,
    },
    /// The participant is out.
    Removed,
}

impl Chat {
    /// Carries out a call of the shop's backend. When it answers, it holds on every socket of this node.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn provision(&self, call: Provision) -> Result<Provisioned, ChatError> {
        match call {
            Provision::User(user) => self.put_user(user).await,
            Provision::Subject(subject) => {
                let (subject, created) = self.0.store.put_subject(&subject).await?;
                // Who owns it decides whose conversation is meant.
                self.0.pairs.clear();
                Ok(Provisioned::Subject { subject, created })
            }
            Provision::Conversation(conversation) => self.put_conversation(conversation).await,
            Provision::RemoveParticipant(key, user) => self.remove_participant(key, user).await,
        }
    }

    async fn put_user(&self, user: PutUser) -> Result<Provisioned, ChatError> {
        let before = self.0.store.user(&user.id).await?;
        let (known, created) = self.0.store.put_user(&user).await?;
        // Only a change is told: shops put their users at every login.
        if before.is_some_and(|before| before.person != known.person) {
            self.rename(&known.person).await;
        }
        if !known.active {
            let error = ChatError::forbidden("this user is suspended");
            self.control(&user.id, &Control::Close(error)).await;
        }
        Ok(Provisioned::User { person: known.person, active: known.active, created })
    }

    /// Somebody has another name or role: it holds in every room that is awake, and on every socket of theirs.
    pub(super) async fn rename(&self, person: &Person) {
        let changed = PersonChanged(person.clone());
        match self.0.store.places(&person.id).await {
            Ok(places) if i64::try_from(places.len()).is_ok_and(|places| places < PLACES_MAX) => {
                for place in places {
                    // A full room keeps the old name until it wakes anew; nothing of what it promises depends on it.
                    drop(self.0.directory.tell_awake(place.conversation, changed.clone()));
                }
            }
            // Where it cannot be told which are theirs, all of them hear it.
            Ok(_) | Err(_) => self.0.directory.tell_all(&changed),
        }
        self.control(&person.id, &Control::Renamed(person.clone())).await;
    }

    async fn put_conversation(&self, put: PutConversation) -> Result<Provisioned, ChatError> {
        let (id, created) = self.0.store.put_conversation(&put).await?;
        // A new one too: somebody who guessed its number may have woken a room that found nothing.
        self.reseat(id, None).await?;
        let mut conversation = self.0.store.conversation_for_shop(id).await?;
        self.look_around(&mut conversation);
        Ok(Provisioned::Conversation { conversation: Box::new(conversation), created })
    }

    async fn remove_participant(&self, key: Arc<str>, user: UserId) -> Result<Provisioned, ChatError> {
        let id = self.0.store.remove_participant(&ConversationRef::Key(key), &user).await?;
        self.0.pairs.clear();
        self.reseat(id, Some(user.clone())).await?;
        self.control(&user, &Control::Leave(id)).await;
        Ok(Provisioned::Removed)
    }

    /// Makes a room that is awake go by the participants that the database has now; one that sleeps will when it wakes.
    pub(super) async fn reseat(&self, conversation: ConversationId, removed: Option<UserId>) -> Result<(), ChatError> {
        let (done, applied) = oneshot::channel();
        if !self.0.directory.tell_awake(conversation, Reseat { removed, done })? {
            return Ok(());
        }
        timeout(APPLY_WITHIN, applied).await.ok().and_then(Result::ok).unwrap_or_else(|| Err(ChatError::unavailable()))
    }

    /// Gives an order to every session of a user and waits until each has carried it out.
    async fn control(&self, user: &UserId, order: &Control) {
        let mut orders = Vec::new();
        self.0.directory.for_each_session(user, |listener| orders.push(listener.control.send(order.clone())));
        if timeout(APPLY_WITHIN, join_all(orders)).await.is_err() {
            warn!("a session did not answer an order in time");
        }
    }
}
