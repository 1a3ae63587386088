//! Networks of apps, for the root launcher: one network namespace per app, one link to the host, one table of rules for all.
//!
//! ```text
//!   app's namespace                     host
//!   lo, eth0 10.212.1.7/32  <== veth ==>  dz7 10.212.0.1/32 --- table inet dozen --- uplink
//!   default via 10.212.0.1               10.212.1.7/32 dev dz7
//! ```
//!
//! * There is no bridge, and every address is a /32: a packet from an app to anybody but itself passes the host's rules.
//! * An app may go out, except to other apps, to any address of the host, to link-local addresses and to what the settings deny.
//!   What is refused is refused with a reset or an ICMP error, so that attempts fail at once. Nothing comes in but from the host.
//! * There is no IPv6 in an app's network beyond its own loopback.
//! * The kernel is spoken to over netlink; no child process is run. Everything here is synchronous. A namespace is entered only by
//!   a thread that ends right after; the calling thread never leaves its own.
//! * `create`, `remove` and `install` may be cut short at any instant and repeated: each looks at what is there and does the rest.
//!
//! A host's own firewall keeps its say: a forward chain with policy drop (Docker makes one) stops apps' packets, because an accept
//! in one table does not overrule a drop in another. [`Installed::foreign_drops`] names such chains; the remedy is theirs, for
//! Docker `iptables -I DOCKER-USER -s 10.212.0.0/15 -j ACCEPT` and the same with `-d`. A firewall that starts with `flush
//! ruleset` removes our table too: [`Network::ensure_rules`] puts it back, and `create` calls it.

mod error;
mod range;
mod report;
mod settings;

pub use error::{NetlinkError, NetworkError};
pub use range::{AppRange, InvalidRange, Ipv4Range};
pub use report::{AppNetwork, ForeignDrop, Forwarding, FoundNetwork, FoundState, Installed, RulesState, Uplink};
pub use settings::{InterfacePrefix, InvalidName, NetworkSettings, TableName};

use domain::ids::AppId;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// The address of an app in the default range; `None` beyond its capacity of 130,816 apps.
pub fn address_of(index: u32) -> Option<Ipv4Addr> {
    AppRange::DEFAULT.address_of(index)
}

/// The networks of one installation.
#[derive(Debug, Clone)]
pub struct Network {
    settings: NetworkSettings,
}

impl Network {
    pub const fn new(settings: NetworkSettings) -> Self {
        Self { settings }
    }

    pub const fn settings(&self) -> &NetworkSettings {
        &self.settings
    }

    /// Where an app's namespace is pinned.
    pub fn pin(&self, app: AppId) -> PathBuf {
        self.settings.pins.join(app.to_string())
    }

    /// Puts the rules in force and turns forwarding on if apps may go out. Once at the launcher's start; repeatable.
    pub fn install(&self) -> Result<Installed, NetworkError> {
        unfinished()
    }

    /// Looks whether the rules are in force and puts them back if not. Returns what it found.
    pub fn ensure_rules(&self) -> Result<RulesState, NetworkError> {
        unfinished()
    }

    /// Removes the table of rules. Only when no app runs any more.
    pub fn uninstall(&self) -> Result<(), NetworkError> {
        unfinished()
    }

    /// Makes the app's network, or whatever of it is missing.
    pub fn create(&self, _app: AppId, _index: u32) -> Result<AppNetwork, NetworkError> {
        unfinished()
    }

    /// Removes the app's network, or whatever is left of it. A process still in it loses its connections.
    pub fn remove(&self, _app: AppId) -> Result<(), NetworkError> {
        unfinished()
    }

    /// Every network of this installation, whole or not, in the order of ids.
    pub fn list(&self) -> Result<Vec<FoundNetwork>, NetworkError> {
        unfinished()
    }

    /// The app's namespace, for `setns(fd, CLONE_NEWNET)`.
    pub fn open(&self, _app: AppId) -> Result<OwnedFd, NetworkError> {
        unfinished()
    }
}

fn unfinished<T>() -> Result<T, NetworkError> {
    Err(NetworkError::NewNamespace(std::io::Error::from(std::io::ErrorKind::Unsupported)))
}
