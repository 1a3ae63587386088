//! What a server that died left of its builds. At the start of the next one no build is under way: whatever is found belongs to
//! none. The engine fails their rows; this removes their traces.

use crate::execute::{self, ExecuteError};
use blobs::tree::remove_tree;
use domain::ids::BuildId;
use sandbox::client::Launcher;
use sandbox::layout::DataFolder;
use sandbox::run_folder::{RunObservation, observe_all};
use sandbox::spec::Kind;
use sandbox::{control, system};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for leftover builds to end: their grace and some.
const STOP_WAIT: Duration = Duration::from_secs(15);
const STOP_TICK: Duration = Duration::from_millis(50);

/// What was found and removed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// Build processes that were still running and were asked to stop.
    pub stopped: usize,
    /// Source folders removed.
    pub sources: usize,
    /// What could not be removed now and why; it costs disk, nothing else.
    pub left: Vec<String>,
}

/// Stops leftover build processes, then removes their run folders, working folders and sources. Without a launcher only the
/// sources go.
pub fn clean_abandoned(
    data: &DataFolder,
    mut launcher: Option<&mut Launcher>,
) -> Result<Cleaned, ExecuteError> {
    let mut cleaned = Cleaned::default();
    let mut builds = BTreeSet::new();
    let steps = stop_all(data, &mut cleaned)?;
    for step in &steps {
        if let Kind::Build { build } = step.spec.kind {
            builds.insert(build);
        }
        if let Some(launcher) = launcher.as_deref_mut() {
            note(&mut cleaned, "a build's run folder", execute::clean(launcher, step.spec.process, None));
        }
    }
    builds.extend(named_by_builds(&data.build_works()));
    for build in builds {
        if let Some(launcher) = launcher.as_deref_mut() {
            note(&mut cleaned, "a build's working folder", launcher.remove_build(build));
        }
    }
    remove_sources(data, &mut cleaned);
    Ok(cleaned)
}

/// Asks every running build step to stop and waits, within a limit. Returns all build steps found.
fn stop_all(data: &DataFolder, cleaned: &mut Cleaned) -> Result<Vec<RunObservation>, ExecuteError> {
    let boot = system::boot_id().map_err(ExecuteError::Pipe)?;
    let steps = || -> Result<Vec<RunObservation>, ExecuteError> {
        let scan = observe_all(data, &boot)?;
        Ok(scan.processes.into_iter().filter(|one| matches!(one.spec.kind, Kind::Build { .. })).collect())
    };
    let found = steps()?;
    for step in found.iter().filter(|step| step.state.is_live()) {
        cleaned.stopped += 1;
        note(cleaned, "a running build", control::stop(data, step.spec.process));
    }
    let deadline = Instant::now() + STOP_WAIT;
    while Instant::now() < deadline && steps()?.iter().any(|step| step.state.is_live()) {
        std::thread::sleep(STOP_TICK);
    }
    Ok(found)
}

/// Removes one build's source and nothing else: what it said is kept beside it, by others. Failing costs disk until the next
/// start.
pub(crate) fn remove_source(data: &DataFolder, build: BuildId) -> io::Result<()> {
    let source = data.build_source(build);
    let (Some(folder), Some(name)) = (source.parent(), source.file_name().and_then(OsStr::to_str)) else {
        return Ok(());
    };
    match std::fs::File::open(folder) {
        Ok(opened) => remove_tree(&opened, name)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    // A folder in which something is kept stays: then this fails.
    let _ = std::fs::remove_dir(folder);
    Ok(())
}

fn named_by_builds(folder: &Path) -> Vec<BuildId> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn remove_sources(data: &DataFolder, cleaned: &mut Cleaned) {
    for build in named_by_builds(&data.root().join("builds")) {
        let was_there = data.build_source(build).symlink_metadata().is_ok();
        let removed = remove_source(data, build);
        cleaned.sources += usize::from(was_there && removed.is_ok());
        note(cleaned, "a build's source", removed);
    }
}

fn note<E: std::fmt::Display>(cleaned: &mut Cleaned, what: &str, result: Result<(), E>) {
    if let Err(error) = result {
        cleaned.left.push(format!("{what}: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn sources_of_dead_builds_are_removed_and_nothing_else() {
        let place = tempfile::tempdir().expect("a folder");
        let data = DataFolder::new(place.path());
        let (silent, told) = (BuildId::from_u128(7), BuildId::from_u128(8));
        let folder = |build: BuildId| place.path().join("builds").join(build.to_string());
        for build in [silent, told] {
            fs::create_dir_all(data.build_source(build).join("deep/er")).expect("made");
            fs::write(data.build_source(build).join("deep/file"), "x").expect("written");
        }
        fs::write(folder(told).join("output"), "-----> Done\n").expect("written");
        fs::create_dir_all(place.path().join("builds/not-a-build")).expect("made");
        let cleaned = clean_abandoned(&data, None).expect("cleaned");
        assert_eq!(cleaned, Cleaned { stopped: 0, sources: 2, left: Vec::new() });
        assert!(!folder(silent).exists());
        assert!(!data.build_source(told).exists());
        assert_eq!(fs::read_to_string(folder(told).join("output")).expect("kept"), "-----> Done\n");
        assert!(place.path().join("builds/not-a-build").exists());
        assert_eq!(clean_abandoned(&data, None).expect("again"), Cleaned::default());
    }
}
