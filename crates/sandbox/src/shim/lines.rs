//! The platform's lines about a process, in Heroku's words. Pure.

use domain::plan::StopReason;
use domain::process::{ExitStatus, FailedCheck, Purpose, StopSignal};
use domain::usage::MemoryUse;
use serde::{Deserialize, Serialize};

const MEGABYTE: f64 = 1024.0 * 1024.0;

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

/// What it uses, and how much of its quota that is.
pub fn running(bytes: u64, quota: u64) -> String {
    let percent = bytes as f64 * 100.0 / quota.max(1) as f64;
    format!("Process running mem={:.0}M({percent:.1}%)", bytes as f64 / MEGABYTE)
}

pub const MEMORY_EXCEEDED: &str = "Error R14 (Memory quota exceeded)";

pub const OUT_OF_MEMORY: &str = "Error R15 (Memory quota vastly exceeded)";

pub fn oom_killed(kills: u64, hard_limit: u64) -> String {
    let what = if kills == 1 { "a process".to_owned() } else { format!("{kills} processes") };
    format!(
        "Out of memory: the kernel killed {what} at the hard limit of {:.0}M",
        hard_limit as f64 / MEGABYTE
    )
}

pub const UNMEASURED: &str =
    "Memory cannot be measured: this machine has no memory controller for control groups, see `dozen doctor`";

pub fn memory_sample(memory: &MemoryUse, quota: u64) -> String {
    let sizes = [
        ("total", memory.total_bytes()),
        ("rss", memory.rss_bytes),
        ("cache", memory.cache_bytes),
        ("swap", memory.swap_bytes),
    ];
    let pages = [("pgpgin", memory.pages_in), ("pgpgout", memory.pages_out)];
    let megabytes =
        |(name, bytes): (&str, u64)| format!("sample#memory_{name}={:.2}MB", bytes as f64 / MEGABYTE);
    let counted = |(name, count): (&str, Option<u64>)| Some(format!("sample#memory_{name}={}pages", count?));
    let mut samples: Vec<String> = sizes.into_iter().map(megabytes).collect();
    samples.extend(pages.into_iter().filter_map(counted));
    samples.push(megabytes(("quota", quota)));
    samples.join(" ")
}

/// Over one, five and fifteen minutes.
pub fn load_sample([one, five, fifteen]: [f64; 3]) -> String {
    format!("sample#load_avg_1m={one:.2} sample#load_avg_5m={five:.2} sample#load_avg_15m={fifteen:.2}")
}

pub fn not_started(reason: &str) -> String {
    format!("Process could not be started: {reason}")
}

/// A startup or liveness check has failed for good.
pub fn unhealthy(check: &FailedCheck) -> String {
    format!("Stopping this process: its {check}")
}

pub fn unready(check: &FailedCheck) -> String {
    format!("Taking this process out of the routes: its {check}")
}

pub fn ready_again(check: &str) -> String {
    format!("Taking this process back into the routes: its readiness check \"{check}\" passes again")
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Asked(StopReason),
    Own,
}

/// What becomes of a place when its process is told to end: said before the signal, for the place has a new state from then on. A
/// place that is filled again is starting; one that did not boot in time has crashed when its process has ended.
pub fn leaving(before: Before, purpose: Option<&Purpose>, cause: Cause) -> Vec<String> {
    let (Some(Purpose::Slot { .. }), Cause::Asked(why)) = (purpose, cause) else { return Vec::new() };
    let renewed = |word: &str| match before {
        Before::Starting => vec![word.to_owned()],
        Before::Up => vec![word.to_owned(), changed(before, "starting")],
    };
    match why {
        StopReason::Restart => renewed("Restarting"),
        StopReason::Cycle => renewed("Cycling"),
        StopReason::BootTimeout => Vec::new(),
        StopReason::NotWanted | StopReason::Duplicate | StopReason::Cancelled | StopReason::TimeLimit => {
            vec![changed(before, "down")]
        }
    }
}

/// The state after the end, if that says something new. A job is complete however it ends; a place has crashed if nobody asked for
/// the end, or if its process did not boot in time.
pub fn ended(before: Before, purpose: Option<&Purpose>, cause: Cause) -> Option<String> {
    match (purpose, cause) {
        (Some(Purpose::Slot { .. }), Cause::Own | Cause::Asked(StopReason::BootTimeout)) => {
            Some(changed(before, "crashed"))
        }
        (Some(Purpose::Slot { .. }), Cause::Asked(_)) => None,
        (Some(Purpose::Job { .. }) | None, Cause::Own | Cause::Asked(_)) => Some(changed(before, "complete")),
    }
}

fn changed(before: Before, after: &str) -> String {
    let before = match before {
        Before::Starting => "starting",
        Before::Up => "up",
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
    fn checks_are_told_with_their_reason() {
        let check = |attempts| FailedCheck {
            kind: domain::app_json::health::CheckKind::Liveness,
            name: "alive".to_owned(),
            problem: "GET http://10.0.0.1:5000/: 500 Oh".to_owned(),
            attempts,
        };
        assert_eq!(
            unhealthy(&check(3)),
            "Stopping this process: its liveness check \"alive\" failed 3 times in a row: GET http://10.0.0.1:5000/: 500 Oh"
        );
        assert!(unready(&check(1)).contains("\"alive\" failed once: GET"));
        assert!(ready_again("able").ends_with("readiness check \"able\" passes again"));
    }

    #[test]
    fn c_41_places_and_jobs_change_state_as_herokus_do() {
        let release = ReleaseId::from_u128(1);
        let slot = Purpose::Slot { release, process_type: "web".parse().unwrap(), index: 1 };
        let job = Purpose::Job { release, job: JobId::from_u128(2), job_kind: JobKind::OneOff, number: 1 };
        let asked = Cause::Asked;
        for (before, purpose, cause, told) in [
            (Before::Up, &slot, Cause::Own, vec!["State changed from up to crashed"]),
            (Before::Starting, &slot, Cause::Own, vec!["State changed from starting to crashed"]),
            (Before::Up, &slot, asked(StopReason::NotWanted), vec!["State changed from up to down"]),
            (
                Before::Starting,
                &slot,
                asked(StopReason::NotWanted),
                vec!["State changed from starting to down"],
            ),
            (
                Before::Up,
                &slot,
                asked(StopReason::Restart),
                vec!["Restarting", "State changed from up to starting"],
            ),
            (Before::Starting, &slot, asked(StopReason::Restart), vec!["Restarting"]),
            (
                Before::Up,
                &slot,
                asked(StopReason::Cycle),
                vec!["Cycling", "State changed from up to starting"],
            ),
            (
                Before::Starting,
                &slot,
                asked(StopReason::BootTimeout),
                vec!["State changed from starting to crashed"],
            ),
            (Before::Up, &job, Cause::Own, vec!["State changed from up to complete"]),
            (Before::Up, &job, asked(StopReason::Cancelled), vec!["State changed from up to complete"]),
        ] {
            let mut lines = leaving(before, Some(purpose), cause);
            lines.extend(ended(before, Some(purpose), cause));
            assert_eq!(lines, told, "{cause:?}");
        }
    }
}
