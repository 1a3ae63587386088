//! `/dev`: the six harmless devices, an own set of terminals, shared memory of the process's own.

use super::InsideError;
use super::mounts;
use super::rootfs::{make_file, make_folder, memory_options};
use crate::probe::Privilege;
use crate::shim::orders::Orders;
use rustix::fs::{CWD, FileType, Mode, makedev};
use rustix::mount::MountFlags;
use std::path::Path;

/// Name, major and minor number (Linux, `Documentation/admin-guide/devices.txt`).
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
    ("dev/ptmx", "pts/ptmx"),
];

/// Builds `dev` in the current directory, the new root.
pub fn build(orders: &Orders) -> Result<(), InsideError> {
    make_folder("dev")?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    rustix::mount::mount("tmpfs", "dev", "tmpfs", flags, c"mode=755,size=64k,nr_inodes=64")
        .map_err(InsideError::at("mount /dev"))?;
    for (name, major, minor) in DEVICES {
        make_device(name, major, minor)?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, CWD, name).map_err(InsideError::at("make a link of /dev"))?;
    }
    mount_terminals(orders.privilege)?;
    mount_shared_memory(orders)
}

/// A node of its own; where the kernel refuses nodes (a user namespace, a container without
/// CAP_MKNOD), the host's, bound.
fn make_device(name: &str, major: u32, minor: u32) -> Result<(), InsideError> {
    let target = format!("dev/{name}");
    let mode = Mode::from_raw_mode(0o666);
    match rustix::fs::mknodat(CWD, &target, FileType::CharacterDevice, mode, makedev(major, minor)) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::PERM) => {
            make_file(&target, b"")?;
            mounts::bind_device(&Path::new("/dev").join(name), &target)
        }
        Err(errno) => Err(InsideError::new(format!("make /{target}"), errno)),
    }
}

/// A set of terminals with an end: the kernel counts those of all sets together (`kernel.pty.max`), and one app could take them all.
fn mount_terminals(privilege: Privilege) -> Result<(), InsideError> {
    make_folder("dev/pts")?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let options = match privilege {
        Privilege::Root => c"newinstance,ptmxmode=0666,mode=0620,max=64,gid=5",
        // There is no other group to give them to.
        Privilege::OrdinaryUser => c"newinstance,ptmxmode=0666,mode=0620,max=64",
    };
    rustix::mount::mount("devpts", "dev/pts", "devpts", flags, options)
        .map_err(InsideError::at("mount /dev/pts"))
}

fn mount_shared_memory(orders: &Orders) -> Result<(), InsideError> {
    make_folder("dev/shm")?;
    let options = memory_options(orders, "/dev/shm")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("tmpfs", "dev/shm", "tmpfs", flags, options.as_c_str())
        .map_err(InsideError::at("mount /dev/shm"))
}
