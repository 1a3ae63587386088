//! Replays what fuzzing has found, and what it starts from: `fuzz/corpus/NAME` for each target of this crate.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

fn replay(name: &str, read: fn(&[u8]), at_least: usize) {
    let mut seeds: Vec<_> = fs::read_dir(corpus(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() >= at_least, "{name} has a corpus");
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap();
        println!("{}", seed.display());
        read(&bytes);
        // Cut anywhere, and with any one byte another.
        for end in 0..bytes.len() {
            read(&bytes[..end]);
            let mut other = bytes.clone();
            other[end] ^= 1;
            read(&other);
        }
    }
}

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name)
}

#[test]
fn launcher() {
    replay("launcher", sandbox::strangers::launcher, 16);
}

#[test]
fn shim() {
    replay("shim", sandbox::strangers::shim, 6);
}
