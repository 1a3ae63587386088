//! What is deleted when: a pure decision over what the index knows.

use crate::settings::Retention;
use domain::ids::{AppId, WriterId};
use journal::AppsSeen;
use std::collections::{BTreeMap, BTreeSet};

/// A segment as this decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub writer: WriterId,
    pub number: u64,
    pub bytes: u64,
    pub last_order: u64,
    pub modified_seconds: u64,
    pub apps: AppsSeen,
    pub growth: Growth,
}

/// Whether a living writer may still append to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    Ended,
    Possible,
}

/// Who pays for a segment's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Account {
    App(AppId),
    Shared,
}

/// The segments to delete. Of each writer the oldest go first, and none that may still grow.
pub(crate) fn plan_deletions(
    held: &[Held],
    retention: Retention,
    now_micros: u64,
) -> BTreeSet<(WriterId, u64)> {
    let mut oldest_first: Vec<&Held> = held.iter().collect();
    oldest_first.sort_by_key(|segment| (segment.last_order, segment.writer, segment.number));
    let mut deleted = BTreeSet::new();
    let mut kept_of: BTreeSet<WriterId> = BTreeSet::new();
    let mut totals = totals(held);
    let keep_micros = u64::try_from(retention.keep.as_micros()).unwrap_or(u64::MAX);
    for segment in oldest_first {
        let total = totals.entry(account(segment)).or_default();
        let expired = last_written_micros(segment).saturating_add(keep_micros) < now_micros;
        let over = *total > cap(segment, retention);
        let may_go = segment.growth == Growth::Ended && !kept_of.contains(&segment.writer);
        if may_go && (expired || over) {
            *total -= segment.bytes;
            deleted.insert((segment.writer, segment.number));
        } else {
            kept_of.insert(segment.writer);
        }
    }
    deleted
}

fn totals(held: &[Held]) -> BTreeMap<Account, u64> {
    let mut totals = BTreeMap::new();
    for segment in held {
        *totals.entry(account(segment)).or_default() += segment.bytes;
    }
    totals
}

fn account(segment: &Held) -> Account {
    match segment.apps {
        AppsSeen::One(app) => Account::App(app),
        AppsSeen::None | AppsSeen::Several(_) => Account::Shared,
    }
}

fn cap(segment: &Held, retention: Retention) -> u64 {
    match account(segment) {
        Account::App(_) => retention.bytes_per_app,
        Account::Shared => retention.shared_bytes,
    }
}

/// The earlier of what its lines and its file say: a clock that was once far ahead must not keep a segment for ever.
fn last_written_micros(segment: &Held) -> u64 {
    let modified = segment.modified_seconds.saturating_mul(1_000_000);
    if segment.last_order == 0 { modified } else { segment.last_order.min(modified) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const DAY: u64 = 24 * 60 * 60 * 1_000_000;
    const NOW: u64 = 100 * DAY;
    const LIMITS: Retention =
        Retention { keep: Duration::from_secs(7 * 24 * 60 * 60), bytes_per_app: 100, shared_bytes: 100 };

    fn held(writer: u128, number: u64, days_old: u64, bytes: u64, app: u128) -> Held {
        let last_order = NOW - days_old * DAY;
        Held {
            writer: WriterId::from_u128(writer),
            number,
            bytes,
            last_order,
            modified_seconds: last_order / 1_000_000,
            apps: AppsSeen::One(AppId::from_u128(app)),
            growth: Growth::Ended,
        }
    }

    fn check(name: &str, held: &[Held], expected: &[(u128, u64)]) {
        let deleted = plan_deletions(held, LIMITS, NOW);
        let expected =
            expected.iter().map(|(writer, number)| (WriterId::from_u128(*writer), *number)).collect();
        assert_eq!(deleted, expected, "{name}");
    }

    #[test]
    fn decisions() {
        check("nothing", &[], &[]);
        check("seven days are kept", &[held(1, 1, 8, 1, 1), held(1, 2, 7, 1, 1)], &[(1, 1)]);
        let growing = Held { growth: Growth::Possible, ..held(1, 2, 9, 1, 1) };
        check("what may grow stays", &[held(1, 1, 9, 1, 1), growing], &[(1, 1)]);
        check(
            "an app over its bytes loses the oldest",
            &[held(1, 1, 2, 60, 1), held(2, 1, 3, 60, 1)],
            &[(2, 1)],
        );
        check("other apps do not pay", &[held(1, 1, 2, 101, 1), held(2, 1, 3, 60, 2)], &[(1, 1)]);
        let shared =
            |writer, number, days| Held { apps: AppsSeen::Several(3), ..held(writer, number, days, 60, 1) };
        check(
            "shared segments have their own cap",
            &[shared(1, 1, 2), shared(2, 1, 1), held(3, 1, 1, 90, 1)],
            &[(1, 1)],
        );
        let growing = Held { growth: Growth::Possible, ..held(1, 1, 5, 90, 1) };
        check("none after one that stays", &[growing, held(1, 2, 4, 90, 1)], &[]);
        let ahead = Held { last_order: NOW + 9000 * DAY, ..held(1, 1, 9, 1, 1) };
        check("a clock once ahead", &[ahead], &[(1, 1)]);
        let unreadable = Held { last_order: 0, apps: AppsSeen::None, ..held(1, 1, 2, 1, 1) };
        check("without lines the file tells", &[unreadable], &[]);
    }
}
