//! A bell: something may have changed, look again. Rings carry no data and any number of them are one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Cheap to clone; all clones are one bell.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rings: Mutex<u64>,
    changed: Condvar,
}

impl Bell {
    pub fn ring(&self) {
        let mut rings = self.lock();
        *rings = rings.wrapping_add(1);
        self.0.changed.notify_all();
    }

    /// How often it has rung: to be compared with a later [`Bell::wait_past`].
    pub fn rings(&self) -> u64 {
        *self.lock()
    }

    /// Waits until the bell has rung since `seen`, or for `at_most`. Returns the present count.
    pub fn wait_past(&self, seen: u64, at_most: Duration) -> u64 {
        let deadline = Instant::now() + at_most;
        let mut rings = self.lock();
        while *rings == seen {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            rings = self.0.changed.wait_timeout(rings, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *rings
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.0.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_not_lost() {
        let bell = Bell::default();
        let seen = bell.rings();
        bell.ring();
        assert_ne!(bell.wait_past(seen, Duration::from_secs(60)), seen);
        let seen = bell.rings();
        assert_eq!(bell.wait_past(seen, Duration::from_millis(1)), seen);
        let other = bell.clone();
        let waiter = std::thread::spawn(move || other.wait_past(seen, Duration::from_secs(60)));
        bell.ring();
        assert_eq!(waiter.join().unwrap(), seen + 1);
    }
}
