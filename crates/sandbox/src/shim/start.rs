//! The shim's first part, with the launcher's rights: limits, network, descriptors, and the clone of the sandbox. Ends before anything of the app's
//! runs; the sandbox waits for [`ToInit::Start`](crate::inside::link::ToInit).

use super::clone::{Init, clone_into_namespaces};
use super::orders::Orders;
use super::stdio::{self, Made, Outside};
use crate::cgroup::{Cgroups, Owner, ProcessGroup};
use crate::inside::link::{self, ShimLink};
use crate::inside::{Inside, InsideError, Parts};
use crate::layout::DataFolder;
use crate::probe::NetworkForm;
use domain::cause::chain;
use rustix::fs::{Mode, OFlags};
use rustix::thread::LinkNameSpaceType;
use std::os::fd::{AsFd, OwnedFd};

/// A sandbox that waits for the word.
pub struct Started {
    pub init: Init,
    pub link: ShimLink,
    pub group: ProcessGroup,
    pub outside: Outside,
}

/// Why there is no sandbox, and where the caller may be told besides the log.
pub struct NotStarted {
    pub problem: InsideError,
    pub outside: Option<Outside>,
}

pub fn start(orders: &Orders, environment: OwnedFd, passed: Vec<OwnedFd>) -> Result<Started, NotStarted> {
    let Made { inside, outside } = stdio::make(orders.spec.stdio, orders.app, passed)
        .map_err(|problem| NotStarted { problem, outside: None })?;
    match make_sandbox(orders, environment, inside) {
        Ok((init, link, group)) => Ok(Started { init, link, group, outside }),
        Err(problem) => Err(NotStarted { problem, outside: Some(outside) }),
    }
}

fn make_sandbox(
    orders: &Orders,
    environment: OwnedFd,
    stdio: crate::inside::InsideStdio,
) -> Result<(Init, ShimLink, ProcessGroup), InsideError> {
    let group = make_group(orders)?;
    enter_network(orders)?;
    let parts = Parts { stdio, environment, helper: crate::inside::find_helper(orders)? };
    let (shim_link, init_link) = link::pair().map_err(InsideError::at("make a socket pair"))?;
    let init = clone_into_namespaces(orders, || {
        crate::inside::enter(Inside { orders, link: init_link, parts });
    })
    .map_err(InsideError::at("make namespaces"))?;
    let pid = init.pid.as_raw_nonzero().get().unsigned_abs();
    group.add(pid).map_err(|error| InsideError::new("put the process under its limits", chain(&error)))?;
    Ok((init, shim_link, group))
}

fn make_group(orders: &Orders) -> Result<ProcessGroup, InsideError> {
    let failed = |error: crate::cgroup::CgroupError| InsideError::new("make a control group", chain(&error));
    let settings = orders.cgroup.to_settings().map_err(InsideError::at("name a control group"))?;
    let owner = Owner { uid: orders.shim.uid, gid: orders.shim.gid };
    Cgroups::detect(&settings)
        .and_then(|groups| groups.create(orders.spec.process, &orders.spec.limits, owner))
        .map_err(failed)
}

/// From here on this process, too, lives in the app's network: that is where it looks whether the app accepts.
fn enter_network(orders: &Orders) -> Result<(), InsideError> {
    match orders.network {
        NetworkForm::Shared => Ok(()),
        NetworkForm::PerApp => {
            let path = DataFolder::new(&orders.data).network(orders.spec.app);
            let pin = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(InsideError::at("find the app's network"))?;
            rustix::thread::move_into_link_name_space(pin.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(InsideError::at("enter the app's network"))
        }
    }
}
