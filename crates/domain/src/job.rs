//! Jobs: processes that run once to their end. A one-off is asked for by a person, a release phase belongs to its
//! release, a run of a recurring command comes of its schedule.

use crate::ids::{AccountId, AppId, JobId, ProcessId, ReleaseId};
use crate::process::{ExitStatus, JobKind, Limits};
use crate::time::WallMillis;
use serde::{Deserialize, Serialize};

/// The longest run of a release phase, Heroku's.
pub const RELEASE_PHASE_LIMIT_SECONDS: u64 = 3600;
/// The longest run of a recurring command: a day, as of any one-off process.
pub const CRON_LIMIT_SECONDS: u64 = 24 * 3600;
/// The longest run of a one-off process unless its maker asks for less: a day.
pub const ONE_OFF_LIMIT_SECONDS: u64 = 24 * 3600;

/// Where a job's standard streams lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum JobStreams {
    /// Output to the log; nothing to read. Detached one-offs and release phases.
    Log,
    /// Plain pipes held for the person who attaches.
    Pipes,
    /// A terminal held for the person who attaches.
    Terminal { columns: u16, lines: u16 },
}

impl JobStreams {
    pub const fn is_attached(self) -> bool {
        match self {
            Self::Log => false,
            Self::Pipes | Self::Terminal { .. } => true,
        }
    }
}

/// A job as the ledger knows it. Its environment is not here: it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    pub app: AppId,
    pub kind: JobKind,
    pub release: ReleaseId,
    /// The display number: `run.4821`, `release.12`.
    pub number: u32,
    pub command: String,
    pub streams: JobStreams,
    pub limits: Limits,
    pub time_limit_seconds: u64,
    /// `None`: the system.
    pub actor: Option<AccountId>,
    pub created_at: WallMillis,
    pub updated_at: WallMillis,
    pub cancelled: bool,
    pub state: JobState,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    Waiting,
    /// Its process was recorded immediately before it was spawned.
    Started {
        process: ProcessId,
    },
    Ended {
        process: ProcessId,
        status: ExitStatus,
    },
    /// It was started, has no living shim and left no record. It is never started again.
    Lost {
        process: ProcessId,
    },
    /// It was cancelled before it started.
    NeverStarted,
}

impl JobState {
    pub const fn has_ended(&self) -> bool {
        match self {
            Self::Waiting | Self::Started { .. } => false,
            Self::Ended { .. } | Self::Lost { .. } | Self::NeverStarted => true,
        }
    }

    pub const fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Started { process } | Self::Ended { process, .. } | Self::Lost { process } => {
                Some(*process)
            }
            Self::Waiting | Self::NeverStarted => None,
        }
    }
}

impl Job {
    /// `run.4821`
    pub fn display_name(&self) -> String {
        match self.kind {
            JobKind::OneOff => format!("run.{}", self.number),
            JobKind::ReleasePhase => format!("release.{}", self.number),
            JobKind::Cron => format!("cron.{}", self.number),
        }
    }
}
