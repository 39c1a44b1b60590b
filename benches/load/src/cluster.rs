//! A PostgreSQL of the comparison's own, pinned beside the servers, with a warm log.
//!
//! What lives here: starting it, databases in it, its settings. What must not: what is stored.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Outcome, free_port, machine};

/// Said in the report as they stand here. Every commit waits for the disk; no checkpoint falls into a run.
pub(crate) const SETTINGS: &[&str] = &[
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=512MB",
    "max_connections=100",
    "min_wal_size=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=1h",
];

/// Log written before the first run, so that later runs write into files that are there already.
const WARM: &str = "CREATE TABLE warm AS SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 1000000) AS n;
                    CHECKPOINT; DROP TABLE warm; CHECKPOINT;";

/// A running server; dropping it stops it and removes its folder.
pub(crate) struct Cluster {
    folder: TempDir,
    bin: PathBuf,
    port: u16,
    server: Child,
}

impl Cluster {
    pub(crate) fn start() -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("haggle-bench-").tempdir()?;
        if let Some((_, uid, gid)) = other_user()? {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        let bin = bin()?;
        let data = folder.path().join("data");
        let made = as_server(&bin.join("initdb"))?
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D"])
            .arg(&data)
            .output()?;
        if !made.status.success() {
            return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let port = free_port()?;
        let mut command = as_server(&bin.join("postgres"))?;
        command.arg("-D").arg(&data).arg("-k").arg(folder.path());
        command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let log = fs::File::create(folder.path().join("log"))?;
        let server = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let cluster = Self { folder, bin, port, server };
        cluster.wait_until_up()?;
        cluster.sql("postgres", WARM)?;
        Ok(cluster)
    }

    fn wait_until_up(&self) -> Outcome<()> {
        let began = Instant::now();
        while self.sql("postgres", "SELECT 1").is_err() {
            if began.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(format!("PostgreSQL did not start:\n{log}").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.server.id()
    }

    /// Where its data is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new database in the place of the last of this name, its pages written out.
    pub(crate) fn database(&self, name: &str) -> Outcome<String> {
        self.sql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        self.checkpoint()?;
        Ok(format!("postgres://postgres@127.0.0.1:{}/{name}", self.port))
    }

    pub(crate) fn checkpoint(&self) -> Outcome<()> {
        self.sql("postgres", "CHECKPOINT").map(drop)
    }

    /// Runs statements, each by itself; answers with what the last one says.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> Outcome<String> {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres", "-p"]);
        psql.arg(self.port.to_string()).args(["-d", database]);
        for statement in statements.split(';').filter(|statement| !statement.trim().is_empty()) {
            psql.args(["-c", statement]);
        }
        let output = psql.stdin(Stdio::null()).output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
        }
    }

    /// `PostgreSQL 15.1` or the like.
    pub(crate) fn version(&self) -> String {
        self.sql("postgres", "SHOW server_version").unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-INT", &self.server.id().to_string()]).status());
        drop(self.server.wait());
    }
}

/// A command of the server's, on the servers' CPU, as a user that PostgreSQL accepts: it refuses to run as root.
fn as_server(program: &Path) -> Outcome<Command> {
    let user = other_user()?.map(|(user, ..)| user);
    // QUIT is PostgreSQL's own word for ending at once.
    let mut command = machine::beside("QUIT", user);
    command.current_dir("/");
    command.arg(program);
    Ok(command)
}

/// Who the server runs as, with their numbers, where this process is root.
fn other_user() -> Outcome<Option<(&'static str, u32, u32)>> {
    if id(&["-u"]) != Some(0) {
        return Ok(None);
    }
    let known = |user: &'static str| Some((user, id(&["-u", user])?, id(&["-g", user])?));
    Ok(Some(known("postgres").or_else(|| known("nobody")).ok_or("no user for PostgreSQL")?))
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

/// The newest PostgreSQL of this machine.
fn bin() -> Outcome<PathBuf> {
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions =
        packaged.map(|entry| (entry.file_name().to_string_lossy().parse::<u32>().ok(), entry.path().join("bin")));
    let newest = versions.filter(|(_, bin)| bin.join("initdb").exists()).max().map(|(_, bin)| bin);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = newest.or_else(|| std::env::split_paths(&path).find(|folder| folder.join("initdb").exists()));
    found.ok_or_else(|| "PostgreSQL is not installed: there is no initdb".into())
}
