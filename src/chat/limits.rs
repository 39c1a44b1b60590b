//! How much a user may ask for: token buckets by user (GCRA, by the `governor` crate).
//!
//! What lives here: the buckets and their rates. What must not: limits of connections (transports have them).

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::ChatError;
use crate::protocol::UserId;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Messages sent.
    Message,
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

/// The limits of all users. `None` inside: switched off.
pub struct Limits {
    buckets: Option<Buckets>,
}

struct Buckets {
    messages: DefaultKeyedRateLimiter<UserId>,
    commands: DefaultKeyedRateLimiter<UserId>,
    clock: DefaultClock,
}

impl Limits {
    /// Limits by these rates.
    #[must_use]
    pub fn new(messages: Rate, commands: Rate) -> Self {
        let buckets = Buckets {
            messages: RateLimiter::keyed(messages.quota()),
            commands: RateLimiter::keyed(commands.quota()),
            clock: DefaultClock::default(),
        };
        Self { buckets: Some(buckets) }
    }

    /// No limits: for load tests behind a limiter of one's own.
    #[must_use]
    pub const fn off() -> Self {
        Self { buckets: None }
    }

    /// Counts one more.
    ///
    /// # Errors
    /// `rate_limited`, with how long to wait, when it is too many.
    pub fn admit(&self, user: &UserId, limit: Limit) -> Result<(), ChatError> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        let bucket = match limit {
            Limit::Message => &buckets.messages,
            Limit::Command => &buckets.commands,
        };
        bucket.check_key(user).map_err(|until| {
            metrics::counter!("haggle_rate_limited_total").increment(1);
            ChatError::RateLimited(until.wait_time_from(buckets.clock.now()).max(Duration::from_millis(1)))
        })
    }

    /// Forgets users whose buckets are full again.
    pub fn tidy_up(&self) {
        if let Some(buckets) = &self.buckets {
            for bucket in [&buckets.messages, &buckets.commands] {
                bucket.retain_recent();
                bucket.shrink_to_fit();
            }
        }
    }
}

impl Rate {
    fn quota(self) -> Quota {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Quota::per_second(at_least_one(self.per_second)).allow_burst(at_least_one(self.burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_the_next_waits_and_others_feel_nothing() {
        let rate = Rate { per_second: 1, burst: 3 };
        let limits = Limits::new(rate, rate);
        let (alice, bob) = (UserId::stored("alice"), UserId::stored("bob"));
        for _ in 0..3 {
            assert_eq!(limits.admit(&alice, Limit::Message), Ok(()));
        }
        let refused = limits.admit(&alice, Limit::Message).unwrap_err();
        assert_eq!((refused.code(), refused.retry_after()), ("rate_limited", Some(1)));
        assert_eq!(limits.admit(&bob, Limit::Message), Ok(()));
        assert_eq!(limits.admit(&alice, Limit::Command), Ok(()), "reading goes on");
    }
}
