//! Private PostgreSQL clusters on loopback, gone when the test process is, however it ends.
//!
//! What lives here: one cluster shared by the process (`database`), and clusters of one's own that can be killed and
//! halted (`Cluster`). What must not: schemas; each database is empty.
//!
//! A shell waits on a pipe that this process holds. When the process dies, the pipe closes, and the shell stops the
//! server and removes its folder.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// How long a server may take to start or stop.
const WITHIN: Duration = Duration::from_secs(30);

/// A PostgreSQL server with a data folder of its own. Dropping it stops the server and removes the folder.
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    settings: &'static str,
    keeper: Child,
    server: u32,
}

/// The URL of a new, empty database in the cluster that all tests of the process share.
pub async fn database() -> String {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    // Files outlive a killed server without fsync; only a killed machine loses them.
    SHARED.get_or_init(|| Cluster::with_settings("-c fsync=off -c max_connections=400")).database().await
}

impl Cluster {
    /// Starts a cluster for one test that wants to hurt it.
    pub fn start() -> Self {
        Self::with_settings("-c max_connections=100")
    }

    /// Starts a cluster whose data are in this folder.
    pub fn start_in(folder: PathBuf) -> Self {
        Self::made_in(folder, "-c max_connections=100 -c max_wal_size=32MB -c min_wal_size=32MB")
    }

    fn with_settings(settings: &'static str) -> Self {
        let folder = tempfile::Builder::new().prefix("haggle-pg-").tempdir().expect("a temporary folder").keep();
        Self::made_in(folder, settings)
    }

    fn made_in(folder: PathBuf, settings: &'static str) -> Self {
        if let Some((_, uid, gid)) = other_user() {
            chown(&folder, Some(uid), Some(gid)).expect("a folder for the server's user");
        }
        let made = as_server(&bin().join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D"])
            .arg(folder.join("data"))
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let (keeper, server) = keep(&folder, port, settings);
        let cluster = Self { folder, port, settings, keeper, server };
        cluster.wait_until_up();
        cluster
    }

    /// The URL of a new, empty database.
    pub async fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&self.url("postgres")).await.expect("the cluster answers");
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a new database");
        admin.close().await.expect("goodbye");
        self.url(&name)
    }

    /// The URL of a database by name, whether it exists or not.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Kills every process of the server, as a machine's memory running out would.
    pub fn kill9(&self) {
        signal("KILL", &self.processes());
        self.wait_until_down();
    }

    /// Starts the server again on the same data and port after `kill9`.
    pub fn restart(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
        (self.keeper, self.server) = keep(&self.folder, self.port, self.settings);
        self.wait_until_up();
    }

    /// Halts every process of the server: connections stay open and nothing answers.
    pub fn stop_signal(&self) {
        signal("STOP", &self.processes());
    }

    /// Lets the server go on after `stop_signal`.
    pub fn cont(&self) {
        signal("CONT", &self.processes());
    }

    fn processes(&self) -> Vec<u32> {
        let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().expect("ps runs").stdout;
        let pairs = String::from_utf8_lossy(&listed).lines().filter_map(pair).collect::<Vec<_>>();
        let children = pairs.iter().filter(|(_, parent)| *parent == self.server).map(|(child, _)| *child);
        std::iter::once(self.server).chain(children).collect()
    }

    /// Whether it takes connections.
    pub fn answers(&self) -> bool {
        let mut ask = Command::new(bin().join("pg_isready"));
        let ask = ask.args(["-q", "-h", "127.0.0.1", "-p"]).arg(self.port.to_string());
        ask.status().expect("pg_isready runs").success()
    }

    fn wait_until_up(&self) {
        let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        wait_for(|| self.answers(), || format!("PostgreSQL did not start:\n{}", log()));
    }

    fn wait_until_down(&self) {
        let gone = || TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        wait_for(gone, || "PostgreSQL did not go".to_owned());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        signal("CONT", &self.processes());
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Starts the server under a shell that ends it with this process; the folder goes with the process too.
fn keep(folder: &Path, port: u16, settings: &str) -> (Child, u32) {
    const SCRIPT: &str = r#"folder=$1; shift; parent=$PPID
        "$@" >"$folder/log" 2>&1 </dev/null & server=$!
        echo $server; read _; kill -QUIT $server; kill -CONT $server; wait $server
        kill -0 $parent 2>/dev/null || rm -rf "$folder""#;
    let postgres = as_server(&bin().join("postgres"));
    let mut keeper = Command::new("sh");
    keeper.args(["-c", SCRIPT, "keeper"]).arg(folder).arg(postgres.get_program()).args(postgres.get_args());
    keeper.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    keeper.args(settings.split_whitespace()).current_dir("/");
    // Ctrl-C in a terminal goes to the test process alone, which is enough.
    let mut keeper = keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().expect("a pipe")).read_line(&mut line).expect("the server's process id");
    (keeper, line.trim().parse().expect("a process id"))
}

/// A command of the server's, as a user that PostgreSQL accepts: it refuses to run as root.
fn as_server(program: &Path) -> Command {
    let Some((user, ..)) = other_user() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(program).current_dir("/");
    command
}

/// Who the server runs as, with their numbers, where this process is root.
fn other_user() -> Option<(&'static str, u32, u32)> {
    if id(&["-u"])? != 0 {
        return None;
    }
    let known = |user: &'static str| Some((user, id(&["-u", user])?, id(&["-g", user])?));
    Some(known("postgres").or_else(|| known("nobody")).expect("a user for PostgreSQL"))
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

/// The newest PostgreSQL of this machine.
fn bin() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let versions =
            packaged.map(|entry| (entry.file_name().to_string_lossy().parse::<u32>().ok(), entry.path().join("bin")));
        let newest = versions.filter(|(_, bin)| bin.join("initdb").exists()).max();
        let path = std::env::var_os("PATH").unwrap_or_default();
        newest
            .map(|(_, bin)| bin)
            .or_else(|| std::env::split_paths(&path).find(|folder| folder.join("initdb").exists()))
            .expect("PostgreSQL is not installed: initdb is neither in /usr/lib/postgresql nor in PATH")
    })
}

/// A port below those that the kernel gives to outgoing connections, free a moment ago.
/// A port that nobody listens on, below those that the kernel hands out by itself.
pub fn free_port() -> u16 {
    // Two servers started at once must not try the same port: each asks for its own.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(7).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    let ports = (0..10_000).map(|step| 20_000 + u16::try_from((start + step) % 10_000).expect("small"));
    ports.into_iter().find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a free port")
}

fn pair(line: &str) -> Option<(u32, u32)> {
    let (child, parent) = line.trim().split_once(char::is_whitespace)?;
    Some((child.parse().ok()?, parent.trim().parse().ok()?))
}

fn signal(name: &str, processes: &[u32]) {
    let ids = processes.iter().map(u32::to_string);
    drop(Command::new("kill").arg(format!("-{name}")).args(ids).stderr(Stdio::null()).status());
}

fn wait_for(mut done: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WITHIN, "{}", otherwise());
        std::thread::sleep(Duration::from_millis(20));
    }
}
