//! What the command line takes: the commands, and every setting of the table as a flag. Runs nothing.

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, ArgMatches, Command, builder::NonEmptyStringValueParser, value_parser};

use crate::config::{
    ConfigError,
    table::{Kind, SETTINGS, Setting},
};

const CONFIG_DIR: &str = "config_dir";

/// Which way the schema goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrate {
    /// Applies what is pending.
    Up,
    /// Takes back the newest migration.
    Down,
    /// Tells what is applied and what is pending.
    Status,
}

/// The whole command line.
#[must_use]
pub fn command() -> Command {
    Command::new("haggle")
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .after_help(
            "A setting comes from its flag, else its variable, else config/*.toml, else the default. Other users of \
             the machine can read flags; give secrets by variable or by file.",
        )
        .arg(config_dir_argument())
        .args(SETTINGS.iter().map(setting_argument))
        .args(SETTINGS.iter().filter_map(file_argument))
        .subcommand(Command::new("serve").about("Run the server; pending migrations are applied first (default)"))
        .subcommand(migrate())
        .subcommand(token())
        .subcommand(Command::new("config").about("Print the effective configuration, secrets redacted"))
        .subcommand(
            Command::new("doctor")
                .about("Check configuration, database, migrations and port, and say what to do about each"),
        )
        .subcommand(
            Command::new("healthcheck").about("Ask the running server whether it answers; for containers").hide(true),
        )
}

fn migrate() -> Command {
    let directions = ["up", "down", "status"];
    Command::new("migrate").about("Change the schema alone").arg(
        Arg::new("direction")
            .value_parser(directions)
            .default_value("up")
            .help("Apply what is pending, take back the newest, or tell what is applied"),
    )
}

fn token() -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).value_parser(NonEmptyStringValueParser::new()).help(help)
    };
    Command::new("token")
        .about("Print a JWT signed with the configured secret")
        .arg(text("sub", "ID", "The user's id").required(true))
        .arg(text("name", "NAME", "The user's name"))
        .arg(text("role", "ROLE", "The user's role"))
        .arg(text("ttl", "TIME", "How long it holds, such as 90s, 1h or 7d").default_value("1h"))
}

fn config_dir_argument() -> Arg {
    Arg::new(CONFIG_DIR)
        .long("config")
        .value_name("DIR")
        .global(true)
        .value_parser(value_parser!(PathBuf))
        .help("Folder of the *.toml files [default: config]")
}

fn setting_argument(setting: &'static Setting) -> Arg {
    let argument = Arg::new(setting.key)
        .long(setting.flag())
        .value_name(value_name(setting.kind))
        .global(true)
        .hide_short_help(matches!(setting.kind, Kind::Whole { .. }) && setting.key != "port")
        .help_heading("Settings");
    let (variable, default) = (setting.variable(), setting.default_in_words());
    argument.help(format!("{} [{variable}] [default: {default}]", capitalised(setting.meaning)))
}

fn file_argument(setting: &'static Setting) -> Option<Arg> {
    let key = setting.file_key()?;
    let (flag, variable) = (format!("{}-file", setting.flag()), format!("{}_FILE", setting.variable()));
    let argument = Arg::new(key).long(flag).value_name("FILE").global(true).hide_short_help(true);
    let help = format!("File that holds the value of --{} [{variable}]", setting.flag());
    Some(argument.help_heading("Settings").help(help))
}

const fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Choice(_) => "WORD",
        Kind::OnOff => "on|off",
        Kind::Whole { .. } => "NUMBER",
        Kind::Text => "TEXT",
        Kind::Host => "HOST",
        Kind::Filter => "FILTER",
        Kind::Origins => "ORIGINS",
        Kind::DatabaseUrl => "URL",
        Kind::Secret => "SECRET",
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// The settings given as flags, by key.
pub(super) fn settings(matches: &ArgMatches) -> Vec<(String, String)> {
    let keys = SETTINGS.iter().flat_map(|setting| [Some(setting.key.to_owned()), setting.file_key()]);
    let given = keys.flatten().filter_map(|key| {
        let value = matches.get_one::<String>(&key)?.clone();
        Some((key, value))
    });
    given.collect()
}

/// The folder of the files; one that was named must be there.
pub(super) fn config_dir(matches: &ArgMatches) -> Result<OsString, ConfigError> {
    match matches.get_one::<PathBuf>(CONFIG_DIR) {
        None => Ok("config".into()),
        Some(dir) if dir.is_dir() => Ok(dir.clone().into()),
        Some(dir) => Err(ConfigError::from(format!("--config: {} is not a folder", dir.display()))),
    }
}

/// The direction given to `migrate`.
pub(super) fn direction(matches: &ArgMatches) -> Migrate {
    match matches.get_one::<String>("direction").map(String::as_str) {
        Some("down") => Migrate::Down,
        Some("status") => Migrate::Status,
        _ => Migrate::Up,
    }
}

#[cfg(test)]
mod tests {
    use super::{command, direction, settings};

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn settings_are_flags_before_and_after_the_command() {
        let top = command().get_matches_from(["haggle", "--port", "1", "migrate", "down", "--jwt-secret-file", "x"]);
        let (_, migrate) = top.subcommand().unwrap();
        let given = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(settings(migrate), [given("port", "1"), given("jwt_secret_file", "x")]);
        assert_eq!(direction(migrate), super::Migrate::Down);
    }

    #[test]
    fn a_misspelled_flag_is_refused_with_the_right_one() {
        let error = command().try_get_matches_from(["haggle", "--prot", "1"]).unwrap_err().to_string();
        assert!(error.contains("--port"), "{error}");
    }
}
