//! What a process is for, how it ended, what it may use and how it is stopped.

use crate::app_json::health::CheckKind;
use crate::ids::{JobId, ReleaseId};
use crate::names::ProcessType;
use crate::time::BootMillis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a process runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Purpose {
    /// One of a formation's places: `web.1` is index 1 of type `web`.
    Slot { release: ReleaseId, process_type: ProcessType, index: u32 },
    /// A process that runs once to its end.
    Job { release: ReleaseId, job: JobId, job_kind: JobKind, number: u32 },
}

impl Purpose {
    pub const fn release(&self) -> ReleaseId {
        match self {
            Self::Slot { release, .. } | Self::Job { release, .. } => *release,
        }
    }

    pub fn is_web(&self) -> bool {
        match self {
            Self::Slot { process_type, .. } => process_type.is_web(),
            Self::Job { .. } => false,
        }
    }

    /// `web.1`, `run.4821`, `release.12`: for people and log lines; not unique while releases overlap.
    pub fn display_name(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot { process_type, index, .. } => write!(f, "{process_type}.{index}"),
            Self::Job { job_kind: JobKind::OneOff, number, .. } => write!(f, "run.{number}"),
            Self::Job { job_kind: JobKind::ReleasePhase, number, .. } => write!(f, "release.{number}"),
            Self::Job { job_kind: JobKind::Cron, number, .. } => write!(f, "cron.{number}"),
        }
    }
}

/// Kinds of processes that run once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Started by a person: `dozen run`.
    OneOff,
    /// The `release:` process type, before a release serves.
    ReleasePhase,
    /// Started by a schedule.
    Cron,
}

impl JobKind {
    pub const ALL: [Self; 3] = [Self::OneOff, Self::ReleasePhase, Self::Cron];
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub at: BootMillis,
    pub status: ExitStatus,
    /// Whether a stop had been asked for before it ended.
    pub stop_requested: bool,
    pub out_of_memory: bool,
    /// The health check that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_check: Option<FailedCheck>,
}

/// A health check that has failed as often in a row as it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCheck {
    pub kind: CheckKind,
    pub name: String,
    /// What was asked and what came of it, in one line: `GET http://10.210.0.3:5000/health answered 503 Service Unavailable`.
    pub problem: String,
    /// Attempts that failed in a row.
    pub attempts: u32,
}

impl fmt::Display for FailedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, problem, attempts } = self;
        let times = if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times in a row") };
        write!(f, "{} check \"{name}\" failed {times}: {problem}", kind.as_word())
    }
}

/// A child's wait status, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It returned this code, 0 to 255.
    Code(u8),
    /// It was ended by this signal number.
    Signal(u8),
    /// It never ran: its sandbox could not be made. The reason is in the log.
    NotStarted,
}

impl ExitStatus {
    /// The code a shell would report: 128 + signal number for a signal.
    pub const fn shell_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => signal.saturating_add(128),
            Self::NotStarted => 127,
        }
    }

    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "status {code}"),
            Self::Signal(signal) => write!(f, "status {} (signal {signal})", self.shell_code()),
            Self::NotStarted => f.write_str("status 127 (could not be started)"),
        }
    }
}

/// How a process is asked to end: a signal, a grace, then SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopPolicy {
    pub signal: StopSignal,
    pub to: StopTarget,
    pub grace_seconds: u32,
}

/// The signal that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopSignal {
    Term,
    Int,
}

/// Who gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopTarget {
    /// Every process of the pid namespace, as Heroku does.
    All,
    /// Only the process that was started, as database servers want.
    Leader,
}

impl StopPolicy {
    /// Heroku's: SIGTERM to all, 30 s, SIGKILL.
    pub const APP: Self = Self { signal: StopSignal::Term, to: StopTarget::All, grace_seconds: 30 };
}

/// What a process may use. Fields that came later may be absent in what an older version wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The quota. Who is above it is told so (R14) and goes on.
    pub memory_bytes: u64,
    /// The most that the kernel lets it have; beyond, it is killed (R15). `None`: the quota.
    #[serde(default)]
    pub memory_hard_bytes: Option<u64>,
    /// Relative share of CPU time when cores are busy, 1 to 10000, as in cgroup v2.
    pub cpu_weight: u32,
    /// The most CPU time that it gets, in thousandths of a core. `None`: what is free.
    #[serde(default)]
    pub cpu_millicores: Option<u32>,
    /// Processes and threads.
    pub processes: u32,
    /// Room in `/tmp`, and as much again in `/dev/shm`. Both count as memory. `None`: the quota.
    #[serde(default)]
    pub tmp_bytes: Option<u64>,
}

impl Limits {
    pub const DEFAULT: Self = Self {
        memory_bytes: 512 * 1024 * 1024,
        memory_hard_bytes: None,
        cpu_weight: 100,
        cpu_millicores: None,
        processes: 512,
        tmp_bytes: None,
    };

    /// Where the kernel ends it.
    pub const fn hard_memory_bytes(&self) -> u64 {
        match self.memory_hard_bytes {
            Some(bytes) => bytes,
            None => self.memory_bytes,
        }
    }

    /// Room in `/tmp`.
    pub const fn tmp_bytes(&self) -> u64 {
        match self.tmp_bytes {
            Some(bytes) => bytes,
            None => self.memory_bytes,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a listening check found when a web process did not accept on its port in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootDiagnosis {
    /// It listens on nothing.
    NothingBound,
    /// It listens, on other ports.
    OtherPorts(Vec<u16>),
    /// It listens on the right port, of the loopback address only.
    LoopbackOnly,
}
