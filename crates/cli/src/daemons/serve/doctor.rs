//! What `dozen doctor` shows: the launcher's word on the sandbox, the routers, the disk.

use super::super::settings::Settings;
use super::super::systemd;
use super::renewals::{self, Shims};
use api::dozen::doctor::{Check, DoctorReport, Outcome};
use domain::cause::chain;
use domain::observed::ObservedRouter;
use sandbox::client::{ClientError, Launcher};
use sandbox::network::{ForeignDrop, ForwardingState};
use sandbox::probe::{self, Privilege};
use sandbox::protocol::{LauncherStatus, NetworkReport};
use server::ports::Doctor;

/// Below this much free space a warning is due.
const LOW_SPACE_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// As many shims are named.
const NAMED_SHIMS: usize = 10;

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
        checks.extend(status.as_ref().map(form).ok());
        checks.extend(status.as_ref().map(weaker).unwrap_or_default());
        checks.extend(status.as_ref().ok().map(|status| self.shims(status)));
        checks.extend(self.network());
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
                probe::Requirement::Required | probe::Requirement::Optional => Outcome::Warning,
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

/// Which of the two forms this server has.
fn form(status: &LauncherStatus) -> Check {
    let (outcome, detail) = match status.probe.privilege {
        Privilege::Root => (Outcome::Ok, "as root: apps have user ids and networks of their own"),
        Privilege::OrdinaryUser => (
            Outcome::Warning,
            "as an ordinary user: apps, server and router share this user's id and the host's network",
        ),
    };
    let hint = "For a machine that others reach, or for code that you do not trust, run Dozen as root.";
    let hint = (outcome == Outcome::Warning).then(|| hint.to_owned());
    Check { hint, ..check("launcher", "form", outcome, detail.to_owned()) }
}

/// What lies between apps and the outside.
fn forwarding(report: &NetworkReport) -> Option<Check> {
    let inspection = report.inspection.as_ref()?;
    let (outcome, detail) = match (inspection.forwarding, report.forwarding_turned_on) {
        (ForwardingState::On, true) => {
            (Outcome::Ok, "on; it was off, and Dozen turned it on for apps' way out (net.ipv4.ip_forward)")
        }
        (ForwardingState::On, false) => (Outcome::Ok, "on, as it was before Dozen started"),
        (ForwardingState::Off, true | false) => {
            (Outcome::Warning, "off: apps reach nothing outside of this machine (net.ipv4.ip_forward)")
        }
    };
    Some(check("network", "forwarding", outcome, detail.to_owned()))
}

/// Somebody else's rules that drop what apps send and get.
fn foreign_drops(report: &NetworkReport, range: &str) -> Vec<Check> {
    let drops = report.inspection.iter().flat_map(|inspection| &inspection.foreign_drops);
    drops.map(|drop| foreign_drop(drop, range)).collect()
}

fn foreign_drop(drop: &ForeignDrop, range: &str) -> Check {
    let detail = format!(
        "the chain {} of the table {} {} drops forwarded packets unless its rules accept them: apps may reach nothing outside",
        drop.chain, drop.family, drop.table
    );
    let hint = format!(
        "Let {range} pass in it, as source and as destination; for Docker: iptables -I DOCKER-USER -s {range} -j ACCEPT, and the same with -d."
    );
    Check { hint: Some(hint), ..check("network", "firewall", Outcome::Warning, detail) }
}

/// A line for each wall that apps do without.
fn weaker(status: &LauncherStatus) -> Vec<Check> {
    let weak = status.weaker.iter();
    weak.map(|sentence| check("launcher", "weaker", Outcome::Warning, sentence.clone())).collect()
}

impl MachineDoctor {
    fn launcher(&self) -> Result<Launcher, ClientError> {
        let mut launcher = Launcher::connect(&self.settings.data.launcher_socket())?;
        launcher.hello(self.incarnation)?;
        Ok(launcher)
    }

    fn ask_launcher(&self) -> Result<LauncherStatus, ClientError> {
        self.launcher()?.status()
    }

    /// A launcher that is away has been told of already.
    fn network(&self) -> Vec<Check> {
        let range = self.settings.network_range.to_string();
        match self.launcher().and_then(|mut launcher| launcher.inspect_network()) {
            Ok(report) => forwarding(&report).into_iter().chain(foreign_drops(&report, &range)).collect(),
            Err(error @ ClientError::Refused { .. }) => {
                vec![check("network", "network", Outcome::Warning, chain(&error))]
            }
            Err(_) => Vec::new(),
        }
    }

    /// Which processes have a shim of another build than the installed one.
    fn shims(&self, status: &LauncherStatus) -> Check {
        match renewals::look(&self.settings.data, &status.build) {
            Ok(found) => shims(&found),
            Err(error) => check("launcher", "shims", Outcome::Warning, chain(&*error)),
        }
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

/// Not a fault: apps run as well as before. Yet what an upgrade mends is not mended there.
fn shims(found: &Shims) -> Check {
    if found.old.is_empty() {
        let detail = format!("{} of the installed build", found.current);
        return check("launcher", "shims", Outcome::Ok, detail);
    }
    let named: Vec<&str> = found.old.iter().take(NAMED_SHIMS).map(|shim| shim.name.as_str()).collect();
    let more = match found.old.len().saturating_sub(NAMED_SHIMS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let detail = format!(
        "{} of {} are of an earlier build: {}{more}",
        found.old.len(),
        found.old.len() + found.current,
        named.join(", ")
    );
    let hint = "Most are renewed without a restart where DOZEN_RENEW_SHIMS is on. The rest have the new one from their next start on: \
        dozen ps:restart -a APP";
    Check { hint: Some(hint.to_owned()), ..check("launcher", "shims", Outcome::Warning, detail) }
}

fn check(area: &str, name: &str, outcome: Outcome, detail: String) -> Check {
    Check { area: area.to_owned(), name: name.to_owned(), outcome, detail, hint: None }
}

#[cfg(test)]
mod tests {
    use super::super::renewals::{Ability, OldShim};
    use super::*;
    use domain::ids::ProcessId;
    use sandbox::network::{Inspection, RulesState};

    fn report(forwarding: ForwardingState, turned_on: bool, drops: &[&str]) -> NetworkReport {
        let foreign = |chain: &&str| ForeignDrop {
            family: "ip".to_owned(),
            table: "filter".to_owned(),
            chain: (*chain).to_owned(),
        };
        let inspection = Inspection {
            rules: RulesState::InForce,
            forwarding,
            uplink: None,
            foreign_drops: drops.iter().map(foreign).collect(),
        };
        NetworkReport { inspection: Some(inspection), forwarding_turned_on: turned_on }
    }

    #[test]
    fn who_turned_forwarding_on_is_told() {
        let told = |state, turned_on| {
            let check = forwarding(&report(state, turned_on, &[])).unwrap();
            (check.outcome, check.detail)
        };
        assert!(told(ForwardingState::On, true).1.contains("Dozen turned it on"));
        assert!(told(ForwardingState::On, false).1.contains("before Dozen"));
        assert_eq!(told(ForwardingState::Off, true).0, Outcome::Warning);
        let shared = NetworkReport { inspection: None, forwarding_turned_on: false };
        assert!(forwarding(&shared).is_none() && foreign_drops(&shared, "").is_empty());
    }

    #[test]
    fn shims_of_earlier_builds_are_named() {
        let old = |number: u128| OldShim {
            process: ProcessId::from_u128(number),
            name: format!("web.{number}"),
            ability: Ability::Unable,
        };
        let sound = shims(&Shims { current: 3, old: Vec::new() });
        assert_eq!((sound.outcome, sound.detail.as_str()), (Outcome::Ok, "3 of the installed build"));
        let few = shims(&Shims { current: 1, old: vec![old(1), old(2)] });
        assert_eq!(few.outcome, Outcome::Warning);
        assert_eq!(few.detail, "2 of 3 are of an earlier build: web.1, web.2");
        let many = shims(&Shims { current: 0, old: (1..=12).map(old).collect() });
        assert!(many.detail.ends_with("web.10 and 2 more"), "{}", many.detail);
    }

    #[test]
    fn a_foreign_firewall_is_named_with_its_remedy() {
        let checks = foreign_drops(&report(ForwardingState::On, false, &["FORWARD"]), "10.212.0.0/15");
        let [check] = checks.as_slice() else { panic!("one chain, one line: {checks:?}") };
        assert_eq!(check.outcome, Outcome::Warning);
        assert!(check.detail.contains("chain FORWARD of the table ip filter"), "{check:?}");
        assert!(check.hint.as_ref().is_some_and(|hint| hint.contains("10.212.0.0/15")), "{check:?}");
    }
}
