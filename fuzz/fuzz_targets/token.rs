//! libFuzzer's way to `haggle::fuzzing::token`, where the promise stands.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haggle::fuzzing::token(bytes));
