//! Conditions: the steps that let a rule apply to some packets only, named as `nft` writes them. Pure.

use super::expression::{Comparison, Expression, Load};
use super::numbers::{FAMILY_IPV4, PROTOCOL_TCP};
use crate::network::range::Ipv4Range;
use std::net::Ipv4Addr;

/// States of a connection, as bits.
pub(super) const STATE_INVALID: u32 = 1;
pub(super) const STATE_ESTABLISHED: u32 = 2;
pub(super) const STATE_RELATED: u32 = 4;

/// `iifname "dz*"`.
pub(super) fn in_by(prefix: &str) -> Vec<Expression> {
    vec![
        Expression::Load(Load::InterfaceIn),
        Expression::Compare(Comparison::Equal, prefix.as_bytes().to_vec()),
    ]
}

/// `iifname != "dz*"`.
pub(super) fn not_in_by(prefix: &str) -> Vec<Expression> {
    vec![
        Expression::Load(Load::InterfaceIn),
        Expression::Compare(Comparison::NotEqual, prefix.as_bytes().to_vec()),
    ]
}

/// `oifname "dz*"`.
pub(super) fn out_by(prefix: &str) -> Vec<Expression> {
    vec![
        Expression::Load(Load::InterfaceOut),
        Expression::Compare(Comparison::Equal, prefix.as_bytes().to_vec()),
    ]
}

/// `oifname != "dz*"`.
pub(super) fn not_out_by(prefix: &str) -> Vec<Expression> {
    vec![
        Expression::Load(Load::InterfaceOut),
        Expression::Compare(Comparison::NotEqual, prefix.as_bytes().to_vec()),
    ]
}

/// `meta nfproto ipv4`; needed before an address is loaded.
pub(super) fn is_ipv4() -> Vec<Expression> {
    vec![Expression::Load(Load::Family), Expression::Compare(Comparison::Equal, vec![FAMILY_IPV4])]
}

/// `meta nfproto != ipv4`.
pub(super) fn is_not_ipv4() -> Vec<Expression> {
    vec![Expression::Load(Load::Family), Expression::Compare(Comparison::NotEqual, vec![FAMILY_IPV4])]
}

/// `meta l4proto tcp`.
pub(super) fn is_tcp() -> Vec<Expression> {
    vec![Expression::Load(Load::Transport), Expression::Compare(Comparison::Equal, vec![PROTOCOL_TCP])]
}

/// `ct state ...`, any of the bits.
pub(super) fn state_is_any_of(bits: u32) -> Vec<Expression> {
    vec![
        Expression::Load(Load::ConnectionState),
        Expression::Mask(bits.to_ne_bytes().to_vec()),
        Expression::Compare(Comparison::NotEqual, vec![0; 4]),
    ]
}

/// A segment of a connection that is under way: anything but a bare SYN. To stand after [`is_tcp`].
pub(super) fn does_not_open_a_connection() -> Vec<Expression> {
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    vec![
        Expression::Load(Load::TcpFlags),
        Expression::Mask(vec![SYN | ACK]),
        Expression::Compare(Comparison::Equal, vec![ACK]),
    ]
}

/// `fib saddr . iif oif missing`.
pub(super) fn source_is_spoofed() -> Vec<Expression> {
    vec![Expression::Load(Load::WayBack), Expression::Compare(Comparison::Equal, vec![0; 4])]
}

/// `fib daddr type local`.
pub(super) fn destination_is_this_host() -> Vec<Expression> {
    const LOCAL: u32 = 2;
    vec![
        Expression::Load(Load::DestinationKind),
        Expression::Compare(Comparison::Equal, LOCAL.to_ne_bytes().to_vec()),
    ]
}

/// `ip saddr RANGE`. To stand after [`is_ipv4`].
pub(super) fn source_in(range: Ipv4Range) -> Vec<Expression> {
    address_in(Load::Source, range)
}

/// `ip daddr RANGE`. To stand after [`is_ipv4`].
pub(super) fn destination_in(range: Ipv4Range) -> Vec<Expression> {
    address_in(Load::Destination, range)
}

/// `ip saddr ADDRESS`. To stand after [`is_ipv4`].
pub(super) fn source_is(address: Ipv4Addr) -> Vec<Expression> {
    vec![Expression::Load(Load::Source), Expression::Compare(Comparison::Equal, address.octets().to_vec())]
}

fn address_in(load: Load, range: Ipv4Range) -> Vec<Expression> {
    vec![
        Expression::Load(load),
        Expression::Mask(range.mask().octets().to_vec()),
        Expression::Compare(Comparison::Equal, range.base().octets().to_vec()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_masked_before_it_is_compared() {
        let steps = destination_in(Ipv4Range::LINK_LOCAL);
        let expected = [
            Expression::Load(Load::Destination),
            Expression::Mask(vec![255, 255, 0, 0]),
            Expression::Compare(Comparison::Equal, vec![169, 254, 0, 0]),
        ];
        assert_eq!(steps, expected);
    }
}
