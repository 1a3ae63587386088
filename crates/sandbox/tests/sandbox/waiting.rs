//! Waiting for something to become so, with a bound that only a fault reaches. No test judges how long a thing took.

use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(5);

/// The first value that `look` finds.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONGEST;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited too long until {what}");
        std::thread::sleep(STEP);
    }
}
