//! `client`: what `socket.io-client`'s suite expects.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use socketio::engine::{self, RequestHead};
use socketio::recovery::MemoryStore;
use socketio::{
    Accepted, Ack, Args, Attachment, Config, Connecting, Data, EventBuilder, Events, Handshake, Refusal, Socket,
    SocketIo,
};

use crate::Mount;

/// How long a handshake takes.
const DELAY: Duration = Duration::from_millis(10);
/// How long the client's answer may take.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may be away and recover.
const MAX_AWAY: Duration = Duration::from_secs(120);

pub(crate) fn mount() -> Mount {
    let config = Config {
        engine: engine::Config { ping_interval: Duration::from_secs(2), ..engine::Config::default() },
        ..Config::default()
    };
    let quiet = Arc::new(Events::new());
    let ids = Arc::new(Events::new().on("getId", get_id));
    let main = Arc::new(more_events(main_events()));
    let mut builder = SocketIo::builder(config)
        .recovery(Arc::new(MemoryStore::new(MAX_AWAY)))
        .engine(|engine| {
            engine.allow(|_| async {
                tokio::time::sleep(DELAY).await;
                Ok(())
            })
        })
        .namespace("/", move |connecting| std::future::ready(join_main(&main, &connecting)))
        .namespace("/foo", move |connecting| std::future::ready(Ok(ids.accept(&connecting))))
        .namespace("/no", |_| std::future::ready(Err(Refusal::new("Auth failed (custom namespace)"))));
    for name in ["/timeout_socket", "/valid", "/asd"] {
        let quiet = Arc::clone(&quiet);
        builder = builder.namespace(name, move |connecting| std::future::ready(Ok(quiet.accept(&connecting))));
    }
    let io = builder.namespace("/abc", move |connecting| std::future::ready(join_abc(&quiet, &connecting))).build();
    Box::new(move |config| io.configure("/socket.io/")(config))
}

fn join_main(events: &Arc<Events>, connecting: &Connecting) -> Result<Accepted, Refusal> {
    if connecting.opening_request().query_value("fail").is_some_and(|value| !value.is_empty()) {
        return Err(Refusal::new("Auth failed (main namespace)"));
    }
    Ok(events.accept(connecting))
}

fn join_abc(events: &Arc<Events>, connecting: &Connecting) -> Result<Accepted, Refusal> {
    emit(connecting.socket(), EventBuilder::new("handshake").arg(&describe(connecting)));
    Ok(events.accept(connecting))
}

fn describe(connecting: &Handshake) -> Value {
    let request: &RequestHead = connecting.opening_request();
    let query: Map<String, Value> = request.query().into_iter().map(|(name, value)| (name, value.into())).collect();
    let headers: Map<String, Value> = request.headers().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let auth: Value = connecting.auth().unwrap_or_default();
    json!({ "query": query, "auth": auth, "headers": headers })
}

fn main_events() -> Events {
    Events::new()
        .on("hi", |socket: Socket| async move { emit(&socket, EventBuilder::new("hi")) })
        .on("echo", |Data((value,)): Data<(Value,)>, ack: Ack| async move { answer(ack, &value) })
        .on("ack", ask)
        .on("getAckDate", |ack: Ack| async move { answer(ack, &now().into()) })
        .on("getDate", |socket: Socket| async move { emit(&socket, EventBuilder::new("takeDate").arg(&now())) })
        .on("getDateObj", |socket: Socket| async move {
            emit(&socket, EventBuilder::new("takeDateObj").arg(&json!({ "date": now() })));
        })
        .on("getUtf8", |socket: Socket| async move {
            for text in ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"] {
                emit(&socket, EventBuilder::new("takeUtf8").arg(text));
            }
        })
        .on("false", |socket: Socket| async move { emit(&socket, EventBuilder::new("false").arg(&false)) })
}

/// Those with binary arguments, and those about the socket itself.
fn more_events(events: Events) -> Events {
    events
        .on("doge", |socket: Socket| async move { emit(&socket, binary("doge")) })
        .on("getbin", |socket: Socket| async move { emit(&socket, binary("takebin")) })
        .on("buffa", |socket: Socket, Data((_,)): Data<(Attachment,)>| async move {
            emit(&socket, EventBuilder::new("buffack"));
        })
        .on("jsonbuff", |socket: Socket, args: Args| async move {
            let right =
                args.get::<Value>(0).is_ok_and(|value| has(&value, "hello", "lol") && has(&value, "goodbye", "gotcha"));
            if right && args.attachments().len() == 1 {
                emit(&socket, EventBuilder::new("jsonbuff-ack"));
            }
        })
        .on("abuff1", |socket: Socket, Data((_,)): Data<(Attachment,)>| async move { socket.join("abuff1") })
        .on("abuff2", |socket: Socket| async move {
            if socket.rooms().iter().any(|room| room == "abuff1") {
                emit(&socket, EventBuilder::new("abuff2-ack"));
            }
        })
        .on("getHandshake", |handshake: Handshake, ack: Ack| async move { answer(ack, &describe(&handshake)) })
        .on("getId", get_id)
}

async fn get_id(socket: Socket, ack: Ack) {
    answer(ack, &socket.id().into());
}

async fn ask(socket: Socket) {
    let answer = socket.emit_with_ack(&EventBuilder::new("ack"), ACK_TIMEOUT).await;
    let right = answer.is_ok_and(|args| {
        args.parse::<(u8, Value)>().is_ok_and(|(five, object)| five == 5 && has(&object, "test", true))
    });
    if right {
        emit(&socket, EventBuilder::new("got it"));
    }
}

fn has(object: &Value, key: &str, value: impl Into<Value>) -> bool {
    object.get(key) == Some(&value.into())
}

fn binary(name: &str) -> EventBuilder {
    EventBuilder::new(name).arg(&Attachment(0)).attachment("asdfasdf")
}

fn emit(socket: &Socket, event: EventBuilder) {
    // A socket that is gone meanwhile needs no answer.
    let _ = socket.emit(&event);
}

fn answer(ack: Ack, value: &Value) {
    let _ = ack.send(&EventBuilder::new("").arg(value));
}

/// The time as ISO 8601, in UTC with milliseconds.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // From days to a date, after "chrono-compatible low-level date algorithms" by H. Hinnant.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}
