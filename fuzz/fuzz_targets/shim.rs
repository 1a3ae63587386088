//! See `sandbox::strangers::shim`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sandbox::strangers::shim(bytes));
