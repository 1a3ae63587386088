//! See `server::strangers::ssh`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| server::strangers::ssh(bytes));
