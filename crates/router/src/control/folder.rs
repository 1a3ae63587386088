//! The folder of one router instance: `lock`, held exclusively for its whole life (that is how others know that it lives), and `ctl`,
//! its socket.

use domain::ids::RouterId;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const LOCK_FILE: &str = "lock";
const SOCKET_FILE: &str = "ctl";

/// Others look at the lock by taking it shared for an instant; that must not keep a router from starting.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why the control folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot make the control folder {}", path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot lock {}", path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error("another router holds {}", path.display())]
    Held { path: PathBuf },
    #[error("cannot listen on {}", path.display())]
    Listen { path: PathBuf, source: io::Error },
}

/// The folder of a living router. Dropping it is the router's end, for all who look.
#[derive(Debug)]
pub(crate) struct ControlFolder {
    path: PathBuf,
    directory: OwnedFd,
    _lock: OwnedFd,
}

impl ControlFolder {
    /// Takes the lock. This comes before the first look at a route table: whoever finds no lock may be sure that no table was loaded.
    pub(crate) fn take(path: &Path) -> Result<Self, FolderError> {
        for _ in 0..LOCK_ATTEMPTS {
            make(path)?;
            let directory = open_directory(path)?;
            let lock = open_lock(&directory, path)?;
            if try_lock(&lock, path)? == Attempt::Taken && is_in_place(&directory, &lock) {
                return Ok(Self { path: path.to_owned(), directory, _lock: lock });
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        Err(FolderError::Held { path: path.join(LOCK_FILE) })
    }

    /// Makes the socket. Anyone may connect to it; who may speak is decided by the peer's credentials.
    pub(crate) fn listen(&self) -> Result<std::os::unix::net::UnixListener, FolderError> {
        let failed = |source| FolderError::Listen { path: self.path.join(SOCKET_FILE), source };
        let path = socket_path(&self.directory);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(listener)
    }
}

impl Drop for ControlFolder {
    /// Leaves nothing behind after an orderly end. After any other, the free lock says enough.
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes what routers left that were killed: folders beside this one whose lock nobody holds. Best effort: they harm nobody.
pub(crate) fn remove_dead_siblings(path: &Path) {
    let Some(Ok(entries)) = path.parent().map(fs::read_dir) else { return };
    for entry in entries.flatten() {
        let is_router = entry.file_name().to_str().is_some_and(|name| name.parse::<RouterId>().is_ok());
        if is_router && entry.path() != path {
            remove_if_dead(&entry.path());
        }
    }
}

/// The lock is held over the removal, so that a router that is just starting there notices: see [`is_in_place`].
fn remove_if_dead(path: &Path) {
    let lock = open_directory(path).and_then(|directory| open_lock(&directory, path));
    let Ok(lock) = lock else { return };
    if matches!(try_lock(&lock, path), Ok(Attempt::Taken)) {
        tracing::debug!(folder = %path.display(), "removing what a dead router left");
        remove(path);
    }
}

/// The socket first and the lock last: without its lock a router counts as dead.
fn remove(path: &Path) {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let removed = gone(fs::remove_file(path.join(SOCKET_FILE)))
        .and_then(|()| gone(fs::remove_file(path.join(LOCK_FILE))))
        .and_then(|()| gone(fs::remove_dir(path)));
    if let Err(error) = removed {
        tracing::debug!(%error, folder = %path.display(), "a control folder could not be removed");
    }
}

/// A folder that is made here can be entered by all, whatever the umask: observers are other users.
fn make(path: &Path) -> Result<(), FolderError> {
    let failed = |source| FolderError::Make { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match fs::create_dir(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn open_lock(directory: &OwnedFd, path: &Path) -> Result<OwnedFd, FolderError> {
    let failed =
        |source: rustix::io::Errno| FolderError::Open { path: path.join(LOCK_FILE), source: source.into() };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let readable_by_all = Mode::from_raw_mode(0o644);
    let lock = rustix::fs::openat(directory, LOCK_FILE, flags, readable_by_all).map_err(failed)?;
    rustix::fs::fchmod(&lock, readable_by_all).map_err(failed)?;
    Ok(lock)
}

#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    Taken,
    Held,
}

fn try_lock(lock: &OwnedFd, path: &Path) -> Result<Attempt, FolderError> {
    match rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Attempt::Taken),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Attempt::Held),
        Err(source) => Err(FolderError::Lock { path: path.join(LOCK_FILE), source: source.into() }),
    }
}

/// Whether the locked file is the one that others will find, and was not removed between its opening and its locking.
fn is_in_place(directory: &OwnedFd, lock: &OwnedFd) -> bool {
    let found = rustix::fs::statat(directory, LOCK_FILE, AtFlags::SYMLINK_NOFOLLOW);
    let held = rustix::fs::fstat(lock);
    matches!((found, held), (Ok(found), Ok(held)) if (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino))
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, FolderError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(|source| FolderError::Open { path: path.to_owned(), source: source.into() })
}

/// The socket by way of its folder's descriptor: a socket's path has room for 108 bytes only.
pub(crate) fn socket_path(directory: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_FILE}", directory.as_raw_fd()))
}
