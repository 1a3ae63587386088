//! The health checks of one process: what its app.json asks about it, asked from the app's own network, without ever keeping the
//! shim's loop waiting.
//!
//! * [`course`]: when a check is asked next and what its outcomes add up to; pure
//! * [`attempt`]: one question under way: a connection, and a request on it
//! * [`answer`], [`body`]: reading what came back; pure, bounded
//!
//! Time and readiness of sockets come in; what has changed goes out as [`Change`]s, once each.

mod answer;
mod attempt;
mod body;
mod course;

pub use course::CheckState;

use crate::spec::ProcessSpec;
use attempt::{Attempt, Verdict};
use course::{Course, Turn};
use domain::app_json::health::{CheckKind, HealthCheck, Probe};
use domain::process::FailedCheck;
use domain::time::BootMillis;
use rustix::event::PollFlags;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// The checks of one process.
pub struct Health {
    checks: Vec<Check>,
}

struct Check {
    check: HealthCheck,
    /// Whom it asks; `None` for a check of time alone.
    address: Option<SocketAddr>,
    course: Course,
    attempt: Option<Attempt>,
}

/// Longest problem that is told, in bytes: it has to fit into the room that the end of a process has on a full disk.
const MAX_PROBLEM_BYTES: usize = 1_000;

/// What has become different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Every startup check has passed.
    Started,
    /// A startup or liveness check has failed: the process has to go.
    Failed(FailedCheck),
    /// A readiness check has failed, and none had before.
    Unready(FailedCheck),
    /// The last readiness check that failed passes again.
    Ready { name: String },
}

impl Health {
    pub fn new(spec: &ProcessSpec) -> Self {
        let endpoint = spec.endpoint.map(|endpoint| endpoint.0);
        let checks = spec.health_checks.iter().map(|check| Check::new(check.clone(), endpoint));
        Self { checks: checks.collect() }
    }

    /// In the order of the spec.
    pub fn to_state(&self, now: BootMillis) -> Vec<CheckState> {
        self.checks.iter().map(|check| check.course.to_state(check.attempt.as_ref().map(|_| now))).collect()
    }

    /// `None` if the checks are not those of the spec.
    pub fn of_state(spec: &ProcessSpec, states: &[CheckState]) -> Option<Self> {
        let mut health = Self::new(spec);
        if health.checks.len() != states.len() {
            return None;
        }
        health.checks.iter_mut().zip(states).for_each(|(check, state)| check.course.go_on(state));
        Some(health)
    }

    /// Whether no startup check is left to pass.
    pub fn has_started(&self) -> bool {
        self.of_kind(CheckKind::Startup).all(|check| check.course.is_over())
    }

    /// The app runs and accepts connections if it has to: startup checks begin, none sooner after the start than it says. Before that
    /// an answer of "connection refused" would tell nothing.
    pub fn accepts(&mut self, executed_at: BootMillis, now: BootMillis) {
        for check in self.checks.iter_mut().filter(|check| check.check.kind == CheckKind::Startup) {
            check.begin(executed_at, now);
        }
    }

    /// The process is up: the other checks begin, none sooner after the start than it says.
    pub fn up(&mut self, executed_at: BootMillis, now: BootMillis) {
        for check in self.checks.iter_mut().filter(|check| check.check.kind != CheckKind::Startup) {
            check.begin(executed_at, now);
        }
    }

    /// The process is about to end: nothing is asked any more.
    pub fn end(&mut self) {
        for check in &mut self.checks {
            check.attempt = None;
            check.course.end();
        }
    }

    /// Sockets of attempts under way: the check's place, the socket and what it waits for.
    pub fn sockets(&self) -> impl Iterator<Item = (usize, &OwnedFd, PollFlags)> {
        let under_way = self.checks.iter().enumerate();
        under_way.filter_map(|(place, check)| {
            let attempt = check.attempt.as_ref()?;
            Some((place, attempt.socket(), attempt.waits_for()))
        })
    }

    pub fn due_at(&self) -> Option<BootMillis> {
        self.checks.iter().filter_map(Check::due_at).min()
    }

    /// The socket of the check in this place is ready.
    pub fn advance(&mut self, place: usize, now: BootMillis, buffer: &mut [u8]) -> Option<Change> {
        let verdict = self.checks.get_mut(place)?.attempt.as_mut()?.advance(buffer);
        self.judge(place, verdict, now)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: BootMillis) -> Vec<Change> {
        let mut changes = Vec::new();
        for place in 0..self.checks.len() {
            let verdict = self.checks[place].tick(now);
            changes.extend(self.judge(place, verdict, now));
        }
        changes
    }

    fn judge(&mut self, place: usize, verdict: Verdict, now: BootMillis) -> Option<Change> {
        let unready_before = self.unready();
        let check = &mut self.checks[place];
        let (turn, problem) = match verdict {
            Verdict::Undecided => return None,
            Verdict::Passed => (check.course.passed(now), String::new()),
            Verdict::Failed(detail) => (check.course.failed(now), check.problem(&detail)),
        };
        check.attempt = None;
        let (kind, name) = (check.check.kind, check.check.name.clone());
        let failed = FailedCheck { kind, name: name.clone(), problem, attempts: check.check.attempts };
        match (turn, kind) {
            (Turn::Failed, CheckKind::Startup | CheckKind::Liveness) => Some(Change::Failed(failed)),
            (Turn::Failed, CheckKind::Readiness) => (unready_before == 0).then_some(Change::Unready(failed)),
            (Turn::Passed, CheckKind::Startup) => self.has_started().then_some(Change::Started),
            (Turn::Passed, CheckKind::Readiness) => (self.unready() == 0).then_some(Change::Ready { name }),
            (Turn::Passed, CheckKind::Liveness) | (Turn::Same, _) => None,
        }
    }

    fn unready(&self) -> usize {
        self.of_kind(CheckKind::Readiness).filter(|check| check.course.has_failed()).count()
    }

    fn of_kind(&self, kind: CheckKind) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.check.kind == kind)
    }
}

impl Check {
    fn new(check: HealthCheck, endpoint: Option<SocketAddr>) -> Self {
        let port = match &check.probe {
            Probe::Http { port, .. } | Probe::Listening { port } => Some(*port),
            Probe::Uptime { .. } | Probe::Command { .. } => None,
        };
        let own = |port: Option<u16>| {
            let endpoint = endpoint?;
            Some(SocketAddr::new(endpoint.ip(), port.unwrap_or(endpoint.port())))
        };
        let course = Course::new(check.kind, check.attempts, check.wait_seconds);
        Self { address: port.and_then(own), check, course, attempt: None }
    }

    fn begin(&mut self, executed_at: BootMillis, now: BootMillis) {
        self.course.begin(executed_at.plus_seconds(self.check.first_attempt_seconds()).max(now));
    }

    fn due_at(&self) -> Option<BootMillis> {
        self.attempt.as_ref().map(Attempt::until).or(self.course.next_at())
    }

    fn tick(&mut self, now: BootMillis) -> Verdict {
        if self.due_at().is_none_or(|due| due > now) {
            return Verdict::Undecided;
        }
        match &self.attempt {
            Some(attempt) => attempt.late(self.check.timeout_seconds),
            None => self.ask(now),
        }
    }

    /// The check is due. Its first attempt at an uptime is made when that is reached.
    fn ask(&mut self, now: BootMillis) -> Verdict {
        let Some(address) = self.address else { return Verdict::Passed };
        let until = now.plus_seconds(u64::from(self.check.timeout_seconds));
        match Attempt::begin(address, &self.check.probe, until) {
            Ok(attempt) => {
                self.attempt = Some(attempt);
                Verdict::Undecided
            }
            Err(reason) => Verdict::Failed(reason),
        }
    }

    /// What was asked and what came of it, which goes before where there is no room for both.
    fn problem(&self, outcome: &str) -> String {
        let asked = match (&self.check.probe, self.address) {
            (Probe::Http { path, .. }, Some(address)) => format!("GET http://{address}{path}"),
            (_, Some(address)) => format!("connecting to {address}"),
            (_, None) => return outcome.to_owned(),
        };
        let outcome = cut(outcome, MAX_PROBLEM_BYTES / 2);
        let asked = cut(&asked, MAX_PROBLEM_BYTES - outcome.len() - ": ".len());
        format!("{asked}: {outcome}")
    }
}

/// The text in at most so many bytes.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(most - "...".len())])
}

#[cfg(test)]
mod tests;
