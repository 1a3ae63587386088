//! Shims of earlier builds go on as the installed program, one after another: what an upgrade mends is mended for running processes
//! too, and they do not notice (`docs/explanation/upgrades.md`).
//!
//! A round asks every living shim which build it is, and has those renewed that are another than the launcher's. While the launcher
//! and this server are of two builds, an upgrade is under way and nothing is done. A program that cannot take over is not tried again
//! and again: after [`MOST_FAILURES`] the rest stay as they are until a server starts anew.

use super::super::settings::Settings;
use domain::cause::chain;
use domain::ids::ProcessId;
use domain::observed::ProcessState;
use sandbox::client::{ClientError, Launcher};
use sandbox::control::{self, ControlError};
use sandbox::layout::DataFolder;
use sandbox::renewal::{self, RenewalError};
use sandbox::run_folder::{self, RunFolderError};
use sandbox::spec::{Kind, ProcessSpec};
use sandbox::{build_id, system};
use std::collections::BTreeSet;
use std::time::Duration;

/// Time between two rounds.
pub const EVERY: Duration = Duration::from_secs(60);
/// Failures, of all shims together, after which no more are tried.
const MOST_FAILURES: u32 = 3;

/// Renewals since this server's start.
pub struct Renewals {
    settings: Settings,
    incarnation: u64,
    failures: u32,
    /// Told once that they cannot be renewed.
    told: BTreeSet<ProcessId>,
}

/// The shims of living processes.
#[derive(Debug, Default)]
pub struct Shims {
    /// How many are of the installed build.
    pub current: usize,
    pub old: Vec<OldShim>,
}

/// One of another build.
#[derive(Debug)]
pub struct OldShim {
    pub process: ProcessId,
    /// `web.1`, and whose.
    pub name: String,
    pub ability: Ability,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// It knows how to go on as another program.
    Able,
    /// It is of a build that did not.
    Unable,
}

/// Why nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error("cannot read the boot id")]
    Boot(#[from] std::io::Error),
    #[error(transparent)]
    Scan(#[from] RunFolderError),
}

/// Asks every living shim. One that does not answer is left out: it has just ended, or hangs, which is told elsewhere.
pub fn look(data: &DataFolder, build: &str) -> Result<Shims, Box<LookError>> {
    let boot = system::boot_id().map_err(|error| Box::new(error.into()))?;
    let scan = run_folder::observe_all(data, &boot).map_err(|error| Box::new(error.into()))?;
    let mut shims = Shims::default();
    for found in scan.processes.iter().filter(|found| is_living(&found.state) && is_of_app(&found.spec)) {
        let process = found.spec.process;
        let old = |ability| OldShim { process, name: name(&found.spec), ability };
        match control::about(data, process) {
            Ok(about) if about.build == build => shims.current += 1,
            Ok(_) => shims.old.push(old(Ability::Able)),
            Err(ControlError::Refused { .. }) => shims.old.push(old(Ability::Unable)),
            Err(ControlError::Gone { .. } | ControlError::Call { .. } | ControlError::Confused { .. }) => {}
        }
    }
    Ok(shims)
}

const fn is_living(state: &ProcessState) -> bool {
    match state {
        ProcessState::Starting
        | ProcessState::Up { .. }
        | ProcessState::Unready { .. }
        | ProcessState::Stopping { .. } => true,
        ProcessState::Exited(_) | ProcessState::Lost => false,
    }
}

/// Steps of builds end by themselves.
const fn is_of_app(spec: &ProcessSpec) -> bool {
    match spec.kind {
        Kind::Process { .. } => true,
        Kind::Build { .. } => false,
    }
}

fn name(spec: &ProcessSpec) -> String {
    format!("{} of app {}", spec.display_name, spec.app)
}

/// Whether a round goes on.
enum Course {
    On,
    /// The launcher is away, or a shim has died of it.
    Over,
}

impl Renewals {
    pub const fn new(settings: Settings, incarnation: u64) -> Self {
        Self { settings, incarnation, failures: 0, told: BTreeSet::new() }
    }

    /// One round. Blocks.
    pub fn renew(&mut self) {
        if self.failures >= MOST_FAILURES {
            return;
        }
        // A launcher that is away is told of by the driver.
        let Ok(mut launcher) = self.connect() else { return };
        let Ok(status) = launcher.status() else { return };
        if status.build != build_id::own() {
            return;
        }
        match look(&self.settings.data, &status.build) {
            Ok(shims) => self.renew_all(&mut launcher, &shims.old),
            Err(error) => tracing::warn!(error = chain(&*error), "shims cannot be looked at"),
        }
    }

    fn connect(&self) -> Result<Launcher, ClientError> {
        let mut launcher = Launcher::connect(&self.settings.data.launcher_socket())?;
        launcher.hello(self.incarnation)?;
        Ok(launcher)
    }

    fn renew_all(&mut self, launcher: &mut Launcher, old: &[OldShim]) {
        for shim in old {
            let course = match shim.ability {
                Ability::Able => self.renew_one(launcher, shim),
                Ability::Unable => self.tell_unable(shim),
            };
            match course {
                Course::On if self.failures < MOST_FAILURES => {}
                Course::On | Course::Over => return,
            }
        }
    }

    fn tell_unable(&mut self, shim: &OldShim) -> Course {
        if self.told.insert(shim.process) {
            tracing::info!(
                shim = shim.name,
                "this shim is of a build that cannot be renewed; its process keeps it"
            );
        }
        Course::On
    }

    fn renew_one(&mut self, launcher: &mut Launcher, shim: &OldShim) -> Course {
        let OldShim { process, name, .. } = shim;
        match renewal::renew(launcher, *process) {
            Ok(()) => {
                tracing::info!(%process, name, "renewed a shim");
                Course::On
            }
            Err(RenewalError::NotNow { why, .. }) => {
                tracing::debug!(%process, name, why, "a shim is renewed later");
                Course::On
            }
            Err(error) => self.failed(shim, &error),
        }
    }

    fn failed(&mut self, shim: &OldShim, error: &RenewalError) -> Course {
        tracing::warn!(process = %shim.process, name = shim.name, error = chain(error), "did not renew a shim");
        match error {
            RenewalError::Refused { .. } | RenewalError::Confused { .. } => {
                self.failures += 1;
                Course::On
            }
            // It may have died of it: the others are not risked.
            RenewalError::NoAnswer { .. } => {
                self.failures = MOST_FAILURES;
                Course::Over
            }
            RenewalError::Launcher(_) | RenewalError::Socket { .. } => Course::Over,
            RenewalError::NotNow { .. } => Course::On,
        }
    }
}
