//! What a plan tells execution to do. Nothing is left to choose: names, endpoints and order are all decided.

use crate::endpoint::Endpoint;
use crate::ids::{AppId, ProcessId};
use crate::names::{AppName, ReleaseVersion, SlugId};
use crate::plan::report::Report;
use crate::process::{Limits, Purpose, StopPolicy};
use crate::route::RouteTable;
use crate::time::BootMillis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The outcome of one look at the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Plan {
    /// To be done in this order. If one fails, later ones of the same app are left for the next pass.
    pub actions: Vec<Action>,
    /// When to look again even if nothing happens.
    pub wake_at: Option<BootMillis>,
    pub report: Report,
}

/// One idempotent step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "a plan holds few, and lives for one pass")]
pub enum Action {
    /// Delete the run folder and whatever the kernel still holds of an ended process.
    Remove {
        app: AppId,
        process: ProcessId,
    },
    Stop {
        app: AppId,
        process: ProcessId,
        policy: StopPolicy,
        why: StopReason,
    },
    Publish {
        table: RouteTable,
    },
    RemoveNetwork {
        app: AppId,
    },
    CreateNetwork {
        app: AppId,
        index: u32,
    },
    Spawn {
        spawn: Spawn,
    },
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawn {
    pub process: ProcessId,
    pub app: AppId,
    pub app_name: AppName,
    pub app_index: u32,
    pub purpose: Purpose,
    pub version: Option<ReleaseVersion>,
    pub slug: SlugId,
    pub command: String,
    pub limits: Limits,
    pub stop: StopPolicy,
    /// Where it is told to listen: processes of the formation get one, jobs do not.
    pub endpoint: Option<Endpoint>,
    pub time_limit_seconds: Option<u64>,
}

/// Why a process is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Another release serves, the formation is smaller, or the app is gone.
    NotWanted,
    /// Someone asked for a restart.
    Restart,
    /// It has run for as long as processes may (the setting that cycles them).
    Cycle,
    /// A second process for the same slot.
    Duplicate,
    /// It did not accept on its port in time (R10), or its startup checks did not come to an end.
    BootTimeout,
    /// The job was cancelled.
    Cancelled,
    /// The job ran longer than it may.
    TimeLimit,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotWanted => "no longer wanted",
            Self::Restart => "restart requested",
            Self::Cycle => "cycled after a long run",
            Self::Duplicate => "a second process in its slot",
            Self::BootTimeout => "not started in time",
            Self::Cancelled => "cancelled",
            Self::TimeLimit => "time limit reached",
        })
    }
}
