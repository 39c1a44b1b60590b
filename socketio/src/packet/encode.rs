//! Packets out: encoded once, then shared by reference between all that hear them.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::engine::packet::Frame;

/// The arguments cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
#[error("not JSON: {0}")]
pub struct EncodeError(#[from] serde_json::Error);

/// A whole packet as it goes over the wire, attachments included. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct Encoded {
    frames: Frames,
}

#[derive(Debug, Clone)]
enum Frames {
    One([Frame; 1]),
    Many(Arc<[Frame]>),
}

impl Encoded {
    /// A packet of one text frame that is already encoded: `42/shop,["name",…]`, the Engine.IO type
    /// included.
    #[must_use]
    pub fn from_text(text: Bytes) -> Self {
        Self { frames: Frames::One([Frame::Text(text)]) }
    }

    fn new(text: String, attachments: Vec<Bytes>) -> Self {
        if attachments.is_empty() {
            return Self::from_text(text.into());
        }
        let text = std::iter::once(Frame::Text(text.into()));
        Self { frames: Frames::Many(text.chain(attachments.into_iter().map(Frame::Binary)).collect()) }
    }

    /// Its frames, in order.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        match &self.frames {
            Frames::One(frame) => frame,
            Frames::Many(frames) => frames,
        }
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames().iter().map(Frame::len).sum()
    }

    /// Whether it has none; no packet has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An event to be emitted: a name and arguments. Nothing is written before [`Event::encode`].
#[derive(Debug, Clone)]
pub struct Event {
    name: String,
    args: Result<String, String>,
    attachments: Vec<Bytes>,
}

impl Event {
    /// An event of this name, without arguments.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), args: Ok(String::new()), attachments: Vec::new() }
    }

    /// Adds an argument; what cannot be written as JSON is told by `encode`.
    #[must_use]
    pub fn arg<T: Serialize + ?Sized>(self, value: &T) -> Self {
        match serde_json::to_string(value) {
            Ok(json) => self.json(&json),
            Err(error) => Self { args: Err(error.to_string()), ..self },
        }
    }

    /// Adds arguments that are JSON already, separated by commas; they are not looked at.
    #[must_use]
    pub fn json(mut self, json: &str) -> Self {
        if let Ok(args) = &mut self.args
            && !json.is_empty()
        {
            if !args.is_empty() {
                args.push(',');
            }
            args.push_str(json);
        }
        self
    }

    /// Adds an attachment. Arguments name it by [`super::Attachment`], from 0, in the order added.
    #[must_use]
    pub fn attachment(mut self, bytes: impl Into<Bytes>) -> Self {
        self.attachments.push(bytes.into());
        self
    }

    /// Writes the packet for a namespace, with an id if an acknowledgement is asked for, and else
    /// with the offset that a client gives back to recover from, if any.
    ///
    /// # Errors
    /// An argument could not be written as JSON.
    pub fn encode(&self, namespace: &str, id: Option<u64>, offset: Option<&str>) -> Result<Encoded, EncodeError> {
        let args = self.args.as_ref().map_err(invalid)?;
        let mut text = start('2', namespace, id, self.attachments.len(), args.len() + self.name.len() + 40);
        text.push('[');
        text.push_str(&serde_json::to_string(&self.name)?);
        if !args.is_empty() {
            text.push(',');
            text.push_str(args);
        }
        if let Some(offset) = offset.filter(|_| id.is_none()) {
            text.push(',');
            text.push_str(&serde_json::to_string(offset)?);
        }
        text.push(']');
        Ok(Encoded::new(text, self.attachments.clone()))
    }
}

fn invalid(message: &String) -> EncodeError {
    EncodeError(serde::ser::Error::custom(message))
}

/// Type, attachments, namespace and id: `42/shop,7`, or `451-/shop,7` with attachments.
fn start(kind: char, namespace: &str, id: Option<u64>, attachments: usize, more: usize) -> String {
    let mut text = String::with_capacity(namespace.len() + more);
    text.push('4');
    match (attachments, kind) {
        (0, kind) => text.push(kind),
        (count, '2') => _ = write!(text, "5{count}-"),
        (count, _) => _ = write!(text, "6{count}-"),
    }
    if namespace != "/" {
        text.push_str(namespace);
        text.push(',');
    }
    if let Some(id) = id {
        _ = write!(text, "{id}");
    }
    text
}

/// The answer to an event; the event's name is not used.
///
/// # Errors
/// An argument could not be written as JSON.
pub fn ack(namespace: &str, id: u64, answer: &Event) -> Result<Encoded, EncodeError> {
    let args = answer.args.as_ref().map_err(invalid)?;
    let mut text = start('3', namespace, Some(id), answer.attachments.len(), args.len() + 24);
    text.push('[');
    text.push_str(args);
    text.push(']');
    Ok(Encoded::new(text, answer.attachments.clone()))
}

/// Tells a client that it has joined.
#[must_use]
pub fn connect(namespace: &str, sid: &str, pid: Option<&str>) -> Encoded {
    let mut text = start('0', namespace, None, 0, sid.len() + 48);
    _ = match pid {
        Some(pid) => write!(text, "{{\"sid\":\"{sid}\",\"pid\":\"{pid}\"}}"),
        None => write!(text, "{{\"sid\":\"{sid}\"}}"),
    };
    Encoded::new(text, Vec::new())
}

/// Tells a client that it may not join, and why.
#[must_use]
pub fn connect_error(namespace: &str, message: &str, data: Option<&serde_json::Value>) -> Encoded {
    let mut text = start('4', namespace, None, 0, message.len() + 32);
    let body = match data {
        Some(data) => serde_json::json!({ "message": message, "data": data }),
        None => serde_json::json!({ "message": message }),
    };
    text.push_str(&body.to_string());
    Encoded::new(text, Vec::new())
}

/// Takes a client out of a namespace.
#[must_use]
pub fn disconnect(namespace: &str) -> Encoded {
    Encoded::new(start('1', namespace, None, 0, 2), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::super::{Attachment, Packet, decode};
    use super::*;
    use proptest::prelude::*;

    fn text(encoded: &Encoded) -> String {
        match encoded.frames().first() {
            Some(Frame::Text(bytes)) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn packets_are_written_with_literal_bytes() {
        let event = Event::new("say").arg("hé").arg(&1);
        assert_eq!(text(&event.encode("/", None, None).unwrap()), r#"42["say","hé",1]"#);
        assert_eq!(text(&event.encode("/shop", Some(3), Some("o")).unwrap()), r#"42/shop,3["say","hé",1]"#);
        assert_eq!(text(&event.encode("/shop", None, Some("o")).unwrap()), r#"42/shop,["say","hé",1,"o"]"#);
        assert_eq!(text(&Event::new("a").encode("/", None, None).unwrap()), r#"42["a"]"#);
        assert_eq!(text(&ack("/", 7, &Event::new("").arg(&true)).unwrap()), "437[true]");
        assert_eq!(text(&ack("/shop", 7, &Event::new("")).unwrap()), "43/shop,7[]");
        assert_eq!(text(&connect("/", "s", None)), r#"40{"sid":"s"}"#);
        assert_eq!(text(&connect("/shop", "s", Some("p"))), r#"40/shop,{"sid":"s","pid":"p"}"#);
        assert_eq!(
            text(&connect_error("/random", "Invalid namespace", None)),
            r#"44/random,{"message":"Invalid namespace"}"#
        );
        assert_eq!(text(&disconnect("/shop")), "41/shop,");
        assert_eq!(text(&disconnect("/")), "41");
    }

    #[test]
    fn attachments_follow_their_packet() {
        let event = Event::new("a").arg(&Attachment(0)).attachment(vec![1, 2]);
        let encoded = event.encode("/", None, None).unwrap();
        assert_eq!(text(&encoded), r#"451-["a",{"_placeholder":true,"num":0}]"#);
        assert_eq!(encoded.frames().get(1), Some(&Frame::Binary(Bytes::from_static(&[1, 2]))));
        assert_eq!(text(&ack("/", 5, &event).unwrap()), r#"461-5[{"_placeholder":true,"num":0}]"#);
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(
            name in "[a-zA-Z:_\"\\\\é]{1,12}x", words in prop::collection::vec(any::<String>(), 0..4), id in prop::option::of(0_u64..1 << 53),
        ) {
            let event = words.iter().fold(Event::new(name.clone()), |event, word| event.arg(word));
            let written = text(&event.encode("/shop", id, None).unwrap());
            let Ok(Packet::Event { namespace, id: read_id, name: read_name, args, .. }) = decode(&written[1..].into()) else {
                panic!("{written}");
            };
            prop_assert_eq!(&*namespace, "/shop");
            prop_assert_eq!(read_id, id);
            prop_assert_eq!(&*read_name.unwrap(), name.as_str());
            prop_assert_eq!(args.parse::<Vec<String>>().unwrap(), words);
        }
    }
}
