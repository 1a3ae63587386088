//! Removals: of an ended process, of a build's working folder, of a cache. Every one refuses while something living needs it.

use super::error::{busy, failed, not_found};
use super::{State, child, folders, say};
use crate::network;
use crate::probe::NetworkForm;
use crate::protocol::{Answer, Refusal};
use crate::run_folder::{self, LOCK_FILE, SPEC_FILE};
use domain::ids::{AppId, BuildId, ProcessId};
use std::path::Path;

/// What a tree is called that is being removed, before its own name.
pub const BEING_REMOVED: &str = ".old-";

/// Kills what is left in the process's control group, removes the group and then the run folder, so that what could not be
/// removed is still found by its folder.
pub fn process(state: &mut State, process: ProcessId) -> Result<Answer, Refusal> {
    if state.live.is_alive(process) {
        return Err(busy(format!("the shim of process {process} lives")));
    }
    let group = state.cgroups.group(process);
    let what = format!("cannot remove the control group of process {process}");
    // A group that is not there is nothing to kill in; its removal tells.
    let _ = group.kill_all();
    group.remove().map_err(|error| failed(&what, &error))?;
    let folder = state.settings.data.process(process);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed(&format!("cannot remove {}", folder.display()), &error))
        }
        Ok(()) | Err(_) => {
            state.live.forget(process);
            Ok(Answer::Done)
        }
    }
}

pub fn build(state: &mut State, build: BuildId) -> Result<Answer, Refusal> {
    if let Some(step) = state.live.step_of_build(build) {
        return Err(busy(format!("process {step} of build {build} lives")));
    }
    aside(&state.settings.data.build_works(), &build.to_string())
}

pub fn cache(state: &mut State, app: AppId) -> Result<Answer, Refusal> {
    if let Some(step) = state.live.step_of_app(app) {
        return Err(busy(format!("process {step} of a build of app {app} lives")));
    }
    aside(&state.settings.data.caches(), &app.to_string())
}

/// Gone for everybody at once, removed from the disk in the background.
fn aside(parent: &Path, name: &str) -> Result<Answer, Refusal> {
    let (path, old) = (parent.join(name), parent.join(format!("{BEING_REMOVED}{name}")));
    let failed = |error: std::io::Error| failed(&format!("cannot remove {}", path.display()), &error);
    if !folders::exists(&path) {
        return Ok(Answer::Done);
    }
    if folders::exists(&old) {
        return Err(busy(format!("an earlier {} is still being removed", path.display())));
    }
    std::fs::rename(&path, &old).map_err(failed)?;
    child::remove_tree_aside(&old).map_err(failed)?;
    Ok(Answer::Done)
}

/// What an earlier launcher left half-done.
pub fn leftovers(parent: &Path, prefix: &str) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes())) {
        let _ = child::remove_tree_aside(&entry.path());
    }
}

/// Removes what a power cut left of a start: a run folder whose spec never reached the disk and whose lock nobody holds. One with
/// a spec that cannot be read is left: a newer program may have written it.
pub fn unwritten(state: &mut State) {
    let folders = std::fs::read_dir(state.settings.data.processes()).into_iter().flatten().flatten();
    let unwritten = folders.filter(|folder| is_unwritten(&folder.path()));
    let named: Vec<ProcessId> =
        unwritten.filter_map(|folder| folder.file_name().to_str()?.parse().ok()).collect();
    for name in named {
        match process(state, name) {
            Ok(_) => say(&format!("removed the run folder of process {name}: a power cut had emptied it")),
            Err(refusal) => say(&refusal.message),
        }
    }
}

fn is_unwritten(folder: &Path) -> bool {
    let spec = std::fs::metadata(folder.join(SPEC_FILE));
    spec.is_ok_and(|spec| spec.len() == 0)
        && run_folder::is_lock_held(&folder.join(LOCK_FILE)).is_ok_and(|held| !held)
}

/// The network of an app, once nothing of the app lives in it.
pub fn network(state: &mut State, app: AppId) -> Result<Answer, Refusal> {
    if let Some(process) = state.live.process_of_app(app) {
        return Err(busy(format!("process {process} of app {app} lives")));
    }
    let what = format!("cannot remove the network of app {app}");
    match state.layers.network {
        NetworkForm::PerApp => state.network.remove(app).map_err(|error| failed(&what, &error))?,
        NetworkForm::Shared => network::forget_app(&state.settings.data.networks(), app)
            .map_err(|error| failed(&what, &error))?,
    }
    Ok(Answer::Done)
}

/// A listener or daemon that the settings do not name.
pub fn unknown(what: &str) -> Refusal {
    not_found(format!("the launcher's settings name no {what}"))
}
