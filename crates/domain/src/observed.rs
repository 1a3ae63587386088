//! What a fresh look at the host finds. Nothing here is remembered from an earlier pass.

use crate::endpoint::{Addressing, Endpoint};
use crate::ids::{AppId, ProcessId};
use crate::process::{BootDiagnosis, Exit, Purpose};
use crate::route::{RouteTable, RouterStatus};
use crate::time::BootMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The host as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    pub addressing: Addressing,
    /// Everything that has a run folder, ended or not.
    pub processes: Vec<ObservedProcess>,
    /// The route table on disk.
    pub published: Option<RouteTable>,
    /// Living router instances.
    pub routers: Vec<ObservedRouter>,
    /// Apps whose network exists.
    pub networks: BTreeSet<AppId>,
    /// Why no process can be started at this time, if so: a missing sandbox layer, or the launcher is away.
    pub cannot_start: Option<String>,
}

/// A process with a run folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedProcess {
    pub process: ProcessId,
    pub app: AppId,
    pub purpose: Purpose,
    /// Where it was told to listen.
    pub endpoint: Option<Endpoint>,
    pub started_at: BootMillis,
    pub state: ProcessState,
}

/// Where in its life a process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ProcessState {
    /// Running, not yet seen to accept or to pass its startup checks. Only web processes and those with such checks stay here;
    /// others are up at once.
    Starting,
    /// Ready. Sticky: a process that was up once is never `Starting` again.
    Up { since: BootMillis },
    /// Up, and a readiness check fails: no requests are wanted until it passes again.
    Unready { since: BootMillis },
    /// A stop is under way.
    Stopping { since: BootMillis },
    /// Ended, with its exit record.
    Exited(Exit),
    /// No living shim and no exit record: the machine rebooted or someone killed the shim. How it ended is not known.
    Lost,
}

impl ProcessState {
    /// Whether a child may still be running.
    pub const fn is_live(&self) -> bool {
        match self {
            Self::Starting | Self::Up { .. } | Self::Unready { .. } | Self::Stopping { .. } => true,
            Self::Exited(_) | Self::Lost => false,
        }
    }

    /// Whether it has started, be it ready for requests or not.
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. } | Self::Unready { .. })
    }
}

/// A router instance that is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ObservedRouter {
    Answered(RouterStatus),
    /// Alive, but it did not answer in time: it may hold any table that was ever published.
    Silent,
}

/// What a web process listens on, asked for when its boot takes too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootEvidence {
    pub process: ProcessId,
    pub diagnosis: BootDiagnosis,
    /// How long it had to start.
    pub seconds: u64,
}
