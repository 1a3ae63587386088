//! Whether a run that is due may start beside those before it.

use crate::app_json::cron::Concurrency;

/// Runs of one entry at a time, at most: a command that hangs shall not fill the machine.
pub const RUNNING_LIMIT: usize = 10;

/// Runs of the same entry that have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unfinished {
    /// Not started yet.
    pub waiting: usize,
    pub started: usize,
}

/// What happens to a run that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Start,
    /// It starts when those before it, which are stopped now, have ended.
    Replace,
    Skip(SkipReason),
}

/// Why a run is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    #[error("the run before it has not ended")]
    NotEnded,
    #[error("the run before it waits to be started")]
    NotStarted,
    #[error("{RUNNING_LIMIT} runs before it have not ended")]
    TooMany,
    #[error("no release of the app serves")]
    NoRelease,
}

/// A run that waits is never followed by another: they would all start at once when the machine can start processes again.
pub const fn admit(concurrency: Concurrency, before: Unfinished) -> Admission {
    match concurrency {
        Concurrency::Replace if before.waiting + before.started > 0 => Admission::Replace,
        Concurrency::Allow | Concurrency::Forbid if before.waiting > 0 => {
            Admission::Skip(SkipReason::NotStarted)
        }
        Concurrency::Forbid if before.started > 0 => Admission::Skip(SkipReason::NotEnded),
        Concurrency::Allow if before.started >= RUNNING_LIMIT => Admission::Skip(SkipReason::TooMany),
        Concurrency::Allow | Concurrency::Forbid | Concurrency::Replace => Admission::Start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_start() {
        use Admission::{Replace, Skip, Start};
        use Concurrency as C;
        for (concurrency, waiting, started, expected) in [
            (C::Allow, 0, 0, Start),
            (C::Allow, 0, 9, Start),
            (C::Allow, 0, 10, Skip(SkipReason::TooMany)),
            (C::Allow, 1, 0, Skip(SkipReason::NotStarted)),
            (C::Forbid, 0, 0, Start),
            (C::Forbid, 0, 1, Skip(SkipReason::NotEnded)),
            (C::Forbid, 1, 0, Skip(SkipReason::NotStarted)),
            (C::Replace, 0, 0, Start),
            (C::Replace, 0, 1, Replace),
            (C::Replace, 1, 1, Replace),
        ] {
            let found = admit(concurrency, Unfinished { waiting, started });
            assert_eq!(found, expected, "{concurrency:?} {waiting} {started}");
        }
    }
}
