//! The inside of a sandbox: what happens between the clone of the namespaces and the first instruction of the app.
//!
//! [`enter`] runs in a child of the shim that is pid 1 of its own pid namespace. It builds the file system, waits until the shim
//! has put it under its limits, gives up every privilege, and becomes the init that starts the app and reaps orphans. It speaks
//! to the shim over one socket ([`link`]) and reaches nothing else of the outside. It never returns.
//!
//! Nothing here reads a config value: only the app's own process, after the last fork, maps the environment and executes with
//! it ([`exec`]).

mod credentials;
mod devices;
mod etc;
mod exec;
mod identity;
mod init;
pub(crate) mod link;
mod listening;
mod mounts;
mod proc;
mod rootfs;
mod seccomp;
mod terminal;
mod toolchain;

pub(crate) use credentials::become_shim;
pub(crate) use exec::Descriptors;
pub(crate) use rootfs::find_helper;
pub use toolchain::{UnfitPrefix, check_prefix};

use crate::probe::{Layer, LayerSet};
use crate::shim::orders::Orders;
use link::{FromInit, InitLink};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// Longest reason of a failure that is told: with its escapes it fits a message.
const MAX_REASON_CHARACTERS: usize = 600;

/// What the app's process gets.
pub(crate) struct Inside<'a> {
    pub orders: &'a Orders,
    pub link: InitLink,
    pub parts: Parts,
}

/// The descriptors that are meant for the inside, beside the link.
pub(crate) struct Parts {
    pub stdio: InsideStdio,
    /// The sealed memfd.
    pub environment: OwnedFd,
    pub helper: OurBinary,
}

/// Our own binary, for a sandbox that has it.
pub(crate) enum OurBinary {
    Absent,
    /// A tree that is attached nowhere yet.
    Detached(OwnedFd),
    /// To be found by name inside, as an ordinary user may clone mounts only there.
    ByName,
}

impl OurBinary {
    fn descriptor(&self) -> Option<&OwnedFd> {
        match self {
            Self::Detached(tree) => Some(tree),
            Self::Absent | Self::ByName => None,
        }
    }
}

/// Where the app's standard descriptors come from.
pub(crate) enum InsideStdio {
    /// They exist already.
    Given(Descriptors),
    /// A terminal of the sandbox's own, made inside; its master goes to the shim.
    Terminal(crate::spec::WindowSize),
}

/// Which step failed, and how: becomes one line in the app's log.
#[derive(Debug)]
pub(crate) struct InsideError {
    step: String,
    cause: String,
}

impl InsideError {
    pub fn new(step: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self { step: step.into(), cause: cause.to_string() }
    }

    /// For `map_err`: names the step.
    pub fn at<E: fmt::Display>(step: &str) -> impl FnOnce(E) -> Self {
        move |cause| Self::new(step, cause)
    }
}

impl fmt::Display for InsideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.step, self.cause)
    }
}

/// Becomes the sandbox. Called right after the clone, in the child.
pub(crate) fn enter(inside: Inside<'_>) -> ! {
    let Inside { orders, link, parts } = inside;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(orders, &link, parts)));
    let what = match outcome {
        Ok(Ok(never)) => match never {},
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the sandbox's init failed on a broken assumption of its own".to_owned(),
    };
    link.tell(&FromInit::Failed { what: what.chars().take(MAX_REASON_CHARACTERS).collect() });
    exit(1)
}

fn run(orders: &Orders, link: &InitLink, parts: Parts) -> Result<std::convert::Infallible, InsideError> {
    credentials::die_with_the_shim()?;
    close_the_shims_descriptors(link, &parts)?;
    identity::take(orders)?;
    let Parts { stdio, environment, helper } = parts;
    rootfs::build(orders, helper)?;
    let stdio = match stdio {
        InsideStdio::Given(descriptors) => descriptors,
        InsideStdio::Terminal(size) => terminal::open(size, orders.app, link)?,
    };
    // The shim has put this process under its limits once it says so; nothing of the app's runs before.
    link.wait_for_start()?;
    enter_cgroup_namespace(&orders.without)?;
    credentials::become_app(orders)?;
    init::run(&orders.spec.command, link, stdio, environment)
}

fn enter_cgroup_namespace(without: &LayerSet) -> Result<(), InsideError> {
    if without.contains(Layer::CgroupNamespace) {
        return Ok(());
    }
    // SAFETY: only the control group namespace is changed, no descriptor table; this process has one thread.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWCGROUP) }
        .map_err(InsideError::at("enter a control group namespace"))
}

/// Closes what the clone copied from the shim, above all its ends of the app's pipes: as long as they are open here, nobody sees
/// their end. The values that own those descriptors are never dropped in this process.
fn close_the_shims_descriptors(link: &InitLink, parts: &Parts) -> Result<(), InsideError> {
    let mut kept: Vec<RawFd> = vec![0, 1, 2, link.as_fd().as_raw_fd(), parts.environment.as_raw_fd()];
    kept.extend(parts.helper.descriptor().map(AsRawFd::as_raw_fd));
    match &parts.stdio {
        InsideStdio::Terminal(_) => {}
        InsideStdio::Given(Descriptors { input, output, error, extra }) => {
            kept.extend([input, output, error].map(AsRawFd::as_raw_fd));
            kept.extend(extra.as_ref().map(AsRawFd::as_raw_fd));
        }
    }
    for (first, last) in gaps(kept) {
        // SAFETY: closes descriptors of this process only, none of which is used here again.
        if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } != 0 {
            return Err(InsideError::new("close the shim's descriptors", std::io::Error::last_os_error()));
        }
    }
    Ok(())
}

/// The ranges of numbers between those that are kept, the last without end.
fn gaps(mut kept: Vec<RawFd>) -> Vec<(u32, u32)> {
    kept.sort_unstable();
    kept.dedup();
    let mut gaps = Vec::new();
    let mut next = 0;
    for number in kept.into_iter().filter_map(|number| u32::try_from(number).ok()) {
        if number > next {
            gaps.push((next, number - 1));
        }
        next = number + 1;
    }
    gaps.push((next, u32::MAX));
    gaps
}

/// Ends this process without running anything that belongs to the shim that it was cloned from.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends the process; runs no destructor and no exit handler, which is the point.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use super::gaps;

    #[test]
    fn gaps_lie_between_what_is_kept() {
        assert_eq!(gaps(vec![0, 1, 2, 7, 5, 5]), [(3, 4), (6, 6), (8, u32::MAX)]);
        assert_eq!(gaps(vec![]), [(0, u32::MAX)]);
    }
}
