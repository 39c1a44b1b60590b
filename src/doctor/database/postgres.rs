//! Whether a PostgreSQL server lets us in, and can be worked with. Each refusal in plain words with the way out.

use std::{io, str::FromStr, time::Duration};

use sea_orm::sqlx::{
    self, Connection,
    postgres::{PgConnectOptions, PgConnection},
};

use super::{Place, root_cause};

/// The oldest PostgreSQL that is tested, as `server_version_num` writes it.
const MIN_POSTGRES: i32 = 150_000;

/// The steps of `server_version_num` from one major version to the next.
const POSTGRES_MAJOR: i32 = 10_000;

/// Connects and asks.
pub(super) async fn look(url: &str, timeout: Duration) -> Result<Place, String> {
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        format!("not a PostgreSQL URL ({}); one looks like postgres://user:password@host:5432/name", root_cause(&error))
    })?;
    let asked = tokio::time::timeout(timeout, ask(&options)).await;
    let (version, may_create) = match asked {
        Ok(answer) => answer.map_err(|error| trouble(&error, &options))?,
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

pub(super) fn trouble(error: &sqlx::Error, options: &PgConnectOptions) -> String {
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

pub(super) fn io_trouble(error: &io::Error, place: &str, host: &str) -> String {
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

pub(super) fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}, port {}", options.get_host(), options.get_port()),
    }
}
