//! Mounting by the descriptors of the newer mount calls: a tree is cloned, restricted, and only then attached, so that there is
//! no instant at which it is visible with more rights than meant. All targets are relative to the new root, which is the
//! current directory while it is built.

use super::InsideError;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What a bound tree allows. Set-user-id bits and device nodes never count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// Attaches the file or tree at `source`, with all that is mounted below it, to the path `target` of the new root.
pub fn bind(source: &Path, target: &str, access: Access) -> Result<(), InsideError> {
    attach(&detached(source)?, target, access)
}

/// A copy of the tree at `source` that is attached nowhere. It may be made in another mount namespace than it is attached in.
pub fn detached(source: &Path) -> Result<OwnedFd, InsideError> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(CWD, source, flags)
        .map_err(|errno| InsideError::new(format!("open {}", source.display()), errno))
}

/// The same for a path below a folder that somebody less trusted than root can change: no component may be a link.
pub fn bind_beneath(folder: &Path, name: &Path, target: &str, access: Access) -> Result<(), InsideError> {
    let failed = |errno| InsideError::new(format!("open {}", folder.join(name).display()), errno);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder_fd = rustix::fs::open(folder, flags, Mode::empty()).map_err(failed)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let found = rustix::fs::openat2(&folder_fd, name, flags, Mode::empty(), resolve).map_err(failed)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(&found, "", flags).map_err(failed)?;
    attach(&tree, target, access)
}

/// Attaches a device node, which must then count as one.
pub fn bind_device(source: &Path, target: &str) -> Result<(), InsideError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, source, flags)
        .map_err(|errno| InsideError::new(format!("open {}", source.display()), errno))?;
    set_attributes(tree.as_fd(), libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC)
        .map_err(|error| InsideError::new(format!("restrict /{target}"), error))?;
    rustix::mount::move_mount(&tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|errno| InsideError::new(format!("mount /{target}"), errno))
}

/// Attaches a detached tree, once it is restricted.
pub fn attach(tree: &OwnedFd, target: &str, access: Access) -> Result<(), InsideError> {
    restrict(tree.as_fd(), access).map_err(|error| InsideError::new(format!("restrict /{target}"), error))?;
    rustix::mount::move_mount(tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|errno| InsideError::new(format!("mount /{target}"), errno))
}

fn restrict(tree: BorrowedFd<'_>, access: Access) -> std::io::Result<()> {
    let read_only = match access {
        Access::ReadOnly => libc::MOUNT_ATTR_RDONLY,
        Access::ReadWrite => 0,
    };
    set_attributes(tree, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | read_only)
}

/// Makes the mount at the current directory read-only.
pub fn freeze_current() -> std::io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let here = rustix::fs::open(".", flags, Mode::empty())?;
    let attributes =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    mount_setattr(here.as_fd(), libc::AT_EMPTY_PATH, &attributes)
}

fn set_attributes(tree: BorrowedFd<'_>, set: u64) -> std::io::Result<()> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    mount_setattr(tree, libc::AT_EMPTY_PATH | libc::AT_RECURSIVE, &attributes)
}

fn mount_setattr(tree: BorrowedFd<'_>, flags: i32, attributes: &libc::mount_attr) -> std::io::Result<()> {
    let empty: &CStr = c"";
    // SAFETY: the descriptor is open, the path is a C string, and the structure lives and has the size that is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            empty.as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
