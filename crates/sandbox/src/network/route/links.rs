//! Links: looking, making, moving, deleting.

use super::numbers::*;
use crate::network::error::NetlinkError;
use crate::network::netlink::{Attributes, Flags, Message, Socket};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A network interface as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Link {
    pub index: u32,
    pub name: String,
    pub mtu: u32,
    /// Free text that whoever made the link left on it.
    pub alias: Option<String>,
    /// The other end's index, in its own namespace.
    pub peer_index: Option<u32>,
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct HardwareAddress(pub [u8; 6]);

/// Both ends of a link to be made.
#[derive(Debug, Clone)]
pub(in crate::network) struct LinkPair<'a> {
    pub names: [&'a str; 2],
    pub hardware_addresses: [HardwareAddress; 2],
    pub mtu: u32,
}

/// The fixed part of every message about links.
fn fixed_part(index: u32, flags: u32, changed_flags: u32) -> [u8; LINK_FIXED_BYTES] {
    let mut bytes = [0; LINK_FIXED_BYTES];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&changed_flags.to_ne_bytes());
    bytes
}

fn parse_link(payload: &[u8]) -> Option<Link> {
    let index = u32::from_ne_bytes(*payload.get(4..8)?.first_chunk()?);
    let attributes = Attributes::after(payload, LINK_FIXED_BYTES);
    Some(Link {
        index,
        name: attributes.text(LINK_NAME)?,
        mtu: attributes.native_u32(LINK_MTU)?,
        alias: attributes.text(LINK_ALIAS),
        peer_index: attributes.native_u32(LINK_PEER),
    })
}

/// The link of a name.
pub(in crate::network) fn find(socket: &mut Socket, name: &str) -> Result<Option<Link>, NetlinkError> {
    let mut message = Message::new(GET_LINK, Flags::GET, &fixed_part(0, 0, 0));
    message.text(LINK_NAME, name);
    get(socket, message)
}

/// The link of an index.
pub(in crate::network) fn find_by_index(
    socket: &mut Socket,
    index: u32,
) -> Result<Option<Link>, NetlinkError> {
    get(socket, Message::new(GET_LINK, Flags::GET, &fixed_part(index, 0, 0)))
}

fn get(socket: &mut Socket, message: Message) -> Result<Option<Link>, NetlinkError> {
    match socket.get(message, parse_link) {
        Ok(found) => Ok(found.flatten()),
        Err(error) if error.refusal() == Some(Errno::ENODEV as i32) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every link in the socket's namespace.
pub(in crate::network) fn list(socket: &mut Socket) -> Result<Vec<Link>, NetlinkError> {
    socket.list(&Message::new(GET_LINK, Flags::DUMP, &fixed_part(0, 0, 0)), parse_link)
}

/// Makes a veth pair, both ends in the socket's namespace. The first carries the alias once it is moved.
pub(in crate::network) fn create_pair(socket: &mut Socket, pair: &LinkPair<'_>) -> Result<(), NetlinkError> {
    let end = |message: &mut Message, side: usize| {
        message
            .text(LINK_NAME, pair.names[side])
            .attribute(LINK_HARDWARE_ADDRESS, &pair.hardware_addresses[side].0)
            .native_u32(LINK_MTU, pair.mtu);
    };
    let mut message = Message::new(NEW_LINK, Flags::CREATE_NEW, &fixed_part(0, 0, 0));
    end(&mut message, 0);
    message.nested(LINK_INFO, |info| {
        info.attribute(LINK_INFO_KIND, b"veth").nested(LINK_INFO_DATA, |data| {
            data.nested_after(VETH_PEER, &fixed_part(0, 0, 0), |peer| end(peer, 1));
        });
    });
    socket.execute(message)
}

/// Writes a link's alias and then moves it to another namespace, so that it is never seen there without.
pub(in crate::network) fn move_to_namespace(
    socket: &mut Socket,
    index: u32,
    alias: &str,
    namespace: BorrowedFd<'_>,
) -> Result<(), NetlinkError> {
    let mut labelled = Message::new(SET_LINK, Flags::CHANGE, &fixed_part(index, 0, 0));
    labelled.attribute(LINK_ALIAS, alias.as_bytes());
    socket.execute(labelled)?;
    let descriptor = u32::try_from(namespace.as_raw_fd()).expect("an open descriptor is not negative");
    let mut moved = Message::new(SET_LINK, Flags::CHANGE, &fixed_part(index, 0, 0));
    moved.native_u32(LINK_NAMESPACE_DESCRIPTOR, descriptor);
    socket.execute(moved)
}

/// Keeps the link from giving itself an IPv6 address when it comes up. Fine where the kernel has no IPv6.
pub(in crate::network) fn without_ipv6(socket: &mut Socket, index: u32) -> Result<(), NetlinkError> {
    let mut message = Message::new(SET_LINK, Flags::CHANGE, &fixed_part(index, 0, 0));
    message.nested(LINK_FAMILY_SETTINGS, |families| {
        families.nested(u16::from(FAMILY_IPV6), |ipv6| {
            ipv6.attribute(IPV6_ADDRESS_GENERATION, &[IPV6_GENERATE_NO_ADDRESS]);
        });
    });
    match socket.execute(message) {
        Err(error) if error.refusal() == Some(Errno::EAFNOSUPPORT as i32) => Ok(()),
        other => other,
    }
}

/// Brings a link up, with this MTU if one is given.
pub(in crate::network) fn set_up(
    socket: &mut Socket,
    index: u32,
    mtu: Option<u32>,
) -> Result<(), NetlinkError> {
    let mut message = Message::new(SET_LINK, Flags::CHANGE, &fixed_part(index, LINK_UP, LINK_UP));
    if let Some(mtu) = mtu {
        message.native_u32(LINK_MTU, mtu);
    }
    socket.execute(message)
}

/// Deletes a link, and with it the other end of a pair. Absent is fine.
pub(in crate::network) fn delete(socket: &mut Socket, index: u32) -> Result<(), NetlinkError> {
    match socket.execute(Message::new(DELETE_LINK, Flags::CHANGE, &fixed_part(index, 0, 0))) {
        Err(error) if error.refusal() == Some(Errno::ENODEV as i32) => Ok(()),
        other => other,
    }
}
