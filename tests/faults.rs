//! What must hold whatever fails: an oracle that knows what everyone sent and was told, and faults for it to judge.
//!
//! What lives here: the oracle (`evidence`, `verdict`), the clients that it watches (`line`, `device`, `world`), and a file for each kind
//! of fault. What must not: single promises and their shapes (`invariants` and `contract` have them).

mod clock;
pub mod crowds;
pub mod database;
pub mod device;
pub mod evidence;
mod going;
mod judging;
pub mod kills;
pub mod line;
mod links;
pub mod migration;
pub mod proxy;
mod restore;
mod seeded;
pub mod verdict;
pub mod world;
