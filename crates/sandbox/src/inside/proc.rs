//! `/proc` of the new pid namespace: other users' processes hidden, and what concerns the whole machine covered or read-only.

use super::InsideError;
use super::mounts::{self, Access};
use super::rootfs::make_folder;
use rustix::mount::MountFlags;
use std::path::Path;

/// Files that tell about the kernel or the whole machine, or act on it: covered, unless nobody but root can open them anyway.
const COVERED: [&str; 9] = [
    "interrupts",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "latency_stats",
    "sysrq-trigger",
    "timer_list",
];
/// The folder of the kernel's settings, some of which are open to all: readable only.
const SETTINGS: &str = "proc/sys";
/// Folders with nothing for an app: covered by an empty one.
const EMPTIED: [&str; 2] = ["acpi", "scsi"];

/// Builds `proc` in the current directory, the new root. After `dev`, whose null device covers files.
pub fn build() -> Result<(), InsideError> {
    make_folder("proc")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", "proc", "proc", flags, c"hidepid=2")
        .map_err(InsideError::at("mount /proc"))?;
    for name in COVERED.iter().map(|name| format!("proc/{name}")).filter(|path| is_open_to_all(path)) {
        mounts::bind_device(Path::new("dev/null"), &name)?;
    }
    mounts::bind(Path::new(SETTINGS), SETTINGS, Access::ReadOnly)?;
    for name in EMPTIED.iter().map(|name| format!("proc/{name}")).filter(|path| Path::new(path).exists()) {
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        rustix::mount::mount("tmpfs", name.as_str(), "tmpfs", flags, c"mode=555,size=4k,nr_inodes=2")
            .map_err(InsideError::at("cover a folder of /proc"))?;
    }
    Ok(())
}

/// Whether it exists and others than root have some right to it.
fn is_open_to_all(path: &str) -> bool {
    const OTHERS: u32 = 0o077;
    rustix::fs::stat(path).is_ok_and(|stat| stat.st_mode & OTHERS != 0)
}
