//! Seeded defects: what the oracle of the fault tests must catch. They exist where the feature `defects` is on, which is in test
//! builds alone; elsewhere every question here is answered no when the program is compiled.
//!
//! What lives here: which defects there are, and whether one strikes now. What must not: what they do; that stands, in a line,
//! where the promise is kept that they break.

/// A promise that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A batch is answered for, and committed with the next one.
    AcknowledgeBeforeCommit,
    /// One delivery in 10,000 is not written.
    DropDelivery,
    /// The newest message of a room that has no other under way is told to nobody.
    DropLast,
    /// One message in 200 is told in the place of the one before.
    ReuseSeq,
    /// Whoever asks is let in.
    SkipMembership,
    /// A session whose connection has ended stays.
    LeakSession,
    /// One delivery in 500 is written twice.
    TellTwice,
    /// What was missed is told newest first.
    ReplayBackwards,
    /// What was missed is told without its first message.
    SkipOnResume,
    /// One message in 200 is stored without its end.
    StoreOtherText,
    /// One message in 200 is stored and refused.
    RefuseStored,
    /// Unread counts are one too high.
    MiscountUnread,
    /// One message in 500 makes its room panic.
    Panic,
    /// One message in 200 is written to the log.
    Babble,
}

/// Whether this defect strikes now.
#[cfg(not(feature = "defects"))]
#[inline(always)]
#[must_use]
pub const fn strikes(_: Defect) -> bool {
    false
}

/// Whether this defect is seeded, by its name in the variable `SEEDED_DEFECT`, and its turn has come.
#[cfg(feature = "defects")]
#[must_use]
pub fn strikes(defect: Defect) -> bool {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static SEEDED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("SEEDED_DEFECT").ok());
    static TURNS: AtomicU64 = AtomicU64::new(0);
    if SEEDED.as_deref().is_none_or(|seeded| seeded != format!("{defect:?}")) {
        return false;
    }
    let every = match defect {
        Defect::DropDelivery => 10_000,
        Defect::TellTwice | Defect::Panic => 500,
        Defect::ReuseSeq | Defect::StoreOtherText | Defect::RefuseStored | Defect::Babble => 200,
        Defect::AcknowledgeBeforeCommit
        | Defect::DropLast
        | Defect::SkipMembership
        | Defect::LeakSession
        | Defect::ReplayBackwards
        | Defect::SkipOnResume
        | Defect::MiscountUnread => 1,
    };
    (TURNS.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(every)
}
