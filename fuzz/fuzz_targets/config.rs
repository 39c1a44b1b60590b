//! libFuzzer's way to `haggle::fuzzing::config`, where the promise stands.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haggle::fuzzing::config(bytes));
