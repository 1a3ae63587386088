//! Control groups: limits on memory, processes and CPU, killing and accounting, whatever mixture of versions 1 and 2 is mounted.
//!
//! Each controller is decided for on its own ([`Placement`]): on pure v2 all are one tree, in hybrid form memory may be v1 while
//! the v2 tree still kills and accounts. A missing controller is a recorded weakness, never an error: see [`crate::probe`].
//!
//! One group per process of an app, named by its id, under `<root>/dozen/`. The launcher creates and removes (root); the shim,
//! uid dozen by then, reads counters and kills: `create` gives it the files it needs, and no more.

use domain::ids::ProcessId;
use domain::process::Limits;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where groups are made.
#[derive(Debug, Clone, Default)]
pub struct CgroupSettings {
    /// A delegated folder of the v2 tree, such as `/sys/fs/cgroup/dozen.slice/dozen-apps.service`; `None`: the tree's top.
    pub delegated: Option<PathBuf>,
    /// Controllers to do without, as if the kernel lacked them.
    pub hidden: Vec<Controller>,
}

/// What limits or watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    Memory,
    Cpu,
    Pids,
}

/// Where a controller is found on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version", rename_all = "snake_case")]
pub enum Placement {
    /// A hierarchy of version 1; `path` is the folder our groups are made in.
    V1 { path: PathBuf },
    /// The unified hierarchy.
    V2 { path: PathBuf },
    None { why: String },
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
    #[error("{path} did not become {wanted} within {waited_millis} ms")]
    Freeze { path: PathBuf, wanted: &'static str, waited_millis: u64 },
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
pub struct Cgroups {}

impl Cgroups {
    /// Reads what is mounted. Makes nothing.
    pub fn detect(_settings: &CgroupSettings) -> Result<Self, CgroupError> {
        unfinished()
    }

    pub fn placement(&self, _controller: Controller) -> &Placement {
        const NOWHERE: &Placement = &Placement::None { why: String::new() };
        NOWHERE
    }

    /// Makes the folders that processes' groups lie in and turns controllers on along the way (v2). Root, once at the launcher's start; repeatable.
    pub fn prepare(&self) -> Result<(), CgroupError> {
        unfinished()
    }

    /// Makes a group with its limits; what exists already is taken over and its limits set anew.
    pub fn create(&self, _process: ProcessId, _limits: &Limits, _owner: Owner) -> Result<ProcessGroup, CgroupError> {
        unfinished()
    }

    /// The group of a process, by name alone: nothing is looked at.
    pub fn group(&self, _process: ProcessId) -> ProcessGroup {
        ProcessGroup {}
    }

    /// Processes that have a group, in any hierarchy, ended or not.
    pub fn list(&self) -> Result<Vec<ProcessId>, CgroupError> {
        unfinished()
    }
}

/// The group of one process and its descendants.
#[derive(Debug, Clone)]
pub struct ProcessGroup {}

impl ProcessGroup {
    /// Moves a child in. Before it runs anything of the app's: it waits on a pipe meanwhile.
    pub fn add(&self, _pid: u32) -> Result<(), CgroupError> {
        unfinished()
    }

    /// The folder in the v2 tree, for CLONE_INTO_CGROUP; `add` is then needed only if some controller is v1.
    pub fn unified_folder(&self) -> Option<&Path> {
        None
    }

    /// Stops every process where it stands, and waits until they do.
    pub fn freeze(&self) -> Result<(), CgroupError> {
        unfinished()
    }

    pub fn thaw(&self) -> Result<(), CgroupError> {
        unfinished()
    }

    /// SIGKILL to everything in the group, atomically, where the kernel can.
    pub fn kill_all(&self) -> Result<Kill, CgroupError> {
        unfinished()
    }

    /// How many of its processes were killed for want of memory; `None` without a memory controller.
    pub fn oom_kills(&self) -> Result<Option<u64>, CgroupError> {
        unfinished()
    }

    /// CPU time used by all that ever ran in it; `None` where nothing accounts for it.
    pub fn cpu_time(&self) -> Result<Option<Duration>, CgroupError> {
        unfinished()
    }

    /// Bytes of memory charged now.
    pub fn memory_current(&self) -> Result<Option<u64>, CgroupError> {
        unfinished()
    }

    /// The most bytes that were ever charged at once; `None` also where the kernel does not keep it (v2 before 5.19).
    pub fn memory_peak(&self) -> Result<Option<u64>, CgroupError> {
        unfinished()
    }

    /// Removes the group from every hierarchy; absent is fine. Waits a little for processes that are just ending.
    pub fn remove(&self) -> Result<(), CgroupError> {
        unfinished()
    }
}

fn unfinished<T>() -> Result<T, CgroupError> {
    Err(CgroupError::Busy { path: PathBuf::new(), waited_millis: 0 })
}
