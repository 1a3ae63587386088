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
mod init;
pub(crate) mod link;
mod listening;
mod mounts;
mod proc;
mod rootfs;
mod seccomp;
mod syscalls;
mod terminal;

pub(crate) use credentials::become_shim;
pub(crate) use exec::Descriptors;
pub(crate) use rootfs::helper_tree;

use crate::probe::{Layer, LayerSet};
use crate::shim::orders::Orders;
use link::{FromInit, InitLink};
use std::fmt;
use std::os::fd::OwnedFd;

/// What the app's process gets.
pub(crate) struct Inside<'a> {
    pub orders: &'a Orders,
    pub link: InitLink,
    pub stdio: InsideStdio,
    /// The sealed memfd.
    pub environment: OwnedFd,
    /// Our own binary, to be bound.
    pub helper: Option<OwnedFd>,
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
    let link = inside.link.clone_handle();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(inside)));
    let what = match outcome {
        Ok(Ok(never)) => match never {},
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the sandbox's init failed on a broken assumption of its own".to_owned(),
    };
    if let Some(link) = link {
        link.tell(&FromInit::Failed { what });
    }
    exit(1)
}

fn run(inside: Inside<'_>) -> Result<std::convert::Infallible, InsideError> {
    let Inside { orders, mut link, stdio, environment, helper } = inside;
    credentials::die_with_the_shim()?;
    rootfs::build(orders, helper.as_ref())?;
    let stdio = match stdio {
        InsideStdio::Given(descriptors) => descriptors,
        InsideStdio::Terminal(size) => terminal::open(size, orders.app, &link)?,
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

/// Ends this process without running anything that belongs to the shim that it was cloned from.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends the process; runs no destructor and no exit handler, which is the point.
    unsafe { libc::_exit(code) }
}
