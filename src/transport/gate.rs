//! The gate: how many connections there are, in all and by address, and whether new ones may come in.
//!
//! What lives here: counting connections, and closing the gate when the server goes down. What must not: what a connection does.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::error::ChatError;

/// What a connection that is one too many is asked to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Counts connections.
pub struct Gate {
    open: AtomicUsize,
    by_address: DashMap<IpAddr, usize>,
    most: usize,
    most_by_address: usize,
    draining: AtomicBool,
}

/// A connection that came in; dropped, it has gone.
pub struct Passage {
    gate: Arc<Gate>,
    address: Option<IpAddr>,
}

impl Gate {
    /// A gate for so many connections in all and by address.
    #[must_use]
    pub fn new(most: usize, most_by_address: usize) -> Self {
        Self {
            open: AtomicUsize::new(0),
            by_address: DashMap::new(),
            most,
            most_by_address,
            draining: AtomicBool::new(false),
        }
    }

    /// Lets a connection in.
    ///
    /// # Errors
    /// `unavailable` when the server goes down or is full, `rate_limited` when the address has too many already.
    pub fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Passage, ChatError> {
        if self.is_draining() || self.open.load(Ordering::Relaxed) >= self.most {
            return Err(ChatError::Unavailable(RETRY_AFTER));
        }
        if let Some(address) = address {
            let mut count = self.by_address.entry(address).or_insert(0);
            if *count >= self.most_by_address {
                return Err(ChatError::RateLimited(RETRY_AFTER));
            }
            *count += 1;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Passage { gate: Arc::clone(self), address })
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Lets nobody in any more.
    pub fn close(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the server goes down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.gate.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address
            && let Entry::Occupied(mut entry) = self.gate.by_address.entry(address)
        {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place_and_gives_back_what_it_leaves() {
        let gate = Arc::new(Gate::new(3, 2));
        let (here, there) = (Some(IpAddr::from([127, 0, 0, 1])), Some(IpAddr::from([127, 0, 0, 2])));
        let first = gate.enter(here).unwrap_or_else(|_| unreachable!());
        let _second = gate.enter(here);
        assert_eq!(gate.enter(here).err().map(|error| error.code()), Some("rate_limited"));
        let _third = gate.enter(there);
        assert_eq!(gate.enter(there).err().map(|error| error.code()), Some("unavailable"));
        drop(first);
        assert!(gate.enter(here).is_ok());
        gate.close();
        assert!(gate.enter(there).is_err());
    }
}
