//! The platform's lines about a process, in Heroku's words. Pure.

use domain::process::{ExitStatus, Purpose, StopSignal};

pub fn starting(command: &str) -> String {
    format!("Starting process with command `{command}`")
}

pub const UP: &str = "State changed from starting to up";

pub fn stopping(signal: StopSignal) -> String {
    let signal = match signal {
        StopSignal::Term => "SIGTERM",
        StopSignal::Int => "SIGINT",
    };
    format!("Stopping all processes with {signal}")
}

pub fn time_limit(seconds: u64) -> String {
    format!("Time limit of {seconds} seconds reached")
}

pub fn exit_timeout(grace_seconds: u32) -> String {
    format!(
        "Error R12 (Exit timeout) -> At least one process failed to exit within {grace_seconds} seconds of SIGTERM"
    )
}

pub const KILLING: &str = "Stopping remaining processes with SIGKILL";

pub const OUT_OF_MEMORY: &str = "Error R15 (Memory quota vastly exceeded)";

pub fn not_started(reason: &str) -> String {
    format!("Process could not be started: {reason}")
}

pub fn exited(status: ExitStatus) -> String {
    format!("Process exited with status {}", status.shell_code())
}

/// Whether a process had been up when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    Starting,
    Up,
}

/// How its end came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Asked,
    Own,
}

/// A job is complete however it ends; a slot is down if that was asked for, and crashed if not.
pub fn ended(before: Before, purpose: Option<&Purpose>, cause: Cause) -> String {
    let before = match before {
        Before::Starting => "starting",
        Before::Up => "up",
    };
    let after = match (purpose, cause) {
        (Some(Purpose::Slot { .. }), Cause::Own) => "crashed",
        (Some(Purpose::Slot { .. }), Cause::Asked) => "down",
        (Some(Purpose::Job { .. }) | None, Cause::Own | Cause::Asked) => "complete",
    };
    format!("State changed from {before} to {after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::{JobId, ReleaseId};
    use domain::process::JobKind;

    #[test]
    fn lines_are_herokus() {
        assert_eq!(starting("bin/web -p 1"), "Starting process with command `bin/web -p 1`");
        assert_eq!(
            exit_timeout(30),
            "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM"
        );
        assert_eq!(exited(ExitStatus::Signal(15)), "Process exited with status 143");
        assert_eq!(exited(ExitStatus::Code(2)), "Process exited with status 2");
    }

    #[test]
    fn the_state_after_the_end() {
        let release = ReleaseId::from_u128(1);
        let slot = Purpose::Slot { release, process_type: "web".parse().unwrap(), index: 1 };
        let job = Purpose::Job { release, job: JobId::from_u128(2), job_kind: JobKind::OneOff, number: 1 };
        for (before, purpose, cause, expected) in [
            (Before::Up, &slot, Cause::Own, "up to crashed"),
            (Before::Starting, &slot, Cause::Own, "starting to crashed"),
            (Before::Up, &slot, Cause::Asked, "up to down"),
            (Before::Up, &job, Cause::Own, "up to complete"),
            (Before::Up, &job, Cause::Asked, "up to complete"),
        ] {
            assert_eq!(ended(before, Some(purpose), cause), format!("State changed from {expected}"));
        }
    }
}
