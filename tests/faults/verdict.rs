//! The oracle: compares what devices were told with what the database holds, and names everything that is wrong.
//!
//! What lives here: judging. What must not: sockets, processes, SQL. It is a function of the evidence, so that it can be tested.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::evidence::{Evidence, Outcome, PHRASE, Record, Row};

/// Nothing may hang longer; a little is for a busy machine.
pub const HANG: Duration = Duration::from_secs(12);
/// File descriptors that a server may keep: pooled connections to its database, and what a health check leaves.
pub const DESCRIPTORS_KEPT: i64 = 24;
/// Bytes of memory that a server may keep: the allocator's, and caches with a bound of their own.
pub const BYTES_KEPT: i64 = 256 * 1024 * 1024;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Acknowledged, and not in the database.
    Lost { device: String, client_id: String },
    /// Acknowledged, told or stored as something else than it is.
    Otherwise { device: String, client_id: String },
    /// Two messages have one place, or one id.
    PlaceTwice { conversation: i64, seq: i64 },
    /// One message of a sender is stored twice.
    StoredTwice { conversation: i64, client_id: String },
    /// The places of a conversation are not 1, 2, 3 …
    Gap { conversation: i64, after: i64 },
    /// The conversation's own newest place is not that of its newest message.
    Head { conversation: i64, told: i64, is: i64 },
    /// Refused, and stored.
    RefusedStored { device: String, client_id: String },
    /// It never came to an outcome, though it was sent again and again.
    NeverKnown { device: String, client_id: String },
    /// Told in another order than that of places, or twice in one stint.
    Order { device: String, conversation: i64, before: i64, then: i64 },
    /// Something between what a device had and what it was told next was never told.
    Hole { device: String, conversation: i64, seq: i64 },
    /// A device did not come to the newest message.
    Behind { device: String, conversation: i64, seq: i64 },
    /// Told, and not in the database.
    Phantom { device: String, conversation: i64, id: i64 },
    /// Told or taken outside somebody's conversations.
    Trespass { device: String, conversation: i64 },
    /// An unread count is not what a recount gives.
    Unread { user: String, conversation: i64 },
    /// Something waited too long.
    Hung { device: String, seconds: u64 },
    /// The server still holds what belonged to connections that are gone.
    Leak { what: &'static str, many: i64 },
    /// It panicked.
    Panic,
    /// A token or a message's text is in its log.
    Secret,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Verdict {
    pub faults: Vec<Fault>,
    pub acknowledged: usize,
    pub refused: usize,
    pub deliveries: usize,
    /// Told again after a connection was lost, as a client may be; merged by place or id.
    pub repeated: usize,
    pub stints: u32,
    pub longest_wait: Duration,
    /// The 99th percentile of the time to an acknowledgement.
    pub wait_p99: Duration,
}

/// Judges a run.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut court = Court::new(evidence);
    court.database();
    for record in &evidence.records {
        court.sent(record);
        court.heard(record);
        court.reached(record);
        court.verdict.stints += record.stints;
        court.verdict.longest_wait = court.verdict.longest_wait.max(record.longest_wait);
        if record.longest_wait > HANG {
            court.charge(Fault::Hung { device: record.device.clone(), seconds: record.longest_wait.as_secs() });
        }
    }
    court.counts();
    court.server();
    court.close()
}

struct Court<'a> {
    evidence: &'a Evidence,
    by_id: HashMap<i64, &'a Row>,
    by_client: HashMap<(i64, &'a str, &'a str), &'a Row>,
    by_place: HashMap<i64, BTreeMap<i64, &'a Row>>,
    verdict: Verdict,
}

impl<'a> Court<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let by_client = evidence.rows.iter().filter_map(|row| {
            row.client_id.as_deref().map(|client_id| ((row.conversation, row.sender.as_str(), client_id), row))
        });
        let mut by_place: HashMap<i64, BTreeMap<i64, &Row>> = HashMap::new();
        for row in &evidence.rows {
            by_place.entry(row.conversation).or_default().insert(row.seq, row);
        }
        Self {
            evidence,
            by_id: evidence.rows.iter().map(|row| (row.id, row)).collect(),
            by_client: by_client.collect(),
            by_place,
            verdict: Verdict::default(),
        }
    }

    fn charge(&mut self, fault: Fault) {
        self.verdict.faults.push(fault);
    }

    /// What the database says by itself.
    fn database(&mut self) {
        let (mut places, mut ids, mut clients) = (HashSet::new(), HashSet::new(), HashSet::new());
        for row in &self.evidence.rows {
            if !places.insert((row.conversation, row.seq)) || !ids.insert(row.id) {
                self.charge(Fault::PlaceTwice { conversation: row.conversation, seq: row.seq });
            }
            if let Some(client_id) = &row.client_id
                && !clients.insert((row.conversation, &row.sender, client_id))
            {
                let client_id = client_id.clone();
                self.charge(Fault::StoredTwice { conversation: row.conversation, client_id });
            }
            if !self.belongs(&row.sender, row.conversation) {
                let (device, conversation) = (row.sender.clone(), row.conversation);
                self.charge(Fault::Trespass { device, conversation });
            }
        }
        for (&conversation, &told) in &self.evidence.heads {
            let mut last = 0;
            let seqs: Vec<i64> = self.by_place.get(&conversation).into_iter().flatten().map(|(&seq, _)| seq).collect();
            for seq in seqs {
                if seq != last + 1 {
                    self.charge(Fault::Gap { conversation, after: last });
                }
                last = seq;
            }
            if told != last {
                self.charge(Fault::Head { conversation, told, is: last });
            }
        }
    }

    fn belongs(&self, user: &str, conversation: i64) -> bool {
        self.evidence.members.get(&conversation).is_some_and(|members| members.contains(user))
    }

    /// What a device sent against what is stored.
    fn sent(&mut self, record: &Record) {
        for sent in &record.sent {
            let row = self.by_client.get(&(sent.conversation, record.user.as_str(), sent.client_id.as_str())).copied();
            let (device, client_id) = (record.device.clone(), sent.client_id.clone());
            match (&sent.outcome, row) {
                (Outcome::Acknowledged { .. }, None) => self.charge(Fault::Lost { device, client_id }),
                (Outcome::Acknowledged { id, seq }, Some(row)) => {
                    self.verdict.acknowledged += 1;
                    if row.id != *id || seq.is_some_and(|seq| seq != row.seq) || row.body != sent.text {
                        self.charge(Fault::Otherwise { device, client_id });
                    }
                }
                // Under a client id that was used for another text that other text may be stored.
                (Outcome::Refused(_), Some(row)) if row.body == sent.text => {
                    self.charge(Fault::RefusedStored { device, client_id });
                }
                (Outcome::Refused(_), _) => self.verdict.refused += 1,
                (Outcome::Unknown, _) => self.charge(Fault::NeverKnown { device, client_id }),
            }
        }
    }

    /// What a device was told, message by message: true, allowed, and in order within each stint.
    fn heard(&mut self, record: &Record) {
        for &conversation in &record.joined {
            if !self.belongs(&record.user, conversation) {
                self.charge(Fault::Trespass { device: record.device.clone(), conversation });
            }
        }
        let mut newest: HashMap<(u32, i64), i64> = HashMap::new();
        let mut known: HashSet<i64> = HashSet::new();
        for heard in &record.heard {
            self.verdict.deliveries += 1;
            let (device, conversation, id) = (record.device.clone(), heard.conversation, heard.id);
            if !known.insert(id) {
                self.verdict.repeated += 1;
            }
            if !self.belongs(&record.user, conversation) {
                self.charge(Fault::Trespass { device, conversation });
                continue;
            }
            let Some(row) = self.by_id.get(&id).copied().filter(|row| row.conversation == conversation) else {
                self.charge(Fault::Phantom { device, conversation, id });
                continue;
            };
            if row.body != heard.text || heard.seq.is_some_and(|seq| seq != row.seq) {
                let client_id = row.client_id.clone().unwrap_or_default();
                self.charge(Fault::Otherwise { device: device.clone(), client_id });
            }
            let seq = heard.seq.unwrap_or(row.seq);
            if let Some(before) = newest.insert((heard.stint, conversation), seq)
                && before >= seq
            {
                self.charge(Fault::Order { device, conversation, before, then: seq });
            }
        }
    }

    /// Whether a device was told all that it was due, up to the newest.
    fn reached(&mut self, record: &Record) {
        let mut had: HashMap<i64, HashSet<i64>> = HashMap::new();
        for sent in &record.sent {
            if let Outcome::Acknowledged { id, .. } = sent.outcome
                && let Some(row) = self.by_id.get(&id)
            {
                had.entry(row.conversation).or_default().insert(row.seq);
            }
        }
        // Stint by stint: after each resuming, everything from there to what was heard last in it.
        let mut told: HashMap<(u32, i64), HashSet<i64>> = HashMap::new();
        for heard in &record.heard {
            told.entry((heard.stint, heard.conversation)).or_default().extend(heard.seq);
        }
        for resumed in &record.resumed {
            let own = had.get(&resumed.conversation);
            let Some(told) = told.get(&(resumed.stint, resumed.conversation)) else { continue };
            let Some(&last) = told.iter().max() else { continue };
            let missing =
                (resumed.after + 1..last).find(|seq| !told.contains(seq) && !own.is_some_and(|own| own.contains(seq)));
            if let Some(seq) = missing {
                let (device, conversation) = (record.device.clone(), resumed.conversation);
                self.charge(Fault::Hole { device, conversation, seq });
            }
        }
        for heard in &record.heard {
            if let Some(row) = self.by_id.get(&heard.id) {
                had.entry(row.conversation).or_default().insert(row.seq);
            }
        }
        let mut behind = Vec::new();
        for (&conversation, members) in &self.evidence.members {
            if !members.contains(&record.user) {
                continue;
            }
            let had = had.get(&conversation);
            let due = self.by_place.get(&conversation).into_iter().flatten();
            // Without places, one's own are confirmed and not told.
            let mut due = due.filter(|(_, row)| record.has_seqs || row.sender != record.user);
            if let Some((&seq, _)) = due.find(|(seq, _)| !had.is_some_and(|had| had.contains(seq))) {
                behind.push(Fault::Behind { device: record.device.clone(), conversation, seq });
            }
        }
        self.verdict.faults.extend(behind);
    }

    fn counts(&mut self) {
        let wrong = self.evidence.unread_told.symmetric_difference(&self.evidence.unread_counted);
        let wrong: HashSet<_> = wrong.map(|one| (one.user.clone(), one.conversation)).collect();
        for (user, conversation) in wrong {
            self.charge(Fault::Unread { user, conversation });
        }
    }

    fn server(&mut self) {
        let evidence = self.evidence;
        let left = [
            ("connections", evidence.connections_left, 0),
            ("file descriptors", evidence.descriptors_left, DESCRIPTORS_KEPT),
            ("bytes of memory", evidence.bytes_left, BYTES_KEPT),
        ];
        for (what, many, kept) in left {
            if many > kept {
                self.charge(Fault::Leak { what, many });
            }
        }
        if evidence.log.contains("panicked at") {
            self.charge(Fault::Panic);
        }
        if evidence.log.contains("eyJ") || evidence.log.contains(PHRASE) {
            self.charge(Fault::Secret);
        }
    }

    fn close(mut self) -> Verdict {
        let mut waits: Vec<Duration> = self.evidence.records.iter().flat_map(|record| record.waits.clone()).collect();
        waits.sort_unstable();
        self.verdict.wait_p99 = waits.get(waits.len() * 99 / 100).copied().unwrap_or_default();
        self.verdict.faults.sort_unstable();
        self.verdict.faults.dedup();
        self.verdict
    }
}
