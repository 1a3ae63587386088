//! Which address and port a new process gets.

use crate::endpoint::{Addressing, Endpoint};
use crate::mutant::{self, Mutant};
use crate::observed::Observed;
use crate::plan::routers::Routers;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Ports that processes of an app may be given in its own network.
pub const PORTS: RangeInclusive<u16> = 5000..=9999;
/// The same where apps share the host's: away from the ports that services are known by, and from those that kernels choose
/// for outgoing connections.
pub const SHARED_PORTS: RangeInclusive<u16> = 20_000..=29_999;

/// Gives out endpoints that nobody has and no router can hold.
pub(crate) struct Endpoints<'a> {
    addressing: &'a Addressing,
    taken: BTreeSet<Endpoint>,
}

impl<'a> Endpoints<'a> {
    pub fn new(observed: &'a Observed, routers: &Routers<'_>) -> Self {
        let mut taken = routers.endpoints();
        if !mutant::active(Mutant::ShareEndpoint) {
            taken.extend(observed.processes.iter().filter_map(|process| process.endpoint));
        }
        Self { addressing: &observed.addressing, taken }
    }

    /// The lowest free port at the app's address, `None` when all are taken.
    pub fn take(&mut self, app_index: u32) -> Option<Endpoint> {
        let address = IpAddr::V4(self.addressing.app_address(app_index)?);
        let candidates = self.ports().map(|port| Endpoint::new(address, port));
        let endpoint = candidates.into_iter().find(|endpoint| self.is_free(*endpoint))?;
        self.taken.insert(endpoint);
        Some(endpoint)
    }

    const fn ports(&self) -> RangeInclusive<u16> {
        match self.addressing {
            Addressing::PerApp { .. } => PORTS,
            Addressing::Shared { .. } => SHARED_PORTS,
        }
    }

    fn is_free(&self, endpoint: Endpoint) -> bool {
        match self.addressing {
            Addressing::Shared { taken } if !mutant::active(Mutant::SharePort) => {
                let port = endpoint.port();
                !taken.contains(&port) && self.taken.iter().all(|other| other.port() != port)
            }
            Addressing::Shared { .. } | Addressing::PerApp { .. } => !self.taken.contains(&endpoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints<'a>(addressing: &'a Addressing, taken: &[&str]) -> Endpoints<'a> {
        let taken = taken.iter().map(|text| Endpoint(text.parse().expect("an address"))).collect();
        Endpoints { addressing, taken }
    }

    fn take(endpoints: &mut Endpoints<'_>, app_index: u32) -> String {
        endpoints.take(app_index).map_or_else(|| "none".to_owned(), |endpoint| endpoint.to_string())
    }

    #[test]
    fn in_networks_of_their_own_apps_have_the_same_ports() {
        let addressing = Addressing::default();
        let mut endpoints = endpoints(&addressing, &["10.212.1.0:5000"]);
        assert_eq!(
            [0, 0, 1].map(|app| take(&mut endpoints, app)),
            ["10.212.1.0:5001", "10.212.1.0:5002", "10.212.1.1:5000"]
        );
    }

    #[test]
    fn in_a_shared_network_no_two_processes_have_the_same_port() {
        let addressing = Addressing::Shared { taken: [20_001, 22].into() };
        let mut endpoints = endpoints(&addressing, &["127.77.1.9:20000", "127.77.1.0:20003"]);
        assert_eq!(
            [0, 1, 0].map(|app| take(&mut endpoints, app)),
            ["127.77.1.0:20002", "127.77.1.1:20004", "127.77.1.0:20005"]
        );
    }

    #[test]
    fn when_every_port_is_taken_there_is_none() {
        let addressing = Addressing::Shared { taken: SHARED_PORTS.collect() };
        assert_eq!(take(&mut endpoints(&addressing, &[]), 0), "none");
    }
}
