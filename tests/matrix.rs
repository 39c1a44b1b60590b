//! Nobody hears what is not theirs: every route and every event, by every kind of caller.
//!
//! What lives here: who calls, and one file for the tables of events, of routes, and for what tables cannot say. A new event or route
//! without a row fails here, and so does a row of one that has gone. What must not: what an answer says beyond whether it is given.

mod apart;
mod ears;
mod events;
mod forged;
mod hearing;
mod routes;
mod world;

/// What only those who take part in the conversations may ever read: it stands in every text and every title of theirs.
pub const SECRET: &str = "opal";

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody: without a token.
    Anonymous,
    /// The shop's backend, with the server key where a user's token belongs.
    Backend,
    /// Somebody who was never in it.
    Stranger,
    /// Somebody who is in it.
    Member,
    /// Somebody who was, and has come back since they were removed.
    Former,
    /// Somebody who was removed while they listened, and whose sockets are still open.
    Removed,
    /// Somebody who is in it, and may not come in.
    Suspended,
    /// Somebody who was never in it, with the highest role in the shop.
    OtherRole,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Anonymous,
        Self::Backend,
        Self::Stranger,
        Self::Member,
        Self::Former,
        Self::Removed,
        Self::Suspended,
        Self::OtherRole,
    ];

    /// Those who are known and may come in, and for whom the conversations are not.
    pub const OUTSIDE: [Self; 4] = [Self::Stranger, Self::Former, Self::Removed, Self::OtherRole];

    /// The user that stands for this kind.
    pub const fn user(self) -> &'static str {
        match self {
            Self::Anonymous | Self::Backend => "",
            Self::Stranger => "steve",
            Self::Member => "alice",
            Self::Former => "fred",
            Self::Removed => "rita",
            Self::Suspended => "sue",
            Self::OtherRole => "adam",
        }
    }
}
