//! Which addresses are nobody's but ours, or nobody's at all. Pure but for the list of this machine's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ranges of IPv4 by their first address and length, and why they are not asked (IANA's registry of special-purpose addresses).
const SPECIAL_V4: &[(Ipv4Addr, u8, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "no host's address"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a private address of a provider"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "this machine"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address, where clouds keep their metadata"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "an address for protocols"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "an address for examples"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "an address for relays"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "an address for measurements"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "an address for examples"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "an address for examples"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a group's address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "no host's address"),
];

/// Public IPv6 addresses, as far as any have been given out.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Ranges within those that are not public after all.
const SPECIAL_V6: &[(Ipv6Addr, u8, &str)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "an address for protocols"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "an address for examples"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "an address for relays"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "an address for examples"),
];

/// Networks that translate to IPv4: the last four bytes are the real address (RFC 6052).
const TRANSLATED: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Why an address is not asked; `None`: it is a public one. `own` are the addresses of this machine.
pub fn refusal(address: IpAddr, own: &[IpAddr]) -> Option<&'static str> {
    let plain = plain(address);
    if own.iter().any(|own| plain == self::plain(*own)) {
        return Some("this machine");
    }
    match plain {
        IpAddr::V4(address) => {
            let special = SPECIAL_V4.iter().find(|(first, length, _)| is_in_v4(address, *first, *length));
            special.map(|(_, _, why)| *why)
        }
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_loopback() {
        return Some("this machine");
    }
    if !is_in_v6(address, GLOBAL_V6.0, GLOBAL_V6.1) {
        return Some("a private, link-local or special address");
    }
    let special = SPECIAL_V6.iter().find(|(first, length, _)| is_in_v6(address, *first, *length));
    special.map(|(_, _, why)| *why)
}

/// IPv4 in the forms that IPv6 has for it is IPv4.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    if is_in_v6(v6, TRANSLATED.0, TRANSLATED.1) {
        let [.., a, b, c, d] = v6.octets();
        return Ipv4Addr::new(a, b, c, d).into();
    }
    address
}

pub(crate) fn is_in_v4(address: Ipv4Addr, first: Ipv4Addr, length: u8) -> bool {
    let shift = 32u32.saturating_sub(u32::from(length));
    let cut = |address: Ipv4Addr| u32::from(address).checked_shr(shift).unwrap_or(0);
    cut(address) == cut(first)
}

pub(crate) fn is_in_v6(address: Ipv6Addr, first: Ipv6Addr, length: u8) -> bool {
    let shift = 128u32.saturating_sub(u32::from(length));
    let cut = |address: Ipv6Addr| u128::from(address).checked_shr(shift).unwrap_or(0);
    cut(address) == cut(first)
}

/// The addresses of this machine's links at this moment.
pub(crate) fn observe_own() -> Vec<IpAddr> {
    let links = nix::ifaddrs::getifaddrs().into_iter().flatten();
    links
        .filter_map(|link| {
            let address = link.address?;
            let v4 = address.as_sockaddr_in().map(|found| IpAddr::V4(found.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|found| IpAddr::V6(found.ip())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_public_addresses_of_others_are_asked() {
        let own: Vec<IpAddr> = vec!["8.8.4.4".parse().unwrap(), "2a00::1".parse().unwrap()];
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "11.0.0.1",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert_eq!(refusal(public.parse().unwrap(), &own), None, "{public}");
        }
        for special in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.1",
            "198.19.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "8.8.4.4",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.4.4",
            "::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::1",
            "2a00::1",
            "3fff::1",
        ] {
            assert!(refusal(special.parse().unwrap(), &own).is_some(), "{special}");
        }
    }

    #[test]
    fn this_machine_has_addresses() {
        assert!(observe_own().iter().any(|own| own.is_loopback()), "{:?}", observe_own());
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_judged_as_what_it_maps(address: u32) {
            let v4 = Ipv4Addr::from(address);
            let judged = refusal(v4.into(), &[]);
            prop_assert_eq!(refusal(v4.to_ipv6_mapped().into(), &[]), judged);
        }
    }
}
