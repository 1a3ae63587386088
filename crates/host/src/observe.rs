//! A fresh look at this machine: run folders, the route table on disk, routers, networks.

use crate::{HostSettings, table};
use domain::cause::chain;
use domain::desired::Desired;
use domain::endpoint::Addressing;
use domain::ids::AppId;
use domain::observed::{BootEvidence, Observed, ObservedRouter, ProcessState};
use domain::time::BootMillis;
use engine::ports::BackendError;
use sandbox::client::ClientError;
use sandbox::probe::NetworkForm;
use sandbox::protocol::LauncherStatus;
use sandbox::run_folder::{self, RunScan};
use sandbox::{control, network, system};
use std::collections::BTreeSet;
use std::path::Path;

/// Looks at everything. What could not be read is told beside it; if a living process may hide behind that, nothing may be
/// started.
pub(crate) fn observe(
    settings: &HostSettings,
    routers: Vec<ObservedRouter>,
    launcher: Result<LauncherStatus, ClientError>,
) -> (Observed, Vec<BackendError>) {
    let mut errors = Vec::new();
    let (form, cannot_start) = match launcher {
        Ok(status) => (Some(status.network), status.cannot_start),
        Err(error) => (None, Some(format!("no process can be started: {}", chain(&error)))),
    };
    let (networks, addressing) = observe_networks(settings, form, &mut errors);
    let (scan, blind) = scan_processes(settings);
    errors.extend(scan.problems.iter().map(|problem| everyone(chain(problem))));
    let published = table::read(&settings.routes).unwrap_or_else(|error| {
        errors.push(everyone(chain(&error)));
        None
    });
    let observed = Observed {
        addressing,
        processes: scan.processes.iter().filter_map(run_folder::RunObservation::to_observed).collect(),
        published,
        routers,
        networks,
        cannot_start: cannot_start.or(blind),
    };
    (observed, errors)
}

/// Which apps have a network, and how their endpoints lie to one another. While the launcher is away its form is not known and
/// nothing is started: then any trace of a network counts as one.
fn observe_networks(
    settings: &HostSettings,
    form: Option<NetworkForm>,
    errors: &mut Vec<BackendError>,
) -> (BTreeSet<AppId>, Addressing) {
    let folder = settings.data.networks();
    let (networks, addressing) = match form {
        None => (network::noted_apps(&folder), Ok(Addressing::PerApp { base: settings.network_base })),
        Some(NetworkForm::PerApp) => {
            (network::pinned_apps(&folder), Ok(Addressing::PerApp { base: settings.network_base }))
        }
        Some(NetworkForm::Shared) => (
            network::noted_apps(&folder),
            network::listening_ports().map(|taken| Addressing::Shared { taken }),
        ),
    };
    let networks = networks.unwrap_or_else(|error| {
        errors.push(everyone(format!("networks cannot be seen: {error}")));
        BTreeSet::new()
    });
    let addressing = addressing.unwrap_or_else(|error| {
        errors.push(everyone(format!("ports in use cannot be seen: {error}")));
        Addressing::Shared { taken: BTreeSet::new() }
    });
    (networks, addressing)
}

fn everyone(message: String) -> BackendError {
    BackendError { app: None, message }
}

/// Scans the run folders, and says why no process may be started if a living one might not be seen.
fn scan_processes(settings: &HostSettings) -> (RunScan, Option<String>) {
    let scan = system::boot_id().map_err(|error| format!("the machine's boot id cannot be read: {error}"));
    let scan =
        scan.and_then(|boot| run_folder::observe_all(&settings.data, &boot).map_err(|error| chain(&error)));
    match scan {
        Ok(scan) => {
            let blind = find_hidden(settings, &scan);
            (scan, blind)
        }
        Err(reason) => (RunScan::default(), Some(format!("running processes cannot be seen: {reason}"))),
    }
}

/// A living shim whose run folder cannot be understood: its slot or its port might be given out twice.
fn find_hidden(settings: &HostSettings, scan: &RunScan) -> Option<String> {
    if scan.problems.is_empty() {
        return None;
    }
    let entries = std::fs::read_dir(settings.data.processes()).into_iter().flatten().flatten();
    let known =
        |folder: &Path| scan.processes.iter().any(|p| settings.data.process(p.spec.process) == folder);
    let held = |folder: &Path| run_folder::is_lock_held(&folder.join(run_folder::LOCK_FILE)).unwrap_or(true);
    let hidden = entries.map(|entry| entry.path()).find(|folder| !known(folder) && held(folder))?;
    Some(format!("the process in {} is running and cannot be recognised", hidden.display()))
}

/// What web processes listen on that have used up their boot time.
pub(crate) fn gather_evidence(
    settings: &HostSettings,
    desired: &Desired,
    observed: &Observed,
    now: BootMillis,
) -> Vec<BootEvidence> {
    let starting = observed
        .processes
        .iter()
        .filter(|process| process.state == ProcessState::Starting && process.purpose.is_web());
    let late = starting.filter_map(|process| {
        let app = desired.apps.iter().find(|app| app.app == process.app);
        let slots = app.and_then(|app| app.slots_of(&process.purpose));
        let usual = desired.bounds.boot_timeout_seconds;
        let seconds = slots.map_or(usual, |slots| slots.boot_seconds(&desired.bounds));
        (process.started_at.plus_seconds(seconds) <= now).then_some((process.process, seconds))
    });
    late.filter_map(|(process, seconds)| {
        let diagnosis = control::diagnose(&settings.data, process).ok()?;
        Some(BootEvidence { process, diagnosis, seconds })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use domain::endpoint::{app_address, gateway_address};
    use sandbox::network::NetworkSettings;

    /// What is planned and what the launcher sets up must be the same address.
    #[test]
    fn planned_addresses_are_those_of_the_networks() {
        let networks = NetworkSettings::new("/nowhere".into());
        let base = networks.range.range().base();
        for index in [0, 1, 255, 256, 49_999, 130_815, 130_816] {
            assert_eq!(app_address(base, index), networks.address_of(index), "app number {index}");
        }
        assert_eq!(gateway_address(base), networks.range.gateway());
    }
}
