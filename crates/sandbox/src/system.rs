//! Small readings of the machine: its boot, its clocks.

use domain::time::{BootId, BootMillis, WallMillis};
use rustix::time::{ClockId, clock_gettime};
use std::os::fd::{FromRawFd, OwnedFd};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The kernel's id of this boot.
pub fn boot_id() -> std::io::Result<BootId> {
    Ok(BootId(std::fs::read_to_string(BOOT_ID)?.trim().to_owned()))
}

/// Major and minor number of the running kernel.
pub fn kernel_version() -> Option<(u32, u32)> {
    parse_kernel_version(&rustix::system::uname().release().to_string_lossy())
}

/// Major and minor number of `6.1.0-18-amd64`.
pub(crate) fn parse_kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|byte: char| !byte.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
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

/// Blocks these signals and makes a descriptor from which they are read instead.
pub(crate) fn signal_descriptor(signals: &[libc::c_int]) -> std::io::Result<OwnedFd> {
    // SAFETY: the set is a local that is filled in before it is read; the new descriptor belongs to nobody else.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let descriptor = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if descriptor < 0 {
            Err(std::io::Error::last_os_error())
        } else {
            Ok(OwnedFd::from_raw_fd(descriptor))
        }
    }
}
