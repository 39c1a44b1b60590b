//! A shop's worth of people on a server of their own: who they are, starting them, and gathering the evidence when all is at rest.
//!
//! What lives here: setting a run up and taking it down. What must not: what goes wrong meanwhile (the scenarios do that).

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::device::{self, Plan, Progress};
use super::evidence::{Evidence, Record, Row, Unread};
use super::line::Speech;
use super::verdict::{Verdict, judge};
use crate::support::On;
use crate::support::server::Process;

/// How long everybody may take to say and hear everything.
const SAID_WITHIN: Duration = Duration::from_secs(1_800);
/// How long nothing may be heard before all counts as heard.
const QUIET: Duration = Duration::from_secs(2);
/// How long that may take.
const QUIET_WITHIN: Duration = Duration::from_secs(60);
/// How long the server may take to see that sockets are gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// Rows read from the database at once.
const PAGE: i64 = 50_000;

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub users: usize,
    pub conversations: usize,
    /// Users a conversation.
    pub seats: usize,
    /// Messages a device, and how many of them may be under way.
    pub says: usize,
    pub window: usize,
    /// How long a device waits between two.
    pub pause: Duration,
}

/// The people and the server.
pub struct World {
    pub server: Process,
    url: String,
    plans: Vec<Plan>,
    fresh: Footprint,
    _folder: Option<TempDir>,
}

/// The people, talking.
pub struct Crowd {
    progress: Arc<Progress>,
    finish: watch::Sender<bool>,
    devices: Vec<JoinHandle<Record>>,
    says: usize,
}

/// What a process holds.
#[derive(Clone, Copy, Debug, Default)]
struct Footprint {
    bytes: i64,
    descriptors: i64,
}

impl World {
    /// People on a new database and server of their own, without rate limits.
    pub async fn on(on: On, size: Size) -> Self {
        let (folder, url) = on.database().await;
        let mut world = Self::at(&url, &[], size).await;
        world._folder = folder;
        world
    }

    /// People on a server of their own on this database, without rate limits, and with these settings.
    pub async fn at(url: &str, env: &[(&str, &str)], size: Size) -> Self {
        let env: Vec<_> = [("HAGGLE_RATE_LIMITS", "off")].iter().chain(env).copied().collect();
        Self::settle(Process::on(url, &env).await, url, size).await
    }

    /// People and conversations on a running server. Every third user has two native devices, the others one that speaks `group`, over
    /// a WebSocket or polling. One stranger tries to hear and say what they have no part in.
    pub async fn settle(server: Process, url: &str, size: Size) -> Self {
        let mut taking_part: Vec<Vec<i64>> = vec![Vec::new(); size.users];
        let mut conversations = Vec::new();
        for n in 0..size.conversations {
            let users: Vec<usize> = (0..size.seats).map(|seat| (n + seat) % size.users).collect();
            let names: Vec<String> = users.iter().map(|&user| name(user)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let id = server.conversation(&format!("order:{n}"), &names).await;
            users.iter().for_each(|&user| taking_part[user].push(id));
            conversations.push(id);
        }
        let mut plans = Vec::new();
        for (user, conversations) in taking_part.into_iter().enumerate().filter(|(_, taking)| !taking.is_empty()) {
            let plan = |device: String, speech, says| Plan {
                device,
                user: name(user),
                speech,
                conversations: conversations.clone(),
                says,
                window: size.window,
                pause: size.pause,
            };
            match user % 3 {
                0 => {
                    plans.push(plan(format!("u{user}-desk"), Speech::Native, size.says));
                    plans.push(plan(format!("u{user}-phone"), Speech::Native, 0));
                }
                1 => plans.push(plan(format!("u{user}-web"), Speech::Socket, size.says)),
                _ => plans.push(plan(format!("u{user}-old"), Speech::Polling, size.says)),
            }
        }
        plans.push(Plan {
            device: "stranger".into(),
            user: "stranger".into(),
            speech: Speech::Native,
            conversations: conversations.clone(),
            says: size.says / 10 + 1,
            window: 1,
            pause: size.pause * 10,
        });
        let fresh = Footprint::of(&server);
        Self { server, url: url.to_owned(), plans, fresh, _folder: None }
    }

    /// Starts everybody, each connecting to this address.
    pub fn start(&self, address: SocketAddr) -> Crowd {
        self.start_by(|_| address)
    }

    /// Starts everybody, each connecting to an address of its own.
    pub fn start_by(&self, address: impl Fn(&Plan) -> SocketAddr) -> Crowd {
        let progress = Arc::new(Progress::default());
        let (finish, finished) = watch::channel(false);
        let run = |plan: &Plan| {
            tokio::spawn(device::run(plan.clone(), address(plan), Arc::clone(&progress), finished.clone()))
        };
        let devices = self.plans.iter().map(run).collect();
        let says = self.plans.iter().map(|plan| plan.says).sum();
        Crowd { progress, finish, devices, says }
    }

    /// Everything there is to know, when all is at rest and everybody has gone.
    pub async fn evidence(&self, records: Vec<Record>) -> Evidence {
        let connections_left = self.connections_left().await;
        let now = Footprint::of(&self.server);
        let db = Database::connect(&self.url).await.expect("the database answers");
        let mut evidence = Evidence {
            rows: rows(&db).await,
            records,
            unread_counted: unread(&db).await,
            connections_left,
            descriptors_left: now.descriptors - self.fresh.descriptors,
            bytes_left: now.bytes - self.fresh.bytes,
            log: self.server.log(),
            ..Evidence::default()
        };
        for row in all(&db, "SELECT id, last_seq FROM conversation").await {
            evidence.heads.insert(row.try_get_by_index(0).expect("an id"), row.try_get_by_index(1).expect("a seq"));
        }
        for row in all(&db, "SELECT conversation_id, user_id FROM participant").await {
            let conversation = row.try_get_by_index(0).expect("an id");
            let members: &mut HashSet<String> = evidence.members.entry(conversation).or_default();
            members.insert(row.try_get_by_index(1).expect("a user"));
        }
        drop(db.close().await);
        let users: HashSet<&String> = evidence.members.values().flatten().collect();
        let mut told = HashSet::new();
        for user in users {
            let counts = self.server.user(user).get("/v1/unread").await.ok();
            for one in counts["conversations"].as_array().into_iter().flatten() {
                let conversation = one["conversation"].as_i64().expect("an id");
                let count = one["count"].as_i64().expect("a count");
                told.insert(Unread { user: user.clone(), conversation, count });
            }
        }
        told.retain(|one| one.count > 0);
        evidence.unread_told = told;
        evidence
    }

    /// Lets everybody come to rest and judges what they went through.
    pub async fn close(&self, crowd: Crowd) -> Verdict {
        let records = crowd.rest().await;
        judge(&self.evidence(records).await)
    }

    /// The same, of a run in which nothing may be wrong.
    pub async fn close_clean(&self, crowd: Crowd) -> Verdict {
        let verdict = self.close(crowd).await;
        assert_eq!(verdict.faults, [], "{verdict:?}");
        verdict
    }

    async fn connections_left(&self) -> i64 {
        let began = Instant::now();
        loop {
            let left = gauge(&self.server, "haggle_connections").await;
            if left == 0 || began.elapsed() > GONE_WITHIN {
                return left;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The value of a gauge of the server's.
pub async fn gauge(server: &Process, name: &str) -> i64 {
    let metrics = server.anybody().get("/metrics").await.text;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    #[expect(clippy::cast_possible_truncation, reason = "counts")]
    line.and_then(|value| value.parse::<f64>().ok()).map_or(0, |value| value as i64)
}

impl Crowd {
    /// How many messages there are to be said.
    pub fn says(&self) -> usize {
        self.says
    }

    /// How many have come to an outcome.
    pub fn concluded(&self) -> usize {
        self.progress.concluded.load(Ordering::Relaxed)
    }

    /// Waits until so many of the messages have come to an outcome.
    pub async fn until(&self, concluded: usize) {
        let began = Instant::now();
        while self.concluded() < concluded.min(self.says) {
            assert!(began.elapsed() < SAID_WITHIN, "{} of {} came to an outcome", self.concluded(), self.says);
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until everything is said and heard, and everybody has gone: what they wrote down.
    pub async fn rest(self) -> Vec<Record> {
        self.until(self.says).await;
        let began = Instant::now();
        let mut heard = (usize::MAX, Instant::now());
        loop {
            let now = self.progress.heard.load(Ordering::Relaxed);
            let all_here = self.progress.online.load(Ordering::Relaxed) == self.devices.len();
            if now != heard.0 || !all_here {
                heard = (now, Instant::now());
            }
            if heard.1.elapsed() > QUIET || began.elapsed() > QUIET_WITHIN {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        self.finish.send_replace(true);
        let mut records = Vec::with_capacity(self.devices.len());
        for device in self.devices {
            records.push(device.await.expect("a device does not panic"));
        }
        records
    }
}

impl Footprint {
    fn of(server: &Process) -> Self {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.id())).map_or(0, Iterator::count);
        Self {
            bytes: i64::try_from(server.resident_bytes()).expect("a size"),
            descriptors: i64::try_from(descriptors).expect("a count"),
        }
    }
}

/// A user's name.
pub fn name(user: usize) -> String {
    format!("u{user}")
}

async fn all(db: &DatabaseConnection, sql: &str) -> Vec<sea_orm::QueryResult> {
    let statement = Statement::from_string(db.get_database_backend(), sql.to_owned());
    db.query_all_raw(statement).await.expect("an answer")
}

/// All messages, a page at a time: there may be a million.
async fn rows(db: &DatabaseConnection) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let after = rows.last().map_or(0, |row| row.id);
        let page = all(
            db,
            &format!(
                "SELECT id, conversation_id, seq, sender_id, client_id, body, created_at_ms FROM message WHERE id > {after} \
                 ORDER BY id LIMIT {PAGE}"
            ),
        )
        .await;
        if page.is_empty() {
            return rows;
        }
        rows.extend(page.iter().map(|row| Row {
            id: row.try_get_by_index(0).expect("an id"),
            conversation: row.try_get_by_index(1).expect("an id"),
            seq: row.try_get_by_index(2).expect("a seq"),
            sender: row.try_get_by_index(3).expect("a user"),
            client_id: row.try_get_by_index(4).expect("a client id"),
            body: row.try_get_by_index(5).expect("a text"),
            created_at_ms: row.try_get_by_index(6).expect("a time"),
        }));
    }
}

/// Unread counts above zero, counted row by row.
async fn unread(db: &DatabaseConnection) -> HashSet<Unread> {
    const SQL: &str = "SELECT p.user_id, p.conversation_id, count(*) FROM participant AS p \
        JOIN message AS m ON m.conversation_id = p.conversation_id AND m.seq > p.read_seq AND m.sender_id <> p.user_id \
        GROUP BY p.user_id, p.conversation_id";
    let rows = all(db, SQL).await;
    let one = |row: &sea_orm::QueryResult| Unread {
        user: row.try_get_by_index(0).expect("a user"),
        conversation: row.try_get_by_index(1).expect("an id"),
        count: row.try_get_by_index(2).expect("a count"),
    };
    rows.iter().map(one).collect()
}
