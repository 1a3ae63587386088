//! Whether a run that is due may start beside those before it.

use crate::app_json::cron::{Concurrency, MAX_ENTRIES};

/// Runs of one entry at a time, at most: a command that hangs is not started for ever.
pub const RUNNING_LIMIT: usize = 10;
/// Runs of all entries of an app at a time, at most: one of each that it can have, whose commands may hang together.
pub const APP_LIMIT: usize = 2 * MAX_ENTRIES;

/// Runs of the same entry that have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unfinished {
    /// Not started yet.
    pub waiting: usize,
    pub started: usize,
}

/// What else there is when a run is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Around {
    /// Runs of all entries of the app that have not ended.
    pub of_app: usize,
    pub quota: Quota,
}

/// What the owner of an app may have running: processes of formations and runs of recurring commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quota {
    #[default]
    HasRoom,
    UsedUp,
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
    #[error("{APP_LIMIT} runs of the app's commands have not ended")]
    AppTooMany,
    #[error("the owner of the app has as many processes as the quota allows")]
    QuotaUsedUp,
    #[error("no release of the app serves")]
    NoRelease,
}

/// A run that waits is never followed by another: they would all start at once when the machine can start processes again. One that
/// replaces others takes their room.
pub const fn admit(concurrency: Concurrency, before: Unfinished, around: Around) -> Admission {
    match concurrency {
        Concurrency::Replace if before.waiting + before.started > 0 => Admission::Replace,
        Concurrency::Allow | Concurrency::Forbid if before.waiting > 0 => {
            Admission::Skip(SkipReason::NotStarted)
        }
        Concurrency::Forbid if before.started > 0 => Admission::Skip(SkipReason::NotEnded),
        Concurrency::Allow if before.started >= RUNNING_LIMIT => Admission::Skip(SkipReason::TooMany),
        Concurrency::Allow | Concurrency::Forbid | Concurrency::Replace => admit_beside(around),
    }
}

const fn admit_beside(around: Around) -> Admission {
    match around.quota {
        _ if around.of_app >= APP_LIMIT => Admission::Skip(SkipReason::AppTooMany),
        Quota::UsedUp => Admission::Skip(SkipReason::QuotaUsedUp),
        Quota::HasRoom => Admission::Start,
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
            let found = admit(concurrency, Unfinished { waiting, started }, Around::default());
            assert_eq!(found, expected, "{concurrency:?} {waiting} {started}");
        }
    }

    #[test]
    fn what_is_around_counts_but_for_one_that_replaces() {
        let running = Unfinished { waiting: 0, started: 1 };
        let full = Around { of_app: APP_LIMIT, quota: Quota::HasRoom };
        let spent = Around { of_app: 1, quota: Quota::UsedUp };
        for (around, reason) in [(full, SkipReason::AppTooMany), (spent, SkipReason::QuotaUsedUp)] {
            assert_eq!(admit(Concurrency::Allow, running, around), Admission::Skip(reason));
            assert_eq!(admit(Concurrency::Replace, Unfinished::default(), around), Admission::Skip(reason));
            assert_eq!(admit(Concurrency::Replace, running, around), Admission::Replace);
        }
        let nearly = Around { of_app: APP_LIMIT - 1, quota: Quota::HasRoom };
        assert_eq!(admit(Concurrency::Allow, running, nearly), Admission::Start);
    }
}
