//! Replays what fuzzing has found, and what it starts from: `fuzz/corpus/NAME` for each target of the server.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

fn replay(name: &str, parser: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 4, "{name} has a corpus");
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap();
        println!("{}", seed.display());
        parser(&bytes);
        // Cut anywhere it is a stranger's as well.
        for end in 0..bytes.len() {
            parser(&bytes[..end]);
        }
    }
}

#[test]
fn wire() {
    replay("wire", server::strangers::wire);
}

#[test]
fn heads() {
    replay("heads", server::strangers::heads);
}

#[test]
fn ssh() {
    replay("ssh", server::strangers::ssh);
}
