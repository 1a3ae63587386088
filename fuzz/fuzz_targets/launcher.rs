//! See `sandbox::strangers::launcher`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sandbox::strangers::launcher(bytes));
