//! `/proc` of the new pid namespace: other users' processes hidden, and what concerns the whole machine covered or read-only.

use super::InsideError;
use super::mounts::{self, Access};
use super::rootfs::make_folder;
use rustix::mount::MountFlags;
use std::path::Path;

/// Files that tell about the kernel or the whole machine, or act on it: covered.
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
/// Folders that set the machine's behaviour: readable only.
const READ_ONLY: [&str; 4] = ["bus", "fs", "irq", "sys"];
/// Folders with nothing for an app: covered by an empty one.
const EMPTIED: [&str; 2] = ["acpi", "scsi"];

/// Builds `proc` in the current directory, the new root. After `dev`, whose null device covers files.
pub fn build() -> Result<(), InsideError> {
    make_folder("proc")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", "proc", "proc", flags, c"hidepid=2").map_err(InsideError::at("mount /proc"))?;
    for name in existing(&COVERED) {
        mounts::bind_device(Path::new("dev/null"), &name)?;
    }
    for name in existing(&READ_ONLY) {
        mounts::bind(Path::new(&name), &name, Access::ReadOnly)?;
    }
    for name in existing(&EMPTIED) {
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        rustix::mount::mount("tmpfs", name.as_str(), "tmpfs", flags, c"mode=555,size=4k,nr_inodes=2")
            .map_err(InsideError::at("cover a folder of /proc"))?;
    }
    Ok(())
}

fn existing(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("proc/{name}")).filter(|path| Path::new(path).exists()).collect()
}
