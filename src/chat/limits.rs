//! How much may be asked for: token buckets by user and by address (GCRA, by the `governor` crate).
//!
//! What lives here: the buckets and their rates. What must not: how many connections are open (transports have that).

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::ChatError;
use crate::protocol::UserId;

/// After so many admissions whoever's bucket is full again is forgotten, so that many who come once do not pile up.
const SWEEP_AFTER: usize = 100_000;

/// What is counted, each apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Messages sent.
    Message,
    /// Conversations joined.
    Join,
    /// Typing said.
    Typing,
    /// Connections opened: a WebSocket, or a namespace on Socket.IO.
    Connect,
    /// Socket.IO handshakes, before anybody says who they are. Apart from connects and at their rate, so that whoever was let in here
    /// is not turned away at the namespace, after which clients do not come back by themselves.
    Handshake,
    /// Everything else.
    Command,
}

/// A rate: so many a second, so many at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Sustained, a second; at least 1.
    pub per_second: u32,
    /// At once; at least 1.
    pub burst: u32,
}

/// The rates of one user, and how many users' worth one address has.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of [`Limit::Message`].
    pub messages: Rate,
    /// Of [`Limit::Join`].
    pub joins: Rate,
    /// Of [`Limit::Typing`].
    pub typing: Rate,
    /// Of [`Limit::Connect`] and [`Limit::Handshake`].
    pub connects: Rate,
    /// Of [`Limit::Command`].
    pub commands: Rate,
    /// An address may do so many times what a user may; at least 1.
    pub address_factor: u32,
}

/// The limits of all users and addresses. `None` inside: switched off.
pub struct Limits {
    buckets: Option<Box<Buckets>>,
}

struct Buckets {
    messages: Both,
    joins: Both,
    typing: Both,
    connects: Both,
    handshakes: Both,
    commands: Both,
}

/// One thing that is counted, by user and by address.
struct Both {
    users: Keyed<UserId>,
    addresses: Keyed<IpAddr>,
}

/// A bucket for everyone who came lately.
struct Keyed<K: Hash + Eq + Clone> {
    buckets: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    /// Admissions since full buckets were last forgotten.
    admissions: AtomicUsize,
}

impl Limits {
    /// Limits by these rates.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let both =
            |rate: Rate| Both { users: Keyed::new(rate), addresses: Keyed::new(rate.times(rates.address_factor)) };
        let buckets = Buckets {
            messages: both(rates.messages),
            joins: both(rates.joins),
            typing: both(rates.typing),
            connects: both(rates.connects),
            handshakes: both(rates.connects),
            commands: both(rates.commands),
        };
        Self { buckets: Some(Box::new(buckets)) }
    }

    /// No limits: for load tests behind a limiter of one's own.
    #[must_use]
    pub const fn off() -> Self {
        Self { buckets: None }
    }

    /// Counts one more of a user and of the address that they are at, as far as they are known.
    ///
    /// # Errors
    /// `rate_limited`, with how long to wait, when it is too many.
    pub fn admit(&self, user: Option<&UserId>, address: Option<IpAddr>, limit: Limit) -> Result<(), ChatError> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        let Both { users, addresses } = buckets.of(limit);
        // The user first: what one of an office is refused must not be taken from the others.
        let admitted = user.map_or(Ok(()), |user| users.admit(user));
        let admitted = admitted.and_then(|()| address.map_or(Ok(()), |address| addresses.admit(&address)));
        admitted.map_err(|wait| {
            metrics::counter!("haggle_rate_limited_total").increment(1);
            ChatError::RateLimited(wait)
        })
    }

    /// Forgets users and addresses whose buckets are full again, and gives their memory back.
    pub fn tidy_up(&self) {
        let Some(buckets) = &self.buckets else { return };
        for Both { users, addresses } in buckets.all() {
            users.tidy_up();
            addresses.tidy_up();
        }
    }
}

impl Buckets {
    const fn of(&self, limit: Limit) -> &Both {
        match limit {
            Limit::Message => &self.messages,
            Limit::Join => &self.joins,
            Limit::Typing => &self.typing,
            Limit::Connect => &self.connects,
            Limit::Handshake => &self.handshakes,
            Limit::Command => &self.commands,
        }
    }

    const fn all(&self) -> [&Both; 6] {
        [&self.messages, &self.joins, &self.typing, &self.connects, &self.handshakes, &self.commands]
    }
}

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn new(rate: Rate) -> Self {
        let buckets = RateLimiter::keyed(rate.quota());
        Self { buckets, clock: DefaultClock::default(), admissions: AtomicUsize::new(0) }
    }

    /// Counts one more, or tells how long to wait.
    fn admit(&self, key: &K) -> Result<(), Duration> {
        // By the count, so that no flood outruns it: what is taken from a bucket is back within a second, so what stays is no more
        // than came in the last second.
        if self.admissions.fetch_add(1, Ordering::Relaxed) == SWEEP_AFTER {
            self.admissions.store(0, Ordering::Relaxed);
            self.buckets.retain_recent();
        }
        self.buckets.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            wait.max(Duration::from_millis(1))
        })
    }

    fn tidy_up(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }
}

impl Rate {
    const fn times(self, factor: u32) -> Self {
        let Self { per_second, burst } = self;
        Self { per_second: per_second.saturating_mul(factor), burst: burst.saturating_mul(factor) }
    }

    fn quota(self) -> Quota {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Quota::per_second(at_least_one(self.per_second)).allow_burst(at_least_one(self.burst))
    }
}

#[cfg(test)]
mod tests;
