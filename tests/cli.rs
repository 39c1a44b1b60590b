//! The commands as an operator runs them: what goes to standard output, what to standard error, which exit code.

use std::{
    fs,
    net::TcpListener,
    process::{Command, Output},
};

use jsonwebtoken::{DecodingKey, Validation};
use tempfile::TempDir;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Runs the binary in a folder of its own, with these variables alone.
fn haggle(arguments: &[&str], env: &[(&str, &str)]) -> Output {
    haggle_in(&TempDir::new().unwrap(), arguments, env)
}

fn haggle_in(folder: &TempDir, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haggle"));
    command.args(arguments).env_clear().envs(env.iter().copied()).current_dir(folder.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn config_prints_what_is_in_force_and_no_secret() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("config")).unwrap();
    fs::write(folder.path().join("config/haggle.toml"), "port = 4000\nlog = \"debug\"").unwrap();
    let env = [("HAGGLE_JWT_SECRET", SECRET), ("HAGGLE_DATABASE_URL", "postgres://alice:hunter2@db.example/chat")];
    let output = haggle_in(&folder, &["config", "--port", "5000"], &env);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(printed.contains("port = 5000 # --port\n"), "{printed}");
    assert!(printed.contains("log = \"debug\" # `log` in config/haggle.toml\n"), "{printed}");
    assert!(printed.contains("postgres://alice:redacted@db.example/chat"), "{printed}");
    assert!(!printed.contains(SECRET) && !printed.contains("hunter2"), "{printed}");
}

#[test]
fn what_is_wrong_with_the_settings_goes_to_standard_error_with_exit_code_2() {
    for arguments in [&["serve"][..], &[], &["config"], &["migrate"], &["token", "--sub", "alice"]] {
        let output = haggle(arguments, &[("HAGGLE_PROT", "1"), ("HAGGLE_MODE", "production")]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        assert!(complaint.contains("did you mean HAGGLE_PORT?"), "{complaint}");
        assert!(complaint.contains("HAGGLE_SERVER_KEY is not set"), "{complaint}");
    }
    let output = haggle(&["config", "--config", "nowhere"], &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("nowhere is not a folder"), "{output:?}");
    assert_eq!(haggle(&["--prot", "1"], &[]).status.code(), Some(2));
}

#[test]
fn token_prints_a_token_that_the_secret_verifies() {
    let arguments = ["token", "--sub", "alice", "--name", "Alice", "--role", "agent", "--ttl", "2h"];
    let env = [("HAGGLE_JWT_SECRET", SECRET), ("HAGGLE_JWT_ISSUER", "shop"), ("HAGGLE_JWT_AUDIENCE", "chat")];
    let output = haggle(&arguments, &env);
    assert!(output.status.success(), "{output:?}");
    let mut validation = Validation::default();
    validation.set_issuer(&["shop"]);
    validation.set_audience(&["chat"]);
    let key = DecodingKey::from_secret(SECRET.as_bytes());
    let printed = text(&output.stdout);
    let token = jsonwebtoken::decode::<serde_json::Value>(printed.trim_end(), &key, &validation).unwrap();
    let claims = token.claims;
    assert_eq!((&claims["sub"], &claims["name"], &claims["role"]), (&"alice".into(), &"Alice".into(), &"agent".into()));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 7_200);
}

#[test]
fn token_without_a_configured_secret_says_the_way_out() {
    let output = haggle(&["token", "--sub", "alice"], &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(text(&output.stderr).contains("/dev/token?userId=ID"), "{output:?}");
}

#[test]
fn doctor_ends_with_0_when_all_is_well_and_with_1_when_not() {
    let folder = TempDir::new().unwrap();
    let well = haggle_in(&folder, &["doctor", "--port", "0"], &[]);
    assert_eq!(well.status.code(), Some(0), "{well:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the doctor left something behind");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let env = [("DATABASE_URL", "sqlite://no/such/folder/a.db"), ("HAGGLE_PORT", port.as_str())];
    let ill = haggle(&["doctor"], &env);
    let report = text(&ill.stdout);
    assert_eq!(ill.status.code(), Some(1), "{ill:?}");
    assert!(report.contains("mkdir -p no/such/folder"), "{report}");
    assert!(report.contains(&format!("✘ port           {port} on 127.0.0.1 is taken")), "{report}");

    let misset = haggle(&["doctor"], &[("HAGGLE_MODE", "production"), ("HAGGLE_JWT_SECRET", "short")]);
    assert_eq!(misset.status.code(), Some(1), "{misset:?}");
    assert!(text(&misset.stdout).contains("the secret has 5 bytes"), "{misset:?}");
}

#[test]
fn healthcheck_fails_where_nothing_answers() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let output = haggle(&["healthcheck"], &[("HAGGLE_PORT", &free)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("nothing answers on 127.0.0.1"), "{output:?}");
}
