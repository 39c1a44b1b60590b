//! The servers that are compared: how each is started, and what a scenario may ask of it.
//!
//! What lives here: programs, their settings, provisioning. What must not: load.

use std::fs::File;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use crate::cluster::Cluster;
use crate::compare::settings;
use crate::engine::{Engine, PATIENCE};
use crate::growth::past::{self, Past};
use crate::http::Client;
use crate::wire::Dialect;
use crate::{Outcome, free_port, machine};

const SECRET: &str = "a-secret-of-the-comparison-alone-0123456789";
const SERVER_KEY: &str = "a-server-key-of-the-comparison-0123456789";
/// What Haggle's file is called where it has no PostgreSQL; its setting below says the same.
const SQLITE_FILE: &str = "bench.db";
/// What peers store messages in.
const SCHEMA: &str = include_str!("../../peers/schema.sql");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Node,
    Socketioxide,
    Limit,
    Haggle,
    /// Another build of Haggle, by its path in `BEFORE`: what a change was worth, in one run.
    Before,
}

/// A server as it is set up for the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its name in results and on the command line.
    pub(crate) name: &'static str,
    /// Its name in the report.
    pub(crate) title: &'static str,
    program: Program,
    pub(crate) dialect: Dialect,
    pub(crate) database: bool,
    settings: &'static [(&'static str, &'static str)],
}

const fn peer(name: &'static str, title: &'static str, program: Program, dialect: Dialect, database: bool) -> Peer {
    Peer { name, title, program, dialect, database, settings: &[] }
}

/// Every peer, in the order of the tables.
pub(crate) const PEERS: &[Peer] = &[
    Peer {
        settings: &[("NODE_PEER", "naive")],
        ..peer("node-naive", "Node socket.io + pg, plain queries", Program::Node, Dialect::Plain, true)
    },
    peer("node", "Node socket.io + pg, prepared statement", Program::Node, Dialect::Plain, true),
    peer("node-nodb", "Node socket.io, no database", Program::Node, Dialect::Plain, false),
    peer("socketioxide", "socketioxide + sqlx", Program::Socketioxide, Dialect::Plain, true),
    peer("socketioxide-nodb", "socketioxide, no database", Program::Socketioxide, Dialect::Plain, false),
    Peer {
        settings: &[("LIMIT_INSERT", "each")],
        ..peer("limit-each", "limit, an INSERT each, 10 connections", Program::Limit, Dialect::Native, true)
    },
    peer("limit", "limit, group commit, 1 connection", Program::Limit, Dialect::Native, true),
    peer("limit-nodb", "limit, no database", Program::Limit, Dialect::Native, false),
    peer("haggle", "**Haggle**, native", Program::Haggle, Dialect::Native, true),
    peer("haggle-group", "**Haggle**, Socket.IO (`group`)", Program::Haggle, Dialect::Group, true),
    Peer {
        settings: &[("HAGGLE_DATABASE_URL", "sqlite://bench.db?mode=rwc")],
        ..peer("haggle-sqlite", "**Haggle** on SQLite, native", Program::Haggle, Dialect::Native, false)
    },
    peer("before", "Haggle before, native", Program::Before, Dialect::Native, true),
    peer("before-group", "Haggle before, Socket.IO (`group`)", Program::Before, Dialect::Group, true),
];

/// The peer of this name.
pub(crate) fn find(name: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name)
}

/// Those that `PEERS` names; none where it names nobody.
pub(crate) fn chosen() -> Outcome<Option<Vec<&'static Peer>>> {
    let found = |name: &String| find(name).ok_or_else(|| format!("no such peer: {name}"));
    Ok(settings("PEERS").map(|names| names.iter().map(found).collect::<Result<_, _>>()).transpose()?)
}

/// A running server. Dropping it ends it.
pub(crate) struct Running {
    pub(crate) peer: &'static Peer,
    pub(crate) port: u16,
    /// From starting it until it was ready; of a peer, until it took connections.
    pub(crate) ready: Duration,
    child: Child,
}

impl Peer {
    /// Whether it is Haggle.
    pub(crate) fn is_haggle(&self) -> bool {
        matches!(self.program, Program::Haggle | Program::Before)
    }

    fn command(&self) -> Outcome<Command> {
        let beside = built()?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let program = match self.program {
            Program::Node => return Ok(pinned("node", Some(root.join("peers/node/server.mjs")))),
            Program::Socketioxide => beside.join("../peers/release/socketioxide-peer"),
            Program::Limit => beside.join("../peers/release/limit"),
            Program::Haggle => beside.join("haggle"),
            Program::Before => std::env::var_os("BEFORE").ok_or("BEFORE names no other build of Haggle")?.into(),
        };
        if !program.exists() {
            return Err(format!("{} is not built: `make bench` does", program.display()).into());
        }
        let program = program.canonicalize()?.display().to_string();
        Ok(pinned(&program, None))
    }

    /// Starts it on a new database, beside PostgreSQL.
    pub(crate) fn start(&'static self, cluster: &Cluster, extra: &[(&str, &str)]) -> Outcome<Running> {
        self.start_with(cluster, extra, None)
    }

    /// The same, on a database that holds a past; of Haggle only.
    pub(crate) fn start_with(
        &'static self,
        cluster: &Cluster,
        extra: &[(&str, &str)],
        past: Option<&Past>,
    ) -> Outcome<Running> {
        let url = if self.database { Some(cluster.database("bench")?) } else { None };
        if self.database && !self.is_haggle() {
            cluster.sql("bench", SCHEMA)?;
        }
        // The last one's, which takes room.
        if self.is_haggle() {
            past::forget(&cluster.folder().join(SQLITE_FILE))?;
        }
        if let Some(past) = past {
            let mut migrate = self.configured(cluster, free_port()?, url.as_deref(), extra)?;
            let migrated = migrate.args(["migrate", "up"]).output()?;
            if !migrated.status.success() {
                return Err(format!("no schema: {}", String::from_utf8_lossy(&migrated.stderr)).into());
            }
            if self.database {
                past.fill_postgres(cluster)?
            } else {
                past.fill_sqlite(&cluster.folder().join(SQLITE_FILE))?
            }
        }
        let port = free_port()?;
        let mut command = self.configured(cluster, port, url.as_deref(), extra)?;
        let log = File::create(cluster.folder().join(format!("{}.log", self.name)))?;
        let began = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut running = Running { peer: self, port, ready: Duration::ZERO, child };
        running.wait_until_up()?;
        running.ready = began.elapsed();
        Ok(running)
    }

    fn configured(&self, cluster: &Cluster, port: u16, url: Option<&str>, extra: &[(&str, &str)]) -> Outcome<Command> {
        let mut command = self.command()?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("NODE_ENV", "production").current_dir(cluster.folder());
        let port = port.to_string();
        if self.is_haggle() {
            command.env("HAGGLE_MODE", "production").env("HAGGLE_ROOT_VOCABULARY", "group");
            command.env("HAGGLE_PORT", port).env("HAGGLE_RATE_LIMITS", "off");
            command.env("HAGGLE_JWT_SECRET", SECRET).env("HAGGLE_SERVER_KEY", SERVER_KEY);
        } else {
            command.env("PORT", port).env("JWT_SECRET", SECRET);
        }
        if let Some(url) = url {
            command.env(if self.is_haggle() { "HAGGLE_DATABASE_URL" } else { "DATABASE_URL" }, url);
        }
        command.envs(self.settings.iter().copied()).envs(extra.iter().copied());
        Ok(command)
    }
}

impl Running {
    fn wait_until_up(&mut self) -> Outcome<()> {
        let began = Instant::now();
        while !self.is_up() {
            if began.elapsed() > PATIENCE || self.child.try_wait()?.is_some() {
                return Err(format!("{} did not start", self.peer.name).into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn is_up(&self) -> bool {
        if self.peer.is_haggle() {
            Client::connect(self.port, SERVER_KEY).and_then(|mut client| client.call("GET", "/readyz", None)).is_ok()
        } else {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
        }
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// An engine that speaks to it.
    pub(crate) fn engine(&self) -> Outcome<Engine> {
        Engine::new(self.peer.dialect, self.port)
    }

    /// Conversations of these people, by their ids. Haggle is told of them as a shop's backend does; the peers take
    /// whoever joins.
    pub(crate) fn conversations(&self, rooms: &[Vec<String>]) -> Outcome<Vec<u64>> {
        if !self.peer.is_haggle() {
            return Ok((1..).take(rooms.len()).collect());
        }
        let mut client = Client::connect(self.port, SERVER_KEY)?;
        let mut ids = Vec::with_capacity(rooms.len());
        for (number, people) in rooms.iter().enumerate() {
            let participants: Vec<_> = people.iter().map(|user| json!({ "user_id": user })).collect();
            let body = json!({ "kind": "order", "participants": participants });
            let answer = client.call("PUT", &format!("/v1/conversations/bench:{number}"), Some(&body))?;
            let answer: serde_json::Value = serde_json::from_slice(&answer)?;
            ids.push(answer.get("id").and_then(serde_json::Value::as_u64).ok_or("a conversation without an id")?);
        }
        Ok(ids)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A token of this user, good for a day.
pub(crate) fn token(user: &str) -> Outcome<String> {
    let exp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 86_400;
    Ok(encode(&Header::default(), &json!({ "sub": user, "exp": exp }), &EncodingKey::from_secret(SECRET.as_bytes()))?)
}

/// The folder this program was built into; the others lie beside it.
fn built() -> Outcome<PathBuf> {
    Ok(std::env::current_exe()?.parent().ok_or("this program lies nowhere")?.to_owned())
}

fn pinned(program: &str, script: Option<PathBuf>) -> Command {
    let mut command = machine::beside("KILL", None);
    command.arg(program).args(script);
    command
}
