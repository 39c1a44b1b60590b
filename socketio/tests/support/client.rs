//! A client that speaks bytes over a WebSocket. What it says and hears is the tests' affair.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Far more than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A client that speaks bytes.
pub(crate) struct Client(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn open(address: &str) -> Self {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let mut client = Self(connect_async(url).await.unwrap().0);
        assert!(client.hear().await.starts_with('0'));
        client
    }

    pub(crate) async fn join(address: &str, connect: &str) -> (Self, String) {
        let mut client = Self::open(address).await;
        client.say(connect).await;
        let answer = client.hear().await;
        (client, answer)
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Frame::text(text.to_owned())).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> String {
        match timeout(PATIENCE, self.0.next()).await.unwrap() {
            Some(Ok(Frame::Text(text))) => text.to_string(),
            Some(Ok(Frame::Close(_))) => "closed".to_owned(),
            other => panic!("{other:?}"),
        }
    }
}
