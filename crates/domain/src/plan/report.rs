//! Why something that is desired is not so yet: for `ps`, `releases:info` and the output of a push.

use crate::ids::{AppId, JobId, ProcessId, ReleaseId};
use crate::names::ProcessType;
use crate::time::BootMillis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything that waits, in the order of the apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Report {
    pub waiting: Vec<Waiting>,
}

impl Report {
    pub fn of_app(&self, app: AppId) -> impl Iterator<Item = &Waiting> + '_ {
        self.waiting.iter().filter(move |waiting| waiting.app() == app)
    }

    /// What holds back this release.
    pub fn of_release(&self, release: ReleaseId) -> impl Iterator<Item = &Waiting> + '_ {
        self.waiting.iter().filter(move |waiting| waiting.release() == Some(release))
    }
}

/// One thing that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Waiting {
    /// A slot without a process.
    Slot { app: AppId, release: ReleaseId, process_type: ProcessType, index: u32, why: Why },
    /// A process that was started and is not up yet.
    Boot {
        app: AppId,
        release: ReleaseId,
        process: ProcessId,
        name: String,
        until: BootUntil,
        deadline: BootMillis,
    },
    /// No web process passes its readiness checks: requests go to all of them.
    NoneReady { app: AppId },
    /// A process that finishes its requests before it is stopped.
    Drain { app: AppId, process: ProcessId, name: String, in_flight: u32, deadline: BootMillis },
    /// A process that may not be stopped before every router has confirmed that it gets no requests.
    RouterAcknowledgement { app: AppId, process: ProcessId, name: String },
    /// A candidate whose release phase has not ended.
    ReleasePhase { app: AppId, release: ReleaseId },
    /// A job that has not been started.
    Job { app: AppId, release: ReleaseId, job: JobId, why: Why },
    /// A job whose process vanished without a record of its end.
    LostJob { app: AppId, release: ReleaseId, job: JobId },
}

/// What makes a process up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootUntil {
    /// It accepts on its port.
    Accepts,
    /// Its startup checks have passed; a web process accepts on its port as well.
    ChecksPass,
}

/// Why a start has to wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    BackOff {
        crashes: u32,
        until: BootMillis,
    },
    /// The host runs as many processes as it may.
    ProcessBudget {
        limit: u32,
    },
    /// Enough processes of this app are starting at once.
    StartingLimit {
        limit: u32,
    },
    /// Its type is replaced by so many processes at a time, and its turn has not come.
    MaxInFlight {
        limit: u32,
    },
    /// The one before it has not ended.
    Predecessor {
        process: ProcessId,
    },
    /// The end of the last process in this slot is being recorded.
    RecordingExit,
    NoEndpoint,
    CannotStart {
        reason: String,
    },
}

impl Waiting {
    pub const fn app(&self) -> AppId {
        match self {
            Self::Slot { app, .. }
            | Self::Boot { app, .. }
            | Self::NoneReady { app }
            | Self::Drain { app, .. }
            | Self::RouterAcknowledgement { app, .. }
            | Self::ReleasePhase { app, .. }
            | Self::Job { app, .. }
            | Self::LostJob { app, .. } => *app,
        }
    }

    pub const fn release(&self) -> Option<ReleaseId> {
        match self {
            Self::Slot { release, .. }
            | Self::Boot { release, .. }
            | Self::ReleasePhase { release, .. }
            | Self::Job { release, .. }
            | Self::LostJob { release, .. } => Some(*release),
            Self::NoneReady { .. } | Self::Drain { .. } | Self::RouterAcknowledgement { .. } => None,
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot { process_type, index, why, .. } => write!(f, "{process_type}.{index} waits: {why}"),
            Self::Boot { name, until: BootUntil::Accepts, .. } => {
                write!(f, "{name} has started and does not accept connections on its port yet")
            }
            Self::Boot { name, until: BootUntil::ChecksPass, .. } => {
                write!(f, "{name} has started and has not passed its startup checks yet")
            }
            Self::NoneReady { .. } => f.write_str(
                "no web process passes its readiness checks: requests go to all of them, as if there were no such checks",
            ),
            Self::Drain { name, in_flight, .. } => {
                write!(f, "{name} of the previous release is finishing {in_flight} request(s)")
            }
            Self::RouterAcknowledgement { name, .. } => {
                write!(f, "{name} is kept until the router confirms that it gets no more requests")
            }
            Self::ReleasePhase { .. } => f.write_str("the release phase is running"),
            Self::Job { why, .. } => write!(f, "the job waits: {why}"),
            Self::LostJob { .. } => f.write_str("the job's process vanished without a record of its end"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackOff { crashes, .. } => {
                write!(f, "it crashed {crashes} times in a row and pauses before the next start")
            }
            Self::ProcessBudget { limit } => write!(f, "this host already runs {limit} processes, its limit"),
            Self::StartingLimit { limit } => write!(f, "{limit} processes of this app are starting already"),
            Self::MaxInFlight { limit } => {
                write!(f, "processes of its type are replaced {limit} at a time and its turn has not come")
            }
            Self::Predecessor { .. } => f.write_str("the process before it has not ended"),
            Self::RecordingExit => f.write_str("the end of the process before it is being recorded"),
            Self::NoEndpoint => f.write_str("no port is free at this app's address"),
            Self::CannotStart { reason } => f.write_str(reason),
        }
    }
}
