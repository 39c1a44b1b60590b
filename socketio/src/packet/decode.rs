//! Packets in. Accepts and refuses what `socket.io-parser` does, but for the bounds named here.

use bytestring::ByteString;
use serde_json::value::RawValue;

use super::args::{Args, placeholders_are_valid};

/// Most attachments to one packet, as in Node.
const MAX_ATTACHMENTS: usize = 10;
/// Most bytes in a namespace's name.
const MAX_NAMESPACE_BYTES: usize = 256;
/// Most bytes in the `auth` of CONNECT, which is kept as long as the socket.
const MAX_AUTH_BYTES: usize = 64 * 1024;
/// Most digits in a packet id: what JavaScript counts exactly.
const MAX_ID_DIGITS: usize = 16;
/// Names that events must not have: they mean something to the libraries.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// The text is no Socket.IO packet: as in Node, the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a Socket.IO packet")]
pub struct InvalidPacket;

/// One packet from a client, without its attachments.
#[derive(Debug, Clone)]
pub enum Packet {
    /// Asks to join a namespace, with `auth` a JSON object.
    Connect {
        /// The namespace, `/` for the default.
        namespace: ByteString,
        /// The payload, if any.
        auth: Option<ByteString>,
    },
    /// Leaves a namespace.
    Disconnect {
        /// The namespace.
        namespace: ByteString,
    },
    /// An event; binary if `attachments` is not 0.
    Event {
        /// The namespace.
        namespace: ByteString,
        /// Set when an acknowledgement is asked for.
        id: Option<u64>,
        /// The name; `None` for an event without any payload, which Node lets pass and ignores.
        name: Option<ByteString>,
        /// The arguments.
        args: Args,
        /// How many attachments follow.
        attachments: usize,
    },
    /// The answer to an event of ours; binary if `attachments` is not 0.
    Ack {
        /// The namespace.
        namespace: ByteString,
        /// Whose answer it is.
        id: Option<u64>,
        /// The arguments.
        args: Args,
        /// How many attachments follow.
        attachments: usize,
    },
    /// A refusal, which only a server may send.
    ConnectError,
}

/// Reads one text packet.
///
/// # Errors
/// The text is no packet, or goes over a bound.
pub fn decode(text: &ByteString) -> Result<Packet, InvalidPacket> {
    let mut rest = text.as_ref();
    let kind = take_char(&mut rest)?;
    let attachments = if matches!(kind, '5' | '6') { take_attachments(&mut rest)? } else { 0 };
    let namespace = take_namespace(text, &mut rest)?;
    let id = take_id(&mut rest)?;
    let payload = || text.slice_ref(rest);
    match kind {
        '0' => {
            let auth = if rest.is_empty() { None } else { Some(json(&payload(), '{')?) };
            if auth.as_ref().is_some_and(|auth| auth.len() > MAX_AUTH_BYTES) {
                return Err(InvalidPacket);
            }
            Ok(Packet::Connect { namespace, auth })
        }
        '1' if rest.is_empty() => Ok(Packet::Disconnect { namespace }),
        '2' | '5' => {
            let (name, args) = if rest.is_empty() { (None, Args::default()) } else { event(&payload(), attachments)? };
            Ok(Packet::Event { namespace, id, name, args, attachments })
        }
        '3' | '6' => {
            let args = if rest.is_empty() { Args::default() } else { Args::new(array(&payload(), attachments)?, 0, 1) };
            Ok(Packet::Ack { namespace, id, args, attachments })
        }
        '4' => Ok(Packet::ConnectError),
        _ => Err(InvalidPacket),
    }
}

fn take_char(rest: &mut &str) -> Result<char, InvalidPacket> {
    let mut chars = rest.chars();
    let first = chars.next().ok_or(InvalidPacket)?;
    *rest = chars.as_str();
    Ok(first)
}

fn take_attachments(rest: &mut &str) -> Result<usize, InvalidPacket> {
    let (digits, others) = rest.split_once('-').ok_or(InvalidPacket)?;
    if digits.is_empty() || digits.len() > 2 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidPacket);
    }
    *rest = others;
    match digits.parse() {
        Ok(count @ 1..=MAX_ATTACHMENTS) => Ok(count),
        _ => Err(InvalidPacket),
    }
}

fn take_namespace(text: &ByteString, rest: &mut &str) -> Result<ByteString, InvalidPacket> {
    if !rest.starts_with('/') {
        return Ok(ByteString::from_static("/"));
    }
    let (namespace, others) = rest.split_once(',').unwrap_or((rest, ""));
    if namespace.len() > MAX_NAMESPACE_BYTES {
        return Err(InvalidPacket);
    }
    *rest = others;
    Ok(text.slice_ref(namespace))
}

fn take_id(rest: &mut &str) -> Result<Option<u64>, InvalidPacket> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Ok(None);
    }
    if digits > MAX_ID_DIGITS {
        return Err(InvalidPacket);
    }
    let (id, others) = rest.split_at(digits);
    *rest = others;
    id.parse().map(Some).map_err(|_| InvalidPacket)
}

/// The payload without the white space around it, if it is JSON that starts so. Nesting costs a bit
/// a level, not stack.
fn json(payload: &ByteString, start: char) -> Result<ByteString, InvalidPacket> {
    let raw: &RawValue = serde_json::from_str(payload).map_err(|_| InvalidPacket)?;
    if raw.get().starts_with(start) { Ok(payload.slice_ref(raw.get())) } else { Err(InvalidPacket) }
}

fn array(payload: &ByteString, attachments: usize) -> Result<ByteString, InvalidPacket> {
    let array = json(payload, '[')?;
    if attachments > 0 && !placeholders_are_valid(&array, attachments) {
        return Err(InvalidPacket);
    }
    Ok(array)
}

fn event(payload: &ByteString, attachments: usize) -> Result<(Option<ByteString>, Args), InvalidPacket> {
    let array = array(payload, attachments)?;
    let elements = array.get(1..).ok_or(InvalidPacket)?;
    let mut reader = serde_json::Deserializer::from_str(elements).into_iter::<&RawValue>();
    let first = reader.next().and_then(Result::ok).ok_or(InvalidPacket)?.get();
    let after = 1 + reader.byte_offset();
    let name = match first.as_bytes().first() {
        Some(b'"') => name(&array, first)?,
        Some(b'-' | b'0'..=b'9') => array.slice_ref(first),
        _ => return Err(InvalidPacket),
    };
    let rest = array.get(after..).unwrap_or_default();
    let white = rest.len() - rest.trim_start().len();
    let comma = usize::from(rest.trim_start().starts_with(','));
    Ok((Some(name), Args::new(array.clone(), 1, after + white + comma)))
}

fn name(array: &ByteString, quoted: &str) -> Result<ByteString, InvalidPacket> {
    let inner = quoted.get(1..quoted.len() - 1).ok_or(InvalidPacket)?;
    let name = if inner.contains('\\') {
        serde_json::from_str::<String>(quoted).map_err(|_| InvalidPacket)?.into()
    } else {
        array.slice_ref(inner)
    };
    if RESERVED.contains(&name.as_ref()) { Err(InvalidPacket) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(text: &str) -> (String, Option<u64>, String, String, usize) {
        match decode(&text.into()).unwrap() {
            Packet::Event { namespace, id, name, args, attachments } => {
                (namespace.to_string(), id, name.unwrap().to_string(), args.as_json().to_owned(), attachments)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn events_are_read_with_namespace_id_and_attachments() {
        let expected = |namespace: &str, id, name: &str, args: &str, attachments| {
            (namespace.to_owned(), id, name.to_owned(), args.to_owned(), attachments)
        };
        assert_eq!(event(r#"2["a"]"#), expected("/", None, "a", "", 0));
        assert_eq!(event(r#"2["a",1,"2",{"3":[true]}]"#), expected("/", None, "a", r#"1,"2",{"3":[true]}"#, 0));
        assert_eq!(event(r#"2/shop,456[ "a" , 1 ] "#), expected("/shop", Some(456), "a", " 1 ", 0));
        assert_eq!(event(r#"2[1,2]"#), expected("/", None, "1", "2", 0));
        assert_eq!(event(r#"2["\u0061"]"#), expected("/", None, "a", "", 0));
        let binary = r#"51-/shop,7["a",{"_placeholder":true,"num":0}]"#;
        assert_eq!(event(binary), expected("/shop", Some(7), "a", r#"{"_placeholder":true,"num":0}"#, 1));
    }

    #[test]
    fn arguments_are_parsed_after_the_name() {
        let Packet::Event { args, .. } = decode(&r#"2["a",1,"two",[3]]"#.into()).unwrap() else { panic!() };
        assert_eq!(args.parse::<(u8, String)>().unwrap(), (1, "two".to_owned()));
        assert_eq!(args.get::<Vec<u8>>(2).unwrap(), [3]);
        assert!(args.get::<u8>(3).is_err());
        assert!(args.parse::<(u8, u8)>().is_err());
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for wrong in [
            "",
            "a",
            "7",
            "abc",
            "€",
            "1[]",
            "1/a,{}",
            "0[]",
            "0null",
            "0\"a\"",
            "2{}",
            "2[]",
            "2[null]",
            "2[{}]",
            "2[[\"a\"]]",
            "2[\"a\"",
            "2[\"a\"]x",
            "2[\"connect\"]",
            "2[\"disconnecting\"]",
            "2[\"newListener\"]",
            "2[true]",
            "3{}",
            "5[\"a\"]",
            "5-[\"a\"]",
            "50-[\"a\"]",
            "511-[\"a\"]",
            "5x-[\"a\"]",
            "59999999999-[\"a\"]",
            "51-[\"a\",{\"_placeholder\":true,\"num\":1}]",
            "51-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]",
            "51-[\"a\",{\"_placeholder\":true,\"num\":-1}]",
            "51-[\"a\",{\"_placeholder\":true,\"num\":0.5}]",
            "51-[\"a\",{\"_placeholder\":true}]",
            "212345678901234567[\"a\"]",
        ] {
            assert!(decode(&wrong.into()).is_err(), "{wrong}");
        }
        assert!(decode(&format!("0/{}", "a".repeat(256)).into()).is_err());
        let auth = |bytes: usize| decode(&format!("0{{\"a\":\"{}\"}}", "a".repeat(bytes - 8)).into());
        assert!(auth(MAX_AUTH_BYTES).is_ok());
        assert!(auth(MAX_AUTH_BYTES + 1).is_err());
    }

    #[test]
    fn deep_and_long_json_costs_no_stack() {
        let deep = format!("2[\"a\",{}1{}]", "[".repeat(400_000), "]".repeat(400_000));
        let Packet::Event { args, .. } = decode(&deep.into()).unwrap() else { panic!() };
        assert!(args.values().is_err());
        let binary = format!("51-[\"a\",{}1{}]", "[".repeat(400_000), "]".repeat(400_000));
        assert!(decode(&binary.into()).is_err());
        let digits = format!("2[\"a\",{}]", "9".repeat(1_000_000));
        assert!(decode(&digits.into()).is_ok());
        assert!(decode(&format!("2{}", "9".repeat(1_000_000)).into()).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}", kind in 0_u8..8) {
            let _ = decode(&format!("{kind}{text}").into());
        }
    }
}
