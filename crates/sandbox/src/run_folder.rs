//! Run folders: the only memory of what runs. A folder `DATA/run/p/<process>` appears whole (the launcher makes it under a
//! temporary name and renames it) and holds:
//!
//! * `spec.json`: the spec, unchanged; * `lock`: held (flock) by the shim for its whole life, and by nobody else. Both are names
//!   of one file;
//! * `ready`, `stopping`, `exit`: facts, each written once, by temporary file and rename; * `readiness`: whether its readiness
//!   checks pass, written in the same way whenever that changes; * `ctl`: the control socket.
//!
//! Observing asks nobody and changes nothing. A folder that cannot be read is reported by name and hides no other.

use crate::format::Format;
use crate::layout::DataFolder;
use crate::spec::ProcessSpec;
use domain::ids::ProcessId;
use domain::observed::{ObservedProcess, ProcessState};
use domain::process::Exit;
use domain::time::{BootId, BootMillis};
use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

pub const SPEC_FILE: &str = "spec.json";
pub const LOCK_FILE: &str = "lock";
pub const READY_FILE: &str = "ready";
pub const READINESS_FILE: &str = "readiness";
pub const STOPPING_FILE: &str = "stopping";
pub const EXIT_FILE: &str = "exit";
pub const CONTROL_SOCKET: &str = "ctl";

/// Largest file of a run folder that is read.
const MAX_FILE_BYTES: u64 = 128 * 1024;

/// Why a run folder, or one file of it, could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    #[error("cannot list the run folders in {}", path.display())]
    List { path: PathBuf, source: std::io::Error },
    #[error("the run folder {} is not named by a process id", path.display())]
    Name { path: PathBuf },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} does not hold what this version understands", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error("{} belongs to process {found}", path.display())]
    Foreign { path: PathBuf, found: ProcessId },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{} belongs to uid {found}, who has no business to write it", path.display())]
    Owner { path: PathBuf, found: u32 },
}

/// `ready` and `stopping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instant {
    pub format: Format,
    pub at: BootMillis,
}

/// `readiness`; without the file the process is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadinessRecord {
    pub format: Format,
    pub at: BootMillis,
    pub standing: Standing,
}

/// Whether the readiness checks of a process pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Ready,
    Unready,
}

/// `exit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    pub format: Format,
    pub boot_id: BootId,
    pub exit: Exit,
}

/// What one run folder tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunObservation {
    pub spec: ProcessSpec,
    pub state: ProcessState,
}

/// What all run folders tell.
#[derive(Debug, Default)]
pub struct RunScan {
    /// In order of process id.
    pub processes: Vec<RunObservation>,
    /// Folders that could not be read. The processes behind them may be alive.
    pub problems: Vec<RunFolderError>,
}

impl RunObservation {
    /// The same as `plan` sees it; `None` for a step of a build.
    pub fn to_observed(&self) -> Option<ObservedProcess> {
        Some(ObservedProcess {
            process: self.spec.process,
            app: self.spec.app,
            purpose: self.spec.purpose()?.clone(),
            endpoint: self.spec.endpoint,
            started_at: self.spec.started_at,
            state: self.state.clone(),
        })
    }
}

/// Looks at every run folder. `boot` is the present boot of the machine ([`crate::system::boot_id`]).
pub fn observe_all(data: &DataFolder, boot: &BootId) -> Result<RunScan, RunFolderError> {
    let mut scan = RunScan::default();
    for folder in list(&data.processes())? {
        match observe_folder(&folder, boot) {
            Ok(Some(observation)) => scan.processes.push(observation),
            Ok(None) => {}
            Err(error) => scan.problems.push(error),
        }
    }
    scan.processes.sort_by_key(|observation| observation.spec.process);
    Ok(scan)
}

/// Looks at one run folder; `None` if there is none.
pub fn observe(
    data: &DataFolder,
    process: ProcessId,
    boot: &BootId,
) -> Result<Option<RunObservation>, RunFolderError> {
    observe_folder(&data.process(process), boot)
}

fn list(parent: &Path) -> Result<Vec<PathBuf>, RunFolderError> {
    let failed = |source| RunFolderError::List { path: parent.to_owned(), source };
    let entries = match std::fs::read_dir(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // A name with a dot in front is a folder in the making.
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

fn observe_folder(folder: &Path, boot: &BootId) -> Result<Option<RunObservation>, RunFolderError> {
    let named: ProcessId = folder
        .file_name()
        .and_then(|name| name.to_str()?.parse().ok())
        .ok_or_else(|| RunFolderError::Name { path: folder.to_owned() })?;
    let path = folder.join(SPEC_FILE);
    let spec: ProcessSpec = match read_json(&path)? {
        Some(spec) => spec,
        None if !folder.exists() => return Ok(None),
        None => return Err(RunFolderError::Read { path, source: ErrorKind::NotFound.into() }),
    };
    if spec.process != named {
        return Err(RunFolderError::Foreign { path, found: spec.process });
    }
    let state = observe_state(folder, &spec, boot)?;
    Ok(Some(RunObservation { spec, state }))
}

/// Liveness first: a shim writes its exit before it lets go of the lock, so a folder whose lock is free has all it will get.
fn observe_state(folder: &Path, spec: &ProcessSpec, boot: &BootId) -> Result<ProcessState, RunFolderError> {
    let alive = spec.boot_id == *boot && is_lock_held(&folder.join(LOCK_FILE))?;
    if let Some(record) = read_json::<ExitRecord>(&folder.join(EXIT_FILE))? {
        return Ok(ProcessState::Exited(record.exit));
    }
    if !alive {
        return Ok(ProcessState::Lost);
    }
    if let Some(stopping) = read_json::<Instant>(&folder.join(STOPPING_FILE))? {
        return Ok(ProcessState::Stopping { since: stopping.at });
    }
    let Some(Instant { at: since, .. }) = read_json(&folder.join(READY_FILE))? else {
        return Ok(ProcessState::Starting);
    };
    let readiness: Option<ReadinessRecord> = read_json(&folder.join(READINESS_FILE))?;
    Ok(match readiness.map_or(Standing::Ready, |readiness| readiness.standing) {
        Standing::Ready => ProcessState::Up { since },
        Standing::Unready => ProcessState::Unready { since },
    })
}

/// Whether somebody holds the lock file. A missing file is held by nobody.
pub fn is_lock_held(path: &Path) -> Result<bool, RunFolderError> {
    let failed =
        |errno: rustix::io::Errno| RunFolderError::Read { path: path.to_owned(), source: errno.into() };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(false),
        other => other.map_err(failed)?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(failed(errno)),
    }
}

/// Reads a file of a run folder; `None` if it is absent.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RunFolderError> {
    open(path)?.map(|file| parse(file, path)).transpose()
}

/// The same in a folder where others may make files as well: only what this user wrote itself is believed.
pub fn read_own_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RunFolderError> {
    let Some(file) = open(path)? else { return Ok(None) };
    let stat = rustix::fs::fstat(&file)
        .map_err(|errno| RunFolderError::Read { path: path.to_owned(), source: errno.into() })?;
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(RunFolderError::Owner { path: path.to_owned(), found: stat.st_uid });
    }
    parse(file, path).map(Some)
}

/// Never what a link leads to.
fn open(path: &Path) -> Result<Option<std::fs::File>, RunFolderError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(errno) => Err(RunFolderError::Read { path: path.to_owned(), source: errno.into() }),
        Ok(file) => Ok(Some(file.into())),
    }
}

fn parse<T: DeserializeOwned>(file: std::fs::File, path: &Path) -> Result<T, RunFolderError> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|source| RunFolderError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| RunFolderError::Parse { path: path.to_owned(), source })
}

/// Writes a file so that a reader sees all of it or nothing, and it is this user's, whatever lay under its temporary name. Not synced: a
/// run folder does not outlive its boot.
pub fn write_json<T: Serialize>(folder: &Path, name: &str, document: &T) -> Result<(), RunFolderError> {
    let path = folder.join(name);
    let temporary = folder.join(format!(".{name}.new"));
    let write = || -> std::io::Result<()> {
        let bytes = serde_json::to_vec(document)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::unlink(&temporary) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        let file = rustix::fs::open(&temporary, flags, mode)?;
        std::fs::File::from(file).write_all(&bytes)?;
        std::fs::rename(&temporary, &path)
    };
    write().map_err(|source| RunFolderError::Write { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::tests::example;
    use domain::process::ExitStatus;
    use std::os::fd::OwnedFd;

    fn boot() -> BootId {
        BootId("boot".to_owned())
    }

    fn make(data: &DataFolder, process: u128) -> PathBuf {
        let folder = data.process(ProcessId::from_u128(process));
        std::fs::create_dir_all(&folder).unwrap();
        write_json(&folder, SPEC_FILE, &example(process)).unwrap();
        folder
    }

    fn hold_lock(folder: &Path) -> OwnedFd {
        let lock = std::fs::File::create(folder.join(LOCK_FILE)).unwrap();
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        lock.into()
    }

    fn state(data: &DataFolder, process: u128) -> ProcessState {
        observe(data, ProcessId::from_u128(process), &boot()).unwrap().unwrap().state
    }

    #[test]
    fn a_life_as_its_folder_tells_it() {
        let root = tempfile::tempdir().unwrap();
        let data = DataFolder::new(root.path());
        assert_eq!(observe(&data, ProcessId::from_u128(1), &boot()).unwrap(), None);
        let folder = make(&data, 1);
        assert_eq!(state(&data, 1), ProcessState::Lost, "nobody holds the lock");
        let lock = hold_lock(&folder);
        assert_eq!(state(&data, 1), ProcessState::Starting);
        let instant = |at| Instant { format: Format, at: BootMillis(at) };
        write_json(&folder, READY_FILE, &instant(5)).unwrap();
        assert_eq!(state(&data, 1), ProcessState::Up { since: BootMillis(5) });
        for (standing, state_now) in [
            (Standing::Unready, ProcessState::Unready { since: BootMillis(5) }),
            (Standing::Ready, ProcessState::Up { since: BootMillis(5) }),
        ] {
            let record = ReadinessRecord { format: Format, at: BootMillis(6), standing };
            write_json(&folder, READINESS_FILE, &record).unwrap();
            assert_eq!(state(&data, 1), state_now);
        }
        write_json(&folder, STOPPING_FILE, &instant(6)).unwrap();
        assert_eq!(state(&data, 1), ProcessState::Stopping { since: BootMillis(6) });
        let exit = Exit {
            at: BootMillis(7),
            status: ExitStatus::Code(0),
            stop_requested: true,
            out_of_memory: false,
            failed_check: None,
        };
        write_json(&folder, EXIT_FILE, &ExitRecord { format: Format, boot_id: boot(), exit: exit.clone() })
            .unwrap();
        assert_eq!(state(&data, 1), ProcessState::Exited(exit.clone()));
        drop(lock);
        assert_eq!(state(&data, 1), ProcessState::Exited(exit));
    }

    /// What shims of every release so far have written is understood.
    #[test]
    fn records_of_every_kind_are_understood() {
        let exit: ExitRecord = serde_json::from_str(include_str!("../fixtures/exit-1.json")).unwrap();
        assert_eq!(exit.exit.failed_check, None);
        let exit: ExitRecord =
            serde_json::from_str(include_str!("../fixtures/exit-1-failed-check.json")).unwrap();
        let check = exit.exit.failed_check.unwrap();
        assert_eq!((check.name.as_str(), check.attempts), ("startup-1", 3));
        let readiness: ReadinessRecord =
            serde_json::from_str(include_str!("../fixtures/readiness-1.json")).unwrap();
        assert_eq!(readiness.standing, Standing::Unready);
    }

    #[test]
    fn a_folder_of_another_boot_is_not_alive() {
        let root = tempfile::tempdir().unwrap();
        let data = DataFolder::new(root.path());
        let _lock = hold_lock(&make(&data, 1));
        let later = BootId("later".to_owned());
        let observed = observe(&data, ProcessId::from_u128(1), &later).unwrap().unwrap();
        assert_eq!(observed.state, ProcessState::Lost);
    }

    #[test]
    fn a_broken_folder_is_named_and_hides_no_other() {
        let root = tempfile::tempdir().unwrap();
        let data = DataFolder::new(root.path());
        let _lock = hold_lock(&make(&data, 1));
        let broken =
            |process, file: &str, text: &str| std::fs::write(make(&data, process).join(file), text).unwrap();
        broken(2, SPEC_FILE, "{");
        broken(3, SPEC_FILE, r#"{"format":2}"#);
        broken(4, EXIT_FILE, "");
        write_json(&data.process(ProcessId::from_u128(5)), SPEC_FILE, &example(6)).unwrap_err();
        let foreign = make(&data, 7);
        write_json(&foreign, SPEC_FILE, &example(8)).unwrap();
        std::fs::create_dir(data.process(ProcessId::from_u128(9))).unwrap();
        std::fs::create_dir(data.processes().join("strange")).unwrap();
        std::fs::create_dir(data.processes().join(".new-x")).unwrap();
        let scan = observe_all(&data, &boot()).unwrap();
        assert_eq!(scan.processes.len(), 1);
        let mut problems: Vec<String> = scan.problems.iter().map(ToString::to_string).collect();
        problems.sort();
        assert_eq!(problems.len(), 6, "{problems:?}");
        for process in [2, 3, 4, 7, 9] {
            let name = ProcessId::from_u128(process).to_string();
            assert_eq!(
                problems.iter().filter(|text| text.contains(&name)).count(),
                1,
                "{name}: {problems:?}"
            );
        }
        assert!(problems.iter().any(|text| text.contains("strange")));
    }

    #[test]
    fn no_run_folders_at_all_is_an_empty_look() {
        let scan = observe_all(&DataFolder::new("/nowhere"), &boot()).unwrap();
        assert!(scan.processes.is_empty() && scan.problems.is_empty());
    }
}
