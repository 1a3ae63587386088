//! Whether a place of a rolling type is over its start, so that the next may be replaced.
//!
//! Up is not enough: a process that nobody asks anything is up as soon as it is executed, also one that ends a second later. A
//! roll-out goes on when what it has started has stayed for a moment and has not crashed lately, and so ends by itself when it has not.

use crate::desired::{DesiredSlots, Strategy};
use crate::mutant::{self, Mutant};
use crate::observed::{ObservedProcess, ProcessState};
use crate::time::BootMillis;

/// From being up to being over the start, where neither a port nor a check tells.
const SETTLING_SECONDS: u64 = 10;
/// After a crash, a place counts as held no sooner.
const CRASHED_LATELY_SECONDS: u64 = 60;

/// Whether the process that is up in this place counts as a place held.
pub(super) fn is_steady(
    slots: &DesiredSlots,
    index: u32,
    process: &ObservedProcess,
    now: BootMillis,
) -> bool {
    let settled = settles_at(slots, process).is_none_or(|at| at <= now);
    let crash = slots.crashes.get(&index).filter(|_| rolls(slots));
    let crashed_lately =
        crash.is_some_and(|crash| crash.last_exit.plus_seconds(CRASHED_LATELY_SECONDS) > now);
    (settled && !crashed_lately) || mutant::active(Mutant::RollOverCrashes)
}

/// When a process that is up is over its start, if that takes time at all.
pub(super) fn settles_at(slots: &DesiredSlots, process: &ObservedProcess) -> Option<BootMillis> {
    let is_asked = slots.process_type.is_web() || slots.startup_seconds.is_some();
    match process.state {
        ProcessState::Up { since } | ProcessState::Unready { since } if rolls(slots) && !is_asked => {
            Some(since.plus_seconds(SETTLING_SECONDS))
        }
        ProcessState::Up { .. }
        | ProcessState::Unready { .. }
        | ProcessState::Starting
        | ProcessState::Stopping { .. }
        | ProcessState::Exited(_)
        | ProcessState::Lost => None,
    }
}

pub(super) const fn rolls(slots: &DesiredSlots) -> bool {
    matches!(slots.strategy, Strategy::Rolling { .. })
}
