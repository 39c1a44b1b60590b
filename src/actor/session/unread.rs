//! A session's book of unread counts: what its user has not read, by conversation and in total.
//!
//! What lives here: keeping counts that rooms tell and the database gave in one consistent sum. What must not: telling anyone.

use std::collections::HashMap;

use ahash::RandomState;

use crate::protocol::ConversationId;
use crate::protocol::event::UnreadNow;
use crate::protocol::reply::{Unread, UnreadIn};

/// Counts by conversation. Only conversations with something unread are kept once the first counts were read.
#[derive(Debug, Default)]
pub(super) struct UnreadBook {
    counts: HashMap<ConversationId, UnreadIn, RandomState>,
    total: u64,
    loaded: bool,
}

impl UnreadBook {
    /// Takes a count as a room told it, and returns what to tell: `None` when it is older than what is known.
    pub(super) fn update(&mut self, now: UnreadIn) -> Option<UnreadNow> {
        let known = self.counts.get(&now.conversation);
        if known.is_some_and(|known| known.last_seq > now.last_seq) {
            return None;
        }
        self.total = self.total - known.map_or(0, |known| known.count) + now.count;
        if now.count == 0 && self.loaded {
            self.counts.remove(&now.conversation);
        } else {
            self.counts.insert(now.conversation, now);
        }
        Some(UnreadNow { conversation: now.conversation, count: now.count, total: self.total })
    }

    /// Takes the counts that the database gave on connecting; what rooms told meanwhile is newer.
    pub(super) fn load(&mut self, unread: Unread) {
        for one in unread.conversations {
            if self.counts.get(&one.conversation).is_none_or(|told| told.last_seq < one.last_seq) {
                self.update(one);
            }
        }
        self.loaded = true;
        self.counts.retain(|_, one| one.count > 0);
    }

    /// The conversation is no longer the user's. Returns what to tell, where something was unread there.
    pub(super) fn forget(&mut self, conversation: ConversationId) -> Option<UnreadNow> {
        let known = self.counts.remove(&conversation)?;
        self.total -= known.count;
        let total = self.total;
        (known.count > 0).then_some(UnreadNow { conversation, count: 0, total })
    }

    /// How many are unread in a conversation.
    pub(super) fn count(&self, conversation: ConversationId) -> u64 {
        self.counts.get(&conversation).map_or(0, |one| one.count)
    }

    /// How many are unread everywhere.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// What to tell on connecting, in the order of conversations, at most `max`.
    pub(super) fn all(&self, max: usize) -> Vec<UnreadNow> {
        let mut all: Vec<_> = self
            .counts
            .values()
            .filter(|one| one.count > 0)
            .map(|one| UnreadNow { conversation: one.conversation, count: one.count, total: self.total })
            .collect();
        all.sort_by_key(|one| one.conversation);
        all.truncate(max);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Seq;

    fn at(conversation: i64, last_seq: i64, count: u64) -> UnreadIn {
        UnreadIn { conversation: ConversationId(conversation), count, last_seq: Seq(last_seq) }
    }

    #[test]
    fn what_rooms_tell_while_the_first_counts_are_read_is_neither_lost_nor_doubled() {
        let mut book = UnreadBook::default();
        book.update(at(1, 6, 3));
        book.update(at(2, 9, 0));
        let conversations = vec![at(1, 5, 2), at(2, 9, 4), at(3, 1, 1)];
        book.load(Unread { total: 7, conversations, topics: Vec::new() });
        // 1: the room's count is newer. 2: it was read meanwhile. 3: as the database has it.
        assert_eq!(book.total(), 4);
        assert_eq!(book.all(10).len(), 2);
    }

    #[test]
    fn the_total_follows_each_count() {
        let mut book = UnreadBook::default();
        book.load(Unread::default());
        assert_eq!(book.update(at(1, 1, 1)).map(|now| now.total), Some(1));
        assert_eq!(book.update(at(2, 1, 5)).map(|now| now.total), Some(6));
        assert_eq!(book.update(at(2, 1, 0)).map(|now| now.total), Some(1));
        assert_eq!(book.update(at(1, 0, 9)), None, "older news than what is known");
        book.forget(ConversationId(1));
        assert_eq!(book.total(), 0);
    }
}
