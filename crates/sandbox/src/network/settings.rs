//! What an installation's networks are called and where they lie. Two installations on one machine differ in prefix, table, range
//! and folder, and then leave each other alone.

use super::range::{AppRange, Ipv4Range};
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

/// Letters of an interface prefix at most: the kernel allows a name 15 bytes, and an index takes up to 10 digits.
const MAX_PREFIX_BYTES: usize = 5;
/// Letters of a table's name at most.
const MAX_TABLE_BYTES: usize = 32;

/// What a network is made with.
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    /// The folder of the pins, `DATA/run/net`: one bind mount of a namespace per app, named by the app's id.
    pub pins: PathBuf,
    pub range: AppRange,
    pub prefix: InterfacePrefix,
    pub table: TableName,
    /// Where apps may not go, beyond the rules that always hold.
    pub deny_outbound: Vec<Ipv4Range>,
}

impl NetworkSettings {
    /// Defaults: addresses from 10.212.0.0/15, links `dz<index>`, table `inet dozen`, nothing more denied.
    pub fn new(pins: PathBuf) -> Self {
        Self {
            pins,
            range: AppRange::DEFAULT,
            prefix: InterfacePrefix("dz".to_owned()),
            table: TableName("dozen".to_owned()),
            deny_outbound: Vec::new(),
        }
    }

    /// Whether any packet of an app may leave this machine.
    pub fn outbound_is_open(&self) -> bool {
        !self.deny_outbound.iter().any(|range| range.prefix_length() == 0)
    }

    pub fn address_of(&self, index: u32) -> Option<Ipv4Addr> {
        self.range.address_of(index)
    }
}

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" cannot be {kind}: expected 1 to {max} lower-case letters")]
pub struct InvalidName {
    kind: &'static str,
    max: usize,
    given: String,
}

fn parse_letters(text: &str, kind: &'static str, max: usize) -> Result<String, InvalidName> {
    let letters = text.bytes().all(|byte| byte.is_ascii_lowercase());
    if text.is_empty() || text.len() > max || !letters {
        return Err(InvalidName { kind, max, given: text.chars().take(64).collect() });
    }
    Ok(text.to_owned())
}

/// What the host's end of every link begins with; the app's index follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfacePrefix(String);

impl InterfacePrefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `dz17`.
    pub fn interface(&self, index: u32) -> String {
        format!("{}{index}", self.0)
    }

    /// The index in `dz17`; `None` for anything else.
    pub fn index_of(&self, interface: &str) -> Option<u32> {
        let digits = interface.strip_prefix(&self.0)?;
        let index: u32 = digits.parse().ok()?;
        (index.to_string() == digits).then_some(index)
    }
}

impl fmt::Display for InterfacePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InterfacePrefix {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_letters(text, "an interface prefix", MAX_PREFIX_BYTES).map(Self)
    }
}

/// The name of the one nftables table, of family inet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TableName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_letters(text, "a table name", MAX_TABLE_BYTES).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["d", "dz", "dozen"] {
            assert_eq!(good.parse::<InterfacePrefix>().map(|prefix| prefix.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "dozens", "dz0", "Dz", "d/", "d z", "dé"] {
            assert!(bad.parse::<InterfacePrefix>().is_err(), "{bad}");
        }
        assert!("dozen".parse::<TableName>().is_ok());
        assert!("do zen".parse::<TableName>().is_err());
    }

    #[test]
    fn an_index_is_read_back_from_its_interface_only() {
        let prefix: InterfacePrefix = "dz".parse().unwrap();
        for (name, index) in [
            ("dz0", Some(0)),
            ("dz49999", Some(49_999)),
            ("dz", None),
            ("dz-1", None),
            ("dz+1", None),
            ("dz01", None),
            ("eth0", None),
            ("dz4294967296", None),
        ] {
            assert_eq!(prefix.index_of(name), index, "{name}");
        }
        assert_eq!(prefix.interface(u32::MAX).len(), 12);
    }

    #[test]
    fn denying_everything_closes_outbound() {
        let mut settings = NetworkSettings::new(PathBuf::from("/tmp"));
        assert!(settings.outbound_is_open());
        settings.deny_outbound = vec!["10.0.0.0/8".parse().unwrap(), "0.0.0.0/0".parse().unwrap()];
        assert!(!settings.outbound_is_open());
    }
}
