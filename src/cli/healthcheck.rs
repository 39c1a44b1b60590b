//! `haggle healthcheck`: asks the server of the same settings whether it answers, for images that hold no other
//! program to ask with.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use crate::config::Settings;

/// How long each step may take; a container's own health timeout is longer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The bytes of an answer that are read: the status line is at its beginning.
const STATUS_BYTES: u64 = 64;

/// Asks `GET /healthz`; an answer of 200 is health.
pub(super) fn ask(settings: &Settings) -> Result<(), String> {
    let (host, port) = (reachable(&settings.host), settings.port);
    let status = status(&host, port).map_err(|error| format!("nothing answers on {host}, port {port}: {error}"))?;
    if status.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(format!("the server answers with {:?}", status.lines().next().unwrap_or_default()))
}

fn status(host: &str, port: u16) -> std::io::Result<String> {
    let nothing = || std::io::Error::other("the host has no address");
    let address = (host, port).to_socket_addrs()?.next().ok_or_else(nothing)?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(STATUS_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The address at which a server that listens on `host` can be asked from the same machine.
fn reachable(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.to_string(),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::{ask, reachable};
    use crate::config::Settings;

    fn health_by(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut settings = Settings::for_test("sqlite::memory:");
        settings.host = "0.0.0.0".to_owned();
        settings.port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = socket.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:"));
            socket.write_all(answer.as_bytes()).unwrap();
        });
        let health = ask(&settings);
        server.join().unwrap();
        health
    }

    #[test]
    fn only_200_is_health() {
        assert_eq!(health_by("HTTP/1.1 200 OK\r\n\r\n"), Ok(()));
        assert!(health_by("HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap_err().contains("503"));
        assert!(health_by("").is_err());
    }

    #[test]
    fn every_interface_is_asked_at_the_loopback() {
        assert_eq!(reachable("0.0.0.0"), "127.0.0.1");
        assert_eq!(reachable("::"), "::1");
        assert_eq!(reachable("10.1.2.3"), "10.1.2.3");
    }
}
