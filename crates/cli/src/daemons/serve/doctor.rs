//! What `dozen doctor` shows: the launcher's word on the sandbox, the routers, the disk.

use super::super::settings::Settings;
use super::super::systemd;
use api::dozen::doctor::{Check, DoctorReport, Outcome};
use domain::cause::chain;
use domain::observed::ObservedRouter;
use sandbox::client::{ClientError, Launcher};
use sandbox::probe;
use sandbox::protocol::LauncherStatus;
use server::ports::Doctor;

/// Below this much free space a warning is due.
const LOW_SPACE_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Looks at this machine.
pub struct MachineDoctor {
    pub settings: Settings,
    pub incarnation: u64,
}

impl Doctor for MachineDoctor {
    fn report(&self) -> DoctorReport {
        let status = self.ask_launcher();
        let mut checks = status.as_ref().map(layers).unwrap_or_default();
        let launcher = launcher(status.as_ref());
        let can_start_apps = launcher.outcome != Outcome::Failure;
        checks.push(launcher);
        checks.extend(status.as_ref().map(weaker).unwrap_or_default());
        checks.extend([self.routers(), self.disk()]);
        checks.extend(systemd::doctor::checks(self.settings.supervisor));
        DoctorReport { can_start_apps, checks }
    }
}

/// What the launcher found with root's rights: this process could not try it.
fn layers(status: &LauncherStatus) -> Vec<Check> {
    status.probe.layers.iter().map(|found| layer(found, status)).collect()
}

fn layer(layer: &probe::LayerReport, status: &LauncherStatus) -> Check {
    let name = layer.layer.to_string();
    let area = "sandbox".to_owned();
    match &layer.state {
        probe::State::Present { detail } => {
            Check { area, name, outcome: Outcome::Ok, detail: detail.clone(), hint: None }
        }
        probe::State::Missing { why, fix } => {
            let outcome = match layer.requirement {
                // Once apps start all the same, each missing layer was excused.
                probe::Requirement::Required if status.cannot_start.is_some() => Outcome::Failure,
                probe::Requirement::Required | probe::Requirement::OneOf | probe::Requirement::Optional => {
                    Outcome::Warning
                }
            };
            Check { area, name, outcome, detail: why.clone(), hint: Some(fix.clone()) }
        }
    }
}

fn launcher(status: Result<&LauncherStatus, &ClientError>) -> Check {
    let (outcome, detail) = match status {
        Err(error) => (Outcome::Failure, chain(error)),
        Ok(status) => match &status.cannot_start {
            Some(reason) => (Outcome::Failure, reason.clone()),
            None if status.weaker.is_empty() => {
                (Outcome::Ok, format!("{} processes run; every required layer holds", status.live_shims))
            }
            None => (Outcome::Ok, format!("{} processes run, in a weaker sandbox", status.live_shims)),
        },
    };
    check("launcher", "launcher", outcome, detail)
}

/// A line for each wall that apps do without.
fn weaker(status: &LauncherStatus) -> Vec<Check> {
    let weak = status.weaker.iter();
    weak.map(|sentence| check("launcher", "weaker", Outcome::Warning, sentence.clone())).collect()
}

impl MachineDoctor {
    fn ask_launcher(&self) -> Result<LauncherStatus, ClientError> {
        let mut launcher = Launcher::connect(&self.settings.data.launcher_socket())?;
        launcher.hello(self.incarnation)?;
        launcher.status()
    }

    fn routers(&self) -> Check {
        let routers = super::observe_routers(&self.settings);
        let silent = routers.iter().filter(|router| **router == ObservedRouter::Silent).count();
        let (outcome, detail) = match (routers.len(), silent) {
            (0, _) => (Outcome::Failure, "no router runs: apps do not answer".to_owned()),
            (count, 0) => (Outcome::Ok, format!("{count} answers")),
            (_, silent) => (
                Outcome::Warning,
                format!("{silent} does not answer: processes it may route to are not stopped"),
            ),
        };
        check("router", "router", outcome, detail)
    }

    fn disk(&self) -> Check {
        let name = self.settings.data.root().display().to_string();
        match rustix::fs::statvfs(self.settings.data.root()) {
            Err(error) => check("disk", &name, Outcome::Failure, error.to_string()),
            Ok(space) => {
                let free = space.f_bavail * space.f_frsize;
                let outcome = if free < LOW_SPACE_BYTES { Outcome::Warning } else { Outcome::Ok };
                check("disk", &name, outcome, format!("{:.1} GiB free", free as f64 / (1u64 << 30) as f64))
            }
        }
    }
}

fn check(area: &str, name: &str, outcome: Outcome, detail: String) -> Check {
    Check { area: area.to_owned(), name: name.to_owned(), outcome, detail, hint: None }
}
