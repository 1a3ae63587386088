//! From what is wanted and what is found to the steps between. Pure: nothing found and nothing wanted differently, no steps.

use super::observed::{Activity, Observed};
use super::step::Step;
use super::units::{self, Kind, Unit};
use super::wanted::{self, Wanted};
use std::path::PathBuf;

const FOLDER_MODE: u32 = 0o755;

/// What makes this machine the one that is wanted. `units`: rendered for the program that installs.
pub fn plan_install(wanted: &Wanted, units: &[Unit], observed: &Observed) -> Vec<Step> {
    let mut steps = plan_users(wanted, observed);
    steps.extend(plan_folders(wanted, observed));
    if !observed.program_is_current {
        steps.push(Step::CopyProgram { to: wanted.program.clone() });
    }
    let files = plan_files(wanted, units, observed);
    let reload = files.iter().any(is_unit) || observed.units.values().any(|unit| unit.outdated);
    steps.extend(files);
    if reload {
        steps.push(Step::Reload);
    }
    steps.extend(plan_services(units, observed));
    if observed.first_login || !observed.is_installed() {
        steps.push(Step::TakeFirstLogin);
    }
    steps
}

fn plan_users(wanted: &Wanted, observed: &Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, id, about) in units::users(&wanted.settings) {
        let name = name.to_owned();
        if !observed.groups.contains_key(&name) {
            steps.push(Step::MakeGroup { name: name.clone(), gid: id });
        }
        if !observed.users.contains_key(&name) {
            steps.push(Step::MakeUser { name, uid: id, about: about.to_owned() });
        }
    }
    steps
}

fn plan_folders(wanted: &Wanted, observed: &Observed) -> Vec<Step> {
    let configuration = wanted.environment_file.parent().map(PathBuf::from);
    let folders = configuration.into_iter().chain([wanted.settings.data.root().to_owned()]);
    let missing = folders.filter(|path| !observed.folders.contains(path));
    missing.map(|path| Step::MakeFolder { path, mode: FOLDER_MODE }).collect()
}

fn plan_files(wanted: &Wanted, units: &[Unit], observed: &Observed) -> Vec<Step> {
    let files = units.iter().map(|unit| (wanted::unit_path(unit.name), unit.text.clone()));
    let differing = files.filter(|(path, text)| observed.files.get(path) != Some(text));
    let units = differing.map(|(path, text)| Step::WriteFile { path, text });
    plan_settings_file(wanted, observed).into_iter().chain(units).collect()
}

fn plan_settings_file(wanted: &Wanted, observed: &Observed) -> Option<Step> {
    let (path, text) = (wanted.environment_file.clone(), wanted.environment.render());
    let is_right = observed.files.get(&path) == Some(&text) && !observed.settings_are_public;
    (!is_right).then_some(Step::WriteSettings { path, text })
}

fn is_unit(step: &Step) -> bool {
    matches!(step, Step::WriteFile { path, .. } if path.starts_with(wanted::UNIT_FOLDER))
}

/// Sockets before services, apps never: what runs already and is as it should be is left alone.
fn plan_services(units: &[Unit], observed: &Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    let off: Vec<_> =
        units.iter().map(|unit| unit.name).filter(|name| !observed.unit(name).enabled).collect();
    if !off.is_empty() {
        steps.push(Step::Enable { units: off });
    }
    let moved: Vec<_> = units.iter().filter_map(|unit| moved_socket(unit, observed)).flatten().collect();
    if !moved.is_empty() {
        steps.push(Step::Stop { units: moved.clone() });
    }
    let stopped = |name: &str| moved.contains(&name) || observed.unit(name).activity == Activity::Inactive;
    let stale: Vec<_> = units
        .iter()
        .filter(|unit| is_stale(unit, observed))
        .map(|unit| unit.name)
        .filter(|name| !stopped(name))
        .collect();
    if !stale.is_empty() {
        steps.push(Step::Restart { units: stale });
    }
    let off: Vec<_> = units.iter().map(|unit| unit.name).filter(|name| stopped(name)).collect();
    if !off.is_empty() {
        steps.push(Step::Start { units: off });
    }
    steps
}

/// The service, which keeps the socket from being made anew while it runs, and the socket.
fn moved_socket(unit: &Unit, observed: &Observed) -> Option<[&'static str; 2]> {
    let Kind::Socket { service } = unit.kind else { return None };
    let differs = observed.files.get(&wanted::unit_path(unit.name)) != Some(&unit.text);
    let found = observed.unit(unit.name);
    let moved = found.activity == Activity::Active && (differs || found.outdated);
    moved.then_some([service, unit.name])
}

/// It runs, and was started from something else than what is there now.
fn is_stale(unit: &Unit, observed: &Observed) -> bool {
    let found = observed.unit(unit.name);
    unit.kind == Kind::Daemon && found.activity == Activity::Active && found.fingerprint != unit.fingerprint
}

/// What becomes of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    Keep,
    Purge,
}

/// What takes Dozen off this machine. The program itself goes last but for its users, so that a cut-off run can be repeated.
pub fn plan_uninstall(wanted: &Wanted, observed: &Observed, data: Data) -> Vec<Step> {
    let present: Vec<&'static str> =
        units::ALL.into_iter().filter(|name| observed.files.contains_key(&wanted::unit_path(name))).collect();
    let mut steps = Vec::new();
    if units::ALL.iter().any(|name| observed.unit(name).activity == Activity::Active) {
        steps.push(Step::StopAll);
    }
    if !present.is_empty() {
        steps.push(Step::Stop { units: vec![units::SLICE] });
    }
    steps.push(Step::RemoveNetworks);
    if !present.is_empty() {
        steps.push(Step::Disable { units: present.clone() });
    }
    steps.extend(present.iter().map(|name| Step::RemoveFile { path: wanted::unit_path(name) }));
    if !present.is_empty() {
        steps.push(Step::Reload);
    }
    if data == Data::Purge {
        steps.extend(plan_purge(wanted, observed));
    }
    if observed.program_present {
        steps.push(Step::RemoveFile { path: wanted.program.clone() });
    }
    steps
}

/// With the data, everything that a later installation would find again: settings and users.
fn plan_purge(wanted: &Wanted, observed: &Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    let data = wanted.settings.data.root().to_owned();
    if observed.folders.contains(&data) {
        steps.push(Step::RemoveData { path: data });
    }
    if observed.files.contains_key(&wanted.environment_file) {
        steps.push(Step::RemoveFile { path: wanted.environment_file.clone() });
        steps.extend(
            wanted.environment_file.parent().map(|path| Step::RemoveEmptyFolder { path: path.to_owned() }),
        );
    }
    for (name, _, _) in units::users(&wanted.settings) {
        let name = name.to_owned();
        if observed.users.contains_key(&name) {
            steps.push(Step::RemoveUser { name: name.clone() });
        }
        if observed.groups.contains_key(&name) {
            steps.push(Step::RemoveGroup { name });
        }
    }
    steps
}
