//! Any bytes as WebSocket frames: however they are cut, what is read is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use socketio::engine::frame::{FrameReader, Received, Violation};

const MAX_BYTES: usize = 10_000;
const MAX_FRAGMENTS: usize = 8;

fn read(chunks: impl Iterator<Item = Vec<u8>>) -> (Vec<Received>, Option<Violation>) {
    let mut reader = FrameReader::new(MAX_BYTES, MAX_FRAGMENTS);
    let mut received = Vec::new();
    for chunk in chunks {
        reader.feed(&chunk);
        loop {
            match reader.read() {
                Ok(Some(one)) => received.push(one),
                Ok(None) => break,
                Err(violation) => return (received, Some(violation)),
            }
        }
    }
    (received, None)
}

fuzz_target!(|bytes: &[u8]| {
    let whole = read(std::iter::once(bytes.to_vec()));
    let cut = read(bytes.chunks(3).map(<[u8]>::to_vec));
    assert_eq!(whole, cut);
});
