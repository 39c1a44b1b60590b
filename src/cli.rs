//! The command line: which command with which settings, what is printed, which exit code. The commands' work is
//! done elsewhere.

mod arguments;
mod healthcheck;
mod token;

use std::{ffi::OsString, fmt::Display, future::Future, io, io::Write, path::Path, process::ExitCode};

use clap::ArgMatches;

use crate::{
    app,
    config::{ConfigError, Settings, Sources, table::Kind},
    doctor, telemetry,
};
pub use arguments::{Migrate, command};

/// The exit code for settings that are not right; the same as for arguments that are not.
const EXIT_USAGE: u8 = 2;

/// Runs the command that `args` name, the program's name first, and answers with the exit code: 0 when all went
/// well, 1 when something failed, 2 when arguments or settings are not right. Help and mistakes in the arguments
/// end the process here.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let top = command().get_matches_from(args);
    let (name, matches) = top.subcommand().unwrap_or(("serve", &top));
    let loaded = load(matches);
    if name == "doctor" {
        let report = block_on(doctor::examine(loaded));
        return end(say(&report.to_string()), report.is_well());
    }
    let (settings, sources) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error);
            return EXIT_USAGE.into();
        }
    };
    let done = match name {
        "config" => say(&effective(&settings, &sources)),
        "token" => token::issue(matches, &settings, &sources).and_then(|token| say(&token)),
        "healthcheck" => healthcheck::ask(&settings),
        "migrate" => run_logged(&settings.log.clone(), app::migrate(settings, arguments::direction(matches))),
        _ => run_logged(&settings.log.clone(), app::serve(settings)),
    };
    end(done, true)
}

fn load(matches: &ArgMatches) -> Result<(Settings, Sources), ConfigError> {
    let dir = arguments::config_dir(matches)?;
    let env = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value)));
    Settings::load_with_sources(arguments::settings(matches), env, Path::new(&dir))
}

fn lossy(text: OsString) -> String {
    text.to_string_lossy().into_owned()
}

/// Starts logging and runs the future to its end.
fn run_logged<E: Display>(log: &str, future: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    telemetry::init(log)?;
    block_on(future).map_err(|error| error.to_string())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(future)
}

/// The effective settings as a file of settings, with where each was set.
fn effective(settings: &Settings, sources: &Sources) -> String {
    let lines = settings.redacted().into_iter().map(|(setting, value)| {
        let source = match sources.get(setting.key) {
            Some(source) => source,
            None if setting.kind == Kind::Secret => "random, another at the next start",
            None => "default",
        };
        format!("{} = {value} # {source}", setting.key)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Prints to standard output. A reader that went away, as `head` does, is no failure.
fn say(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn complain(error: &impl Display) -> ExitCode {
    // Where standard error is closed there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "haggle: {error}");
    ExitCode::FAILURE
}

fn end(done: Result<(), String>, well: bool) -> ExitCode {
    match done {
        Ok(()) if well => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => complain(&error),
    }
}
