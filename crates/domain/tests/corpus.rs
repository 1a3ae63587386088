//! Replays what fuzzing has found, and what it starts from: `fuzz/corpus/cron`.

#![allow(clippy::unwrap_used, reason = "a test")]

use domain::cron::{Schedule, Zone};
use domain::time::WallMillis;
use std::fs;
use std::path::Path;

/// What the fuzz target does with any bytes.
fn read_any(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(schedule) = text.parse::<Schedule>() else { return false };
    assert_eq!(schedule.as_str().parse::<Schedule>().as_ref(), Ok(&schedule));
    for zone in ["UTC", "Europe/Berlin", "Australia/Lord_Howe"] {
        let after = WallMillis(1_790_000_000_000);
        let next = schedule.next_after(after, &zone.parse::<Zone>().unwrap());
        assert!(next.is_some_and(|next| next > after), "{schedule} in {zone}");
    }
    true
}

#[test]
fn cron() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/cron");
    let mut seeds: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 5);
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
    assert!(read >= 4, "most of them are schedules");
}
