//! IPv4 addresses, routes and neighbours.

use super::links::HardwareAddress;
use super::numbers::*;
use crate::network::error::NetlinkError;
use crate::network::netlink::{Attributes, Flags, Message, Socket};
use nix::errno::Errno;
use std::net::Ipv4Addr;

/// Some address of the Internet. Nothing is sent to it: the kernel is only asked which way it would go.
const SOMEWHERE_OUTSIDE: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);

/// A route to be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct Route {
    pub to: Destination,
    pub link: u32,
    /// The host's own address that packets on this route carry, unless their socket is bound to another.
    pub source: Option<Ipv4Addr>,
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Destination {
    /// A neighbour: the other end of the link.
    Neighbour(Ipv4Addr),
    /// One address, through a neighbour.
    #[cfg(any(test, feature = "lab"))]
    Address { address: Ipv4Addr, gateway: Ipv4Addr },
    /// Everywhere else, through a neighbour.
    EverywhereElse { gateway: Ipv4Addr },
}

/// A neighbour's hardware address, known once and for all. Such entries are not counted against the kernel's limit of 1,024
/// neighbours, which a host with many apps would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct Neighbour {
    pub link: u32,
    pub address: Ipv4Addr,
    pub hardware_address: HardwareAddress,
}

/// Gives a link an address of its own, a /32.
pub(in crate::network) fn add_address(
    socket: &mut Socket,
    link: u32,
    address: Ipv4Addr,
) -> Result<(), NetlinkError> {
    let mut fixed_part = [FAMILY_IPV4, 32, 0, SCOPE_UNIVERSE, 0, 0, 0, 0];
    fixed_part[4..8].copy_from_slice(&link.to_ne_bytes());
    let mut message = Message::new(NEW_ADDRESS, Flags::CREATE_OR_REPLACE, &fixed_part);
    message.attribute(ADDRESS_LOCAL, &address.octets()).attribute(ADDRESS_ADDRESS, &address.octets());
    socket.execute(message)
}

/// Puts a route in force, in the place of another to the same destination.
pub(in crate::network) fn replace_route(socket: &mut Socket, route: &Route) -> Result<(), NetlinkError> {
    let (prefix_length, scope) = match route.to {
        Destination::Neighbour(_) => (32, SCOPE_LINK),
        #[cfg(any(test, feature = "lab"))]
        Destination::Address { .. } => (32, SCOPE_UNIVERSE),
        Destination::EverywhereElse { .. } => (0, SCOPE_UNIVERSE),
    };
    let mut fixed_part = [0; ROUTE_FIXED_BYTES];
    fixed_part[..8].copy_from_slice(&[
        FAMILY_IPV4,
        prefix_length,
        0,
        0,
        ROUTE_TABLE_MAIN,
        ROUTE_BY_ADMINISTRATOR,
        scope,
        ROUTE_UNICAST,
    ]);
    let mut message = Message::new(NEW_ROUTE, Flags::CREATE_OR_REPLACE, &fixed_part);
    match route.to {
        Destination::Neighbour(address) => message.attribute(ROUTE_DESTINATION, &address.octets()),
        #[cfg(any(test, feature = "lab"))]
        Destination::Address { address, gateway } => message
            .attribute(ROUTE_DESTINATION, &address.octets())
            .attribute(ROUTE_GATEWAY, &gateway.octets()),
        Destination::EverywhereElse { gateway } => message.attribute(ROUTE_GATEWAY, &gateway.octets()),
    };
    message.native_u32(ROUTE_INTERFACE, route.link);
    if let Some(source) = route.source {
        message.attribute(ROUTE_SOURCE, &source.octets());
    }
    socket.execute(message)
}

/// Tells the kernel a neighbour's hardware address.
pub(in crate::network) fn replace_neighbour(
    socket: &mut Socket,
    neighbour: &Neighbour,
) -> Result<(), NetlinkError> {
    let mut fixed_part = [0; 12];
    fixed_part[0] = FAMILY_IPV4;
    fixed_part[4..8].copy_from_slice(&neighbour.link.to_ne_bytes());
    fixed_part[8..10].copy_from_slice(&NEIGHBOUR_PERMANENT.to_ne_bytes());
    fixed_part[11] = NEIGHBOUR_UNICAST;
    let mut message = Message::new(NEW_NEIGHBOUR, Flags::CREATE_OR_REPLACE, &fixed_part);
    message
        .attribute(NEIGHBOUR_ADDRESS, &neighbour.address.octets())
        .attribute(NEIGHBOUR_HARDWARE_ADDRESS, &neighbour.hardware_address.0);
    socket.execute(message)
}

/// The index of the link that a route to this one address leads to; `None` if only wider routes cover it, or none.
pub(in crate::network) fn own_route_of(
    socket: &mut Socket,
    address: Ipv4Addr,
) -> Result<Option<u32>, NetlinkError> {
    let mut fixed_part = [0; ROUTE_FIXED_BYTES];
    fixed_part[0] = FAMILY_IPV4;
    fixed_part[1] = 32;
    fixed_part[8..12].copy_from_slice(&ROUTE_AS_IN_THE_TABLE.to_ne_bytes());
    let mut message = Message::new(GET_ROUTE, Flags::GET, &fixed_part);
    message.attribute(ROUTE_DESTINATION, &address.octets());
    let interface = |payload: &[u8]| {
        let whole = payload.get(1) == Some(&32);
        whole.then(|| Attributes::after(payload, ROUTE_FIXED_BYTES).native_u32(ROUTE_INTERFACE))?
    };
    unless_nowhere(socket.get(message, interface))
}

/// The index of the link by which packets to the Internet would leave; `None` where there is no way out.
pub(in crate::network) fn outside_interface(socket: &mut Socket) -> Result<Option<u32>, NetlinkError> {
    let mut fixed_part = [0; ROUTE_FIXED_BYTES];
    fixed_part[0] = FAMILY_IPV4;
    fixed_part[1] = 32;
    let mut message = Message::new(GET_ROUTE, Flags::GET, &fixed_part);
    message.attribute(ROUTE_DESTINATION, &SOMEWHERE_OUTSIDE.octets());
    let interface =
        |payload: &[u8]| Attributes::after(payload, ROUTE_FIXED_BYTES).native_u32(ROUTE_INTERFACE);
    unless_nowhere(socket.get(message, interface))
}

/// No route is an answer, not a failure.
fn unless_nowhere(answer: Result<Option<Option<u32>>, NetlinkError>) -> Result<Option<u32>, NetlinkError> {
    let nowhere =
        [Errno::ENETUNREACH, Errno::EHOSTUNREACH, Errno::EACCES, Errno::EINVAL].map(|errno| errno as i32);
    match answer {
        Ok(found) => Ok(found.flatten()),
        Err(error) if error.refusal().is_some_and(|code| nowhere.contains(&code)) => Ok(None),
        Err(error) => Err(error),
    }
}
