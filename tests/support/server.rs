//! Servers for tests: one in this process, or the binary as a process of its own that can be killed.
//!
//! What lives here: starting, stopping, restarting, and what the process wrote to its log. What must not: clients.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use haggle::app::Application;
use haggle::config::Settings;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::On;
use super::postgres::free_port;
use super::rest::Api;

/// How long a server may take to start or to go.
pub const WITHIN: Duration = Duration::from_secs(30);
/// The secret that tokens in tests are signed with, as `Settings::for_test` has it.
pub const JWT_SECRET: &str = "a-jwt-secret-for-tests-only-0123456789";
/// The key of the shop's backend, as `Settings::for_test` has it.
pub const SERVER_KEY: &str = "a-server-key-for-tests-only-0123456789";

/// A server in this process, on a thread of its own. Dropping it stops it.
pub struct Server {
    api: Api,
    /// Its database.
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _folder: Option<TempDir>,
}

impl Server {
    /// A server on a new database.
    pub async fn start(on: On) -> Self {
        Self::start_with(on, |_| ()).await
    }

    /// A server on a new database, with settings changed.
    pub async fn start_with(on: On, change: impl FnOnce(&mut Settings)) -> Self {
        let (folder, url) = on.database().await;
        let mut server = Self::on(&url, change).await;
        server._folder = folder;
        server
    }

    /// A server on an existing database, with settings changed.
    pub async fn on(url: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::for_test(url);
        settings.port = free_port();
        change(&mut settings);
        let (listening, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            actix::System::new().block_on(async move {
                let application = Application::build(settings).await.expect("the server starts");
                listening.send(application.address()).expect("the test waits");
                application.run_until_stopped(async { drop(stopped.await) }).await.expect("the server runs");
            });
        });
        let address = address.await.expect("the server starts");
        Self { api: Api::at(address), url: url.to_owned(), stop: Some(stop), thread: Some(thread), _folder: None }
    }

    /// Goes down in order and returns when it is down.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server's thread panicked");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Deref for Server {
    type Target = Api;
    fn deref(&self) -> &Api {
        &self.api
    }
}

/// The binary, running in a folder of its own with the settings given and no others. Dropping it kills it.
pub struct Process {
    api: Api,
    env: Vec<(String, String)>,
    folder: TempDir,
    _database: Option<TempDir>,
    child: Child,
    may_panic: bool,
}

impl Process {
    /// The binary on a new database.
    pub async fn start(on: On, env: &[(&str, &str)]) -> Self {
        let (folder, url) = on.database().await;
        let mut process = Self::on(&url, env).await;
        process._database = folder;
        process
    }

    /// The binary on an existing database; returns when it is ready.
    pub async fn on(url: &str, env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let fixed = [
            ("HAGGLE_PORT", port.to_string()),
            ("HAGGLE_DATABASE_URL", url.to_owned()),
            ("HAGGLE_JWT_SECRET", JWT_SECRET.to_owned()),
            ("HAGGLE_SERVER_KEY", SERVER_KEY.to_owned()),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
        let env: Vec<_> =
            fixed.chain(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).collect();
        let child = spawn(&folder, &env);
        let api = Api::at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let mut process = Self { api, env, folder, _database: None, child, may_panic: false };
        process.wait_until_ready().await;
        process
    }

    /// It is not held against this one when it panics.
    pub fn may_panic(mut self) -> Self {
        self.may_panic = true;
        self
    }

    /// Kills it as the kernel would.
    pub fn kill9(&mut self) {
        self.child.kill().expect("a signal");
        self.child.wait().expect("it is gone");
    }

    /// Asks it to go down, by SIGTERM.
    pub fn ask_to_go(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
    }

    /// Waits until it has gone down by itself.
    pub async fn gone(&mut self, within: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(began.elapsed() < within, "the server did not go within {within:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts it again on the same database and port, after it has gone.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.folder, &self.env);
        self.wait_until_ready().await;
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes that it holds in memory.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
    }

    /// What it has written to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The folder that it runs in.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    async fn wait_until_ready(&mut self) {
        let began = Instant::now();
        while self.api.status("/readyz").await != Some(200) {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "the server ended with {ended:?}:\n{}", self.log());
            assert!(began.elapsed() < WITHIN, "the server is not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{log}");
        } else {
            assert!(self.may_panic || !log.contains("panicked at"), "the server panicked:\n{log}");
        }
    }
}

impl Deref for Process {
    type Target = Api;
    fn deref(&self) -> &Api {
        &self.api
    }
}

/// The program as a child that does not outlive this process, its log added to the file `log`.
fn spawn(folder: &TempDir, env: &[(String, String)]) -> Child {
    let log = File::options().create(true).append(true).open(folder.path().join("log")).expect("a log");
    let program = program();
    let mut command = if cfg!(target_os = "linux") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(env.iter().map(|(name, value)| (name, value))).current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the server starts")
}

/// The program under test: the one that was built with these tests, unless the variable `HAGGLE_BIN` names another.
pub fn program() -> PathBuf {
    let named = std::env::var_os("HAGGLE_BIN").map(PathBuf::from);
    named.or_else(|| option_env!("CARGO_BIN_EXE_haggle").map(PathBuf::from)).expect("HAGGLE_BIN names a program")
}
