//! Links, addresses, routes and neighbours, by rtnetlink. Each function is one exchange with the kernel.

mod addresses;
mod links;
mod numbers;

pub(super) use addresses::{Destination, Neighbour, Route};
pub(super) use addresses::{add_address, outside_interface, own_route_of, replace_neighbour, replace_route};
pub(super) use links::{
    HardwareAddress, Link, LinkPair, create_pair, delete, find, find_by_index, list, move_to_namespace,
    set_up, without_ipv6,
};
