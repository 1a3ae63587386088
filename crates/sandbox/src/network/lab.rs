//! Networks to test in: a host of one's own, with an uplink that leads to an "outside" of one's own. Only in tests.
//!
//! ```text
//!   outside                                  host (the thread that called `Lab::enter`)
//!   203.0.113.10, 169.254.169.254 on lo
//!   down0 198.51.100.1  <===== veth =====>   up0 198.51.100.2, default via 198.51.100.1
//! ```
//!
//! A thread that has entered a lab, and every thread and child that it starts, sees nothing of the machine's real network and
//! sends nothing to it. Its mounts are its own too. All of it is gone when the last of them ends.

use super::error::{Doing, NetworkError};
use super::netlink::{Protocol, Socket};
use super::route::{self, Destination, HardwareAddress, LinkPair, Route};
use super::{forwarding, namespace, rules};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The host's end of the uplink.
pub const UPLINK: &str = "up0";
/// The host's address on it.
pub const UPLINK_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Not Ethernet's usual 1500, so that it shows where it is taken over.
pub const UPLINK_MTU: u32 = 1400;
/// The neighbour on the uplink.
pub const OUTSIDE_GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// A machine out there, with no route back to apps' addresses.
pub const OUTSIDE_HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// Where clouds answer with a machine's secrets; in the lab somebody out there really does.
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

const OUTSIDE_INTERFACE: &str = "down0";
const LOOPBACK: &str = "lo";

/// A host of one's own.
#[derive(Debug)]
pub struct Lab {
    outside: OwnedFd,
}

impl Lab {
    /// Takes the calling thread into a new network and mount namespace, and builds the networks. Needs root. The thread stays
    /// there for good.
    pub fn enter() -> Result<Self, NetworkError> {
        let failed = |errno: Errno| NetworkError::NewNamespace(errno.into());
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).map_err(failed)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).map_err(failed)?;
        let outside = namespace::new_namespace()?;
        let lab = Self { outside };
        // A new namespace takes this over from the machine.
        forwarding::turn_off()?;
        lab.build_host_side()?;
        lab.run_outside(build_outside)??;
        Ok(lab)
    }

    fn build_host_side(&self) -> Result<(), NetworkError> {
        let mut host = socket()?;
        let pair = LinkPair {
            names: [OUTSIDE_INTERFACE, UPLINK],
            hardware_addresses: [HardwareAddress([2, 0, 0, 0, 0, 1]), HardwareAddress([2, 0, 0, 0, 0, 2])],
            mtu: UPLINK_MTU,
        };
        route::create_pair(&mut host, &pair).doing("make", UPLINK)?;
        let outer = index_of(&mut host, OUTSIDE_INTERFACE)?;
        route::move_to_namespace(&mut host, outer, "outside of a lab", self.outside.as_fd())
            .doing("move", UPLINK)?;
        set_up(&mut host, LOOPBACK, &[])?;
        let uplink = set_up(&mut host, UPLINK, &[UPLINK_ADDRESS])?;
        lead(&mut host, Destination::Neighbour(OUTSIDE_GATEWAY), uplink)?;
        lead(&mut host, Destination::EverywhereElse { gateway: OUTSIDE_GATEWAY }, uplink)
    }

    /// Runs `work` on a thread out there.
    pub fn run_outside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetworkError> {
        run_in(self.outside.as_fd(), work)
    }
}

fn build_outside() -> Result<(), NetworkError> {
    let mut outside = socket()?;
    set_up(&mut outside, LOOPBACK, &[OUTSIDE_HOST, METADATA])?;
    let link = set_up(&mut outside, OUTSIDE_INTERFACE, &[OUTSIDE_GATEWAY])?;
    lead(&mut outside, Destination::Neighbour(UPLINK_ADDRESS), link)
}

/// Runs `work` on a thread in another network namespace. Sockets that it returns stay there.
pub fn run_in<T: Send>(network: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> Result<T, NetworkError> {
    namespace::on_a_thread("work in a network namespace", || {
        setns(network, CloneFlags::CLONE_NEWNET).map_err(|errno| NetworkError::EnterNamespace {
            path: "a descriptor".into(),
            source: errno.into(),
        })?;
        Ok(work())
    })?
}

/// Gives an interface of the calling thread's namespace one more address.
pub fn add_address(interface: &str, address: Ipv4Addr) -> Result<(), NetworkError> {
    let mut socket = socket()?;
    let index = index_of(&mut socket, interface)?;
    route::add_address(&mut socket, index, address).doing("give an address to", interface)
}

/// Leads an address through a neighbour on an interface of the calling thread's namespace.
pub fn add_route(to: Ipv4Addr, gateway: Ipv4Addr, interface: &str) -> Result<(), NetworkError> {
    let mut socket = socket()?;
    let index = index_of(&mut socket, interface)?;
    lead(&mut socket, Destination::Address { address: to, gateway }, index)
}

/// Makes a pair of interfaces in the calling thread's namespace.
pub fn make_pair(names: [&str; 2]) -> Result<(), NetworkError> {
    let hardware_addresses = [HardwareAddress([2, 1, 0, 0, 0, 1]), HardwareAddress([2, 1, 0, 0, 0, 2])];
    let pair = LinkPair { names, hardware_addresses, mtu: UPLINK_MTU };
    route::create_pair(&mut socket()?, &pair).doing("make", names.join(" and "))
}

/// Deletes an interface of the calling thread's namespace.
pub fn delete_interface(interface: &str) -> Result<(), NetworkError> {
    let mut socket = socket()?;
    let index = index_of(&mut socket, interface)?;
    route::delete(&mut socket, index).doing("delete", interface)
}

/// Names and MTUs of the interfaces in the calling thread's namespace, loopback left out.
pub fn interfaces() -> Result<Vec<(String, u32)>, NetworkError> {
    let links = route::list(&mut socket()?).doing("list", "network interfaces")?;
    Ok(links.into_iter().filter(|link| link.name != LOOPBACK).map(|link| (link.name, link.mtu)).collect())
}

/// Puts a forward chain with policy drop and no rules in force, as another firewall might. `name` is that of its table.
pub fn drop_forwarded(name: &str) -> Result<(), NetworkError> {
    rules::drop_forwarded(name)
}

/// Leads whatever is sent to an address of this host on to another address, as another firewall might. `name` is that of its table.
pub fn lead_own_addresses_to(name: &str, address: Ipv4Addr) -> Result<(), NetworkError> {
    rules::lead_own_addresses_to(name, address)
}

fn socket() -> Result<Socket, NetworkError> {
    Socket::open(Protocol::Route).doing("talk to", "the kernel's network interfaces")
}

fn index_of(socket: &mut Socket, interface: &str) -> Result<u32, NetworkError> {
    let absent = || NetworkError::Netlink {
        operation: "find",
        object: interface.to_owned(),
        source: super::NetlinkError::Refused(io::Error::from(Errno::ENODEV)),
    };
    route::find(socket, interface).doing("look for", interface)?.map(|link| link.index).ok_or_else(absent)
}

fn set_up(socket: &mut Socket, interface: &str, addresses: &[Ipv4Addr]) -> Result<u32, NetworkError> {
    let index = index_of(socket, interface)?;
    route::set_up(socket, index, None).doing("bring up", interface)?;
    for address in addresses {
        route::add_address(socket, index, *address).doing("give an address to", interface)?;
    }
    Ok(index)
}

fn lead(socket: &mut Socket, to: Destination, link: u32) -> Result<(), NetworkError> {
    route::replace_route(socket, &Route { to, link, source: None }).doing("lead a route", format!("{to:?}"))
}
