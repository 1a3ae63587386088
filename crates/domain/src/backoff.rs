//! When a crashed process starts again.
//!
//! The policy: the first crash is followed by an immediate start; further crashes by waits of 2, 4, 8, ... seconds, 300 at most.
//! A run of ten minutes or more clears the memory of earlier crashes; a release and a restart clear it too.

use crate::desired::CrashRecord;
use crate::mutant::{self, Mutant};
use crate::time::BootMillis;

/// A run this long counts as healthy.
pub const HEALTHY_RUN_SECONDS: u64 = 600;
/// The longest wait.
pub const LONGEST_WAIT_SECONDS: u64 = 300;

/// Seconds to wait after the `count`-th crash in a row.
pub const fn wait_seconds(count: u32) -> u64 {
    match count {
        0 | 1 => 0,
        2..=9 => {
            let wait = 1u64 << (count - 1);
            if wait < LONGEST_WAIT_SECONDS { wait } else { LONGEST_WAIT_SECONDS }
        }
        10.. => LONGEST_WAIT_SECONDS,
    }
}

/// The instant from which a slot with this history may start again.
pub fn not_before(record: Option<&CrashRecord>) -> BootMillis {
    match record {
        None => BootMillis::default(),
        Some(_) if mutant::active(Mutant::NoBackOff) => BootMillis::default(),
        Some(record) => record.last_exit.plus_seconds(wait_seconds(record.count)),
    }
}

/// The history after one more crash.
pub fn after_crash(
    before: Option<&CrashRecord>,
    started_at: BootMillis,
    exited_at: BootMillis,
) -> CrashRecord {
    let healthy = exited_at.millis_since(started_at) >= HEALTHY_RUN_SECONDS * 1000;
    let earlier = match before {
        Some(record) if !healthy => record.count,
        Some(_) | None => 0,
    };
    CrashRecord { count: earlier.saturating_add(1), last_exit: exited_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_50_waits_grow_to_a_bound() {
        let waits: Vec<_> = (0..12).map(wait_seconds).collect();
        assert_eq!(waits, [0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn c_50_a_long_run_clears_the_count() {
        let record = CrashRecord { count: 5, last_exit: BootMillis(0) };
        assert_eq!(after_crash(Some(&record), BootMillis(0), BootMillis(1_000)).count, 6);
        assert_eq!(after_crash(Some(&record), BootMillis(0), BootMillis(600_000)).count, 1);
    }
}
