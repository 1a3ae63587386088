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
mod forwarding;
#[cfg(any(test, feature = "lab"))]
pub mod lab;
mod link;
mod namespace;
mod netlink;
mod range;
mod report;
mod route;
mod rules;
mod settings;
mod shared;
pub(crate) mod tcp_table;

pub use error::{NetlinkError, NetworkError};
pub use namespace::pinned_apps;
pub use range::{AppRange, InvalidRange, Ipv4Range};
pub use report::{
    AppNetwork, ForeignDrop, Forwarding, ForwardingState, FoundNetwork, FoundState, Inspection, Installed,
    RulesState, Uplink,
};
pub use settings::{InterfacePrefix, InvalidName, NetworkSettings, TableName};
pub use shared::{forget_app, listening_ports, note_app, noted_apps};

use domain::ids::AppId;
use error::Doing;
use link::LinkPlan;
use namespace::Pins;
use netlink::{Protocol, Socket};
use rules::Ruleset;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
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

    /// Puts the rules in force and turns forwarding on if apps may go out. Once at the launcher's start; repeatable. Rules first:
    /// nothing is forwarded that they do not see.
    pub fn install(&self) -> Result<Installed, NetworkError> {
        rules::replace(&self.ruleset())?;
        let forwarding = match self.settings.outbound_is_open() {
            true => forwarding::turn_on()?,
            false => Forwarding::NotNeeded,
        };
        let uplink = uplink(&mut route_socket()?)?;
        let foreign_drops = rules::foreign_drops(self.settings.table.as_str())?;
        Ok(Installed { forwarding, uplink, foreign_drops })
    }

    /// Looks at what lies between apps and the outside, and changes nothing. Needs root, as the kernel shows packet rules to nobody
    /// else.
    pub fn inspect(&self) -> Result<Inspection, NetworkError> {
        Ok(Inspection {
            rules: self.rules_state()?,
            forwarding: forwarding::state()?,
            uplink: uplink(&mut route_socket()?)?,
            foreign_drops: rules::foreign_drops(self.settings.table.as_str())?,
        })
    }

    /// Looks whether the rules are in force.
    pub fn rules_state(&self) -> Result<RulesState, NetworkError> {
        rules::state(&self.ruleset())
    }

    /// Puts the rules back in force if they are not. Returns what it found.
    pub fn ensure_rules(&self) -> Result<RulesState, NetworkError> {
        let ruleset = self.ruleset();
        let found = rules::state(&ruleset)?;
        match found {
            RulesState::InForce => {}
            RulesState::Differ => rules::replace(&ruleset)?,
        }
        Ok(found)
    }

    /// Removes the table of rules. Only when no app runs any more: without it nothing keeps apps apart.
    pub fn uninstall(&self) -> Result<(), NetworkError> {
        rules::remove(self.settings.table.as_str())
    }

    /// Makes the app's network, or whatever of it is missing.
    pub fn create(&self, app: AppId, index: u32) -> Result<AppNetwork, NetworkError> {
        self.ensure_rules()?;
        let mut host = route_socket()?;
        let mtu = uplink(&mut host)?.map_or(link::DEFAULT_MTU, |uplink| uplink.mtu);
        let interface = self.settings.prefix.interface(index);
        let plan = LinkPlan::new(app, index, interface, &self.settings.range, mtu)?;
        let pins = self.pins()?;
        let namespace = pins.namespace_or_new(app)?;
        let mut inside = namespace::socket_inside(namespace.as_fd(), &pins.path(app))?;
        link::ensure(&plan, &mut host, &mut inside, namespace::own_namespace()?.as_fd())?;
        let LinkPlan { address, gateway, interface, .. } = plan;
        Ok(AppNetwork { app, index, address, gateway, interface, mtu, pin: pins.path(app) })
    }

    /// Removes the app's network, or whatever is left of it. A process still in it loses its connections.
    pub fn remove(&self, app: AppId) -> Result<(), NetworkError> {
        let pins = self.pins()?;
        if let Some(namespace) = pins.namespace(app)? {
            let mut inside = namespace::socket_inside(namespace.as_fd(), &pins.path(app))?;
            link::delete_inside(&mut inside)?;
        }
        let mut host = route_socket()?;
        for (_, link) in self.links(&mut host)?.into_iter().filter(|(owner, _)| *owner == app) {
            route::delete(&mut host, link.index).doing("delete", link.name)?;
        }
        pins.remove(app)
    }

    /// Every network of this installation, whole or not, in the order of ids.
    pub fn list(&self) -> Result<Vec<FoundNetwork>, NetworkError> {
        let pins = self.pins()?;
        let mut links = BTreeMap::new();
        for (app, link) in self.links(&mut route_socket()?)? {
            links.insert(app, self.settings.prefix.index_of(&link.name));
        }
        let mut found = BTreeMap::new();
        for app in pins.apps()? {
            let state = match (pins.namespace(app)?, links.remove(&app).flatten()) {
                (Some(_), Some(index)) => FoundState::Complete { index },
                (Some(_), None) => FoundState::NoLink,
                (None, _) => FoundState::NoNamespace,
            };
            found.insert(app, state);
        }
        found.extend(links.into_keys().map(|app| (app, FoundState::NoNamespace)));
        Ok(found.into_iter().map(|(app, state)| FoundNetwork { app, state }).collect())
    }

    /// The app's namespace, for `setns(fd, CLONE_NEWNET)`.
    pub fn open(&self, app: AppId) -> Result<OwnedFd, NetworkError> {
        self.pins()?.namespace(app)?.ok_or_else(|| NetworkError::NoNamespace { app, path: self.pin(app) })
    }

    fn pins(&self) -> Result<Pins, NetworkError> {
        Pins::open(&self.settings.pins)
    }

    fn ruleset(&self) -> Ruleset {
        Ruleset::new(&self.settings)
    }

    /// Host ends of links that are named by our prefix and labelled with an app.
    fn links(&self, host: &mut Socket) -> Result<Vec<(AppId, route::Link)>, NetworkError> {
        let all = route::list(host).doing("list", "network interfaces")?;
        let ours = all.into_iter().filter(|link| self.settings.prefix.index_of(&link.name).is_some());
        Ok(ours.filter_map(|link| Some((link::owner_of(&link)?, link))).collect())
    }
}

/// Makes a link in a namespace that ends right after: whether this kernel can.
pub(crate) fn try_link() -> Result<(), NetworkError> {
    namespace::in_a_new_namespace(|| link::make_and_forget(&mut route_socket()?))?
}

/// Puts the rules in force in a namespace that ends right after: whether this kernel can.
pub(crate) fn try_rules() -> Result<(), NetworkError> {
    let ruleset = Ruleset::new(&NetworkSettings::new(PathBuf::new()));
    namespace::in_a_new_namespace(|| rules::replace(&ruleset))?
}

fn route_socket() -> Result<Socket, NetworkError> {
    Socket::open(Protocol::Route).doing("talk to", "the kernel's network interfaces")
}

/// The interface by which packets to the Internet leave, if any.
fn uplink(host: &mut Socket) -> Result<Option<Uplink>, NetworkError> {
    let object = "the interface of the default route";
    let Some(index) = route::outside_interface(host).doing("look for", object)? else { return Ok(None) };
    let link = route::find_by_index(host, index).doing("look at", object)?;
    Ok(link.map(|link| Uplink { interface: link.name, mtu: link.mtu }))
}
