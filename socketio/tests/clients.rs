//! Runs the tests that other languages' clients are part of: `js/*.test.js` and `python/clients.py`,
//! against the conformance example. `tests/setup.sh` installs what they need.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends the server with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The example, which cargo builds before it runs tests.
fn example() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(Path::parent).unwrap();
    profile.join("examples").join("conformance")
}

/// Installs what is missing; `false` where the tools for it are not there.
fn set_up(tool: &str) -> bool {
    if Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_err() {
        return false;
    }
    // Two tests must not install at a time.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap();
    let done = Command::new("sh").arg(tests().join("setup.sh")).status().unwrap();
    assert!(done.success(), "tests/setup.sh failed");
    true
}

#[test]
fn javascript_clients_cannot_tell_it_from_node() {
    if !set_up("node") {
        return;
    }
    let status = Command::new("npm")
        .args(["test", "--silent"])
        .current_dir(tests().join("js"))
        .env("CONFORMANCE", example())
        .status();
    assert!(status.unwrap().success(), "see the output of node above");
}

#[test]
fn the_python_client_cannot_tell_it_from_node() {
    if !set_up("python3") {
        return;
    }
    let port = (20_000..32_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let arguments = ["--port", &port.to_string(), "--app", "client", "--workers", "2"];
    let _server = Server(Command::new(example()).args(arguments).spawn().unwrap());
    let due = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < due, "the example does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let python = tests().join("venv").join("bin").join("python");
    let script = tests().join("python").join("clients.py");
    let status = Command::new(python).arg(script).arg(format!("http://127.0.0.1:{port}")).status();
    assert!(status.unwrap().success(), "see the output of python above");
}
