//! See `server::strangers::heads`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| server::strangers::heads(bytes));
