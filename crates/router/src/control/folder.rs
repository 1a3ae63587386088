//! The folder of one router instance: `lock`, held exclusively for its whole life (that is how others know that it lives), and `ctl`,
//! its socket.

use rustix::fs::{FlockOperation, Mode, OFlags};
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
        fs::create_dir_all(path).map_err(|source| FolderError::Make { path: path.to_owned(), source })?;
        let directory = open_directory(path)?;
        let lock_path = path.join(LOCK_FILE);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let lock = rustix::fs::openat(&directory, LOCK_FILE, flags, Mode::from_raw_mode(0o644))
            .map_err(|source| FolderError::Open { path: lock_path.clone(), source: source.into() })?;
        lock_exclusively(&lock, &lock_path)?;
        Ok(Self { path: path.to_owned(), directory, _lock: lock })
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
        let removed = fs::remove_file(socket_path(&self.directory))
            .and_then(|()| fs::remove_file(self.path.join(LOCK_FILE)))
            .and_then(|()| fs::remove_dir(&self.path));
        if let Err(error) = removed {
            tracing::debug!(%error, "the control folder could not be removed");
        }
    }
}

fn lock_exclusively(lock: &OwnedFd, path: &Path) -> Result<(), FolderError> {
    for _ in 0..LOCK_ATTEMPTS {
        match rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            Err(source) => return Err(FolderError::Lock { path: path.to_owned(), source: source.into() }),
        }
    }
    Err(FolderError::Held { path: path.to_owned() })
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
