//! Which instants were dealt with long ago: when their rows are gone, a few spans remember them.
//!
//! The newest of them alone would not do: after a clock was years ahead for a while, everything until then would count as dealt
//! with. Nor would the spans between which nothing was due: schedules change. So a bounded number of spans is kept, and when there are
//! too many, the two that lie closest become one. What a clock leapt over by far is never taken for dealt with.

use crate::time::WallMillis;
use serde::{Deserialize, Serialize};

/// Spans that are kept of one entry.
pub const MOST_SPANS: usize = 16;

/// In order, none touching another: first and last instant of each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spans(Vec<(WallMillis, WallMillis)>);

impl Spans {
    pub fn contains(&self, at: WallMillis) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&at))
    }

    /// The latest instant within, none later than `at_most`.
    pub fn newest(&self, at_most: WallMillis) -> Option<WallMillis> {
        let (_, last) = self.0.iter().rfind(|(first, _)| *first <= at_most)?;
        Some((*last).min(at_most))
    }

    pub fn add(&mut self, at: WallMillis) {
        if self.contains(at) {
            return;
        }
        let place = self.0.partition_point(|(first, _)| *first < at);
        self.0.insert(place, (at, at));
        if self.0.len() > MOST_SPANS {
            self.close_narrowest_gap();
        }
    }

    fn close_narrowest_gap(&mut self) {
        let gap = |at: &usize| self.0[*at].0.0 - self.0[*at - 1].1.0;
        if let Some(after) = (1..self.0.len()).min_by_key(gap) {
            let (_, last) = self.0.remove(after);
            self.0[after - 1].1 = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: u64 = 60_000;
    const YEAR: u64 = 365 * 24 * 60 * MINUTE;

    fn of(instants: impl IntoIterator<Item = u64>) -> Spans {
        let mut spans = Spans::default();
        instants.into_iter().for_each(|at| spans.add(WallMillis(at)));
        spans
    }

    #[test]
    fn a_clock_that_was_years_ahead_takes_nothing_from_before() {
        let now = 50 * YEAR;
        let before = (0..200).map(|n| now + n * MINUTE);
        let ahead = (0..2000).map(|n| now + 10 * YEAR + n * MINUTE);
        let spans = of(before.chain(ahead));
        let holds = |at| spans.contains(WallMillis(at));
        assert!(holds(now) && holds(now + 199 * MINUTE) && holds(now + 10 * YEAR + 77 * MINUTE));
        assert!(!holds(now + 200 * MINUTE) && !holds(now + 9 * YEAR) && !holds(now + 11 * YEAR));
        assert_eq!(spans.newest(WallMillis(now + 9 * YEAR)), Some(WallMillis(now + 199 * MINUTE)));
        assert_eq!(spans.newest(WallMillis(now - 1)), None);
        let text = serde_json::to_string(&spans).unwrap();
        assert_eq!(serde_json::from_str::<Spans>(&text).unwrap(), spans);
    }

    proptest! {
        #[test]
        fn what_was_added_is_within_and_spans_are_few(instants in prop::collection::vec(0..1_000_000_u64, 0..100)) {
            let spans = of(instants.iter().copied());
            prop_assert!(spans.0.len() <= MOST_SPANS);
            prop_assert!(spans.0.is_sorted_by(|a, b| a.1 < b.0));
            for at in instants {
                prop_assert!(spans.contains(WallMillis(at)));
                prop_assert_eq!(spans.newest(WallMillis(at)), Some(WallMillis(at)));
            }
        }
    }
}
