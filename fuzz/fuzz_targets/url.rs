//! Addresses that people name: read or refused, and what was read reads the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outbound::Url;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (first, location) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(url) = first.parse::<Url>() else { return };
    assert_eq!(url.expose().parse::<Url>().as_ref(), Ok(&url));
    if let Ok(next) = url.redirected(location) {
        assert!(next.expose().starts_with("https://"));
    }
});
