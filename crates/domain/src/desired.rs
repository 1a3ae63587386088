//! What the ledger says should be so: the input of [`crate::plan::plan`], read in one transaction. It holds references, never
//! config values.

use crate::ids::{AppId, JobId, ProcessId, ReleaseId};
use crate::mutant::{self, Mutant};
use crate::names::{AppName, HostName, ProcessType, ReleaseVersion, SlugId};
use crate::process::{JobKind, Limits, Purpose, StopPolicy};
use crate::time::BootMillis;
use crate::trial::{CrashBudget, Trial};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that should run on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Desired {
    /// The ledger's epoch: grows when a ledger is restored, so that its route tables outrank those of the lost one.
    pub epoch: u64,
    pub apps: Vec<DesiredApp>,
    pub bounds: Bounds,
    /// Ends of processes that the ledger has recorded; only these may be cleaned up.
    pub recorded_exits: BTreeSet<ProcessId>,
}

/// Host-wide bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Live processes on this host at most.
    pub processes: u32,
    /// Processes of one app that may be starting at once.
    pub starting_per_app: u32,
    pub boot_timeout_seconds: u64,
    pub drain_seconds: u64,
    /// Processes that have run for this long, and a share more, are replaced ([`crate::cycle`]). `None`: never.
    #[serde(default)]
    pub cycle_after_seconds: Option<u64>,
    /// How many crashes of a new release are borne ([`crate::trial`]). `None`: any number.
    #[serde(default)]
    pub crash_budget: Option<CrashBudget>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            processes: 1000,
            starting_per_app: 16,
            boot_timeout_seconds: 60,
            drain_seconds: 30,
            cycle_after_seconds: None,
            crash_budget: None,
        }
    }
}

/// One app's share of [`Desired`]. An app that is absent has nothing: whatever of it is observed is drained, stopped and removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredApp {
    pub app: AppId,
    pub name: AppName,
    /// The app's number on this host, never used twice: its uids and its network address follow from it.
    pub index: u32,
    pub hosts: Vec<HostName>,
    pub maintenance: bool,
    /// The release that serves.
    pub current: Option<DesiredRelease>,
    /// The release that is to serve next. At most one, always newer than `current`.
    pub candidate: Option<DesiredRelease>,
    /// Jobs that have not ended, in order of creation.
    pub jobs: Vec<DesiredJob>,
}

/// A release as far as running it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredRelease {
    pub release: ReleaseId,
    pub version: ReleaseVersion,
    /// `None` for a release made by config before the first build.
    pub slug: Option<SlugId>,
    pub phase: ReleasePhase,
    pub slots: Vec<DesiredSlots>,
    /// Its first minutes, if it serves, was promoted in this boot of the machine and there is a crash budget.
    #[serde(default)]
    pub trial: Option<Trial>,
}

/// How far the release phase of a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleasePhase {
    /// The release has no `release:` process type, or it has run and succeeded.
    Done,
    /// Its job is waiting or running; nothing else of this release may start.
    Waiting,
}

/// The wanted processes of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredSlots {
    pub process_type: ProcessType,
    pub command: String,
    pub quantity: u32,
    pub strategy: Strategy,
    /// How long a process may be starting by its own startup checks, if it has any.
    pub startup_seconds: Option<u64>,
    pub limits: Limits,
    pub stop: StopPolicy,
    /// Indexes (from 1) that someone stopped: they stay down until restarted, scaled or released anew.
    pub stopped: BTreeSet<u32>,
    /// Processes of this type started before this instant are to be replaced.
    pub restarted_at: Option<BootMillis>,
    /// How often each index has crashed without a long run in between, and when it last ended.
    pub crashes: BTreeMap<u32, CrashRecord>,
}

/// The memory that back-off needs. Reset by a release and by a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashRecord {
    pub count: u32,
    pub last_exit: BootMillis,
}

/// How processes of a type are replaced by those of a new release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The new ones start beside the old ones; the old ones leave when the new ones serve. The default of `web`.
    Overlap,
    /// An old one has ended before its successor starts: a clock never ticks twice. The default of all other types.
    StopFirst,
    /// Of `web`: as `Overlap`, with at most this many starting at a time. Of others: as `StopFirst`, with at most this many
    /// being replaced, which is to say not up, at a time. Of both also when they are restarted.
    Rolling { max_in_flight: u32 },
}

impl Strategy {
    pub fn default_for(process_type: &ProcessType) -> Self {
        if process_type.is_web() { Self::Overlap } else { Self::StopFirst }
    }
}

/// A process that is to run once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredJob {
    pub job: JobId,
    pub kind: JobKind,
    pub release: ReleaseId,
    pub slug: SlugId,
    /// The display number: `run.4821`.
    pub number: u32,
    pub command: String,
    pub limits: Limits,
    pub stop: StopPolicy,
    /// Longest run, after which it is stopped.
    pub time_limit_seconds: u64,
    /// Set, once and for all, immediately before its process is spawned.
    pub started: Option<ProcessId>,
    /// Someone asked for its end.
    pub cancelled: bool,
}

impl DesiredApp {
    /// Current, then candidate.
    pub fn releases(&self) -> impl Iterator<Item = &DesiredRelease> {
        self.current.iter().chain(self.candidate.iter())
    }
}

impl DesiredApp {
    /// The slots that a process of this purpose was made for, whether it is still wanted or not.
    pub fn slots_of(&self, purpose: &Purpose) -> Option<&DesiredSlots> {
        match purpose {
            Purpose::Slot { release, process_type, .. } => {
                let release = self.releases().find(|desired| desired.release == *release)?;
                release.slots.iter().find(|slots| slots.process_type == *process_type)
            }
            Purpose::Job { .. } => None,
        }
    }
}

impl DesiredRelease {
    pub fn web(&self) -> Option<&DesiredSlots> {
        self.slots.iter().find(|slots| slots.process_type.is_web())
    }
}

impl DesiredSlots {
    /// Whether processes of a new release start beside those of the old one.
    pub fn overlap(&self) -> bool {
        match self.strategy {
            Strategy::Overlap => true,
            Strategy::StopFirst => false,
            Strategy::Rolling { .. } => self.process_type.is_web(),
        }
    }

    /// How long one of these may be starting. Checks that take longer than processes usually get are waited for; those of web begin when
    /// it accepts, for which it has the usual time.
    pub fn boot_seconds(&self, bounds: &Bounds) -> u64 {
        if mutant::active(Mutant::IgnoreStartupChecks) {
            return bounds.boot_timeout_seconds;
        }
        let (usual, checks) = (bounds.boot_timeout_seconds, self.startup_seconds.unwrap_or(0));
        if self.process_type.is_web() { usual + checks } else { usual.max(checks) }
    }

    /// The indexes that should run now, from 1 to the quantity, less the stopped ones.
    pub fn wanted(&self) -> impl Iterator<Item = u32> + '_ {
        (1..=self.quantity).filter(|index| !self.stopped.contains(index))
    }
}
