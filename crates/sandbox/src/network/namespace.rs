//! Network namespaces and their pins: bind mounts that keep a namespace while nobody is in it, one file per app, named by its id.
//!
//! The folder of pins belongs to root alone. It is opened once without following links, and its files are reached through that
//! descriptor, so that whoever owns the folders above it cannot make root mount over something else.

use super::error::{Doing, NetworkError};
use super::netlink::{Protocol, Socket};
use domain::ids::AppId;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs, statfs};
use nix::unistd::{Uid, mkdir, unlink};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The calling thread's own namespace.
const OWN_NAMESPACE: &str = "/proc/thread-self/ns/net";
/// Mounts on one pin at most; more than one only if two launchers ran at once.
const MAX_STACKED_MOUNTS: u32 = 16;
/// Group and others may not write to the folder of pins.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The folder of pins.
#[derive(Debug)]
pub(super) struct Pins {
    folder: OwnedFd,
    path: PathBuf,
}

impl Pins {
    /// Opens the folder, made if absent.
    pub fn open(path: &Path) -> Result<Self, NetworkError> {
        let failed = |operation| {
            move |errno: Errno| NetworkError::Pin { operation, path: path.to_owned(), source: errno.into() }
        };
        match mkdir(path, Mode::from_bits_truncate(0o711)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed("make folder")(errno)),
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        let folder = open(path, flags, Mode::empty()).map_err(failed("open folder"))?;
        let owner = fstat(&folder).map_err(failed("look at folder"))?;
        if owner.st_uid != Uid::effective().as_raw() || owner.st_mode & WRITABLE_BY_OTHERS != 0 {
            return Err(failed("trust folder")(Errno::EPERM));
        }
        Ok(Self { folder, path: path.to_owned() })
    }

    /// A pin's path for people and reports.
    pub fn path(&self, app: AppId) -> PathBuf {
        self.path.join(app.to_string())
    }

    /// The same by way of the opened folder.
    fn anchored(&self, app: AppId) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{app}", self.folder.as_raw_fd()))
    }

    fn failed(&self, operation: &'static str, app: AppId) -> impl FnOnce(Errno) -> NetworkError {
        let path = self.path(app);
        move |errno| NetworkError::Pin { operation, path, source: errno.into() }
    }

    /// The app's namespace; `None` if there is no pin, or a pin with nothing mounted on it, as after a reboot.
    pub fn namespace(&self, app: AppId) -> Result<Option<OwnedFd>, NetworkError> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = match open(&self.anchored(app), flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(self.failed("open", app)(errno)),
        };
        let kind = fstatfs(&file).map_err(self.failed("look at", app))?.filesystem_type();
        Ok((kind == NSFS_MAGIC).then_some(file))
    }

    /// The app's namespace, made and pinned if absent.
    pub fn namespace_or_new(&self, app: AppId) -> Result<OwnedFd, NetworkError> {
        if let Some(namespace) = self.namespace(app)? {
            return Ok(namespace);
        }
        let flags = OFlag::O_CREAT | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        open(&self.anchored(app), flags, Mode::empty()).map_err(self.failed("make", app))?;
        let namespace = new_namespace()?;
        let source = PathBuf::from(format!("/proc/self/fd/{}", namespace.as_raw_fd()));
        mount(Some(&source), &self.anchored(app), None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(self.failed("mount a namespace on", app))?;
        Ok(namespace)
    }

    /// Unmounts and deletes the pin. Absent is fine.
    pub fn remove(&self, app: AppId) -> Result<(), NetworkError> {
        let pin = self.anchored(app);
        for _ in 0..MAX_STACKED_MOUNTS {
            match umount2(&pin, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
                Ok(()) => {}
                // Not a mount point, or no file at all.
                Err(Errno::EINVAL | Errno::ENOENT) => break,
                Err(errno) => return Err(self.failed("unmount", app)(errno)),
            }
        }
        match unlink(&pin) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(self.failed("delete", app)(errno)),
        }
    }

    /// Apps that have a pin, with or without a namespace on it.
    pub fn apps(&self) -> Result<Vec<AppId>, NetworkError> {
        let failed = |source| NetworkError::Pin { operation: "list", path: self.path.clone(), source };
        let folder = format!("/proc/self/fd/{}", self.folder.as_raw_fd());
        let mut apps = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            apps.extend(name.to_str().and_then(|name| name.parse::<AppId>().ok()));
        }
        apps.sort_unstable();
        Ok(apps)
    }
}

/// Apps whose namespace is pinned in a folder; pins without one, as after a reboot, are left out. For any user who may read it.
pub fn pinned_apps(folder: &Path) -> io::Result<BTreeSet<AppId>> {
    let mut apps = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let app = entry.file_name().to_str().and_then(|name| name.parse::<AppId>().ok());
        let is_namespace = || statfs(&entry.path()).is_ok_and(|found| found.filesystem_type() == NSFS_MAGIC);
        apps.extend(app.filter(|_| is_namespace()));
    }
    Ok(apps)
}

/// The calling thread's namespace.
pub(super) fn own_namespace() -> Result<OwnedFd, NetworkError> {
    open_own_namespace().map_err(|source| NetworkError::EnterNamespace { path: OWN_NAMESPACE.into(), source })
}

fn open_own_namespace() -> io::Result<OwnedFd> {
    Ok(open(OWN_NAMESPACE, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// A namespace of nobody, kept by its descriptor.
pub(super) fn new_namespace() -> Result<OwnedFd, NetworkError> {
    in_a_new_namespace(open_own_namespace)?.map_err(NetworkError::NewNamespace)
}

/// Runs `work` in a namespace that ends with it, unless it keeps something of it open.
pub(super) fn in_a_new_namespace<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, NetworkError> {
    on_a_thread("make a network namespace", || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| NetworkError::NewNamespace(errno.into()))?;
        Ok(work())
    })?
}

/// A conversation about links in another namespace than the caller's.
pub(super) fn socket_inside(namespace: BorrowedFd<'_>, pin: &Path) -> Result<Socket, NetworkError> {
    on_a_thread("enter a network namespace", || {
        setns(namespace, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| NetworkError::EnterNamespace { path: pin.to_owned(), source: errno.into() })?;
        Socket::open(Protocol::Route).doing("talk to the kernel in", pin.display().to_string())
    })?
}

/// Runs `work` on a thread that ends with it: a thread that has changed its namespace is of no further use.
pub(super) fn on_a_thread<T: Send>(
    purpose: &'static str,
    work: impl FnOnce() -> T + Send,
) -> Result<T, NetworkError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("namespace".to_owned())
            .spawn_scoped(scope, work)
            .map_err(|source| NetworkError::Thread { purpose, source })?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
