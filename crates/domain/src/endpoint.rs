//! Where a process listens. An endpoint is always address *and* port: processes of one app share an address (its network
//! namespace), processes of different apps never do.

use serde::{Deserialize, Serialize};
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

/// The first address of the range that apps get theirs from, unless a setting says otherwise: 10.212.0.0/15, one address an app.
pub const DEFAULT_NETWORK_BASE: Ipv4Addr = Ipv4Addr::new(10, 212, 0, 0);
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
