//! libFuzzer's way to `haggle::fuzzing::group`, where the promise stands.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| haggle::fuzzing::group(bytes));
