//! What an administrator allows by name: host names, addresses, ranges. Pure.

use crate::address::{is_in_v4, is_in_v6};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A place that may be asked although it would be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// A host name as it stands in the address, whatever it resolves to.
    Host(String),
    /// Addresses with these first bits.
    Range { first: IpAddr, length: u8 },
}

/// A text that is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no host name, address or range such as 10.1.0.0/16")]
pub struct BadAllowed(String);

impl Allowed {
    pub fn covers(&self, host: &str, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Host(allowed), _) => allowed.eq_ignore_ascii_case(host),
            (Self::Range { first: IpAddr::V4(first), length }, IpAddr::V4(address)) => {
                is_in_v4(address, *first, *length)
            }
            (Self::Range { first: IpAddr::V6(first), length }, IpAddr::V6(address)) => {
                is_in_v6(address, *first, *length)
            }
            (Self::Range { .. }, _) => false,
        }
    }
}

impl FromStr for Allowed {
    type Err = BadAllowed;

    fn from_str(text: &str) -> Result<Self, BadAllowed> {
        let bad = || BadAllowed(text.chars().take(80).collect());
        if let Ok(first) = text.parse::<IpAddr>() {
            return Ok(Self::Range { first, length: bits(first) });
        }
        if let Some((first, length)) = text.split_once('/') {
            let first: IpAddr = first.parse().map_err(|_| bad())?;
            let length = length.parse().ok().filter(|length| *length <= bits(first)).ok_or_else(bad)?;
            return Ok(Self::Range { first, length });
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if text.is_empty() || !text.bytes().all(plain) || !text.bytes().any(|b| b.is_ascii_alphabetic()) {
            return Err(bad());
        }
        Ok(Self::Host(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Range { first, length } => write!(f, "{first}/{length}"),
        }
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_what_it_names() {
        let covers = |allowed: &str, host: &str, address: &str| {
            allowed.parse::<Allowed>().unwrap().covers(host, address.parse().unwrap())
        };
        assert!(covers("Git.Internal", "git.internal", "10.0.0.1"));
        assert!(!covers("git.internal", "other", "10.0.0.1"));
        assert!(covers("10.1.0.0/16", "x", "10.1.255.1") && !covers("10.1.0.0/16", "x", "10.2.0.1"));
        assert!(covers("127.0.0.1", "x", "127.0.0.1") && !covers("127.0.0.1", "x", "127.0.0.2"));
        assert!(covers("fd00::/8", "x", "fdff::1") && !covers("fd00::/8", "x", "10.0.0.1"));
        assert!(covers("0.0.0.0/0", "x", "9.9.9.9"));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for bad in ["", "10.0.0.0/33", "a/8", "a b", "10.0.0.300", "::1/129", "http://x"] {
            assert!(bad.parse::<Allowed>().is_err(), "{bad:?}");
        }
    }
}
