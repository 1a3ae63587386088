//! Numbers of rtnetlink, from `linux/rtnetlink.h`, `linux/if_link.h`, `linux/if_addr.h`, `linux/neighbour.h` and `linux/veth.h`.

pub const NEW_LINK: u16 = 16;
pub const DELETE_LINK: u16 = 17;
pub const GET_LINK: u16 = 18;
pub const SET_LINK: u16 = 19;
pub const NEW_ADDRESS: u16 = 20;
pub const NEW_ROUTE: u16 = 24;
pub const GET_ROUTE: u16 = 26;
pub const NEW_NEIGHBOUR: u16 = 28;

pub const FAMILY_IPV4: u8 = 2;
pub const FAMILY_IPV6: u8 = 10;

pub const LINK_FIXED_BYTES: usize = 16;
pub const LINK_HARDWARE_ADDRESS: u16 = 1;
pub const LINK_NAME: u16 = 3;
pub const LINK_MTU: u16 = 4;
pub const LINK_PEER: u16 = 5;
pub const LINK_INFO: u16 = 18;
pub const LINK_ALIAS: u16 = 20;
pub const LINK_FAMILY_SETTINGS: u16 = 26;
pub const LINK_NAMESPACE_DESCRIPTOR: u16 = 28;
pub const LINK_INFO_KIND: u16 = 1;
pub const LINK_INFO_DATA: u16 = 2;
pub const VETH_PEER: u16 = 1;
pub const LINK_UP: u32 = 1;
pub const IPV6_ADDRESS_GENERATION: u16 = 8;
pub const IPV6_GENERATE_NO_ADDRESS: u8 = 1;

pub const ADDRESS_ADDRESS: u16 = 1;
pub const ADDRESS_LOCAL: u16 = 2;

pub const ROUTE_FIXED_BYTES: usize = 12;
pub const ROUTE_DESTINATION: u16 = 1;
pub const ROUTE_INTERFACE: u16 = 4;
pub const ROUTE_GATEWAY: u16 = 5;
pub const ROUTE_SOURCE: u16 = 7;
/// Flag of a question: answer with the route as it was written, not with what it means for the address.
pub const ROUTE_AS_IN_THE_TABLE: u32 = 0x2000;
pub const ROUTE_TABLE_MAIN: u8 = 254;
pub const ROUTE_BY_ADMINISTRATOR: u8 = 4;
pub const ROUTE_UNICAST: u8 = 1;
pub const SCOPE_UNIVERSE: u8 = 0;
pub const SCOPE_LINK: u8 = 253;

pub const NEIGHBOUR_ADDRESS: u16 = 1;
pub const NEIGHBOUR_HARDWARE_ADDRESS: u16 = 2;
pub const NEIGHBOUR_PERMANENT: u16 = 0x80;
pub const NEIGHBOUR_UNICAST: u8 = 1;
