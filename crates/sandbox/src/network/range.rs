//! IPv4 address ranges, and the range that apps' addresses come from. Pure.
//!
//! Every app has one address, the same for all its processes, and it follows from the app's index alone: nothing is handed out
//! or remembered. The default range 10.212.0.0/15 has 131,072 addresses. The first 256 are kept back: the first of them but one
//! (10.212.0.1) is the gateway, held by the host's end of every link. App 0 is 10.212.1.0, app 1 is 10.212.1.1, and so on up to
//! index 130,815. An address that ends in .0 or .255 is as good as any other, for every link is a /32.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Addresses at the start of an [`AppRange`] that no app gets.
const RESERVED_ADDRESSES: u32 = 256;
/// The smallest range for apps, a /23: 512 addresses, of which 256 are apps'.
const LONGEST_APP_PREFIX: u8 = 23;

/// An IPv4 network: `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Range {
    base: Ipv4Addr,
    prefix_length: u8,
}

/// What is wrong with a text that should have been a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    #[error("\"{given}\" is not an IPv4 range: expected one such as 10.0.0.0/8")]
    NotARange { given: String },
    #[error(
        "{base}/{prefix_length} has bits set beyond its prefix; the range it lies in is {network}/{prefix_length}"
    )]
    BitsBeyondPrefix { base: Ipv4Addr, prefix_length: u8, network: Ipv4Addr },
    #[error("{range} is too small for apps: it must be a /{LONGEST_APP_PREFIX} or larger")]
    TooSmallForApps { range: Ipv4Range },
}

impl Ipv4Range {
    /// Link-local addresses, among them the metadata services of clouds.
    pub const LINK_LOCAL: Self = Self { base: Ipv4Addr::new(169, 254, 0, 0), prefix_length: 16 };

    /// A range; `base` must be its first address.
    pub fn new(base: Ipv4Addr, prefix_length: u8) -> Result<Self, InvalidRange> {
        if prefix_length > 32 {
            return Err(InvalidRange::NotARange { given: format!("{base}/{prefix_length}") });
        }
        let range = Self { base, prefix_length };
        let network = Ipv4Addr::from_bits(base.to_bits() & range.mask().to_bits());
        if network != base {
            return Err(InvalidRange::BitsBeyondPrefix { base, prefix_length, network });
        }
        Ok(range)
    }

    pub const fn base(&self) -> Ipv4Addr {
        self.base
    }

    pub const fn prefix_length(&self) -> u8 {
        self.prefix_length
    }

    pub fn mask(&self) -> Ipv4Addr {
        let bits = u32::MAX.checked_shl(32 - u32::from(self.prefix_length)).unwrap_or(0);
        Ipv4Addr::from_bits(bits)
    }

    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask().to_bits() == self.base.to_bits()
    }

    /// How many addresses it has, as a `/0` has one more than `u32` holds.
    pub const fn size(&self) -> u64 {
        1 << (32 - self.prefix_length as u64)
    }
}

impl fmt::Display for Ipv4Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_length)
    }
}

impl FromStr for Ipv4Range {
    type Err = InvalidRange;

    /// `10.0.0.0/8`; an address alone is a /32.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_range = || InvalidRange::NotARange { given: text.chars().take(64).collect() };
        let (base, length) = text.split_once('/').unwrap_or((text, "32"));
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length =
            if digits { length.parse().map_err(|_| not_a_range())? } else { return Err(not_a_range()) };
        Self::new(base.parse().map_err(|_| not_a_range())?, length)
    }
}

/// The range that apps' addresses come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppRange(Ipv4Range);

impl AppRange {
    /// 10.212.0.0/15.
    pub const DEFAULT: Self = Self(Ipv4Range { base: Ipv4Addr::new(10, 212, 0, 0), prefix_length: 15 });

    pub fn new(range: Ipv4Range) -> Result<Self, InvalidRange> {
        if range.prefix_length > LONGEST_APP_PREFIX {
            return Err(InvalidRange::TooSmallForApps { range });
        }
        Ok(Self(range))
    }

    pub const fn range(&self) -> Ipv4Range {
        self.0
    }

    /// The address of the host's end of every link: an app's way out.
    pub const fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.0.base.to_bits() + 1)
    }

    /// How many apps have an address: indexes below this.
    pub const fn capacity(&self) -> u32 {
        // A /0 would not fit, but nobody has the whole Internet for apps; saturate for totality.
        let size = self.0.size();
        if size > u32::MAX as u64 { u32::MAX - RESERVED_ADDRESSES } else { size as u32 - RESERVED_ADDRESSES }
    }

    /// The app's address, or `None` beyond the capacity.
    pub fn address_of(&self, index: u32) -> Option<Ipv4Addr> {
        (index < self.capacity())
            .then(|| Ipv4Addr::from_bits(self.0.base.to_bits() + RESERVED_ADDRESSES + index))
    }
}

impl Default for AppRange {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for AppRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AppRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_ranges() {
        for (text, base, length) in [
            ("10.0.0.0/8", [10, 0, 0, 0], 8),
            ("0.0.0.0/0", [0, 0, 0, 0], 0),
            ("169.254.169.254", [169, 254, 169, 254], 32),
            ("192.168.1.0/24", [192, 168, 1, 0], 24),
        ] {
            let range: Ipv4Range = text.parse().unwrap();
            assert_eq!((range.base(), range.prefix_length()), (Ipv4Addr::from(base), length), "{text}");
        }
        for bad in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "10.0.0/8",
            "::/0",
            "10.0.0.0/8/8",
            "a",
        ] {
            assert!(bad.parse::<Ipv4Range>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_range_knows_its_own() {
        let range: Ipv4Range = "10.212.0.0/15".parse().unwrap();
        assert_eq!(range.mask(), Ipv4Addr::new(255, 254, 0, 0));
        assert_eq!(range.size(), 131_072);
        for (address, inside) in [
            ([10, 212, 0, 0], true),
            ([10, 213, 255, 255], true),
            ([10, 214, 0, 0], false),
            ([10, 211, 255, 255], false),
        ] {
            assert_eq!(range.contains(Ipv4Addr::from(address)), inside, "{address:?}");
        }
        assert!("0.0.0.0/0".parse::<Ipv4Range>().unwrap().contains(Ipv4Addr::BROADCAST));
    }

    #[test]
    fn addresses_follow_from_the_index() {
        let apps = AppRange::DEFAULT;
        assert_eq!(apps.gateway(), Ipv4Addr::new(10, 212, 0, 1));
        assert_eq!(apps.address_of(0), Some(Ipv4Addr::new(10, 212, 1, 0)));
        assert_eq!(apps.address_of(49_999), Some(Ipv4Addr::new(10, 212, 196, 79)));
        assert_eq!(apps.address_of(apps.capacity() - 1), Some(Ipv4Addr::new(10, 213, 255, 255)));
        assert_eq!(apps.address_of(apps.capacity()), None);
        assert_eq!(apps.address_of(u32::MAX), None);
    }

    #[test]
    fn a_range_for_apps_has_room_for_some() {
        assert_eq!("10.0.0.0/23".parse::<AppRange>().unwrap().capacity(), 256);
        assert!("10.0.0.0/24".parse::<AppRange>().is_err());
    }

    proptest! {
        #[test]
        fn display_is_parsed_back(bits: u32, prefix_length in 0_u8..=32) {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_length)).unwrap_or(0);
            let range = Ipv4Range::new(Ipv4Addr::from_bits(bits & mask), prefix_length).unwrap();
            prop_assert_eq!(range.to_string().parse::<Ipv4Range>(), Ok(range));
        }

        #[test]
        fn app_addresses_are_distinct_and_inside(a in 0_u32..130_816, b in 0_u32..130_816) {
            let apps = AppRange::DEFAULT;
            let (first, second) = (apps.address_of(a).unwrap(), apps.address_of(b).unwrap());
            prop_assert_eq!(a == b, first == second);
            prop_assert!(apps.range().contains(first));
            prop_assert_ne!(first, apps.gateway());
        }
    }
}
