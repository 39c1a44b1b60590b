//! libFuzzer's way to `haggle::fuzzing::item`, where the promise stands.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haggle::fuzzing::item(bytes));
