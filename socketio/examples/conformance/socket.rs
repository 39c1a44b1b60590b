//! `socket`: what the Socket.IO protocol's suite expects.

use std::sync::Arc;
use std::time::Duration;

use socketio::engine;
use socketio::{Accepted, Ack, Args, Config, Connecting, EventBuilder, Events, Refusal, Socket, SocketIo};

use crate::Mount;

pub(crate) fn mount() -> Mount {
    let config = Config {
        engine: engine::Config {
            ping_interval: Duration::from_millis(300),
            ping_timeout: Duration::from_millis(200),
            max_payload: 1_000_000,
            ..engine::Config::default()
        },
        connect_timeout: Duration::from_secs(1),
        attachment_timeout: Duration::from_secs(1),
        ..Config::default()
    };
    let main = Arc::new(Events::new().on("message", message_back).on("message-with-ack", answer));
    let custom = Arc::new(Events::new());
    let io = SocketIo::builder(config)
        .namespace("/", move |connecting| std::future::ready(greet(&main, &connecting)))
        .namespace("/custom", move |connecting| std::future::ready(greet(&custom, &connecting)))
        .build();
    Box::new(move |config| io.configure("/socket.io/")(config))
}

fn greet(events: &Arc<Events>, connecting: &Connecting) -> Result<Accepted, Refusal> {
    let socket = connecting.socket();
    if let Err(error) = socket.emit(&EventBuilder::new("auth").json(connecting.auth_json())) {
        return Err(Refusal::new(error.to_string()));
    }
    Ok(events.accept(connecting))
}

async fn message_back(socket: Socket, args: Args) {
    let mut event = EventBuilder::new("message-back").json(args.as_json());
    for attachment in args.attachments() {
        event = event.attachment(attachment.clone());
    }
    let _ = socket.emit(&event);
}

async fn answer(args: Args, ack: Ack) {
    let mut event = EventBuilder::new("").json(args.as_json());
    for attachment in args.attachments() {
        event = event.attachment(attachment.clone());
    }
    let _ = ack.send(&event);
}
