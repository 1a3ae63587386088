//! The clones that make a shim, and a sandbox's first process.

use super::orders::Orders;
use crate::probe::{Layer, Privilege};
use rustix::process::Pid;
use std::os::fd::{FromRawFd, OwnedFd};

/// The sandbox's first process, or another child, as its parent sees it.
#[derive(Debug)]
pub struct Init {
    pub pid: Pid,
    /// Readable when it has ended.
    pub pidfd: OwnedFd,
}

/// What a child exits with if it returns, which it must not: it would go on as a second copy of its parent.
const CHILD_RETURNED: i32 = 70;

/// Runs `child` in new namespaces as their first process; returns in the parent only.
pub fn clone_into_namespaces(orders: &Orders, child: impl FnOnce()) -> std::io::Result<Init> {
    clone_watched(namespace_flags(orders), child)
}

fn clone_watched(flags: u64, child: impl FnOnce()) -> std::io::Result<Init> {
    let mut pidfd: libc::c_int = -1;
    let arguments = CloneArguments {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArguments::default()
    };
    let pid = clone(arguments, child)?;
    // SAFETY: the kernel has stored a new descriptor there, which nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Init { pid, pidfd })
}

/// Runs `child` as an ordinary child: a copy of this process.
pub fn clone_child(child: impl FnOnce()) -> std::io::Result<Init> {
    clone_watched(0, child)
}

/// Runs `child` as a child of this process's own parent.
pub fn clone_sibling(child: impl FnOnce()) -> std::io::Result<Pid> {
    // The signal at its end is the one that this process's own end sends.
    clone(CloneArguments { flags: libc::CLONE_PARENT as u64, ..CloneArguments::default() }, child)
}

fn clone(mut arguments: CloneArguments, child: impl FnOnce()) -> std::io::Result<Pid> {
    // SAFETY: a fork in all but name: no memory is shared and the stack is a copy. This process has one thread, so no lock is
    // held by another; the structure, and the place for a pidfd that it may point to, live across the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<CloneArguments>()) };
    match pid {
        -1 => Err(std::io::Error::last_os_error()),
        0 => {
            child();
            crate::inside::exit(CHILD_RETURNED)
        }
        pid => i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| std::io::ErrorKind::InvalidData.into()),
    }
}

fn namespace_flags(orders: &Orders) -> u64 {
    let optional = [(Layer::IpcNamespace, libc::CLONE_NEWIPC), (Layer::UtsNamespace, libc::CLONE_NEWUTS)];
    let chosen = optional.into_iter().filter(|(layer, _)| !orders.without.contains(*layer));
    let user = match orders.privilege {
        Privilege::Root => 0,
        // The kernel makes it first, and the others in it.
        Privilege::OrdinaryUser => libc::CLONE_NEWUSER,
    };
    let always = libc::CLONE_NEWPID | libc::CLONE_NEWNS | user;
    chosen.fold(always, |flags, (_, flag)| flags | flag) as u64
}

/// `struct clone_args` (Linux, `include/uapi/linux/sched.h`), first version.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}
