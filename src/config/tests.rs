//! The rules of settings as an operator meets them: what wins, what is refused, and with which words.

use std::{collections::HashSet, fs, path::Path, time::Duration};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{ConfigError, Mode, RootVocabulary, Settings, Sources, layers, table, table::SETTINGS};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

/// A working directory's `config/` and what else an operator hands over.
struct Given {
    dir: TempDir,
    flags: Vec<(String, String)>,
    env: Vec<(String, String)>,
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn given() -> Given {
    let dir = TempDir::new().unwrap();
    let (flags, env) = (Vec::new(), Vec::new());
    Given { dir, flags, env }
}

impl Given {
    fn flag(mut self, key: &str, value: &str) -> Self {
        self.flags.push(pair(key, value));
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(pair(name, value));
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.dir.path().join(name), text).unwrap();
        self
    }

    fn production(self) -> Self {
        self.env("HAGGLE_MODE", "production")
    }

    fn secrets(self) -> Self {
        self.env("HAGGLE_JWT_SECRET", SECRET).env("HAGGLE_SERVER_KEY", SECRET)
    }

    fn load(&self) -> Result<(Settings, Sources), ConfigError> {
        let env = self.env.iter().cloned();
        Settings::load_with_sources(self.flags.clone(), env, self.dir.path())
    }

    #[track_caller]
    fn settings(&self) -> Settings {
        self.load().unwrap().0
    }

    /// All problems as the operator reads them.
    #[track_caller]
    fn refused(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

#[test]
fn nothing_set_gives_the_defaults_of_the_contract() {
    let settings = given().settings();
    assert_eq!(settings.mode, Mode::Development);
    assert_eq!((settings.host.as_str(), settings.port), ("127.0.0.1", 3000));
    assert_eq!(settings.database_url.expose_secret(), "sqlite://haggle.db?mode=rwc");
    assert_eq!(settings.root_vocabulary, RootVocabulary::Shop);
    assert_eq!(settings.log, "info");
    assert!(settings.rate_limits);
    assert_eq!(settings.slow_reader, Duration::from_secs(30));
    assert!(settings.allowed_origins.is_empty());
    assert_eq!(settings.jwt_issuer, None);
    let limits = settings.limits;
    assert_eq!((limits.messages_per_second, limits.messages_burst), (50, 200));
    assert_eq!(limits.session_buffer_bytes, 262_144);
    assert_eq!(limits.shutdown_timeout, Duration::from_secs(8));
}

#[test]
fn development_makes_a_new_secret_at_each_start() {
    let (one, other) = (given().settings(), given().settings());
    assert_eq!(one.jwt_secret.expose_secret().len(), 64);
    assert_ne!(one.jwt_secret.expose_secret(), other.jwt_secret.expose_secret());
    assert_ne!(one.jwt_secret.expose_secret(), one.server_key.expose_secret());
}

#[test]
fn flags_win_over_environment_over_files_over_defaults() {
    let mut all = given().file("haggle.toml", "port = 1001\nhost = \"0.0.0.0\"\nlog = \"warn\"\n");
    assert_eq!(all.settings().port, 1001);
    all = all.env("HAGGLE_PORT", "1002").env("HAGGLE_LOG", "debug");
    assert_eq!(all.settings().port, 1002);
    all = all.flag("port", "1003");
    let (settings, sources) = all.load().unwrap();
    assert_eq!((settings.port, settings.host.as_str(), settings.log.as_str()), (1003, "0.0.0.0", "debug"));
    assert_eq!(sources["port"], "--port");
    assert_eq!(sources["log"], "HAGGLE_LOG");
    assert!(sources["host"].contains("haggle.toml"), "{}", sources["host"]);
    assert!(!sources.contains_key("mode"));
}

#[test]
fn later_files_win_over_earlier_ones_and_other_files_are_left_alone() {
    let files = given()
        .file("10-base.toml", "port = 1\nlog = \"warn\"")
        .file("20-site.toml", "port = 2")
        .file("notes.txt", "not = settings");
    let settings = files.settings();
    assert_eq!((settings.port, settings.log.as_str()), (2, "warn"));
}

#[test]
fn only_the_file_of_the_mode_in_force_counts() {
    let files = given().file("development.toml", "port = 1").file("production.toml", "port = 2").file("zz.toml", "");
    assert_eq!(files.settings().port, 1);
    assert_eq!(files.production().secrets().settings().port, 2);
    let by_file = given().file("haggle.toml", "mode = \"production\"").file("production.toml", "port = 2");
    assert_eq!(by_file.secrets().settings().port, 2);
}

#[test]
fn a_file_named_after_a_mode_cannot_set_it() {
    let refused = given().file("development.toml", "mode = \"production\"").refused();
    assert!(refused.contains("cannot set it"), "{refused}");
    assert!(refused.contains("development.toml"), "{refused}");
}

#[test]
fn an_empty_value_counts_as_unset() {
    let empty = given()
        .file("a.toml", "port = 1001\nhost = \"\"")
        .env("HAGGLE_PORT", "")
        .env("HAGGLE_JWT_SECRET", " ")
        .flag("port", "");
    let settings = empty.settings();
    assert_eq!((settings.port, settings.host.as_str()), (1001, "127.0.0.1"));
    assert_eq!(settings.jwt_secret.expose_secret().len(), 64);
}

#[test]
fn database_url_is_a_second_name_and_the_weaker_one() {
    let second =
        given().file("a.toml", "database_url = \"sqlite://file.db\"").env("DATABASE_URL", "sqlite://second.db");
    assert_eq!(second.settings().database_url.expose_secret(), "sqlite://second.db");
    let both = second.env("HAGGLE_DATABASE_URL", "sqlite://first.db");
    assert_eq!(both.settings().database_url.expose_secret(), "sqlite://first.db");
}

#[test]
fn a_secret_comes_from_a_file_without_its_line_end() {
    let given = given().file("secret", &format!("{SECRET}\n"));
    let path = given.dir.path().join("secret").display().to_string();
    let given = given
        .env("HAGGLE_JWT_SECRET_FILE", &path)
        .flag("server_key_file", &path)
        .file("a.toml", &format!("database_url_file = {path:?}"));
    let refused = given.refused();
    assert!(refused.contains("postgres://"), "the file's text is no URL: {refused}");
    assert!(!refused.contains(SECRET), "a secret was shown");
    let settings = given.env("DATABASE_URL", "sqlite://a.db").settings();
    assert_eq!(settings.jwt_secret.expose_secret(), SECRET);
    assert_eq!(settings.server_key.expose_secret(), SECRET);
}

#[test]
fn a_stronger_layer_wins_in_whichever_way_it_gives_the_secret() {
    let given = given().file("secret", SECRET);
    let path = given.dir.path().join("secret").display().to_string();
    let given = given
        .file("a.toml", &format!("jwt_secret_file = {path:?}\nserver_key = \"{OTHER_SECRET}\""))
        .env("HAGGLE_JWT_SECRET", OTHER_SECRET)
        .env("HAGGLE_SERVER_KEY_FILE", &path);
    let settings = given.settings();
    assert_eq!(settings.jwt_secret.expose_secret(), OTHER_SECRET);
    assert_eq!(settings.server_key.expose_secret(), SECRET);
}

#[test]
fn a_secret_given_in_both_ways_at_once_is_refused() {
    let refused = given().env("HAGGLE_JWT_SECRET", SECRET).env("HAGGLE_JWT_SECRET_FILE", "somewhere").refused();
    assert!(refused.contains("HAGGLE_JWT_SECRET and HAGGLE_JWT_SECRET_FILE"), "{refused}");
}

#[test]
fn a_secrets_file_that_is_missing_empty_or_huge_is_named() {
    let given = given().file("empty", "\n").file("huge", &"x".repeat(70_000));
    let at = |name: &str| given.dir.path().join(name).display().to_string();
    let env = [
        pair("HAGGLE_JWT_SECRET_FILE", &at("nowhere")),
        pair("HAGGLE_SERVER_KEY_FILE", &at("empty")),
        pair("HAGGLE_DATABASE_URL_FILE", &at("huge")),
    ];
    let refused = Settings::load([], env.into_iter(), given.dir.path()).unwrap_err();
    let [database, jwt, key] = refused.problems() else { panic!("{refused}") };
    assert!(database.starts_with("HAGGLE_DATABASE_URL_FILE: ") && database.contains("larger than"), "{database}");
    assert!(jwt.starts_with("HAGGLE_JWT_SECRET_FILE: ") && jwt.contains("cannot be read"), "{jwt}");
    assert!(key.starts_with("HAGGLE_SERVER_KEY_FILE: ") && key.contains("is empty"), "{key}");
    let endless = pair("HAGGLE_DATABASE_URL_FILE", "/dev/zero");
    let refused = Settings::load([], [endless].into_iter(), given.dir.path()).unwrap_err();
    assert!(refused.to_string().contains("larger than"), "{refused}");
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    let refused = given()
        .env("HAGGLE_PROT", "1")
        .env("HAGGLE_ALOWED_ORIGIN", "1")
        .env("HAGGLE_port", "1")
        .env("HAGGLE_ZZZZZZ", "1")
        .flag("databse_url", "1")
        .file("a.toml", "jwt-secret = \"x\"\nPort = 1\n[server]\nport = 1")
        .refused();
    for words in [
        "HAGGLE_PROT is not a setting: did you mean HAGGLE_PORT?",
        "HAGGLE_ALOWED_ORIGIN is not a setting: did you mean HAGGLE_ALLOWED_ORIGINS?",
        "HAGGLE_port is not a setting: did you mean HAGGLE_PORT?",
        "HAGGLE_ZZZZZZ is not a setting: `haggle --help`",
        "--databse-url is not a setting: did you mean --database-url?",
        "is not a setting: did you mean `jwt_secret`?",
        "`Port` in",
        "`server` in",
    ] {
        assert!(refused.contains(words), "{words:?} is missing in {refused}");
    }
}

#[test]
fn a_secret_put_where_it_does_not_belong_is_not_shown() {
    for secret_astray in [
        given().env("HAGGLE_JWT_SECRET_FILE", SECRET),
        given().file("a.toml", &format!("jwt_secret = \"{SECRET}")),
        given().file("a.toml", &format!("jwt_secret = {SECRET}")),
        given().file("a.toml", &format!("[jwt_secret]\nis = \"{SECRET}\"")),
        given().env("HAGGLE_DATABASE_URL", SECRET),
        given().env("HAGGLE_JWT_SECERT", SECRET),
    ] {
        let refused = secret_astray.refused();
        assert!(!refused.contains(SECRET), "a secret was shown: {refused}");
    }
}

#[test]
fn a_files_form_is_checked() {
    let refused = given().file("a.toml", "port = = 1").file("b.toml", "[port]\nx = 1").refused();
    assert!(refused.contains("a.toml: TOML parse error at line 1, column 8: "), "{refused}");
    assert!(refused.contains("`port` in"), "{refused}");
    let list = given()
        .file("a.toml", "allowed_origins = [\"https://a.example\", \"http://b.example:81\"]\nrate_limits = false");
    let settings = list.settings();
    assert_eq!(settings.allowed_origins, ["https://a.example", "http://b.example:81"]);
    assert!(!settings.rate_limits);
}

#[test]
fn other_variables_are_none_of_our_business() {
    let env = given().env("HAGGLER", "1").env("PORT", "1").env("HAGGLE_BIN", "x");
    assert_eq!(env.settings().port, 3000);
}

#[test]
fn production_needs_both_secrets_and_says_how_to_make_them() {
    let refused = given().production().load().unwrap_err();
    let [jwt, key] = refused.problems() else { panic!("{refused}") };
    assert!(jwt.contains("HAGGLE_JWT_SECRET is not set") && jwt.contains("openssl rand -hex 32"), "{jwt}");
    assert!(key.contains("HAGGLE_SERVER_KEY is not set") && key.contains("HAGGLE_SERVER_KEY_FILE"), "{key}");
}

#[test]
fn production_wants_thirty_two_bytes() {
    let with = |secret: &str| given().production().env("HAGGLE_JWT_SECRET", secret).env("HAGGLE_SERVER_KEY", SECRET);
    assert_eq!(with(SECRET).settings().mode, Mode::Production);
    let short = with(&SECRET[1..]);
    let refused = short.refused();
    assert!(refused.contains("has 31 bytes"), "{refused}");
    assert!(!refused.contains(&SECRET[1..]), "a secret was shown");
}

#[test]
fn a_star_opens_development_alone() {
    let star = given().secrets().env("HAGGLE_ALLOWED_ORIGINS", "*");
    assert_eq!(star.settings().allowed_origins, ["*"]);
    let refused = star.production().refused();
    assert!(refused.contains("HAGGLE_ALLOWED_ORIGINS: `*`"), "{refused}");
}

#[test]
fn every_problem_is_told_at_once() {
    let refused = given()
        .production()
        .env("HAGGLE_PORT", "tcp://10.0.0.1:3000")
        .env("HAGGLE_RATE_LIMITS", "no")
        .env("HAGGLE_LOG", "inof")
        .env("HAGGLE_ALLOWED_ORIGINS", "shop.example,https://a.example/")
        .env("HAGGLE_SERVER_KEY", "spaces are not possible in a header line")
        .load()
        .unwrap_err();
    let all = refused.to_string();
    assert_eq!(refused.problems().len(), 7, "{all}");
    assert!(all.contains("enableServiceLinks"), "{all}");
    assert!(all.contains("did you mean `info`?"), "{all}");
}

#[test]
fn what_is_shown_holds_no_secret() {
    let settings = given()
        .secrets()
        .env("HAGGLE_DATABASE_URL", "postgres://alice:hunter2@db.example/chat?password=hunter3&sslmode=require")
        .settings();
    let shown: Vec<_> = settings.redacted().into_iter().map(|(_, text)| text).collect();
    let all = format!("{shown:?} {settings:?}");
    for secret in [SECRET, "hunter2", "hunter3"] {
        assert!(!all.contains(secret), "{secret} was shown: {all}");
    }
    assert!(
        shown.contains(&"\"postgres://alice:redacted@db.example/chat?password=redacted&sslmode=require\"".to_owned()),
        "{all}"
    );
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let first = given()
        .flag("allowed_origins", "https://a.example,https://b.example")
        .flag("rate_limits", "off")
        .flag("max_connections", "77")
        .settings();
    let lines = first.redacted().into_iter().filter(|(setting, _)| !setting.is_secret());
    let text: Vec<_> = lines.map(|(setting, value)| format!("{} = {value}", setting.key)).collect();
    let second = given().file("a.toml", &text.join("\n")).settings();
    let show = |settings: &Settings| format!("{:?}", settings.redacted());
    assert_eq!(show(&first), show(&second));
}

#[test]
fn every_row_of_the_table_is_read_and_shown() {
    let settings = given().settings();
    for (setting, shown) in settings.redacted() {
        assert_eq!(
            shown.contains(super::REDACTED),
            setting.kind == table::Kind::Secret,
            "{} is shown as {shown}",
            setting.key
        );
        if let table::Kind::Whole { min, max } = setting.kind {
            for (bound, wrong) in [(min, min.checked_sub(1)), (max, Some(max + 1))] {
                let with = |number: u64| given().flag(setting.key, &number.to_string());
                let shown = format!("{:?}", with(bound).settings().redacted());
                assert!(shown.contains(&format!("\"{bound}\"")), "{} does not take {bound}", setting.key);
                assert!(wrong.is_none_or(|wrong| with(wrong).load().is_err()), "{} is not bounded", setting.key);
            }
        }
    }
    let keys: HashSet<_> = SETTINGS.iter().map(|setting| setting.key).collect();
    assert_eq!(keys.len(), SETTINGS.len(), "a key is there twice");
}

#[test]
fn a_folder_that_is_not_there_holds_no_files() {
    let settings = Settings::load([], std::iter::empty(), Path::new("no-such-folder")).unwrap();
    assert_eq!(settings.port, 3000);
}

#[test]
fn settings_for_tests_are_right_even_for_production() {
    let settings = Settings::for_test("sqlite::memory:");
    assert_eq!(settings.port, 0);
    assert_eq!(settings.database_url.expose_secret(), "sqlite::memory:");
    assert!(settings.jwt_secret.expose_secret().len() >= super::MIN_SECRET_BYTES);
    assert!(settings.server_key.expose_secret().len() >= super::MIN_SECRET_BYTES);
    assert_eq!(settings.log, "info");
}

#[test]
fn the_nearest_key_is_near() {
    assert_eq!(layers::nearest("prot").as_deref(), Some("port"));
    assert_eq!(layers::nearest("SERVER-KEY").as_deref(), Some("server_key"));
    assert_eq!(layers::nearest("completely_different"), None);
}
