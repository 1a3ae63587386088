//! The group of one process and its descendants.

use super::files::{self, Removal, Written};
use super::seats::{Seat, Seats};
use super::{CgroupError, Kill, Owner};
use domain::process::Limits;
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Waits for an emptied group to be removable, and for a group to be frozen: this often, this long each.
const MAX_WAITS: u32 = 100;
const WAIT: Duration = Duration::from_millis(10);
const WHOLE_WAIT_MILLIS: u64 = MAX_WAITS as u64 * WAIT.as_millis() as u64;

/// v1 shares that v2's default weight of 100 stands for, and the bounds of shares.
const SHARES_OF_WEIGHT_100: u64 = 1024;
const MIN_SHARES: u64 = 2;
const MAX_SHARES: u64 = 262_144;
/// The bounds of a v2 weight.
const MIN_WEIGHT: u32 = 1;
const MAX_WEIGHT: u32 = 10_000;

/// A group, in every hierarchy that is of use. It names folders and holds nothing open; it may be used by the shim after the
/// launcher has made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessGroup {
    pub(super) seats: Seats,
}

impl ProcessGroup {
    pub(super) fn make(&self, limits: &Limits, owner: Owner) -> Result<(), CgroupError> {
        for folder in self.seats.folders() {
            files::make_folder(folder)?;
        }
        if let Some(seat) = &self.seats.memory {
            limit_memory(seat, limits.memory_bytes)?;
        }
        if let Some(seat) = &self.seats.cpu {
            limit_cpu(seat, limits.cpu_weight)?;
        }
        if let Some(seat) = &self.seats.pids {
            files::write(&seat.folder().join("pids.max"), &limits.processes.to_string())?;
        }
        self.give_to(owner)
    }

    /// What the shim writes to when it is root no longer. Counters may be read by all as it is.
    fn give_to(&self, owner: Owner) -> Result<(), CgroupError> {
        let unified = self
            .seats
            .unified
            .iter()
            .flat_map(|folder| [folder.join("cgroup.kill"), folder.join("cgroup.freeze")]);
        let freezer = self.seats.freezer.iter().map(|folder| folder.join("freezer.state"));
        unified.chain(freezer).try_for_each(|file| files::give_if_present(&file, owner.uid, owner.gid))
    }

    /// Moves a child in. Before it runs anything of the app's: it waits on a pipe meanwhile.
    pub fn add(&self, pid: u32) -> Result<(), CgroupError> {
        let add_to = |folder: &Path| files::write(&folder.join("cgroup.procs"), &pid.to_string());
        self.seats.folders().into_iter().try_for_each(add_to)
    }

    /// The folder in the v2 tree, for CLONE_INTO_CGROUP; `add` is then needed only if some controller is v1.
    pub fn unified_folder(&self) -> Option<&Path> {
        self.seats.unified.as_deref()
    }

    /// Process ids in the group, as the reader's pid namespace numbers them. Empty also if the group is gone.
    pub fn processes(&self) -> Result<BTreeSet<u32>, CgroupError> {
        let mut processes = BTreeSet::new();
        for folder in self.seats.folders() {
            let text = files::read_if_present(&folder.join("cgroup.procs"))?.unwrap_or_default();
            // A process of another pid namespace shows as 0.
            processes
                .extend(text.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid != 0));
        }
        Ok(processes)
    }

    /// Stops every process where it stands, and waits until they do.
    pub fn freeze(&self) -> Result<(), CgroupError> {
        self.set_frozen(Frozen::Yes)
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        self.set_frozen(Frozen::No)
    }

    fn set_frozen(&self, wanted: Frozen) -> Result<(), CgroupError> {
        let (file, text, state_file, state) = match (&self.seats.unified, &self.seats.freezer, wanted) {
            (Some(folder), _, Frozen::Yes) => {
                (folder.join("cgroup.freeze"), "1", folder.join("cgroup.events"), "frozen 1")
            }
            (Some(folder), _, Frozen::No) => {
                (folder.join("cgroup.freeze"), "0", folder.join("cgroup.events"), "frozen 0")
            }
            (None, Some(folder), Frozen::Yes) => {
                (folder.join("freezer.state"), "FROZEN", folder.join("freezer.state"), "FROZEN")
            }
            (None, Some(folder), Frozen::No) => {
                (folder.join("freezer.state"), "THAWED", folder.join("freezer.state"), "THAWED")
            }
            (None, None, Frozen::Yes | Frozen::No) => return Err(CgroupError::NoFreezer),
        };
        files::write(&file, text)?;
        for _ in 0..MAX_WAITS {
            if files::read(&state_file)?.lines().any(|line| line == state) {
                return Ok(());
            }
            sleep(WAIT);
        }
        Err(CgroupError::Freeze { path: file, wanted: state, waited_millis: WHOLE_WAIT_MILLIS })
    }

    /// SIGKILL to everything in the group, atomically, where the kernel can. A group that is gone has nothing to kill.
    pub fn kill_all(&self) -> Result<Kill, CgroupError> {
        let Some(folder) = &self.seats.unified else { return Ok(Kill::KillInit) };
        match files::write_if_present(&folder.join("cgroup.kill"), "1")? {
            Written::Yes => Ok(Kill::Done),
            // Kernels before 5.14 have no such file.
            Written::NoSuchFile if folder.exists() => Ok(Kill::KillInit),
            Written::NoSuchFile => Ok(Kill::Done),
        }
    }

    /// How many of its processes were killed for want of memory; `None` without a memory controller, or if the group is gone.
    pub fn oom_kills(&self) -> Result<Option<u64>, CgroupError> {
        let file = match &self.seats.memory {
            Some(Seat::V1(folder)) => folder.join("memory.oom_control"),
            Some(Seat::V2(folder)) => folder.join("memory.events"),
            None => return Ok(None),
        };
        Ok(files::read_if_present(&file)?.and_then(|text| files::number_after(&text, "oom_kill")))
    }

    /// CPU time used by all that ever ran in it; `None` where nothing accounts for it.
    pub fn cpu_time(&self) -> Result<Option<Duration>, CgroupError> {
        if let Some(folder) = &self.seats.unified {
            let text = files::read_if_present(&folder.join("cpu.stat"))?;
            return Ok(text
                .and_then(|text| files::number_after(&text, "usage_usec"))
                .map(Duration::from_micros));
        }
        let Some(folder) = &self.seats.accounting else { return Ok(None) };
        number_of(&folder.join("cpuacct.usage")).map(|used| used.map(Duration::from_nanos))
    }

    /// Bytes of memory charged now.
    pub fn memory_current(&self) -> Result<Option<u64>, CgroupError> {
        match &self.seats.memory {
            Some(Seat::V1(folder)) => number_of(&folder.join("memory.usage_in_bytes")),
            Some(Seat::V2(folder)) => number_of(&folder.join("memory.current")),
            None => Ok(None),
        }
    }

    /// The most bytes that were ever charged at once; `None` also where the kernel does not keep it (v2 before 5.19).
    pub fn memory_peak(&self) -> Result<Option<u64>, CgroupError> {
        match &self.seats.memory {
            Some(Seat::V1(folder)) => number_of(&folder.join("memory.max_usage_in_bytes")),
            Some(Seat::V2(folder)) => number_of(&folder.join("memory.peak")),
            None => Ok(None),
        }
    }

    /// Removes the group from every hierarchy; absent is fine. Waits a little for processes that are just ending, and kills none.
    pub fn remove(&self) -> Result<(), CgroupError> {
        self.seats.folders().into_iter().try_for_each(remove_when_empty)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frozen {
    Yes,
    No,
}

fn number_of(path: &Path) -> Result<Option<u64>, CgroupError> {
    files::read_if_present(path)?.map(|text| files::number(path, &text)).transpose()
}

fn remove_when_empty(folder: &Path) -> Result<(), CgroupError> {
    for _ in 0..MAX_WAITS {
        match files::remove_folder(folder)? {
            Removal::Gone => return Ok(()),
            Removal::Busy => sleep(WAIT),
        }
    }
    Err(CgroupError::Busy { path: folder.to_owned(), waited_millis: WHOLE_WAIT_MILLIS })
}

/// Memory and swap together: an app that outgrows its limit is told so, not slowed down. Swap files are absent where the kernel
/// does not account for swap.
fn limit_memory(seat: &Seat, bytes: u64) -> Result<(), CgroupError> {
    match seat {
        Seat::V1(folder) => limit_memory_v1(folder, bytes),
        Seat::V2(folder) => {
            files::write(&folder.join("memory.max"), &bytes.to_string())?;
            files::write_if_present(&folder.join("memory.swap.max"), "0").map(|_| ())
        }
    }
}

/// v1 limits memory, and memory and swap together; the second may never be the smaller. So a higher limit is written to the
/// second first.
fn limit_memory_v1(folder: &Path, bytes: u64) -> Result<(), CgroupError> {
    let (memory, both) = (folder.join("memory.limit_in_bytes"), folder.join("memory.memsw.limit_in_bytes"));
    let text = bytes.to_string();
    match files::try_write(&memory, &text) {
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
            files::write_if_present(&both, &text)?;
            files::write(&memory, &text)
        }
        other => {
            other.map_err(|source: io::Error| CgroupError::File {
                operation: "write",
                path: memory,
                source,
            })?;
            files::write_if_present(&both, &text).map(|_| ())
        }
    }
}

fn limit_cpu(seat: &Seat, weight: u32) -> Result<(), CgroupError> {
    match seat {
        Seat::V1(folder) => files::write(&folder.join("cpu.shares"), &shares_of(weight).to_string()),
        Seat::V2(folder) => {
            files::write(&folder.join("cpu.weight"), &weight.clamp(MIN_WEIGHT, MAX_WEIGHT).to_string())
        }
    }
}

/// v1 shares for a v2 weight: the same proportion to the default.
fn shares_of(weight: u32) -> u64 {
    (u64::from(weight) * SHARES_OF_WEIGHT_100 / 100).clamp(MIN_SHARES, MAX_SHARES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_become_shares() {
        for (weight, shares) in
            [(0, 2), (1, 10), (50, 512), (100, 1024), (10_000, 102_400), (u32::MAX, 262_144)]
        {
            assert_eq!(shares_of(weight), shares, "{weight}");
        }
    }
}
