//! See `server::strangers::wire`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| server::strangers::wire(bytes));
