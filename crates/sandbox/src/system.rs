//! Small readings of the machine: its boot, its clocks.

use domain::time::{BootId, BootMillis, WallMillis};
use rustix::time::{ClockId, clock_gettime};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The kernel's id of this boot.
pub fn boot_id() -> std::io::Result<BootId> {
    Ok(BootId(std::fs::read_to_string(BOOT_ID)?.trim().to_owned()))
}

/// Now, by the clock that decisions use.
pub fn boot_now() -> BootMillis {
    BootMillis(millis(ClockId::Boottime))
}

/// Now, for people.
pub fn wall_now() -> WallMillis {
    WallMillis(millis(ClockId::Realtime))
}

fn millis(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * 1000 + nanos / 1_000_000
}
