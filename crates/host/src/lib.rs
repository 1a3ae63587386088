//! The backend on this machine: makes what the ledger desires so, through the launcher.
//!
//! A pass is: fence (one connection to the launcher, no earlier server acts any more), `observe` the world afresh, let
//! `domain::plan` decide, `apply` the actions in order. Nothing is remembered between passes but the connection. Every
//! privileged step is a launcher request; what needs no privilege (the route table, asking a shim to stop) is done here.
//!
//! It must not decide anything, read a config value it does not pass on at once, or touch the ledger.

mod apply;
pub mod fail_points;
mod observe;
mod spec;
mod table;
mod watch;

use blobs::{LayerStore, SlugStore};
use domain::cause::chain;
use domain::desired::Desired;
use domain::ids::{Ids, ProcessId};
use domain::observed::ObservedRouter;
use domain::plan::{Plan, Waiting, plan};
use domain::time::BootMillis;
use domain::usage::Usage;
use engine::ports::{AttachError, Attached, Backend, Bell, Facts, ReleaseEnvironment, Status, UsageError};
use sandbox::client::{ClientError, Launcher};
use sandbox::control::{self, ControlError};
use sandbox::layout::DataFolder;
use sandbox::protocol::LauncherStatus;
use sandbox::spec::WindowSize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// How soon to look again while requests to a leaving process are being finished or a router has yet to confirm a table.
const DRAIN_POLL_MILLIS: u64 = 100;
/// How soon to try again what could not be done.
const RETRY_MILLIS: u64 = 1_000;

/// What the backend needs to know about its machine.
#[derive(Debug, Clone)]
pub struct HostSettings {
    pub data: DataFolder,
    /// Greater than that of every server before: older ones are fenced off the launcher.
    pub incarnation: u64,
    /// The folder of the route table.
    pub routes: PathBuf,
    /// The folder of router instances, watched for changes.
    pub routers: PathBuf,
    /// The first address of apps' networks, where they have their own.
    pub network_base: std::net::Ipv4Addr,
    /// What is run, and what it says about itself.
    pub slugs: Arc<SlugStore>,
    /// Installed packages, which go with their app.
    pub layers: LayerStore,
    /// A seed from the operating system's random source, for process ids.
    pub seed: u128,
}

/// How this machine's routers are spoken to. Wired from outside: the data plane lies above this crate.
pub struct RouterControl {
    /// Every living router with its answer; one that cannot be asked is silent, never left out.
    pub observe: Box<dyn Fn() -> Vec<ObservedRouter> + Send + Sync>,
    /// Tells every living router that there is a new table and waits, a bounded time, until it is in force.
    pub nudge: Box<dyn Fn() + Send + Sync>,
}

/// This machine as a backend.
pub struct Host {
    settings: HostSettings,
    routers: RouterControl,
    environment: Arc<dyn ReleaseEnvironment>,
    state: Mutex<State>,
}

struct State {
    launcher: Option<Launcher>,
    ids: Ids,
}

impl Host {
    pub fn new(
        settings: HostSettings,
        routers: RouterControl,
        environment: Arc<dyn ReleaseEnvironment>,
    ) -> Self {
        let ids = Ids::seeded(settings.seed);
        Self { settings, routers, environment, state: Mutex::new(State { launcher: None, ids }) }
    }

    /// The connection to the launcher, made anew after any trouble. Its hello fences off everything sent before.
    fn fence(&self, state: &mut State) -> Result<LauncherStatus, ClientError> {
        let mut launcher = match state.launcher.take() {
            Some(launcher) => launcher,
            None => {
                let mut launcher = Launcher::connect(&self.settings.data.launcher_socket())?;
                launcher.hello(self.settings.incarnation)?;
                launcher
            }
        };
        let status = launcher.status()?;
        state.launcher = Some(launcher);
        Ok(status)
    }

    fn pass(&self, state: &mut State, desired: &Desired, facts: &dyn Facts) -> Status {
        let launcher = self.fence(state);
        let now = sandbox::system::boot_now();
        let (observed, mut errors) = observe::observe(&self.settings, (self.routers.observe)(), launcher);
        let planned = plan(desired, &observed, now, &mut state.ids);
        let evidence = observe::gather_evidence(&self.settings, desired, &observed, now);
        errors.extend(apply::apply(self, state, &planned, facts));
        let wake_at = wake_at(&planned, !errors.is_empty(), now);
        Status { observed, report: planned.report, wake_at, evidence, errors }
    }
}

/// Soon after anything was done or drains; a little later after trouble; else when the plan says.
fn wake_at(planned: &Plan, trouble: bool, now: BootMillis) -> Option<BootMillis> {
    let drains = planned.report.waiting.iter().any(|waiting| match waiting {
        Waiting::Drain { .. } | Waiting::RouterAcknowledgement { .. } => true,
        Waiting::Slot { .. }
        | Waiting::Boot { .. }
        | Waiting::ReleasePhase { .. }
        | Waiting::Job { .. }
        | Waiting::NoneReady { .. }
        | Waiting::LostJob { .. } => false,
    });
    let acted = (!planned.actions.is_empty() && !trouble).then_some(now);
    let draining = drains.then(|| now.plus_millis(DRAIN_POLL_MILLIS));
    let retry = trouble.then(|| now.plus_millis(RETRY_MILLIS));
    [planned.wake_at, acted, draining, retry].into_iter().flatten().min()
}

impl Backend for Host {
    fn reconcile(&self, desired: &Desired, facts: &dyn Facts) -> Status {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.pass(&mut state, desired, facts)
    }

    fn wake(&self, bell: Bell) {
        let folders = vec![self.settings.data.processes(), self.settings.routers.clone()];
        watch::ring_on_change(folders, bell);
    }

    fn attach(&self, process: ProcessId) -> Result<Attached, AttachError> {
        match control::attach(&self.settings.data, process) {
            Ok(control::Attached::Pipes { input, output, error }) => {
                Ok(Attached::Pipes { input, output, error })
            }
            Ok(control::Attached::Terminal(master)) => Ok(Attached::Terminal(master)),
            Err(error) => Err(attach_error(&error)),
        }
    }

    fn resize(&self, process: ProcessId, columns: u16, lines: u16) -> Result<(), AttachError> {
        let size = WindowSize { rows: lines, columns };
        control::resize(&self.settings.data, process, size).map_err(|error| attach_error(&error))
    }

    fn usage(&self, process: ProcessId) -> Result<Usage, UsageError> {
        control::usage(&self.settings.data, process).map_err(|error| match &error {
            ControlError::Gone { .. } => UsageError::Gone,
            ControlError::Refused { .. } => UsageError::Untold,
            ControlError::Call { .. } | ControlError::Confused { .. } => {
                UsageError::Unreachable(chain(&error))
            }
        })
    }
}

fn attach_error(error: &ControlError) -> AttachError {
    match error {
        ControlError::Gone { .. } => AttachError::Gone,
        ControlError::Refused { .. } => AttachError::Taken,
        ControlError::Call { .. } | ControlError::Confused { .. } => AttachError::Unreachable(chain(error)),
    }
}
