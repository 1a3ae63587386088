//! Where a process listens. An endpoint is always address *and* port: processes of one app share an address, processes of
//! different apps never do. Whether two of them may have the same port is a matter of [`Addressing`].

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An address and port that at most one process may hold until every router has acknowledged a table without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Endpoint(pub SocketAddr);

impl Endpoint {
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self(SocketAddr::new(address, port))
    }

    pub const fn port(&self) -> u16 {
        self.0.port()
    }

    pub const fn address(&self) -> IpAddr {
        self.0.ip()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How apps' endpoints lie to one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// Each app has a network of its own: a port is one process's within its app. `base` is the first address of the range that
    /// apps get theirs from.
    PerApp { base: Ipv4Addr },
    /// All apps share the host's network, and most processes listen on all of its addresses: a port is one process's on the whole
    /// machine. On `taken` ports somebody listens.
    Shared { taken: BTreeSet<u16> },
}

impl Addressing {
    /// The address of the app with this number; `None` past the end of the range.
    pub fn app_address(&self, app_index: u32) -> Option<Ipv4Addr> {
        let base = match self {
            Self::PerApp { base } => *base,
            Self::Shared { .. } => SHARED_NETWORK_BASE,
        };
        app_address(base, app_index)
    }
}

impl Default for Addressing {
    fn default() -> Self {
        Self::PerApp { base: DEFAULT_NETWORK_BASE }
    }
}

/// The first address of the range that apps get theirs from, unless a setting says otherwise: 10.212.0.0/15, one address an app.
pub const DEFAULT_NETWORK_BASE: Ipv4Addr = Ipv4Addr::new(10, 212, 0, 0);
/// The same where all apps share the host's network: addresses of its loopback that nobody else uses. A process that listens on all
/// addresses is reached by its app's, one that listens on 127.0.0.1 alone is not: the same contract as in a network of its own.
pub const SHARED_NETWORK_BASE: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 0);
/// Addresses before this offset of the range are the host's own.
const FIRST_OFFSET: u32 = 256;
/// Apps that a range of this size (a /15) can hold.
pub const APPS_PER_RANGE: u32 = (1 << 17) - FIRST_OFFSET;

/// The address of the app with this number; `None` past the end of the range.
pub fn app_address(base: Ipv4Addr, app_index: u32) -> Option<Ipv4Addr> {
    let inside = app_index < APPS_PER_RANGE;
    inside.then(|| Ipv4Addr::from(u32::from(base) + FIRST_OFFSET + app_index))
}

/// The host's own address on every app's link: their gateway.
pub fn gateway_address(base: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(base) + 1)
}
