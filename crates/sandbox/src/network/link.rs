//! The link between an app's namespace and the host: made whole, looked at, removed.
//!
//! A pair is made inside the app's namespace and its host end labelled there with the app's id before it moves out. So every
//! interface of ours that the host sees carries its owner's name, and one of the same name without it is somebody else's: it is
//! never deleted.

use super::error::{Doing, NetworkError};
use super::netlink::Socket;
use super::range::AppRange;
use super::route::{self, Destination, HardwareAddress, Link, LinkPair, Neighbour, Route};
use domain::ids::AppId;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

/// The app's end of its link.
pub(super) const APP_INTERFACE: &str = "eth0";
/// The first interface of every namespace.
const LOOPBACK_INDEX: u32 = 1;
/// What an interface's alias begins with; the app's id follows.
const ALIAS_PREFIX: &str = "dozen app ";
/// MTU without an uplink to take it from.
pub(super) const DEFAULT_MTU: u32 = 1500;

/// All that a link is made from.
#[derive(Debug, Clone)]
pub(super) struct LinkPlan {
    pub app: AppId,
    pub index: u32,
    pub interface: String,
    pub address: Ipv4Addr,
    pub gateway: Ipv4Addr,
    pub mtu: u32,
}

impl LinkPlan {
    pub fn new(
        app: AppId,
        index: u32,
        interface: String,
        range: &AppRange,
        mtu: u32,
    ) -> Result<Self, NetworkError> {
        let beyond = || NetworkError::BeyondRange { app, index, last: range.capacity() - 1 };
        let address = range.address_of(index).ok_or_else(beyond)?;
        Ok(Self { app, index, interface, address, gateway: range.gateway(), mtu })
    }
}

/// Hardware addresses follow from the index too: given by an administrator as far as the kernel and udev are concerned, so that
/// nothing on the host changes them later. The first byte marks them as local.
fn hardware_addresses(index: u32) -> [HardwareAddress; 2] {
    let [a, b, c, d] = index.to_be_bytes();
    [HardwareAddress([0x02, 0xd0, a, b, c, d]), HardwareAddress([0x02, 0xd1, a, b, c, d])]
}

fn alias_of(app: AppId) -> String {
    format!("{ALIAS_PREFIX}{app}")
}

/// The app that a link of ours belongs to.
pub(super) fn owner_of(link: &Link) -> Option<AppId> {
    link.alias.as_deref()?.strip_prefix(ALIAS_PREFIX)?.parse().ok()
}

/// Makes the link, or what is missing of it. `host` and `inside` talk about the two namespaces.
pub(super) fn ensure(
    plan: &LinkPlan,
    host: &mut Socket,
    inside: &mut Socket,
    host_namespace: BorrowedFd<'_>,
) -> Result<(), NetworkError> {
    let (outer, inner) = ensure_pair(plan, host, inside, host_namespace)?;
    let [outer_hardware, inner_hardware] = hardware_addresses(plan.index);
    let object = || format!("{} of app {}", plan.interface, plan.app);

    refuse_taken_address(plan, host, &outer)?;
    set_up_inside(plan, inside, &inner, outer_hardware).doing("set up the inner end of", object())?;

    route::without_ipv6(host, outer.index).doing("keep IPv6 off", object())?;
    route::set_up(host, outer.index, Some(plan.mtu)).doing("bring up", object())?;
    route::add_address(host, outer.index, plan.gateway).doing("give the gateway's address to", object())?;
    let neighbour = Neighbour { link: outer.index, address: plan.address, hardware_address: inner_hardware };
    route::replace_neighbour(host, &neighbour).doing("make known the neighbour at", object())?;
    let to_app =
        Route { to: Destination::Neighbour(plan.address), link: outer.index, source: Some(plan.gateway) };
    route::replace_route(host, &to_app).doing("lead the app's address to", object())
}

/// Another interface that has the address is another installation's; its route is not taken away.
fn refuse_taken_address(plan: &LinkPlan, host: &mut Socket, outer: &Link) -> Result<(), NetworkError> {
    match route::own_route_of(host, plan.address).doing("look for a route to", plan.address.to_string())? {
        Some(interface) if interface != outer.index => {
            Err(NetworkError::AddressTaken { address: plan.address, app: plan.app, interface })
        }
        Some(_) | None => Ok(()),
    }
}

fn set_up_inside(
    plan: &LinkPlan,
    inside: &mut Socket,
    inner: &Link,
    outer_hardware: HardwareAddress,
) -> Result<(), super::error::NetlinkError> {
    route::set_up(inside, LOOPBACK_INDEX, None)?;
    route::without_ipv6(inside, inner.index)?;
    route::set_up(inside, inner.index, Some(plan.mtu))?;
    route::add_address(inside, inner.index, plan.address)?;
    let neighbour = Neighbour { link: inner.index, address: plan.gateway, hardware_address: outer_hardware };
    route::replace_neighbour(inside, &neighbour)?;
    let to_gateway = Route { to: Destination::Neighbour(plan.gateway), link: inner.index, source: None };
    route::replace_route(inside, &to_gateway)?;
    let everywhere = Destination::EverywhereElse { gateway: plan.gateway };
    route::replace_route(inside, &Route { to: everywhere, link: inner.index, source: None })
}

/// The two ends, the host's first.
fn ensure_pair(
    plan: &LinkPlan,
    host: &mut Socket,
    inside: &mut Socket,
    host_namespace: BorrowedFd<'_>,
) -> Result<(Link, Link), NetworkError> {
    if let Some(pair) = whole_pair(plan, host, inside)? {
        return Ok(pair);
    }
    make_pair(plan, inside, host_namespace)?;
    whole_pair(plan, host, inside)?
        .ok_or_else(|| NetworkError::LinkVanished { interface: plan.interface.clone() })
}

/// Both ends if they are each other's; leftovers of anything else of this app are deleted.
fn whole_pair(
    plan: &LinkPlan,
    host: &mut Socket,
    inside: &mut Socket,
) -> Result<Option<(Link, Link)>, NetworkError> {
    let outer = route::find(host, &plan.interface).doing("look for", &plan.interface)?;
    if let Some(outer) = &outer
        && owner_of(outer) != Some(plan.app)
    {
        let owner =
            owner_of(outer).map_or_else(|| "somebody else".to_owned(), |owner| format!("app {owner}"));
        return Err(NetworkError::InterfaceTaken { interface: plan.interface.clone(), owner, app: plan.app });
    }
    let inner = route::find(inside, APP_INTERFACE).doing("look for", APP_INTERFACE)?;
    if let (Some(outer), Some(inner)) = (&outer, &inner)
        && (outer.peer_index, inner.peer_index) == (Some(inner.index), Some(outer.index))
    {
        return Ok(Some((outer.clone(), inner.clone())));
    }
    // Deleting one end deletes the other; ends of different pairs are deleted one by one.
    if let Some(outer) = outer {
        route::delete(host, outer.index).doing("delete", &plan.interface)?;
    }
    delete_inside(inside)?;
    Ok(None)
}

fn make_pair(
    plan: &LinkPlan,
    inside: &mut Socket,
    host_namespace: BorrowedFd<'_>,
) -> Result<(), NetworkError> {
    let pair = LinkPair {
        names: [&plan.interface, APP_INTERFACE],
        hardware_addresses: hardware_addresses(plan.index),
        mtu: plan.mtu,
    };
    route::create_pair(inside, &pair).doing("make", &plan.interface)?;
    let outer = route::find(inside, &plan.interface)
        .doing("look for", &plan.interface)?
        .ok_or_else(|| NetworkError::LinkVanished { interface: plan.interface.clone() })?;
    route::move_to_namespace(inside, outer.index, &alias_of(plan.app), host_namespace)
        .doing("hand to the host", &plan.interface)
}

/// Makes a pair of no use in the socket's namespace.
pub(super) fn make_and_forget(inside: &mut Socket) -> Result<(), NetworkError> {
    let pair =
        LinkPair { names: ["try0", "try1"], hardware_addresses: hardware_addresses(0), mtu: DEFAULT_MTU };
    route::create_pair(inside, &pair).doing("make", "a pair of network interfaces")
}

/// Deletes the app's end, and a host end that never made it out. Tells whether there was anything.
pub(super) fn delete_inside(inside: &mut Socket) -> Result<Deleted, NetworkError> {
    match route::find(inside, APP_INTERFACE).doing("look for", APP_INTERFACE)? {
        Some(inner) => {
            route::delete(inside, inner.index).doing("delete", APP_INTERFACE)?;
            Ok(Deleted::Something)
        }
        None => Ok(Deleted::Nothing),
    }
}

/// Whether there was anything to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deleted {
    Something,
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(alias: Option<&str>) -> Link {
        Link { index: 7, name: "dz0".into(), mtu: 1500, alias: alias.map(str::to_owned), peer_index: Some(2) }
    }

    #[test]
    fn an_alias_names_its_owner() {
        let app = AppId::from_u128(7);
        for (alias, owner) in [
            (Some(alias_of(app)), Some(app)),
            (Some("dozen app x".to_owned()), None),
            (Some(app.to_string()), None),
            (None, None),
        ] {
            assert_eq!(owner_of(&link(alias.as_deref())), owner, "{alias:?}");
        }
    }

    #[test]
    fn hardware_addresses_are_local_single_and_distinct() {
        let all: Vec<_> =
            [0, 1, 255, 256, u32::MAX].into_iter().flat_map(hardware_addresses).map(|it| it.0).collect();
        assert!(all.iter().all(|bytes| bytes[0] & 0b11 == 0b10));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn an_index_beyond_the_range_is_refused() {
        let plan =
            |index| LinkPlan::new(AppId::from_u128(1), index, "dz1".into(), &AppRange::DEFAULT, DEFAULT_MTU);
        assert!(plan(130_815).is_ok());
        let error = plan(130_816).unwrap_err().to_string();
        assert!(error.contains("ends at index 130815"), "{error}");
    }
}
