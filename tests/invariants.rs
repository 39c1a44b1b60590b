//! What must always hold, through crashes, races and slow peers, on both databases.
//!
//! What lives here: a file an invariant or two, and what they share. What must not: shapes and codes (`contract` has them).

mod committed;
mod crash;
mod cursors;
mod database;
mod order;
mod removal;
mod resume;
mod shutdown;
mod slow;

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::client::Socket;

/// The `seq`s of messages.
fn seqs(messages: &[Value]) -> Vec<i64> {
    messages.iter().map(|message| message["seq"].as_i64().expect("a seq")).collect()
}

/// The texts of messages.
fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["body"].as_str().expect("a body")).collect()
}

/// Says many things at once, each text being its client id too, and waits for all answers.
async fn say_all(socket: &mut Socket, conversation: i64, texts: impl Iterator<Item = String>) -> Vec<Value> {
    let texts: Vec<_> = texts.collect();
    let mut stored = Vec::with_capacity(texts.len());
    for some in texts.chunks(200) {
        let mut ids = Vec::new();
        for text in some {
            let send = json!({ "conversation": conversation, "body": text, "client_id": short(text) });
            ids.push(socket.feed("send", send).await);
        }
        socket.flush().await;
        for id in ids {
            stored.push(socket.answer(id).await.ok()["message"].take());
        }
    }
    stored
}

/// A text's beginning, as a client id takes it.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(60)]
}

/// Every one of these is in the history, once, and the history is 1, 2, 3 … without a gap.
fn assert_kept(history: &[Value], acknowledged: &[Value]) {
    assert_eq!(seqs(history), (1..=i64::try_from(history.len()).expect("few")).collect::<Vec<_>>(), "seq has gaps");
    let texts: HashSet<_> = bodies(history).into_iter().collect();
    assert_eq!(texts.len(), history.len(), "something is stored twice");
    for message in acknowledged {
        let at = usize::try_from(message["seq"].as_i64().expect("a seq") - 1).expect("small");
        assert_eq!(history.get(at), Some(message), "an acknowledged message is not there as it was told");
    }
}
