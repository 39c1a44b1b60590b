//! The same chat with socketioxide and sqlx, as their guides say is best: one INSERT a message by a prepared
//! statement on a pool of 10 connections, TCP_NODELAY on, one thread as there is one core.
//!
//! Reads PORT, JWT_SECRET and DATABASE_URL; without the last, messages go by without a database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::serve::ListenerExt;
use jsonwebtoken::{DecodingKey, Validation, decode};
use serde::{Deserialize, Serialize};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, Extension, SocketRef, State, TryData};
use socketioxide::handler::ConnectHandler;
use sqlx::postgres::{PgPool, PgPoolOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const INSERT: &str = "INSERT INTO message (conversation_id, seq, sender_id, body, kind, created_at_ms) \
                      VALUES ($1, $2, $3, $4, 'text', $5) RETURNING id";

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
struct Chat {
    pool: Option<PgPool>,
    key: Arc<DecodingKey>,
    seqs: Arc<Mutex<HashMap<i64, i64>>>,
}

#[derive(Deserialize)]
struct Auth {
    token: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Clone)]
struct User(Arc<str>);

#[derive(Deserialize)]
struct Join {
    conversation: i64,
}

#[derive(Deserialize)]
struct Sending {
    conversation: i64,
    body: String,
}

#[derive(Serialize)]
struct Message<'a> {
    id: i64,
    seq: i64,
    conversation: i64,
    sender: &'a str,
    body: &'a str,
    created_at: i64,
}

async fn authenticate(socket: SocketRef, TryData(auth): TryData<Auth>, State(chat): State<Chat>) -> Result<(), Error> {
    let claims = decode::<Claims>(&auth?.token, &chat.key, &Validation::default())?.claims;
    socket.extensions.insert(User(claims.sub.into()));
    Ok(())
}

async fn connected(socket: SocketRef) {
    socket.on("join", async |socket: SocketRef, Data(join): Data<Join>, ack: AckSender| {
        socket.join(join.conversation.to_string());
        ack.send(&serde_json::json!({ "ok": true })).ok();
    });
    socket.on(
        "send",
        async |socket: SocketRef,
               Data(send): Data<Sending>,
               ack: AckSender,
               Extension(User(user)): Extension<User>,
               State(chat): State<Chat>| {
            match said(&socket, &send, &user, &chat).await {
                Ok(message) => ack.send(&message).ok(),
                Err(error) => ack.send(&serde_json::json!({ "error": error.to_string() })).ok(),
            };
        },
    );
}

async fn said<'a>(socket: &SocketRef, send: &'a Sending, user: &'a str, chat: &Chat) -> Result<Message<'a>, Error> {
    let seq = {
        let mut seqs = chat.seqs.lock().map_err(|_| "poisoned")?;
        let seq = seqs.entry(send.conversation).or_default();
        *seq += 1;
        *seq
    };
    let created_at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    let id = match &chat.pool {
        None => seq,
        Some(pool) => {
            let insert = sqlx::query_scalar(INSERT).bind(send.conversation).bind(seq).bind(user);
            insert.bind(&send.body).bind(created_at).fetch_one(pool).await?
        }
    };
    let message = Message { id, seq, conversation: send.conversation, sender: user, body: &send.body, created_at };
    socket.to(send.conversation.to_string()).emit("message", &message).await.ok();
    Ok(message)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let pool = match std::env::var("DATABASE_URL") {
        Ok(url) => Some(PgPoolOptions::new().min_connections(10).max_connections(10).connect(&url).await?),
        Err(_) => None,
    };
    let key = Arc::new(DecodingKey::from_secret(std::env::var("JWT_SECRET")?.as_bytes()));
    let (layer, io) = SocketIo::builder().with_state(Chat { pool, key, seqs: Arc::default() }).build_layer();
    io.ns("/", connected.with(authenticate));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", std::env::var("PORT")?)).await?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, axum::Router::new().layer(layer)).await?;
    Ok(())
}
