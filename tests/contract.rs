//! What CONTRACT.md promises, as a client notices it, on both databases.
//!
//! What lives here: a file a subject. What must not: what holds through crashes and races (`invariants` has it).

mod conversations;
mod edges;
