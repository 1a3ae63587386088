//! Giving up every privilege, in an order in which each step is still allowed: limits, capabilities' bounds, user, capabilities,
//! no new privileges, Landlock, and the filter of system calls last.

use super::{InsideError, seccomp};
use crate::probe::{Layer, LayerSet, Privilege};
use crate::shim::orders::{Orders, UserIds};
use landlock::{RulesetAttr, Scope};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

/// One byte: too little for a core file, and the one value at which the kernel does not hand a core to a collector either. A core
/// holds the config values.
const CORE: (u64, u64) = (1, 1);
/// Most open files of a process: what it starts with, and what it may raise that to.
const OPEN_FILES: (u64, u64) = (16_384, 65_536);
/// Most processes and threads of one uid where a controller counts them as well: a second fence, wide enough for many
/// processes of one app.
const PROCESSES_PER_USER: u64 = 32_768;
/// Where nothing counts memory: the data of one process, as a multiple of the limit for all of its app's process. A fence against
/// runaways, wide enough for stacks of threads and heaps that are reserved and never touched.
const DATA_PER_MEMORY: u64 = 4;
/// The kernel that first counts a user's processes in each user namespace apart.
const COUNTS_PER_NAMESPACE_SINCE: (u32, u32) = (5, 14);
/// Highest capability that any kernel may come to know: the set is 64 bits wide.
const LAST_CAPABILITY: u32 = 63;

/// Asks the kernel to kill this process, and with it the whole sandbox, if the shim dies.
pub fn die_with_the_shim() -> Result<(), InsideError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(InsideError::at("tie the sandbox to its shim"))
}

/// Becomes the app's user, without any privilege and without a way back. In a user namespace one is that user already; what is given
/// up there are the rights within it.
pub fn become_app(orders: &Orders) -> Result<(), InsideError> {
    lower_limits(orders);
    drop_bounding_set()?;
    match orders.privilege {
        Privilege::Root => switch_user(orders.app)?,
        Privilege::OrdinaryUser => {}
    }
    drop_capabilities(CapabilitySet::empty())?;
    rustix::thread::set_no_new_privs(true).map_err(InsideError::at("renounce new privileges"))?;
    // A change of user has cleared this.
    die_with_the_shim()?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(InsideError::at("close the init's memory to others"))?;
    restrict_scope(&orders.without)?;
    if orders.without.contains(Layer::Seccomp) {
        return Ok(());
    }
    seccomp::apply()
}

/// The shim, once everything that needs root is done: uid dozen, able to signal the app's uid, and nothing more. As an ordinary user
/// it has nothing to give up, and may signal the app, whose uid is its own.
pub fn become_shim(orders: &Orders) -> Result<(), InsideError> {
    match orders.privilege {
        Privilege::Root => become_dozen(orders.shim)?,
        Privilege::OrdinaryUser => drop_capabilities(CapabilitySet::empty())?,
    }
    rustix::thread::set_no_new_privs(true).map_err(InsideError::at("renounce new privileges"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(InsideError::at("close the shim's memory to others"))
}

fn become_dozen(ids: UserIds) -> Result<(), InsideError> {
    rustix::thread::set_keep_capabilities(true).map_err(InsideError::at("keep capabilities"))?;
    switch_user(ids)?;
    drop_capabilities(CapabilitySet::KILL)?;
    rustix::thread::set_keep_capabilities(false).map_err(InsideError::at("stop keeping capabilities"))
}

/// Limits are only ever lowered; where even that is refused, what is there is at most what was inherited.
fn lower_limits(orders: &Orders) {
    let mut limits = vec![(Resource::Core, CORE), (Resource::Nofile, OPEN_FILES)];
    limits.extend(processes_limit(orders).map(|processes| (Resource::Nproc, (processes, processes))));
    if orders.without.contains(Layer::CgroupMemory) {
        let bytes = orders.spec.limits.hard_memory_bytes().saturating_mul(DATA_PER_MEMORY);
        limits.push((Resource::Data, (bytes, bytes)));
    }
    for (resource, (current, maximum)) in limits {
        let inherited = rustix::process::getrlimit(resource);
        let ceiling = inherited.maximum.map_or(maximum, |inherited| inherited.min(maximum));
        let wanted = Rlimit { current: Some(current.min(ceiling)), maximum: Some(ceiling) };
        let _ = rustix::process::setrlimit(resource, wanted);
    }
}

/// `None` where the kernel would count everything else that the user runs.
fn processes_limit(orders: &Orders) -> Option<u64> {
    let per_sandbox = orders.privilege == Privilege::Root
        || crate::system::kernel_version().is_some_and(|version| version >= COUNTS_PER_NAMESPACE_SINCE);
    let counted = !orders.without.contains(Layer::CgroupPids);
    let processes = if counted { PROCESSES_PER_USER } else { u64::from(orders.spec.limits.processes) };
    per_sandbox.then_some(processes)
}

fn drop_bounding_set() -> Result<(), InsideError> {
    for number in 0..=LAST_CAPABILITY {
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(
            1 << number,
        )) {
            Ok(()) => {}
            // Beyond the last that this kernel knows.
            Err(rustix::io::Errno::INVAL) => return Ok(()),
            Err(errno) => return Err(InsideError::new("drop the bounding set", errno)),
        }
    }
    Ok(())
}

fn switch_user(ids: UserIds) -> Result<(), InsideError> {
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    rustix::thread::set_thread_groups(&[]).map_err(InsideError::at("drop supplementary groups"))?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(InsideError::at("change the group"))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(InsideError::at("change the user"))
}

fn drop_capabilities(kept: CapabilitySet) -> Result<(), InsideError> {
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(InsideError::at("drop capabilities"))?;
    rustix::thread::clear_ambient_capability_set().map_err(InsideError::at("drop ambient capabilities"))
}

/// Signals and abstract sockets end at the sandbox, where the kernel can do that. Namespaces do it already; this is a second wall.
fn restrict_scope(without: &LayerSet) -> Result<(), InsideError> {
    if without.contains(Layer::Landlock) {
        return Ok(());
    }
    landlock::Ruleset::default()
        .scope(Scope::AbstractUnixSocket | Scope::Signal)
        .and_then(|ruleset| ruleset.create())
        .and_then(|ruleset| ruleset.restrict_self())
        .map(|_status| ())
        .map_err(InsideError::at("restrict signals and abstract sockets"))
}
