//! Speaks to routers from outside, blocking: for the host backend and for `doctor`.
//!
//! A router lives as long as its lock is held, whether or not it answers. One that lives and does not answer may hold any table that was
//! ever published, so it is reported as such and never left out.

use crate::control::wire::{ANSWER_BYTES, Answer, Ask, CONTROL_FORMAT, Outcome, Report, Request};
use crate::control::{FolderError, LOCK_FILE, open_directory, socket_path};
use domain::observed::ObservedRouter;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a router could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot speak to the router at {}", folder.display())]
    Io { folder: PathBuf, source: io::Error },
    #[error("the router at {} gave an answer that cannot be understood", folder.display())]
    Answer { folder: PathBuf, source: serde_json::Error },
    #[error("the router at {} answered in control format {found}, not {CONTROL_FORMAT}", folder.display())]
    Format { folder: PathBuf, found: u32 },
    #[error("the router at {} refused: {reason}", folder.display())]
    Refused { folder: PathBuf, reason: String },
}

/// What the router in this control folder knows.
pub fn status(folder: &Path, wait: Duration) -> Result<Report, ControlError> {
    ask(folder, Ask::Status, wait)
}

/// Makes the router look at the table now. Returns when every thread of it uses the newest, or with the reason why it was not taken in
/// [`Report::refused`].
pub fn load(folder: &Path, wait: Duration) -> Result<Report, ControlError> {
    ask(folder, Ask::Load, wait)
}

/// Makes the router take no new connections, finish what is in flight, and end. Returns at once.
pub fn drain(folder: &Path, wait: Duration) -> Result<Report, ControlError> {
    ask(folder, Ask::Drain, wait)
}

/// The control folders of the routers that live, under `DATA/run/router`.
pub fn living(root: &Path) -> Result<Vec<PathBuf>, ControlError> {
    let failed = |source| ControlError::Io { folder: root.to_owned(), source };
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut living = Vec::new();
    for entry in entries {
        let folder = entry.map_err(failed)?.path();
        if is_alive(&folder).map_err(|source| ControlError::Io { folder: folder.clone(), source })? {
            living.push(folder);
        }
    }
    living.sort();
    Ok(living)
}

/// Every router that lives, asked for its status.
pub fn observe(root: &Path, wait: Duration) -> Result<Vec<ObservedRouter>, ControlError> {
    let asked = living(root)?.into_iter().filter_map(|folder| match status(&folder, wait) {
        Ok(report) => Some(ObservedRouter::Answered(report.status)),
        // It may have ended since.
        Err(_) if !is_alive(&folder).unwrap_or(true) => None,
        Err(_) => Some(ObservedRouter::Silent),
    });
    Ok(asked.collect())
}

/// Makes every living router look at the table. One that cannot be asked is left to its own watch of the file.
pub fn nudge(root: &Path, wait: Duration) -> Result<(), ControlError> {
    for folder in living(root)? {
        if let Err(error) = load(&folder, wait) {
            tracing::debug!(error = domain::cause::chain(&error), "a router could not be nudged");
        }
    }
    Ok(())
}

fn is_alive(folder: &Path) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = match rustix::fs::open(folder.join(LOCK_FILE), flags, Mode::empty()) {
        Ok(lock) => lock,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn ask(folder: &Path, ask: Ask, wait: Duration) -> Result<Report, ControlError> {
    let directory = open_directory(folder)?;
    let line = converse(&socket_path(&directory), ask, wait)
        .map_err(|source| ControlError::Io { folder: folder.to_owned(), source })?;
    let answer: Answer = serde_json::from_slice(&line)
        .map_err(|source| ControlError::Answer { folder: folder.to_owned(), source })?;
    if answer.format != CONTROL_FORMAT {
        return Err(ControlError::Format { folder: folder.to_owned(), found: answer.format });
    }
    match answer.outcome {
        Outcome::Report(report) => Ok(report),
        Outcome::Error(reason) => Err(ControlError::Refused { folder: folder.to_owned(), reason }),
    }
}

fn converse(path: &Path, ask: Ask, wait: Duration) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(wait))?;
    stream.set_write_timeout(Some(wait))?;
    let mut request = serde_json::to_vec(&Request { format: CONTROL_FORMAT, request: ask })?;
    request.push(b'\n');
    stream.write_all(&request)?;
    let mut line = Vec::new();
    BufReader::new(stream.take(ANSWER_BYTES)).read_until(b'\n', &mut line)?;
    Ok(line)
}
