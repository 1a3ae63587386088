//! Replays what fuzzing has found, and what it starts from: `fuzz/corpus/url`.

#![allow(clippy::unwrap_used, reason = "a test")]

use outbound::Url;
use std::fs;
use std::path::Path;

/// What the fuzz target does with any bytes: an address and where it leads to are read or refused, and what was read reads the same
/// again.
fn read_any(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (first, location) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(url) = first.parse::<Url>() else { return false };
    assert_eq!(url.expose().parse::<Url>().as_ref(), Ok(&url));
    if let Ok(next) = url.redirected(location) {
        assert!(next.expose().starts_with("https://"));
    }
    true
}

#[test]
fn url() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/url");
    let mut seeds: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 4);
    let mut read = 0;
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap();
        println!("{}", seed.display());
        read += usize::from(read_any(&bytes));
        // Cut anywhere it is a stranger's as well.
        for end in 0..bytes.len() {
            read_any(&bytes[..end]);
        }
    }
    assert!(read >= 2, "some of them are addresses");
}
