//! Any text as the body of a POST: read or refused, and never in more packets than counted.
#![no_main]

use bytestring::ByteString;
use libfuzzer_sys::fuzz_target;
use socketio::engine::packet::Payload;

fuzz_target!(|text: &str| {
    let read = Payload::new(ByteString::from(text)).count();
    assert!(read <= Payload::count(text));
});
