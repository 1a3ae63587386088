//! Cycling: whether a process has run for so long that it is replaced by a new one.
//!
//! Heroku's rule: after 24 hours and a random share of 216 minutes, so that processes that were started together do not go
//! together. The share is a function of the process's id: it is the same at every look, and nothing need be remembered.

use crate::ids::ProcessId;
use crate::time::BootMillis;

/// The random share is at most this part of the age: 216 minutes of 24 hours.
pub const MOST_JITTER_PERCENT: u64 = 15;

/// When this process is to be replaced, if processes are replaced `after_seconds` at all.
pub fn due_at(process: ProcessId, started_at: BootMillis, after_seconds: Option<u64>) -> Option<BootMillis> {
    let age = after_seconds?.saturating_mul(1000);
    Some(started_at.plus_millis(age.saturating_add(jitter_millis(process, age))))
}

/// Whether it has run for that long at `now`.
pub fn is_due(
    process: ProcessId,
    started_at: BootMillis,
    now: BootMillis,
    after_seconds: Option<u64>,
) -> bool {
    due_at(process, started_at, after_seconds).is_some_and(|due| due <= now)
}

fn jitter_millis(process: ProcessId, age_millis: u64) -> u64 {
    let most = age_millis / 100 * MOST_JITTER_PERCENT;
    let raw = process.as_uuid().as_u128();
    // Both halves hold random bits; the multiplication spreads them over the whole word (Knuth's multiplicative hashing).
    let mixed = ((raw >> 64) as u64 ^ raw as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    mixed % (most + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;

    const DAY: Option<u64> = Some(24 * 3600);
    const MOST_MINUTES: u64 = 216;

    fn minutes_after_a_day(process: ProcessId) -> u64 {
        let due = due_at(process, BootMillis(7), DAY).unwrap();
        (due.0 - 7) / 60_000 - 24 * 60
    }

    #[test]
    fn c_53_the_share_is_herokus_and_spread() {
        let mut ids = Ids::seeded(5);
        let mut quarters = [0; 4];
        for _ in 0..4_000 {
            let minutes = minutes_after_a_day(ids.next_process());
            assert!(minutes <= MOST_MINUTES, "{minutes}");
            quarters[(minutes * 4 / (MOST_MINUTES + 1)) as usize] += 1;
        }
        assert!(quarters.iter().all(|count| (800..1_200).contains(count)), "{quarters:?}");
    }

    #[test]
    fn the_same_process_has_the_same_share_and_off_is_never() {
        let process = ProcessId::from_u128(0x1234_5678_9abc_def0);
        assert_eq!(due_at(process, BootMillis(0), DAY), due_at(process, BootMillis(0), DAY));
        assert!(!is_due(process, BootMillis(0), BootMillis(u64::MAX), None));
        let due = due_at(process, BootMillis(0), DAY).unwrap();
        assert!(is_due(process, BootMillis(0), due, DAY));
        assert!(!is_due(process, BootMillis(0), BootMillis(due.0 - 1), DAY));
    }
}
