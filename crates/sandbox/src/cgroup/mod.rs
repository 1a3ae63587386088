//! Control groups: limits on memory, processes and CPU, killing and accounting, whatever mixture of versions 1 and 2 is mounted.
//!
//! Each controller is decided for on its own ([`Placement`]): on pure v2 all are one tree, in hybrid form memory may be v1 while
//! the v2 tree still kills and accounts. A missing controller is a recorded weakness, never an error: see [`crate::probe`].
//!
//! One group per process of an app, named by its id, under `<hierarchy>/dozen/`. The launcher creates and removes (root); the shim,
//! uid dozen by then, reads counters, kills and freezes: `create` gives it the files for that, and no more.
//!
//! A limit on processes counts threads too, as the kernel does. When memory runs out the kernel kills one process of the group, not
//! all: a server that keeps workers may start another.

mod delegation;
mod detect;
mod files;
mod group;
mod limit;
mod mounts;
mod seats;
mod usage;

pub use delegation::find_delegated;
pub use group::ProcessGroup;

use detect::Found;
use domain::ids::ProcessId;
use domain::process::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the kernel tells of mounts and controllers.
const PROCESS_FOLDER: &str = "/proc";
/// Letters of a group name at most.
const MAX_NAME_BYTES: usize = 32;

/// Where groups are made.
#[derive(Debug, Clone, Default)]
pub struct CgroupSettings {
    /// A delegated folder of the v2 tree, such as `/sys/fs/cgroup/dozen.slice/dozen-apps.service`; `None`: the tree's top.
    pub delegated: Option<PathBuf>,
    /// The folder that all groups of this installation lie in.
    pub name: GroupName,
    /// Controllers to do without, as if the kernel lacked them.
    pub hidden: Vec<Controller>,
}

/// The name of an installation's own folder: lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupName(String);

/// What is wrong with a group name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{given}\" cannot be the name of a control group: expected 1 to {MAX_NAME_BYTES} lower-case letters, digits and hyphens, a letter first"
)]
pub struct InvalidGroupName {
    given: String,
}

impl GroupName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for GroupName {
    fn default() -> Self {
        Self("dozen".to_owned())
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for GroupName {
    type Err = InvalidGroupName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let letter_first = text.starts_with(|first: char| first.is_ascii_lowercase());
        if !plain || !letter_first || text.len() > MAX_NAME_BYTES {
            return Err(InvalidGroupName { given: text.chars().take(64).collect() });
        }
        Ok(Self(text.to_owned()))
    }
}

/// What limits; and the v2 tree as such, which kills, freezes and counts CPU time without any controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    Memory,
    Cpu,
    Pids,
    Unified,
}

impl Controller {
    /// The kernel's name for it.
    const fn kernel_name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
            Self::Unified => "unified",
        }
    }
}

/// Where a controller is found on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version", rename_all = "snake_case")]
pub enum Placement {
    /// A hierarchy of version 1; `path` is the folder our groups are made in.
    V1 {
        path: PathBuf,
    },
    /// The unified hierarchy.
    V2 {
        path: PathBuf,
    },
    None {
        why: String,
    },
}

/// A failed operation on a control group.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error("could not {operation} {path}")]
    File { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} holds \"{content}\" where {expected} was expected")]
    Content { path: PathBuf, content: String, expected: &'static str },
    #[error("{path} still has processes after {waited_millis} ms")]
    Busy { path: PathBuf, waited_millis: u64 },
    #[error("{path} did not become \"{wanted}\" within {waited_millis} ms")]
    Freeze { path: PathBuf, wanted: &'static str, waited_millis: u64 },
    #[error("neither control groups of version 2 nor a version 1 freezer are mounted")]
    NoFreezer,
}

/// How a group's processes can be killed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kill {
    /// The group's kill file has done it: everything in the group gets SIGKILL.
    Done,
    /// There is no v2 group: the caller must kill the first process of the pid namespace, which ends all.
    KillInit,
}

/// The ids that own the files a shim needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// The control groups of this machine, as far as they are of use.
#[derive(Debug, Clone)]
pub struct Cgroups {
    found: Found,
}

impl Cgroups {
    /// Reads what is mounted. Makes nothing.
    pub fn detect(settings: &CgroupSettings) -> Result<Self, CgroupError> {
        Self::detect_at(Path::new(PROCESS_FOLDER), settings)
    }

    /// The same from a folder other than `/proc`, with `self/mountinfo` and `cgroups` in it.
    pub fn detect_at(process_folder: &Path, settings: &CgroupSettings) -> Result<Self, CgroupError> {
        detect::detect(process_folder, settings).map(|found| Self { found })
    }

    pub const fn placement(&self, controller: Controller) -> &Placement {
        match controller {
            Controller::Memory => &self.found.memory,
            Controller::Cpu => &self.found.cpu,
            Controller::Pids => &self.found.pids,
            Controller::Unified => &self.found.unified,
        }
    }

    /// Makes the folders that processes' groups lie in and turns controllers on along the way (v2); processes in a delegated folder,
    /// the caller perhaps among them, move to a leaf of it. Root or the folder's owner, once at the launcher's start; repeatable.
    ///
    /// What cannot be had is done without from here on: returns those controllers, which shims are to be told to leave alone as
    /// well; [`Self::placement`] then says why.
    pub fn prepare(&mut self) -> Vec<Controller> {
        detect::prepare(&mut self.found)
    }

    /// Makes a group with its limits; what exists already is taken over and its limits set anew. After [`Self::prepare`].
    pub fn create(
        &self,
        process: ProcessId,
        limits: &Limits,
        owner: Owner,
    ) -> Result<ProcessGroup, CgroupError> {
        let group = self.group(process);
        group.make(limits, owner)?;
        Ok(group)
    }

    /// The group of a process, by name alone: nothing is looked at.
    pub fn group(&self, process: ProcessId) -> ProcessGroup {
        ProcessGroup { seats: self.found.seats.join(&process.to_string()) }
    }

    /// Moves the template of shims, and with it every shim to come, to the delegated folder: whatever becomes of the launcher's own
    /// group, they are not in it. Does nothing where no folder is delegated.
    pub fn add_template(&self, pid: u32) -> Result<(), CgroupError> {
        let Some(folder) = &self.found.shims else { return Ok(()) };
        files::write(&folder.join("cgroup.procs"), &pid.to_string())
    }

    /// Processes that have a group, in any hierarchy, ended or not.
    pub fn list(&self) -> Result<BTreeSet<ProcessId>, CgroupError> {
        let mut processes = BTreeSet::new();
        for folder in self.found.seats.folders() {
            processes.extend(
                files::folder_names(folder)?.iter().filter_map(|name| name.parse::<ProcessId>().ok()),
            );
        }
        Ok(processes)
    }

    /// Removes the folders that [`Self::prepare`] made. Returns those that still hold groups.
    pub fn remove_all(&self) -> Result<Vec<PathBuf>, CgroupError> {
        detect::remove_all(&self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_names_stay_in_their_folder() {
        for good in ["dozen", "dozen-2", "d"] {
            assert_eq!(good.parse::<GroupName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "..", "a/b", "2dozen", "-d", "Dozen", "a b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert!(bad.parse::<GroupName>().is_err(), "{bad}");
        }
    }
}
