//! Coming back: where a Socket.IO client goes on after it was cut off, by the private id and the offset that it holds.
//!
//! What lives here: the crate's `RecoveryStore` on this server's own recovery. What must not: what was missed (sessions read that from
//! the database), or writing where sockets stand (the keeper does).

use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use actix_web::web;
use dashmap::DashMap;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use socketio::Socket;
use socketio::recovery::{Claim, Recovered, RecoveryStore, SavedSocket};
use tokio::time::timeout;

use crate::actor::Control;
use crate::actor::recovery::{Offset, Resumed};
use crate::actor::session::Identity;
use crate::chat::Limit;
use crate::transport::{Shared, gate};

/// How long a session may take to say where it stood.
const GIVES_WAY_WITHIN: Duration = Duration::from_secs(3);

/// Finds where clients go on.
pub(super) struct Recoverer {
    shared: web::Data<Shared>,
    /// What was taken and is about to be gone on with.
    taken: DashMap<String, Resumed>,
    /// The sessions of this process that are open, by private id.
    standing: Arc<DashMap<String, Recipient<Control>>>,
}

/// A session that is open; dropped, it is not any more.
pub(super) struct Stand {
    standing: Arc<DashMap<String, Recipient<Control>>>,
    pid: String,
    session: Recipient<Control>,
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.standing.remove_if(&self.pid, |_, session| *session == self.session);
    }
}

impl Recoverer {
    pub(super) fn new(shared: web::Data<Shared>) -> Self {
        Self { shared, taken: DashMap::new(), standing: Arc::default() }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// By what a socket is found again, and where it goes on, where it does.
    pub(super) fn identify(&self, socket: &Socket) -> Option<(Identity, Option<Resumed>)> {
        let pid = socket.pid()?.to_owned();
        let resumed = self.taken.remove(&pid).map(|(_, resumed)| resumed);
        let (sid, namespace) = (socket.id().to_owned(), socket.namespace().to_owned());
        Some((Identity { pid, sid, namespace }, resumed))
    }

    /// Notes whose session a socket has.
    pub(super) fn stand(&self, pid: &str, session: Recipient<Control>) -> Stand {
        self.standing.insert(pid.to_owned(), session.clone());
        Stand { standing: Arc::clone(&self.standing), pid: pid.to_owned(), session }
    }

    async fn find(&self, claim: Claim<'_>) -> Option<Recovered> {
        // Nobody is let in any more: what is saved waits for the next process.
        if self.shared.gate.is_draining() {
            return None;
        }
        let offset: Offset = claim.offset.parse().ok()?;
        let token = super::token(&self.shared, claim.auth, claim.request, claim.request)?;
        let user = self.shared.tokens.verify(&token).ok()?.user;
        // The connect itself is counted later; this reads the database for it.
        self.shared.chat.admit(Some(&user), gate::address_of(claim.request), Limit::Command).ok()?;
        // The server may not have noticed yet that the connection before is gone.
        let before = self.standing.get(claim.pid).map(|session| session.clone());
        if let Some(before) = before {
            drop(timeout(GIVES_WAY_WITHIN, before.send(Control::GiveWay(user.clone()))).await);
        }
        let (sid, resumed) = self.shared.chat.resume(claim.namespace, claim.pid, &user, &offset).await.ok()??;
        self.taken.insert(claim.pid.to_owned(), resumed);
        Some(Recovered { sid, rooms: Vec::new(), missed: Vec::new() })
    }
}

impl std::fmt::Debug for Recoverer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recoverer").field("standing", &self.standing.len()).finish_non_exhaustive()
    }
}

impl RecoveryStore for Recoverer {
    /// Sessions say themselves where they stood.
    fn closed(&self, _: SavedSocket, _: bool) {}

    fn take<'a>(&'a self, claim: Claim<'a>) -> LocalBoxFuture<'a, Option<Recovered>> {
        self.find(claim).boxed_local()
    }
}
