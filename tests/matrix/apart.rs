//! What tables cannot say: buyers of one item, guessed ids, other people's keys.
