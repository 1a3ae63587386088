//! The group of one process and its descendants.

use super::files::{self, Removal, Written};
use super::limit;
use super::seats::Seats;
use super::{CgroupError, Kill, Owner};
use domain::process::Limits;
use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Waits for an emptied group to be removable, and for a group to be frozen: this often, this long each.
const MAX_WAITS: u32 = 100;
const WAIT: Duration = Duration::from_millis(10);
const WHOLE_WAIT_MILLIS: u64 = MAX_WAITS as u64 * WAIT.as_millis() as u64;

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
        limit::apply(&self.seats, limits)?;
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

fn remove_when_empty(folder: &Path) -> Result<(), CgroupError> {
    for _ in 0..MAX_WAITS {
        match files::remove_folder(folder)? {
            Removal::Gone => return Ok(()),
            Removal::Busy => sleep(WAIT),
        }
    }
    Err(CgroupError::Busy { path: folder.to_owned(), waited_millis: WHOLE_WAIT_MILLIS })
}
