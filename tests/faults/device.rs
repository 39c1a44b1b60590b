//! A device as a careful client is: it sends until it knows, comes back when it is cut off, goes on from where it was, and writes
//! down everything.
//!
//! What lives here: what a device wants and keeps. What must not: the protocols (`line.rs`), or judging (`verdict.rs`).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::evidence::{Heard, Outcome, PHRASE, Record, Resumed, Sent};
use super::line::{Cut, Line, Recovery, Speech, Told};
use super::verdict::HANG;

/// How long a device waits before it tries to connect again: the first time, and at most.
const BACK_AFTER: Duration = Duration::from_millis(20);
const BACK_AFTER_MAX: Duration = Duration::from_millis(400);
/// How long it waits before it sends again what is `unavailable`.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long it listens before it looks what else there is to do.
const STEP: Duration = Duration::from_millis(500);
/// One message in so many is one that must be refused.
const REFUSABLE: usize = 61;
/// It marks as read after so many messages.
const READ_EVERY: usize = 40;
/// Codes after which the same may be sent again.
const PASSING: [&str; 2] = ["unavailable", "rate_limited"];

/// What a device is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    pub device: String,
    pub user: String,
    pub speech: Speech,
    /// What it joins, and says things in by turns.
    pub conversations: Vec<i64>,
    /// How many messages it sends.
    pub says: usize,
    /// How many may be on their way.
    pub window: usize,
    /// How long it waits between two.
    pub pause: Duration,
}

/// How far all devices are.
#[derive(Debug, Default)]
pub struct Progress {
    /// Messages with an outcome.
    pub concluded: AtomicUsize,
    /// Messages heard.
    pub heard: AtomicUsize,
    /// Devices that are connected.
    pub online: AtomicUsize,
}

struct Device {
    plan: Plan,
    progress: Arc<Progress>,
    record: Record,
    recovery: Recovery,
    next_tag: u64,
    /// Of `record.sent`: what is to be sent (again), oldest first.
    due: VecDeque<usize>,
    on_the_way: HashMap<u64, (usize, Instant)>,
    next_at: Instant,
    /// Joins on their way.
    joins: HashMap<u64, i64>,
    marks: HashMap<i64, Mark>,
}

/// How far a device has everything, and what it has beyond.
#[derive(Default)]
struct Mark {
    whole: i64,
    beyond: BTreeSet<i64>,
    since_read: usize,
}

impl Mark {
    fn add(&mut self, seq: i64) {
        if seq > self.whole {
            self.beyond.insert(seq);
        }
        while self.beyond.remove(&(self.whole + 1)) {
            self.whole += 1;
        }
    }
}

/// Runs a device until it is told to finish and knows what came of everything it sent.
pub async fn run(
    plan: Plan,
    address: SocketAddr,
    progress: Arc<Progress>,
    mut finish: watch::Receiver<bool>,
) -> Record {
    let mut device = Device::new(plan, progress);
    let mut back_after = BACK_AFTER;
    let mut gave_up = None;
    loop {
        let opened = Line::open(device.plan.speech, address, &device.plan.user, &device.recovery).await;
        if let Ok(mut line) = opened {
            device.progress.online.fetch_add(1, Ordering::Relaxed);
            let done = device.talk(&mut line, &mut finish).await;
            device.progress.online.fetch_sub(1, Ordering::Relaxed);
            device.recovery = line.recovery().clone();
            if done {
                line.close().await;
                return device.record;
            }
            device.cut();
            back_after = BACK_AFTER;
        }
        if *finish.borrow() && gave_up.get_or_insert_with(Instant::now).elapsed() > HANG {
            return device.record;
        }
        sleep(back_after).await;
        back_after = (back_after * 2).min(BACK_AFTER_MAX);
    }
}

impl Device {
    fn new(plan: Plan, progress: Arc<Progress>) -> Self {
        let (device, user) = (plan.device.clone(), plan.user.clone());
        let record = Record { device, user, has_seqs: plan.speech == Speech::Native, ..Record::default() };
        Self {
            plan,
            progress,
            record,
            recovery: Recovery::default(),
            next_tag: 0,
            due: VecDeque::new(),
            on_the_way: HashMap::new(),
            next_at: Instant::now(),
            joins: HashMap::new(),
            marks: HashMap::new(),
        }
    }

    fn tag(&mut self) -> u64 {
        self.next_tag += 1;
        self.next_tag
    }

    /// One connection's life; true when everything is done.
    async fn talk(&mut self, line: &mut Line, finish: &mut watch::Receiver<bool>) -> bool {
        if !line.recovery().recovered {
            self.record.stints += 1;
        }
        if self.arrive(line).await.is_err() {
            return false;
        }
        loop {
            let all_said = self.record.sent.len() >= self.plan.says && self.due.is_empty();
            if *finish.borrow() && all_said && self.on_the_way.is_empty() {
                return true;
            }
            if self.say(line).await.is_err() {
                // What has come before the end is heard all the same.
                while let Some(told) = line.at_hand() {
                    if self.take(line, told).await.is_err() {
                        break;
                    }
                }
                return false;
            }
            let until = if self.may_say() { self.next_at.min(Instant::now() + STEP) } else { Instant::now() + STEP };
            tokio::select! {
                told = timeout_at(until, line.next()) => match told {
                    Ok(Ok(told)) => {
                        if self.take(line, told).await.is_err() {
                            return false;
                        }
                    }
                    Ok(Err(Cut)) => return false,
                    Err(_) if self.hangs() => return false,
                    Err(_) => {}
                },
                _ = finish.changed() => {}
            }
        }
    }

    async fn arrive(&mut self, line: &mut Line) -> Result<(), Cut> {
        if line.recovery().recovered {
            return Ok(());
        }
        for conversation in self.plan.conversations.clone() {
            let tag = self.tag();
            let after = self.marks.entry(conversation).or_default().whole;
            if self.record.has_seqs {
                self.record.resumed.push(Resumed { stint: self.record.stints, conversation, after });
            }
            self.joins.insert(tag, conversation);
            line.join(tag, conversation, after).await?;
        }
        Ok(())
    }

    fn may_say(&self) -> bool {
        let more = !self.due.is_empty() || self.record.sent.len() < self.plan.says;
        more && self.on_the_way.len() < self.plan.window
    }

    /// Says what is due, as far as the window and the pace allow.
    async fn say(&mut self, line: &mut Line) -> Result<(), Cut> {
        while self.may_say() && self.next_at <= Instant::now() {
            let at = match self.due.pop_front() {
                Some(at) => at,
                None => self.think(),
            };
            let tag = self.tag();
            let sent = &self.record.sent[at];
            let now = Instant::now();
            self.on_the_way.insert(tag, (at, now));
            self.next_at = self.next_at.max(now) + self.plan.pause;
            line.send(tag, sent.conversation, &sent.text, &sent.client_id).await?;
            // A POST takes as long as its answer; what comes meanwhile is heard before the next.
            if self.plan.speech == Speech::Polling {
                break;
            }
        }
        Ok(())
    }

    /// The next message that it wants to send.
    fn think(&mut self) -> usize {
        let n = self.record.sent.len();
        let conversation = self.plan.conversations[n % self.plan.conversations.len()];
        let mut client_id = format!("{}#{n}", self.plan.device);
        let mut text = format!("{client_id} {PHRASE}");
        if n % REFUSABLE == REFUSABLE - 1 {
            text = "x".repeat(4_001);
        } else if n % REFUSABLE == REFUSABLE - 2 {
            // What was said before, under whose client id nothing else may be said.
            let known =
                self.record.sent.iter().rev().find(|sent| {
                    sent.conversation == conversation && matches!(sent.outcome, Outcome::Acknowledged { .. })
                });
            if let Some(known) = known {
                client_id = known.client_id.clone();
            }
        }
        self.record.sent.push(Sent { conversation, client_id, text, outcome: Outcome::Unknown });
        n
    }

    async fn take(&mut self, line: &mut Line, told: Told) -> Result<(), Cut> {
        match told {
            Told::Message { conversation, id, seq, text } => {
                self.progress.heard.fetch_add(1, Ordering::Relaxed);
                self.record.heard.push(Heard { stint: self.record.stints, conversation, id, seq, text });
                let mark = self.marks.entry(conversation).or_default();
                mark.add(seq.unwrap_or_default());
                mark.since_read += 1;
                if mark.since_read >= READ_EVERY && seq.is_some() {
                    mark.since_read = 0;
                    let whole = mark.whole;
                    line.mark_read(conversation, whole).await?;
                }
            }
            Told::Stored { tag, id, seq } => {
                if let Some(at) = self.conclude(tag, Outcome::Acknowledged { id, seq }) {
                    let conversation = self.record.sent[at].conversation;
                    self.marks.entry(conversation).or_default().add(seq.unwrap_or_default());
                }
            }
            Told::Refused { tag, code } if PASSING.contains(&code.as_str()) => {
                if let Some((at, began)) = self.on_the_way.remove(&tag) {
                    self.waited(began);
                    self.put_back(at);
                    self.next_at = Instant::now() + AGAIN_AFTER;
                } else {
                    // A join: it comes again as a whole.
                    return Err(Cut);
                }
            }
            Told::Refused { tag, code } => drop(self.conclude(tag, Outcome::Refused(code))),
            Told::Joined { tag } => self.record.joined.extend(self.joins.remove(&tag)),
        }
        Ok(())
    }

    fn conclude(&mut self, tag: u64, outcome: Outcome) -> Option<usize> {
        let (at, began) = self.on_the_way.remove(&tag)?;
        self.waited(began);
        self.record.waits.push(began.elapsed());
        self.record.sent[at].outcome = outcome;
        self.progress.concluded.fetch_add(1, Ordering::Relaxed);
        Some(at)
    }

    fn waited(&mut self, began: Instant) {
        self.record.longest_wait = self.record.longest_wait.max(began.elapsed());
    }

    fn put_back(&mut self, at: usize) {
        let place = self.due.partition_point(|&other| other < at);
        self.due.insert(place, at);
    }

    /// Whether an answer is overdue; then the connection is given up.
    fn hangs(&mut self) -> bool {
        let oldest = self.on_the_way.values().map(|(_, began)| *began).min();
        let hangs = oldest.is_some_and(|began| began.elapsed() > HANG);
        if let Some(began) = oldest.filter(|_| hangs) {
            self.waited(began);
        }
        hangs
    }

    /// The connection is gone: what was on its way is sent again, oldest first.
    fn cut(&mut self) {
        let lost: Vec<_> = self.on_the_way.drain().map(|(_, (at, began))| (at, began)).collect();
        for (at, began) in lost {
            self.waited(began);
            self.put_back(at);
        }
    }
}
