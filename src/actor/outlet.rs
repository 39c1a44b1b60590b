//! The way out of a session, whatever the transport: frames go in, and how far its client has taken them comes out.
//!
//! What lives here: the trait. What must not: sockets; each transport has its own outlet (the plain WebSocket's is
//! [`super::outbox::Outbox`]).

use std::time::Duration;

use bytestring::ByteString;

use crate::vocabulary::Word;

/// The queue is full: its peer is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Where a session writes. Bounded, and never waited for.
pub trait Outlet: Send + Sync + 'static {
    /// Writes an event. `offset` tells a client where it stands after it, for transports that resume. The ticket is flushed when
    /// [`Outlet::flushed`] has reached it.
    ///
    /// # Errors
    /// [`Full`] when it would wait beyond the limit.
    fn event(&self, frame: &ByteString, offset: Option<&str>) -> Result<u64, Full>;

    /// Writes a part of what answers a request; `ack` is the acknowledgement that its client asked for.
    ///
    /// # Errors
    /// [`Full`] when more answers wait than a client that reads would let.
    fn reply(&self, word: Word, ack: Option<u64>, offset: Option<&str>) -> Result<(), Full>;

    /// The ticket of what was written last.
    fn written(&self) -> u64 {
        0
    }

    /// The ticket up to which frames were taken by the transport. 0 where clients acknowledge by themselves.
    fn flushed(&self) -> u64 {
        0
    }

    /// The ticket up to which the client has frames, as far as the transport can show it.
    fn received(&self) -> u64 {
        self.flushed()
    }

    /// Writes a heartbeat, where the transport has none of its own.
    fn ping(&self) {}

    /// Ends the connection with a close code (RFC 6455 section 7.4) and a reason.
    fn close(&self, code: u16, reason: &str);

    /// Drops what waits: there is room again for a last word.
    fn clear(&self) {}

    /// Gives back what an idle connection need not keep; called now and then.
    fn rest(&self) {}

    /// Whether more than half of what may wait does: a time to stop reading pages or requests.
    fn is_busy(&self) -> bool;

    /// For how long frames have waited without any being taken; zero where the transport looks after it.
    fn stalled_for(&self) -> Duration {
        Duration::ZERO
    }

    /// How long ago the peer was last heard; zero where the transport looks after it.
    fn silent_for(&self) -> Duration {
        Duration::ZERO
    }

    /// Asks the transport to read nothing more, or to go on.
    fn hold_reading(&self, enough: bool);
}
