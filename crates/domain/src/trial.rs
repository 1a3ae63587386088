//! The first minutes of a release: whether its processes crash so often that the one before it serves again.
//!
//! A crash that follows a promotion switches nothing back by itself; it is restarted. A *crash budget* (a setting) says how many are
//! borne. Beyond, the driver appends a rollback as the system: an ordinary release, made once. There is none when a newer release
//! exists whatever became of it (somebody is at work), when the release is itself such a rollback, and when nothing sound came before.

use crate::ids::ReleaseId;
use crate::mutant::{self, Mutant};
use crate::release::{Release, rollback_eligibility};
use crate::time::BootMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashBudget {
    /// One crash more, and the release is rolled back.
    pub crashes: u32,
    /// Counted from the promotion.
    pub seconds: u64,
}

/// The release that serves, in its first minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// When it was promoted.
    pub since: BootMillis,
    /// Crashes recorded within the budget's time.
    pub crashes: u32,
    /// The release to go back to, if there is one. Need not be looked up before the budget is spent.
    pub back_to: Option<ReleaseId>,
    /// Whether a newer release exists, whatever became of it.
    pub newer_exists: bool,
}

impl Trial {
    /// Whether a crash at this instant counts.
    pub const fn covers(&self, at: BootMillis, budget: &CrashBudget) -> bool {
        at.0 >= self.since.0 && at.millis_since(self.since) < budget.seconds.saturating_mul(1000)
    }

    /// What to go back to now, if the budget is spent.
    pub fn verdict(&self, budget: &CrashBudget) -> Option<ReleaseId> {
        let spent = self.crashes > budget.crashes
            || (self.crashes == budget.crashes && mutant::active(Mutant::RollBackAtBudget));
        let alone = !self.newer_exists || mutant::active(Mutant::RollBackOverNewer);
        self.back_to.filter(|_| spent && alone)
    }
}

/// Whether this release may serve in place of `current`: it came before, has served, and was not given up for its crashes itself.
/// Of those that may, the newest does.
pub fn may_fall_back(current: &Release, to: &Release, given_up: &BTreeSet<ReleaseId>) -> bool {
    to.version < current.version
        && rollback_eligibility(&to.status, &to.artifact).is_ok()
        && !given_up.contains(&to.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AppId;
    use crate::names::ReleaseVersion;
    use crate::release::{Artifact, ReleaseStatus};
    use crate::time::WallMillis;

    const BUDGET: CrashBudget = CrashBudget { crashes: 3, seconds: 300 };

    fn release(version: u64, status: ReleaseStatus, slug: Option<&str>) -> Release {
        let slug = slug.map(|digit| format!("sha256:{digit:0>64}").parse().unwrap());
        Release {
            id: ReleaseId::from_u128(u128::from(version)),
            app: AppId::from_u128(1),
            version: ReleaseVersion(version),
            artifact: Artifact { slug, ..Artifact::default() },
            attachments: Vec::new(),
            build_number: None,
            description: String::new(),
            actor: None,
            created_at: WallMillis(0),
            status,
            status_at: WallMillis(0),
        }
    }

    #[test]
    fn what_served_and_was_not_given_up() {
        let failed = ReleaseStatus::Failed { reason: "x".into() };
        let all = [
            release(1, ReleaseStatus::Succeeded, None),
            release(2, ReleaseStatus::Succeeded, Some("2")),
            release(3, ReleaseStatus::Succeeded, Some("3")),
            release(4, failed, Some("4")),
            release(5, ReleaseStatus::Superseded, Some("5")),
            release(6, ReleaseStatus::Succeeded, Some("6")),
            release(7, ReleaseStatus::Succeeded, Some("7")),
        ];
        let found = |given_up: &[u128]| {
            let given_up = given_up.iter().map(|id| ReleaseId::from_u128(*id)).collect();
            let may = all.iter().filter(|release| may_fall_back(&all[5], release, &given_up));
            may.map(|release| release.version.0).collect::<Vec<_>>()
        };
        assert_eq!(found(&[]), [2, 3]);
        assert_eq!(found(&[3]), [2]);
        assert_eq!(found(&[2, 3]), [0; 0], "the first has no slug");
    }

    #[test]
    fn the_budget_is_borne_and_its_time_counts_from_the_promotion() {
        let back_to = Some(ReleaseId::from_u128(1));
        let trial = |crashes| Trial { since: BootMillis(10_000), crashes, back_to, newer_exists: false };
        assert_eq!(trial(3).verdict(&BUDGET), None);
        assert_eq!(trial(4).verdict(&BUDGET), back_to);
        assert_eq!(Trial { back_to: None, ..trial(9) }.verdict(&BUDGET), None);
        assert_eq!(Trial { newer_exists: true, ..trial(9) }.verdict(&BUDGET), None);
        for (at, counts) in [(9_999, false), (10_000, true), (309_999, true), (310_000, false)] {
            assert_eq!(trial(0).covers(BootMillis(at), &BUDGET), counts, "{at}");
        }
    }
}
