//! Whether the database can be used: reachable, let in, of the right version, with which migrations.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectOptions, Database,
    sqlx::{
        self, Connection,
        postgres::{PgConnectOptions, PgConnection},
        sqlite::SqliteConnectOptions,
    },
};
use secrecy::ExposeSecret;

use super::{Check, Mark};
use crate::config::{Settings, redacted_url};

const NAME: &str = "database";

/// The oldest PostgreSQL that is tested, as `server_version_num` writes it.
const MIN_POSTGRES: i32 = 150_000;

/// The steps of `server_version_num` from one major version to the next.
const POSTGRES_MAJOR: i32 = 10_000;

/// What there is to be found out before anything is connected to.
enum Place {
    /// The database can be asked.
    There(String),
    /// It is not there yet; the first start makes it.
    NotYet(String),
}

/// Looks at the database and, if it can be used, at its migrations.
pub(super) async fn examine(settings: &Settings) -> Vec<Check> {
    let url = settings.database_url.expose_secret();
    let timeout = settings.limits.database_timeout;
    let place = if url.starts_with("sqlite:") { sqlite(url) } else { postgres(url, timeout).await };
    let shown = redacted_url(&settings.database_url);
    match place {
        Err(trouble) => {
            let rest = Check::new("migrations", Mark::Note, "looked at once the database can be reached");
            vec![Check::new(NAME, Mark::Wrong, format!("{shown}: {trouble}")), rest]
        }
        Ok(Place::NotYet(text)) => {
            let rest = Check::new("migrations", Mark::Note, "all pending; `haggle serve` applies them");
            vec![Check::new(NAME, Mark::Well, format!("{shown}: {text}")), rest]
        }
        Ok(Place::There(text)) => {
            vec![Check::new(NAME, Mark::Well, format!("{shown}: {text}")), migrations(url, timeout).await]
        }
    }
}

fn sqlite(url: &str) -> Result<Place, String> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| {
        format!("not a SQLite URL ({}); one looks like sqlite://haggle.db?mode=rwc", root_cause(&error))
    })?;
    let (path, parameters) = url.split_once('?').unwrap_or((url, ""));
    let mode = |wanted: &str| parameters.split('&').any(|part| part.strip_prefix("mode=") == Some(wanted));
    if path.ends_with(":memory:") || mode("memory") {
        return Ok(Place::NotYet("kept in memory, and gone when the server ends".to_owned()));
    }
    let file = options.get_filename();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    if file.is_dir() {
        return Err(format!("{} is a folder: name a file in it", file.display()));
    }
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(format!("the folder {folder} does not exist: `mkdir -p {folder}` makes it"));
    }
    writable(&folder).map_err(|error| {
        format!(
            "the folder {} cannot be written to ({error}), and SQLite keeps its journal there: change its owner or \
             choose another folder",
            folder.display()
        )
    })?;
    match fs::OpenOptions::new().read(true).write(!mode("ro")).open(file) {
        Ok(_) if mode("ro") => Err("opened for reading alone: leave out mode=ro".to_owned()),
        Ok(_) => Ok(Place::There("the file is there".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound && mode("rwc") => {
            Ok(Place::NotYet("the first start makes the file".to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("the file {} does not exist: add ?mode=rwc to the URL to have it made", file.display()))
        }
        Err(error) => Err(format!("the file {} cannot be opened: {error}", file.display())),
    }
}

/// Makes a file in the folder and takes it away again.
fn writable(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".haggle-doctor-{}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(probe)
}

async fn postgres(url: &str, timeout: Duration) -> Result<Place, String> {
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        format!("not a PostgreSQL URL ({}); one looks like postgres://user:password@host:5432/name", root_cause(&error))
    })?;
    let asked = tokio::time::timeout(timeout, ask(&options)).await;
    let (version, may_create) = match asked {
        Ok(answer) => answer.map_err(|error| postgres_trouble(&error, &options))?,
        Err(_) => {
            return Err(format!(
                "{} does not answer within {} s: check host and port, and whether a firewall is between",
                place(&options),
                timeout.as_secs()
            ));
        }
    };
    let (major, oldest) = (version / POSTGRES_MAJOR, MIN_POSTGRES / POSTGRES_MAJOR);
    if version < MIN_POSTGRES {
        return Err(format!("PostgreSQL {major} is too old: Haggle needs {oldest} or later"));
    }
    if !may_create {
        let user = options.get_username();
        return Err(format!(
            "user {user} may not make tables there: `ALTER DATABASE … OWNER TO {user}`, or `GRANT CREATE, USAGE ON SCHEMA \
             public TO {user}`"
        ));
    }
    Ok(Place::There(format!("PostgreSQL {major} lets us in")))
}

/// The version as `server_version_num` has it, and whether the user may make tables, which since PostgreSQL 15 only
/// the database's owner may. One plain connection: a pool would hide why there is none.
async fn ask(options: &PgConnectOptions) -> Result<(i32, bool), sqlx::Error> {
    let question = "SELECT current_setting('server_version_num')::int4, \
                    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)";
    let mut connection = PgConnection::connect_with(options).await?;
    let answer = sqlx::query_as(question).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(answer)
}

fn postgres_trouble(error: &sqlx::Error, options: &PgConnectOptions) -> String {
    let (place, user) = (place(options), options.get_username());
    let name = options.get_database().unwrap_or(user);
    match error {
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // PostgreSQL, appendix A, has these codes.
            Some("28P01") => format!(
                "wrong password for user {user}: check it in the URL (`@ : / ? # %` are percent-encoded there), or \
                 set it anew with ALTER ROLE"
            ),
            Some("28000") => format!(
                "user {user} is not let in ({}): make it with `createuser --pwprompt {user}`, or allow it in \
                 pg_hba.conf",
                error.message()
            ),
            Some("3D000") => format!("there is no database {name}: `createdb --owner {user} {name}` makes it"),
            Some("53300") => "all its connections are taken: raise max_connections there".to_owned(),
            Some("57P03") => "it is just starting or going down: try again in a moment".to_owned(),
            _ => format!("{place} refuses: {}", error.message()),
        },
        sqlx::Error::Io(error) => io_trouble(error, &place, options.get_host()),
        sqlx::Error::Tls(error) => {
            format!(
                "no encrypted connection to {place} ({error}): see `sslmode` in the URL and the server's certificate"
            )
        }
        sqlx::Error::Protocol(words) => {
            format!("{place} answers, but not as PostgreSQL does ({words}): check host and port in the URL")
        }
        other => format!("{place}: {}", root_cause(other)),
    }
}

fn io_trouble(error: &io::Error, place: &str, host: &str) -> String {
    let words = error.to_string();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("nothing listens on {place}: start PostgreSQL there, or correct host and port in the URL")
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::TimedOut => {
            format!("{place} cannot be reached ({words}): check host, port and network")
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            format!("{place} breaks off ({words}): check that PostgreSQL is what listens there")
        }
        _ if words.contains("lookup") => {
            format!("the host name {host} is not known ({words}): check its spelling, or give an IP address")
        }
        _ => format!("{place}: {words}"),
    }
}

fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}, port {}", options.get_host(), options.get_port()),
    }
}

/// The innermost reason: what is around it says again what is said here.
fn root_cause(error: &sqlx::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

async fn migrations(url: &str, timeout: Duration) -> Check {
    let name = "migrations";
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).connect_timeout(timeout).acquire_timeout(timeout).sqlx_logging(false);
    let pending = async {
        let connection = Database::connect(options).await?;
        let pending = Migrator::get_pending_migrations_read_only(&connection).await;
        connection.close().await?;
        pending
    };
    match tokio::time::timeout(timeout, pending).await {
        Ok(Ok(pending)) if pending.is_empty() => Check::new(name, Mark::Well, "all applied"),
        Ok(Ok(pending)) => {
            let text = format!("{} pending; `haggle serve` or `haggle migrate` applies them", pending.len());
            Check::new(name, Mark::Note, text)
        }
        Ok(Err(error)) => {
            let text = format!("cannot be read ({error}): is this Haggle's own database, and of no newer version?");
            Check::new(name, Mark::Wrong, text)
        }
        Err(_) => {
            let text = format!("cannot be read within {} s: is someone holding locks?", timeout.as_secs());
            Check::new(name, Mark::Wrong, text)
        }
    }
}

#[cfg(test)]
mod tests;
