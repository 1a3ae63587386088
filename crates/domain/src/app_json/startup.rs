//! How long a start may take that startup checks decide about.

use super::AppJson;
use super::health::{CheckKind, HealthCheck, Probe};
use crate::names::ProcessType;

/// Longest time that a startup check may take to fail: a release that waits for longer is not about to start.
pub const LONGEST_SECONDS: u64 = 3600;
/// From the last moment at which a check can fail to the one at which the process counts as overdue: the check's verdict says more.
pub const MARGIN_SECONDS: u64 = 10;

impl HealthCheck {
    /// From a process's start to the first attempt: an uptime is asked for when it can have been reached.
    pub fn first_attempt_seconds(&self) -> u64 {
        let uptime = match &self.probe {
            Probe::Uptime { seconds } => *seconds,
            Probe::Http { .. } | Probe::Listening { .. } | Probe::Command { .. } => 0,
        };
        u64::from(self.initial_delay_seconds.max(uptime))
    }

    /// From a process's start to the moment at which every attempt has failed, at the latest.
    pub fn longest_seconds(&self) -> u64 {
        let attempt = u64::from(self.timeout_seconds) + u64::from(self.wait_seconds);
        self.first_attempt_seconds() + u64::from(self.attempts) * attempt
    }
}

impl AppJson {
    /// How long processes of this type may take to start by what their startup checks say; `None` without such checks.
    pub fn startup_seconds(&self, process_type: &ProcessType) -> Option<u64> {
        let checks = self.health_checks.get(process_type)?;
        let startup = checks.iter().filter(|check| check.kind == CheckKind::Startup);
        startup.map(HealthCheck::longest_seconds).max().map(|seconds| seconds + MARGIN_SECONDS)
    }
}

pub(super) fn check_length(check: &HealthCheck) -> Result<(), String> {
    let seconds = check.longest_seconds();
    if check.kind == CheckKind::Startup && seconds > LONGEST_SECONDS {
        return Err(format!(
            "it may take {seconds} seconds to fail, {LONGEST_SECONDS} are allowed. Fix: lower \"attempts\", \"timeout\", \"wait\" or \
             \"initialDelay\""
        ));
    }
    Ok(())
}
