//! Presence: the actor that tells people when those they talk to come online and go.
//!
//! What lives here: gathering who came and went, asking who wants to know, telling them, writing when somebody was last seen.
//! What must not: who is online (the directory has it, so that rooms read it without asking), or rooms.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;
use tracing::warn;

use super::Deliver;
use super::directory::Directory;
use super::persistence::{Partners, Reader, SaveLastSeen, Settle};
use crate::protocol::reply;
use crate::protocol::{Event, Timestamp, UserId};
use crate::vocabulary::Fanout;

/// People whose partners are asked for in one query.
const GATHER_MAX: usize = 200;
/// People who may wait to be announced; above it the oldest news would be late anyway, and everyone learns by joining.
const WAITING_MAX: usize = 100_000;

/// One of somebody's sockets opened or closed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Changed(pub UserId);

/// Somebody says that they are there, or not: whoever talks to them is told, news or not.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Announce(pub UserId);

/// The presence registry's voice.
pub struct Presence {
    directory: Arc<Directory>,
    reader: Addr<Reader>,
    /// Who was last noticed to be online: only a change is news.
    online: HashSet<UserId>,
    /// Who came or went and has not been announced, with when they were last seen, where they went.
    waiting: HashMap<UserId, Option<Timestamp>>,
    /// Partners are being asked for.
    asking: bool,
    settling: Vec<oneshot::Sender<()>>,
}

impl Presence {
    /// Presence over this directory.
    #[must_use]
    pub fn new(directory: Arc<Directory>, reader: Addr<Reader>) -> Self {
        Self { directory, reader, online: HashSet::new(), waiting: HashMap::new(), asking: false, settling: Vec::new() }
    }

    fn announce(&mut self, ctx: &mut Context<Self>) {
        if self.asking || self.waiting.is_empty() {
            return;
        }
        self.asking = true;
        let users: Vec<UserId> = self.waiting.keys().take(GATHER_MAX).cloned().collect();
        let changed: HashMap<_, _> = users.iter().filter_map(|user| self.waiting.remove_entry(user)).collect();
        let seen: Vec<_> = changed.iter().filter_map(|(user, at)| Some((user.clone(), (*at)?))).collect();
        let reader = self.reader.clone();
        let asking = async move {
            if !seen.is_empty() {
                report("last seen", reader.send(SaveLastSeen(seen)).await);
            }
            report("partners", reader.send(Partners(users)).await).unwrap_or_default()
        };
        ctx.spawn(asking.into_actor(self).map(move |partners, presence, ctx| {
            presence.tell(&changed, &partners);
            presence.asking = false;
            presence.announce(ctx);
            presence.settle();
        }));
    }

    fn settle(&mut self) {
        if !self.asking {
            for settled in self.settling.drain(..) {
                // Whoever asked may have stopped waiting.
                let _ = settled.send(());
            }
        }
    }

    /// Tells each partner what holds now, not what held when it was noticed: whoever came back meanwhile is online.
    fn tell(&self, changed: &HashMap<UserId, Option<Timestamp>>, partners: &[(UserId, UserId)]) {
        let mut news: HashMap<&UserId, Arc<[Fanout]>> = HashMap::new();
        for (user, partner) in partners {
            let events = news.entry(user).or_insert_with(|| {
                let online = self.directory.is_online(user);
                let last_seen = changed.get(user).copied().flatten();
                let presence = reply::Presence { user: user.clone(), online, last_seen };
                Arc::from([Fanout::new(Event::Presence(presence), None, None)])
            });
            self.directory.for_each_session(partner, |listener| {
                let deliver = Deliver { events: Arc::clone(events), joined: false, unread: None };
                // A session too busy to take it learns who is online when it next joins.
                drop(listener.deliver.try_send(deliver));
            });
        }
    }
}

/// Logs what the database refused and goes on: presence is told as well as it can be.
fn report<T>(what: &str, result: Result<Result<T, crate::error::ChatError>, MailboxError>) -> Option<T> {
    match result {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            warn!(code = error.code(), "presence could not reach the database for {what}");
            None
        }
        Err(_) => None,
    }
}

impl Actor for Presence {
    type Context = Context<Self>;
}

impl Handler<Changed> for Presence {
    type Result = ();

    fn handle(&mut self, Changed(user): Changed, ctx: &mut Self::Context) {
        let online = self.directory.is_online(&user);
        let news = if online { self.online.insert(user.clone()) } else { self.online.remove(&user) };
        if news && self.waiting.len() < WAITING_MAX {
            self.waiting.insert(user, (!online).then(Timestamp::now));
            self.announce(ctx);
        }
    }
}

impl Handler<Announce> for Presence {
    type Result = ();

    fn handle(&mut self, Announce(user): Announce, ctx: &mut Self::Context) {
        let online = self.directory.is_online(&user);
        if online {
            self.online.insert(user.clone());
        } else {
            self.online.remove(&user);
        }
        if self.waiting.len() < WAITING_MAX {
            self.waiting.insert(user, (!online).then(Timestamp::now));
            self.announce(ctx);
        }
    }
}

impl Handler<Settle> for Presence {
    type Result = ();

    fn handle(&mut self, Settle(settled): Settle, _: &mut Self::Context) {
        self.settling.push(settled);
        self.settle();
    }
}
