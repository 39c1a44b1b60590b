//! Whether the server could listen where it is told to, and if not, who does.

use std::{
    io::{self, ErrorKind},
    net::TcpListener,
};

use super::{Check, Mark};

/// Ports below this one are kept for the system's administrator.
const FIRST_COMMON_PORT: u16 = 1024;

/// Tries the port by listening on it for a moment.
pub(super) fn examine(host: &str, port: u16) -> Check {
    let listening = TcpListener::bind((host, port));
    let (mark, text) = match listening {
        Ok(_) if port == 0 => (Mark::Well, format!("a free one on {host} is taken at the start")),
        Ok(_) => (Mark::Well, format!("{port} on {host} is free")),
        Err(error) => (Mark::Wrong, trouble(host, port, &error, holder(port))),
    };
    Check::new("port", mark, text)
}

fn trouble(host: &str, port: u16, error: &io::Error, holder: Option<String>) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            let by = holder.map_or_else(String::new, |holder| format!(" by {holder}"));
            format!(
                "{port} on {host} is taken{by}: end that program, or choose another port with HAGGLE_PORT or --port"
            )
        }
        ErrorKind::PermissionDenied if port < FIRST_COMMON_PORT => format!(
            "{port} may only be used by the system's administrator: choose one from {FIRST_COMMON_PORT} on with \
             HAGGLE_PORT or --port, and let a reverse proxy take {port}"
        ),
        ErrorKind::AddrNotAvailable => format!(
            "{host} is no address of this machine: HAGGLE_HOST is 127.0.0.1 for this machine alone, 0.0.0.0 for every \
             interface"
        ),
        _ => format!("cannot listen on {host}, port {port} ({error}): check HAGGLE_HOST and HAGGLE_PORT"),
    }
}

/// The program that listens on the port, as far as this user may know.
#[cfg(target_os = "linux")]
fn holder(port: u16) -> Option<String> {
    use std::{fs, path::Path};

    // proc(5): /proc/net/tcp has the local address in the second column, the state in the fourth (0A listens), the
    // socket's inode in the tenth.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let ending = format!(":{port:04X}");
    let sockets: Vec<_> = tables
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let (address, state) = (columns.nth(1)?, columns.nth(1)?);
            let inode = columns.nth(5)?;
            (address.ends_with(&ending) && state == "0A").then(|| format!("socket:[{inode}]"))
        })
        .collect();
    let holds = |process: &Path| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let mut links = files.filter_map(|file| fs::read_link(file.path()).ok());
        links.any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
    };
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let id = ids.find(|id| holds(&Path::new("/proc").join(id.to_string())))?;
    let name = fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
    Some(format!("{} (process {id})", name.trim()))
}

#[cfg(not(target_os = "linux"))]
fn holder(_port: u16) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use std::{io, net::TcpListener};

    use super::{Mark, examine, trouble};

    #[test]
    fn a_free_port_is_well_and_a_taken_one_names_who_holds_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = examine("127.0.0.1", port);
        assert_eq!(taken.mark, Mark::Wrong);
        assert!(taken.text.contains("is taken"), "{}", taken.text);
        if cfg!(target_os = "linux") {
            assert!(taken.text.contains(&format!("(process {})", std::process::id())), "{}", taken.text);
        }
        assert_eq!(examine("127.0.0.1", 0).mark, Mark::Well);
        assert!((21_000..21_100).any(|port| examine("127.0.0.1", port).mark == Mark::Well));
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        let check = examine("192.0.2.1", 0);
        assert_eq!(check.mark, Mark::Wrong);
        assert!(check.text.contains("no address of this machine"), "{}", check.text);
    }

    #[test]
    fn each_trouble_says_what_to_do() {
        let says = |kind: io::ErrorKind, port| trouble("h", port, &kind.into(), None);
        assert!(says(io::ErrorKind::PermissionDenied, 80).contains("reverse proxy"));
        assert!(says(io::ErrorKind::AddrInUse, 3000).contains("is taken: end that program"));
        assert!(says(io::ErrorKind::Other, 3000).contains("check HAGGLE_HOST"));
    }
}
