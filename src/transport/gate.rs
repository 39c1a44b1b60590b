//! The gate: how many connections there are, in all and by address, and whether new ones may come in.
//!
//! What lives here: counting connections, and closing the gate when the server goes down. What must not: what a connection does.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use socketio::engine::RequestHead;

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

/// Whose connection it is: the peer's address, or what a proxy on this machine or its private network says it is
/// (`X-Forwarded-For`, the last entry, which the proxy itself wrote). From anywhere else the header counts for nothing. Of an IPv6
/// address the network (/64) counts: whoever has one address of it has them all.
#[must_use]
pub fn address(request: &HttpRequest) -> Option<IpAddr> {
    let forwarded = request.headers().get_all("x-forwarded-for").last();
    Some(seen_as(request.peer_addr()?.ip(), forwarded.and_then(|header| header.to_str().ok())))
}

/// Whose connection it is, as [`address`] tells it, of a request that is over.
#[must_use]
pub fn address_of(request: &RequestHead) -> Option<IpAddr> {
    let forwarded = request.headers().filter(|(name, _)| *name == "x-forwarded-for").last();
    Some(seen_as(request.peer_addr()?.ip(), forwarded.map(|(_, value)| value)))
}

fn seen_as(peer: IpAddr, forwarded: Option<&str>) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_private(peer) {
        return network(peer);
    }
    let last = forwarded.and_then(|header| header.rsplit(',').next());
    let told = last.and_then(|address| address.trim().parse::<IpAddr>().ok());
    told.map_or(peer, |address| network(address.to_canonical()))
}

/// An IPv4 address as it is, of an IPv6 address its /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
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
    fn a_proxy_nearby_is_believed_and_a_stranger_is_not() {
        let from = |peer: &str, forwarded: &str| {
            let request = actix_web::test::TestRequest::default().insert_header(("x-forwarded-for", forwarded));
            let peer = std::net::SocketAddr::new(peer.parse().unwrap(), 5_000);
            address(&request.peer_addr(peer).to_http_request()).unwrap().to_string()
        };
        assert_eq!(from("127.0.0.1", "203.0.113.9"), "203.0.113.9");
        assert_eq!(from("10.0.0.2", "198.51.100.1, 203.0.113.9"), "203.0.113.9", "only what the proxy itself wrote");
        assert_eq!(from("203.0.113.7", "198.51.100.1"), "203.0.113.7");
        assert_eq!(from("127.0.0.1", "garbage"), "127.0.0.1");
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let seen = |peer: &str, forwarded: Option<&str>| seen_as(peer.parse().unwrap(), forwarded).to_string();
        assert_eq!(seen("2001:db8:1:2:3:4:5:6", None), "2001:db8:1:2::");
        assert_eq!(seen("127.0.0.1", Some("2001:db8:1:2:ffff::1")), "2001:db8:1:2::");
        assert_eq!(seen("2001:db8:1:3::1", None), "2001:db8:1:3::");
        assert_eq!(seen("::ffff:203.0.113.9", None), "203.0.113.9");
        assert_eq!(seen("::1", Some("::ffff:203.0.113.9")), "203.0.113.9");
    }

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
