//! The servers that the official conformance suites and the clients' own suites run against.
//!
//! `cargo run -p socketio --example conformance -- --port N --app engine|socket|client|engine-client`

#[path = "conformance/client.rs"]
mod client;
#[path = "conformance/engine.rs"]
mod engine;
#[path = "conformance/socket.rs"]
mod socket;

use std::io::{Error, ErrorKind};
use std::net::TcpListener;

use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};

/// Mounts one of the applications; called once in each worker.
type Mount = Box<dyn Fn(&mut ServiceConfig) + Send + Sync>;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let number = |name: &str, default: u16| value(name).map_or(Ok(default), str::parse);
    let port = number("--port", 3000).map_err(|_| Error::new(ErrorKind::InvalidInput, "--port wants a number"))?;
    // The suites send requests at the same time and expect them served in that order, as one thread does.
    let workers =
        number("--workers", 1).map_err(|_| Error::new(ErrorKind::InvalidInput, "--workers wants a number"))?;
    let app = value("--app").unwrap_or("socket");
    let mount: Mount = match app {
        "engine" => engine::echo(),
        "engine-client" => engine::client(),
        "socket" => socket::mount(),
        "client" => client::mount(),
        _ => {
            return Err(Error::new(ErrorKind::InvalidInput, "--app wants engine, socket, client or engine-client"));
        }
    };
    actix_web::rt::System::new().block_on(serve(port, workers.into(), mount))
}

async fn serve(port: u16, workers: usize, mount: Mount) -> std::io::Result<()> {
    let mount = std::sync::Arc::new(mount);
    let server = HttpServer::new(move || {
        let mount = std::sync::Arc::clone(&mount);
        App::new().configure(move |config| mount(config))
    })
    .workers(workers)
    .tcp_nodelay(true)
    // A poll whose client has gone is dropped.
    .h1_allow_half_closed(false)
    .shutdown_timeout(1)
    .bind(("127.0.0.1", port))?;
    // `localhost` may be either; a machine without IPv6 has the one.
    let server = match TcpListener::bind(("::1", port)) {
        Ok(listener) => server.listen(listener)?,
        Err(_) => server,
    };
    server.run().await
}
