//! One connection of a device, in whichever vocabulary and transport: what it says, and what it is told, in plain words.
//!
//! What lives here: speaking the native vocabulary, and `group` over a WebSocket or polling, without assuming that anything goes
//! well. What must not: deciding what to say, or judging what is told.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::rest::{now_s, sign};

/// How long a handshake may take before the device tries anew.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a poll may hang: longer than the server's ping interval.
const POLL: Duration = Duration::from_secs(40);
/// Packets that may wait between the poller and the device.
const POLLED_MAX: usize = 4_096;
/// Engine.IO's separator of packets in a payload (protocol revision 4).
const SEPARATOR: char = '\u{1e}';
/// The namespace of the `group` vocabulary.
const GROUP: &str = "/group,";

/// How long a token is good for: longer than any clock is stepped.
const TOKEN_S: i64 = 30 * 86_400;

fn token(user: &str) -> String {
    sign(&json!({ "sub": user, "exp": now_s() + TOKEN_S }))
}

/// How a device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    Native,
    /// `group` over a WebSocket.
    Socket,
    /// `group` over HTTP long-polling.
    Polling,
}

/// The connection is gone.
#[derive(Debug)]
pub struct Cut;

/// What a device is told.
#[derive(Debug)]
pub enum Told {
    Message {
        conversation: i64,
        id: i64,
        seq: Option<i64>,
        text: String,
    },
    /// The answer to what was sent with this tag.
    Stored {
        tag: u64,
        id: i64,
        seq: Option<i64>,
    },
    Refused {
        tag: u64,
        code: String,
    },
    /// A join was carried out, or not.
    Joined {
        tag: u64,
    },
}

/// Where a Socket.IO client may go on after a cut.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    pid: Option<String>,
    offset: Option<Value>,
    /// The last CONNECT was a recovery.
    pub recovered: bool,
}

enum Wire {
    Socket(Box<WebSocketStream<TcpStream>>),
    Poll { http: Client, url: String, packets: mpsc::Receiver<String>, poller: tokio::task::JoinHandle<()> },
}

/// An open connection of somebody known.
pub struct Line {
    wire: Wire,
    speech: Speech,
    recovery: Recovery,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Wire::Poll { poller, .. } = &self.wire {
            poller.abort();
        }
    }
}

impl Line {
    /// Connects and says who it is; goes on where it was where the vocabulary can.
    pub async fn open(speech: Speech, address: SocketAddr, user: &str, recovery: &Recovery) -> Result<Self, Cut> {
        timeout(HANDSHAKE, Self::connect(speech, address, user, recovery)).await.map_err(|_| Cut)?
    }

    async fn connect(speech: Speech, address: SocketAddr, user: &str, recovery: &Recovery) -> Result<Self, Cut> {
        let wire = match speech {
            Speech::Native => Wire::Socket(Box::new(websocket(address, "/ws").await?)),
            Speech::Socket => {
                Wire::Socket(Box::new(websocket(address, "/socket.io/?EIO=4&transport=websocket").await?))
            }
            Speech::Polling => poll(address).await?,
        };
        let mut line = Self { wire, speech, recovery: recovery.clone() };
        if speech == Speech::Native {
            line.write(json!({ "id": 0, "type": "auth", "token": token(user) }).to_string()).await?;
            let answer: Value = serde_json::from_str(&line.read().await?).map_err(|_| Cut)?;
            return if answer["ok"] == true { Ok(line) } else { Err(Cut) };
        }
        let mut auth = json!({ "token": token(user) });
        // As the official client: whoever has heard nothing yet has no offset, and comes back all the same.
        if let Some(pid) = &line.recovery.pid {
            auth["pid"] = pid.as_str().into();
        }
        if let Some(offset) = &line.recovery.offset {
            auth["offset"] = offset.clone();
        }
        line.write(format!("40{GROUP}{auth}")).await?;
        loop {
            let packet = line.read().await?;
            if let Some(answer) = packet.strip_prefix("40").and_then(|rest| rest.strip_prefix(GROUP)) {
                let answer: Value = serde_json::from_str(answer).map_err(|_| Cut)?;
                let pid = answer["pid"].as_str().map(str::to_owned);
                line.recovery.recovered = pid.is_some() && pid == line.recovery.pid;
                if !line.recovery.recovered {
                    line.recovery.offset = None;
                }
                line.recovery.pid = pid;
                return Ok(line);
            }
            if packet.starts_with("44") {
                return Err(Cut);
            }
        }
    }

    /// Where it may go on after a cut.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Asks to hear a conversation: on vocabularies with places, all after the one given.
    pub async fn join(&mut self, tag: u64, conversation: i64, after: i64) -> Result<(), Cut> {
        let text = match self.speech {
            Speech::Native => {
                json!({ "id": tag, "type": "join", "conversation": conversation, "after": after }).to_string()
            }
            Speech::Socket | Speech::Polling => {
                format!("42{GROUP}{tag}{}", json!(["join_chat", { "chatId": conversation }]))
            }
        };
        self.write(text).await
    }

    /// Says something.
    pub async fn send(&mut self, tag: u64, conversation: i64, text: &str, client_id: &str) -> Result<(), Cut> {
        let text = match self.speech {
            Speech::Native => {
                json!({ "id": tag, "type": "send", "conversation": conversation, "body": text, "client_id": client_id })
                    .to_string()
            }
            Speech::Socket | Speech::Polling => {
                let said = json!({ "chatId": conversation, "content": text, "clientId": client_id });
                format!("42{GROUP}{tag}{}", json!(["send_message", said]))
            }
        };
        self.write(text).await
    }

    /// Marks all up to a place as read, where the vocabulary can.
    pub async fn mark_read(&mut self, conversation: i64, seq: i64) -> Result<(), Cut> {
        if self.speech == Speech::Native {
            self.write(json!({ "type": "read", "conversation": conversation, "seq": seq }).to_string()).await?;
        }
        Ok(())
    }

    /// Waits for what it is told next.
    pub async fn next(&mut self) -> Result<Told, Cut> {
        loop {
            let text = self.read().await?;
            let told = if self.speech == Speech::Native { native(&text) } else { self.group(&text) };
            if let Some(told) = told {
                return Ok(told);
            }
        }
    }

    /// What has come already, where the transport keeps it beside the connection.
    pub fn at_hand(&mut self) -> Option<Told> {
        loop {
            let Wire::Poll { packets, .. } = &mut self.wire else { return None };
            let packet = packets.try_recv().ok()?;
            if let Some(told) = self.group(&packet) {
                return Some(told);
            }
        }
    }

    /// Ends it as a client that leaves on purpose does.
    pub async fn close(mut self) {
        let goodbye = timeout(HANDSHAKE, async {
            if self.speech != Speech::Native {
                drop(self.write("41/group,".to_owned()).await);
            }
            match &mut self.wire {
                Wire::Socket(socket) => {
                    drop(socket.as_mut().close(None).await);
                    while let Some(Ok(_)) = socket.next().await {}
                }
                Wire::Poll { http, url, .. } => drop(http.post(url.as_str()).body("1").send().await),
            }
        });
        drop(goodbye.await);
    }

    async fn write(&mut self, text: String) -> Result<(), Cut> {
        match &mut self.wire {
            Wire::Socket(socket) => socket.send(Message::text(text)).await.map_err(|_| Cut),
            Wire::Poll { http, url, .. } => {
                let answer = http.post(url.as_str()).timeout(HANDSHAKE).body(text).send().await.map_err(|_| Cut)?;
                answer.error_for_status().map(drop).map_err(|_| Cut)
            }
        }
    }

    /// The next text frame or packet. Engine.IO's pings are answered.
    async fn read(&mut self) -> Result<String, Cut> {
        loop {
            let text = match &mut self.wire {
                Wire::Socket(socket) => match socket.next().await {
                    Some(Ok(Message::Text(text))) => text.to_string(),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Cut),
                    Some(Ok(_)) => continue,
                },
                Wire::Poll { packets, .. } => packets.recv().await.ok_or(Cut)?,
            };
            if self.speech != Speech::Native && text == "2" {
                self.write("3".to_owned()).await?;
                continue;
            }
            return Ok(text);
        }
    }

    /// What a packet of `group` tells.
    fn group(&mut self, packet: &str) -> Option<Told> {
        let (kind, rest) = packet.split_at_checked(2)?;
        let rest = rest.strip_prefix(GROUP)?;
        let from = rest.find('[')?;
        let said: Value = serde_json::from_str(rest.get(from..)?).ok()?;
        if kind == "43" {
            let tag = rest.get(..from)?.parse().ok()?;
            return Some(answer(tag, &said[0]));
        }
        if let Some([_, _, .., offset]) = said.as_array().map(Vec::as_slice) {
            self.recovery.offset = Some(offset.clone());
        }
        let told = &said[1];
        (kind == "42" && said[0] == "receive_message").then(|| Told::Message {
            conversation: told["chatId"].as_i64().unwrap_or_default(),
            id: told["id"].as_i64().unwrap_or_default(),
            seq: None,
            text: told["content"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

/// What an acknowledgement of `group` tells.
fn answer(tag: u64, said: &Value) -> Told {
    if let Some(code) = said["code"].as_str() {
        return Told::Refused { tag, code: code.to_owned() };
    }
    match said["messageId"].as_i64() {
        Some(id) => Told::Stored { tag, id, seq: None },
        None => Told::Joined { tag },
    }
}

/// What a native frame tells.
fn native(text: &str) -> Option<Told> {
    let frame: Value = serde_json::from_str(text).ok()?;
    if frame["type"] == "message" {
        let message = &frame["message"];
        return Some(Told::Message {
            conversation: frame["conversation"].as_i64()?,
            id: message["id"].as_i64()?,
            seq: message["seq"].as_i64(),
            text: message["body"].as_str()?.to_owned(),
        });
    }
    let tag = frame["id"].as_u64()?;
    if frame["ok"] == false {
        return Some(Told::Refused { tag, code: frame["error"]["code"].as_str().unwrap_or_default().to_owned() });
    }
    if frame["last_seq"].is_i64() {
        return Some(Told::Joined { tag });
    }
    let message = frame.get("message")?;
    Some(Told::Stored { tag, id: message["id"].as_i64()?, seq: message["seq"].as_i64() })
}

async fn websocket(address: SocketAddr, path: &str) -> Result<WebSocketStream<TcpStream>, Cut> {
    let socket = TcpSocket::new_v4().map_err(|_| Cut)?;
    let stream = socket.connect(address).await.map_err(|_| Cut)?;
    stream.set_nodelay(true).map_err(|_| Cut)?;
    let opened = tokio_tungstenite::client_async(format!("ws://{address}{path}"), stream).await;
    Ok(opened.map_err(|_| Cut)?.0)
}

/// Opens an Engine.IO session by polling, and polls on in a task of its own.
async fn poll(address: SocketAddr) -> Result<Wire, Cut> {
    let http = Client::builder().no_proxy().tcp_nodelay(true).build().map_err(|_| Cut)?;
    let base = format!("http://{address}/socket.io/?EIO=4&transport=polling");
    let opened = http.get(&base).timeout(HANDSHAKE).send().await.map_err(|_| Cut)?.text().await.map_err(|_| Cut)?;
    let opened: Value = serde_json::from_str(opened.strip_prefix('0').ok_or(Cut)?).map_err(|_| Cut)?;
    let url = format!("{base}&sid={}", opened["sid"].as_str().ok_or(Cut)?);
    let (packet, packets) = mpsc::channel(POLLED_MAX);
    let (client, from) = (http.clone(), url.clone());
    let poller = tokio::spawn(async move {
        loop {
            let Ok(answer) = client.get(&from).timeout(POLL).send().await else { return };
            let Ok(answer) = answer.error_for_status() else { return };
            let Ok(text) = answer.text().await else { return };
            for one in text.split(SEPARATOR) {
                if one == "1" || packet.send(one.to_owned()).await.is_err() {
                    return;
                }
            }
        }
    });
    Ok(Wire::Poll { http, url, packets, poller })
}
