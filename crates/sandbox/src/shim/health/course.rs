//! When a check is asked next, and what its outcomes add up to. Pure: time comes in.

use domain::app_json::health::CheckKind;
use domain::time::BootMillis;
use serde::{Deserialize, Serialize};

/// How a check has gone so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    kind: CheckKind,
    attempts: u32,
    wait_seconds: u32,
    failures: u32,
    standing: Standing,
    next_at: Option<BootMillis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    /// Nothing is known yet, or it passes.
    Good,
    /// It has failed as often in a row as it may.
    Failed,
    /// It is not asked any more.
    Over,
}

/// What one more outcome has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Same,
    /// For the first time, or again after it had failed.
    Passed,
    Failed,
}

/// What a check has come to, for who goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckState {
    failures: u32,
    standing: Standing,
    next_at: Option<BootMillis>,
}

impl Course {
    /// An attempt that is under way comes to nothing, and is made again at once.
    pub fn to_state(&self, under_way: Option<BootMillis>) -> CheckState {
        CheckState { failures: self.failures, standing: self.standing, next_at: under_way.or(self.next_at) }
    }

    pub fn go_on(&mut self, state: &CheckState) {
        (self.failures, self.standing, self.next_at) = (state.failures, state.standing, state.next_at);
    }

    pub const fn new(kind: CheckKind, attempts: u32, wait_seconds: u32) -> Self {
        Self { kind, attempts, wait_seconds, failures: 0, standing: Standing::Good, next_at: None }
    }

    pub const fn begin(&mut self, first_at: BootMillis) {
        self.next_at = Some(first_at);
    }

    pub const fn end(&mut self) {
        self.next_at = None;
    }

    pub const fn next_at(&self) -> Option<BootMillis> {
        self.next_at
    }

    /// Whether it has passed for good.
    pub const fn is_over(&self) -> bool {
        matches!(self.standing, Standing::Over)
    }

    pub const fn has_failed(&self) -> bool {
        matches!(self.standing, Standing::Failed)
    }

    pub fn passed(&mut self, now: BootMillis) -> Turn {
        self.failures = 0;
        let before = self.standing;
        match self.kind {
            CheckKind::Startup => {
                self.standing = Standing::Over;
                self.next_at = None;
                Turn::Passed
            }
            CheckKind::Readiness | CheckKind::Liveness => {
                self.standing = Standing::Good;
                self.ask_again(now);
                if before == Standing::Failed { Turn::Passed } else { Turn::Same }
            }
        }
    }

    pub fn failed(&mut self, now: BootMillis) -> Turn {
        self.failures = self.failures.saturating_add(1);
        let is_news = self.failures == self.attempts;
        match self.kind {
            CheckKind::Startup | CheckKind::Liveness if is_news => {
                self.standing = Standing::Failed;
                self.next_at = None;
                return Turn::Failed;
            }
            CheckKind::Readiness if is_news => self.standing = Standing::Failed,
            CheckKind::Startup | CheckKind::Liveness | CheckKind::Readiness => {}
        }
        self.ask_again(now);
        if is_news { Turn::Failed } else { Turn::Same }
    }

    fn ask_again(&mut self, now: BootMillis) {
        self.next_at = Some(now.plus_seconds(u64::from(self.wait_seconds)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(kind: CheckKind, attempts: u32) -> Course {
        let mut course = Course::new(kind, attempts, 5);
        course.begin(BootMillis(7));
        assert_eq!(course.next_at(), Some(BootMillis(7)));
        course
    }

    fn failures(course: &mut Course, count: u32) -> Vec<Turn> {
        (0..count).map(|at| course.failed(BootMillis(u64::from(at) * 1_000))).collect()
    }

    #[test]
    fn startup_passes_once_or_fails_once() {
        let mut passes = course(CheckKind::Startup, 2);
        assert_eq!(passes.failed(BootMillis(10)), Turn::Same);
        assert_eq!(passes.next_at(), Some(BootMillis(5_010)));
        assert_eq!(passes.passed(BootMillis(5_020)), Turn::Passed);
        assert!(passes.is_over() && passes.next_at().is_none());
        let mut fails = course(CheckKind::Startup, 2);
        assert_eq!(failures(&mut fails, 2), [Turn::Same, Turn::Failed]);
        assert!(!fails.is_over() && fails.next_at().is_none());
    }

    #[test]
    fn liveness_counts_failures_in_a_row_alone() {
        let mut course = course(CheckKind::Liveness, 3);
        assert_eq!(failures(&mut course, 2), [Turn::Same, Turn::Same]);
        assert_eq!(course.passed(BootMillis(0)), Turn::Same);
        assert_eq!(course.next_at(), Some(BootMillis(5_000)));
        assert_eq!(failures(&mut course, 3), [Turn::Same, Turn::Same, Turn::Failed]);
        assert_eq!(course.next_at(), None);
    }

    #[test]
    fn readiness_is_told_when_it_changes_and_asked_for_ever() {
        let mut course = course(CheckKind::Readiness, 2);
        assert_eq!(course.passed(BootMillis(0)), Turn::Same);
        assert_eq!(failures(&mut course, 5), [Turn::Same, Turn::Failed, Turn::Same, Turn::Same, Turn::Same]);
        assert!(course.has_failed());
        assert_eq!(course.passed(BootMillis(0)), Turn::Passed);
        assert!(!course.has_failed() && course.next_at().is_some());
        assert_eq!(course.passed(BootMillis(0)), Turn::Same);
    }
}
