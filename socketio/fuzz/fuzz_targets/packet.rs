//! Any text as a Socket.IO packet: read or refused; what is read can be looked at.
#![no_main]

use bytestring::ByteString;
use libfuzzer_sys::fuzz_target;
use socketio::packet::{Packet, decode};

fuzz_target!(|text: &str| {
    if let Ok(Packet::Event { args, .. } | Packet::Ack { args, .. }) = decode(&ByteString::from(text)) {
        let _ = args.values();
        let _ = args.as_json();
    }
});
