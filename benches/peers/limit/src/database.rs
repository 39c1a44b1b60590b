//! Group commit: whatever has arrived while one statement was under way goes into the next, on one connection.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio_postgres::{Client, NoTls};

use crate::{Error, Said, Server};

/// Rows of one statement.
const MOST_ROWS: usize = 1_000;
const CONNECTIONS_WHERE_EACH: usize = 10;

const BATCH: &str = "INSERT INTO message (conversation_id, seq, sender_id, body, kind, created_at_ms) \
                     SELECT conversation_id, seq, sender_id, body, 'text', created_at_ms \
                     FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[]) \
                     AS new (conversation_id, seq, sender_id, body, created_at_ms) RETURNING id";
const ONE: &str = "INSERT INTO message (conversation_id, seq, sender_id, body, kind, created_at_ms) \
                   VALUES ($1, $2, $3, $4, 'text', $5) RETURNING id";

/// What waits to be stored.
#[derive(Default)]
pub struct Queue {
    said: RefCell<Vec<Said>>,
    filled: Notify,
}

impl Queue {
    pub fn push(&self, said: Said) {
        self.said.borrow_mut().push(said);
        self.filled.notify_one();
    }

    /// The oldest of what waits, at most so many; waits while there is nothing.
    async fn take(&self, most: usize) -> Vec<Said> {
        loop {
            {
                let mut said = self.said.borrow_mut();
                if !said.is_empty() {
                    let count = said.len().min(most);
                    let batch = said.drain(..count).collect();
                    if !said.is_empty() {
                        self.filled.notify_one();
                    }
                    return batch;
                }
            }
            self.filled.notified().await;
        }
    }
}

/// Starts the writer, or as many as insert one by one.
pub async fn start(server: &Rc<Server>, url: &str) -> Result<(), Error> {
    let each = std::env::var("LIMIT_INSERT").is_ok_and(|how| how == "each");
    for _ in 0..if each { CONNECTIONS_WHERE_EACH } else { 1 } {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        spawn_local(connection);
        let server = server.clone();
        spawn_local(async move {
            let result = if each { one_by_one(server, client).await } else { in_groups(server, client).await };
            if let Err(error) = result {
                eprintln!("the database: {error}");
                std::process::exit(1);
            }
        });
    }
    Ok(())
}

async fn in_groups(server: Rc<Server>, client: Client) -> Result<(), Error> {
    let statement = client.prepare(BATCH).await?;
    let Some(queue) = &server.queue else { return Ok(()) };
    loop {
        let batch = queue.take(MOST_ROWS).await;
        let conversations: Vec<i64> = batch.iter().map(|said| said.conversation).collect();
        let seqs: Vec<i64> = batch.iter().map(|said| said.seq).collect();
        let senders: Vec<&str> = batch.iter().map(|said| &*said.sender.user).collect();
        let bodies: Vec<&str> = batch.iter().map(|said| &*said.body).collect();
        let times: Vec<i64> = batch.iter().map(|said| said.created_at_ms).collect();
        let rows = client.query(&statement, &[&conversations, &seqs, &senders, &bodies, &times]).await?;
        for (said, row) in batch.iter().zip(&rows) {
            server.tell(said, row.get(0));
        }
    }
}

async fn one_by_one(server: Rc<Server>, client: Client) -> Result<(), Error> {
    let statement = client.prepare(ONE).await?;
    let Some(queue) = &server.queue else { return Ok(()) };
    loop {
        for said in queue.take(1).await {
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&said.conversation, &said.seq, &&*said.sender.user, &said.body, &said.created_at_ms];
            let row = client.query_one(&statement, &values).await?;
            server.tell(&said, row.get(0));
        }
    }
}
