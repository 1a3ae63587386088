//! Which of the instants that have come are run now, and which were missed.
//!
//! After the server was down, or the machine's clock was put forward, several may have come at once. The latest is run, if it came
//! no longer ago than [`GRACE_SECONDS`]; all others were missed, and that is told.

use super::{Schedule, Zone};
use crate::time::WallMillis;

/// How late a run may be started.
pub const GRACE_SECONDS: u64 = 5 * 60;
/// Missed instants are counted up to here.
pub const MOST_COUNTED: u32 = 10_000;

/// What has come between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// To be run now.
    pub run: Option<WallMillis>,
    pub missed: Option<Missed>,
    /// Everything up to here has been dealt with when this has.
    pub until: WallMillis,
}

/// Instants that will not be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    pub first: WallMillis,
    /// [`MOST_COUNTED`]: that many or more.
    pub count: u32,
}

/// What has become due after `since` and not after `now`.
pub fn due(schedule: &Schedule, zone: &Zone, since: WallMillis, now: WallMillis) -> Due {
    let grace = WallMillis(now.0.saturating_sub(GRACE_SECONDS * 1000 + 1)).max(since);
    let run = between(schedule, zone, grace, now).last();
    let mut missed = None;
    for at in
        between(schedule, zone, since, now).take_while(|at| Some(*at) != run).take(MOST_COUNTED as usize)
    {
        let counted = missed.map_or(0, |missed: Missed| missed.count);
        missed = Some(Missed { first: missed.map_or(at, |missed| missed.first), count: counted + 1 });
    }
    Due { run, missed, until: run.unwrap_or(now).max(since) }
}

fn between<'a>(
    schedule: &'a Schedule,
    zone: &'a Zone,
    since: WallMillis,
    now: WallMillis,
) -> impl Iterator<Item = WallMillis> + 'a {
    let next = move |at: &WallMillis| schedule.next_after(*at, zone).filter(|next| *next <= now);
    std::iter::successors(next(&since), next)
}
