//! Schedules: read or refused; what was read reads the same again, and is next due later than asked.

#![no_main]

use domain::cron::{Schedule, Zone};
use domain::time::WallMillis;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(schedule) = text.parse::<Schedule>() else { return };
    assert_eq!(schedule.as_str().parse::<Schedule>().as_ref(), Ok(&schedule));
    for zone in ["UTC", "Europe/Berlin", "Australia/Lord_Howe"] {
        let zone: Zone = zone.parse().expect("a zone");
        let after = WallMillis(1_790_000_000_000);
        assert!(schedule.next_after(after, &zone).is_none_or(|next| next > after));
    }
});
