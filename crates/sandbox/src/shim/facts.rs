//! The facts that a shim leaves in its run folder. A full disk delays them: they are written again every second, and the room for
//! the last of them, the exit, is taken beforehand. A folder that has gone is nobody's business any more.

use crate::format::Format;
use crate::run_folder::{
    self, EXIT_FILE, ExitRecord, Instant, READINESS_FILE, READY_FILE, ReadinessRecord, RunFolderError,
    STOPPING_FILE, Standing,
};
use domain::process::Exit;
use domain::time::{BootId, BootMillis};
use rustix::fs::{FallocateFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// From the start to the reservation.
const RESERVE_AFTER_MILLIS: u64 = 1_000;
/// Between two attempts at writing a fact.
const RETRY_MILLIS: u64 = 1_000;
/// Attempts at writing the exit before the process counts as lost.
const EXIT_ATTEMPTS: u32 = 30;
/// Room for the exit.
const RESERVED_BYTES: u64 = 4096;
const RESERVED_FILE: &str = ".exit.reserved";

/// The facts of one process.
pub struct Facts {
    folder: PathBuf,
    boot_id: BootId,
    /// In order; at most one of each kind.
    pending: Vec<Fact>,
    retry_at: Option<BootMillis>,
    reserve: Reserve,
}

/// What is true from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    Ready(BootMillis),
    Readiness(BootMillis, Standing),
    Stopping(BootMillis),
}

/// The room for the exit. It is taken once the process has run for a moment: starts stay cheap when many come at once, and who
/// ends sooner finds the room that it found to start.
enum Reserve {
    Due {
        at: BootMillis,
    },
    Taken(File),
    /// There is none to be had.
    Without,
}

/// The same for who goes on with it; the file with the room is an open descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsState {
    pending: Vec<Fact>,
    retry_at: Option<BootMillis>,
    reserve: ReserveState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReserveState {
    Due { at: BootMillis },
    Taken,
    Without,
}

impl Facts {
    pub fn to_state(&self) -> FactsState {
        let reserve = match &self.reserve {
            Reserve::Due { at } => ReserveState::Due { at: *at },
            Reserve::Taken(_) => ReserveState::Taken,
            Reserve::Without => ReserveState::Without,
        };
        FactsState { pending: self.pending.clone(), retry_at: self.retry_at, reserve }
    }

    /// `None` if the room is said to be there and is not, or the other way round.
    pub fn of_state(
        folder: PathBuf,
        boot_id: BootId,
        state: &FactsState,
        reserved: Option<OwnedFd>,
    ) -> Option<Self> {
        let reserve = match (state.reserve, reserved) {
            (ReserveState::Due { at }, None) => Reserve::Due { at },
            (ReserveState::Taken, Some(file)) => Reserve::Taken(File::from(file)),
            (ReserveState::Without, None) => Reserve::Without,
            (ReserveState::Due { .. } | ReserveState::Without, Some(_)) | (ReserveState::Taken, None) => {
                return None;
            }
        };
        Some(Self { folder, boot_id, pending: state.pending.clone(), retry_at: state.retry_at, reserve })
    }

    /// The file with the room for the exit.
    pub fn reserved(&self) -> Option<BorrowedFd<'_>> {
        match &self.reserve {
            Reserve::Taken(file) => Some(file.as_fd()),
            Reserve::Due { .. } | Reserve::Without => None,
        }
    }

    pub fn new(folder: PathBuf, boot_id: BootId, now: BootMillis) -> Self {
        let reserve = Reserve::Due { at: now.plus_millis(RESERVE_AFTER_MILLIS) };
        Self { folder, boot_id, pending: Vec::new(), retry_at: None, reserve }
    }

    pub fn ready(&mut self, at: BootMillis) {
        self.write(Fact::Ready(at), at);
    }

    /// What its readiness checks say from now on.
    pub fn readiness(&mut self, at: BootMillis, standing: Standing) {
        self.pending.retain(|fact| !matches!(fact, Fact::Readiness(..)));
        self.write(Fact::Readiness(at, standing), at);
    }

    pub fn stopping(&mut self, at: BootMillis) {
        self.write(Fact::Stopping(at), at);
    }

    /// Takes the room for the exit, and tries again what could not be written.
    pub fn tick(&mut self, now: BootMillis) {
        if matches!(self.reserve, Reserve::Due { at } if now >= at) {
            self.reserve = reserve(&self.folder).map_or(Reserve::Without, Reserve::Taken);
        }
        if self.retry_at.is_some_and(|at| now >= at) {
            self.retry_at = None;
            for fact in std::mem::take(&mut self.pending) {
                self.write(fact, now);
            }
        }
    }

    pub fn due_at(&self) -> Option<BootMillis> {
        let reserve = match &self.reserve {
            Reserve::Due { at } => Some(*at),
            Reserve::Taken(_) | Reserve::Without => None,
        };
        [reserve, self.retry_at].into_iter().flatten().min()
    }

    fn write(&mut self, fact: Fact, now: BootMillis) {
        if fact.write(&self.folder).is_err_and(|error| may_recover(&error)) {
            self.pending.push(fact);
            self.retry_at = Some(now.plus_millis(RETRY_MILLIS));
        }
    }

    /// The last fact. Blocks while the disk is full, for a while: a shim has nothing else to do by then.
    pub fn exit(&mut self, exit: Exit) {
        let record = ExitRecord { format: Format, boot_id: self.boot_id.clone(), exit };
        for _ in 0..EXIT_ATTEMPTS {
            if self.write_reserved(&record).is_ok() {
                return;
            }
            match run_folder::write_json(&self.folder, EXIT_FILE, &record) {
                Err(error) if may_recover(&error) => std::thread::sleep(Duration::from_millis(RETRY_MILLIS)),
                Ok(()) | Err(_) => return,
            }
        }
    }

    /// Into the room that was taken at the start: needs no new block.
    fn write_reserved(&mut self, record: &ExitRecord) -> std::io::Result<()> {
        let Reserve::Taken(file) = std::mem::replace(&mut self.reserve, Reserve::Without) else {
            return Err(ErrorKind::NotFound.into());
        };
        let bytes = serde_json::to_vec(record)?;
        file.write_all_at(&bytes, 0)?;
        file.set_len(bytes.len() as u64)?;
        std::fs::rename(self.folder.join(RESERVED_FILE), self.folder.join(EXIT_FILE))
    }
}

impl Fact {
    fn write(self, folder: &Path) -> Result<(), RunFolderError> {
        let format = Format;
        match self {
            Self::Ready(at) => run_folder::write_json(folder, READY_FILE, &Instant { format, at }),
            Self::Stopping(at) => run_folder::write_json(folder, STOPPING_FILE, &Instant { format, at }),
            Self::Readiness(at, standing) => {
                let record = ReadinessRecord { format, at, standing };
                run_folder::write_json(folder, READINESS_FILE, &record)
            }
        }
    }
}

fn reserve(folder: &Path) -> std::io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
    let file = rustix::fs::open(folder.join(RESERVED_FILE), flags, mode)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVED_BYTES)?;
    Ok(File::from(file))
}

/// A missing folder never comes back.
fn may_recover(error: &RunFolderError) -> bool {
    match error {
        RunFolderError::Write { source, .. } => source.kind() != ErrorKind::NotFound,
        RunFolderError::List { .. }
        | RunFolderError::Name { .. }
        | RunFolderError::Read { .. }
        | RunFolderError::Parse { .. }
        | RunFolderError::Foreign { .. }
        | RunFolderError::Owner { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::process::ExitStatus;

    fn exit() -> Exit {
        Exit {
            at: BootMillis(5),
            status: ExitStatus::Code(3),
            stop_requested: false,
            out_of_memory: false,
            failed_check: None,
        }
    }

    #[test]
    fn facts_are_written_whole_and_leave_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut facts = Facts::new(folder.path().to_owned(), BootId("boot".to_owned()), BootMillis(0));
        facts.tick(BootMillis(999));
        assert!(!folder.path().join(RESERVED_FILE).exists());
        facts.tick(BootMillis(1_000));
        assert_eq!(std::fs::metadata(folder.path().join(RESERVED_FILE)).unwrap().len(), RESERVED_BYTES);
        facts.ready(BootMillis(1));
        facts.stopping(BootMillis(2));
        facts.exit(exit());
        let read = |name| run_folder::read_json::<Instant>(&folder.path().join(name)).unwrap();
        assert_eq!(read(READY_FILE).map(|fact| fact.at), Some(BootMillis(1)));
        assert_eq!(read(STOPPING_FILE).map(|fact| fact.at), Some(BootMillis(2)));
        let record: ExitRecord = run_folder::read_json(&folder.path().join(EXIT_FILE)).unwrap().unwrap();
        assert_eq!((record.exit, record.boot_id.0.as_str()), (exit(), "boot"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_folder_that_has_gone_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let mut facts = Facts::new(path, BootId("boot".to_owned()), BootMillis(0));
        facts.tick(BootMillis(1_000));
        drop(folder);
        facts.ready(BootMillis(1));
        assert_eq!(facts.due_at(), None);
        facts.exit(exit());
    }

    #[test]
    fn an_exit_before_the_reservation_is_written_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let mut facts = Facts::new(folder.path().to_owned(), BootId("boot".to_owned()), BootMillis(0));
        facts.exit(exit());
        let record: ExitRecord = run_folder::read_json(&folder.path().join(EXIT_FILE)).unwrap().unwrap();
        assert_eq!(record.exit, exit());
    }
}
