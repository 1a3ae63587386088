//! Which address and port a new process gets.

use crate::endpoint::{Endpoint, app_address};
use crate::mutant::{self, Mutant};
use crate::observed::Observed;
use crate::plan::routers::Routers;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Ports that processes of an app may be given.
pub const FIRST_PORT: u16 = 5000;
pub const LAST_PORT: u16 = 9999;

/// Gives out endpoints that nobody has and no router can hold.
pub(crate) struct Endpoints<'a> {
    observed: &'a Observed,
    taken: BTreeSet<Endpoint>,
}

impl<'a> Endpoints<'a> {
    pub fn new(observed: &'a Observed, routers: &Routers<'_>) -> Self {
        let mut taken = routers.endpoints();
        if !mutant::active(Mutant::ShareEndpoint) {
            taken.extend(observed.processes.iter().filter_map(|process| process.endpoint));
        }
        Self { observed, taken }
    }

    /// The lowest free port of the app's address, `None` when all are taken.
    pub fn take(&mut self, app_index: u32) -> Option<Endpoint> {
        let address = IpAddr::V4(app_address(self.observed.network_base, app_index)?);
        let endpoint = (FIRST_PORT..=LAST_PORT)
            .map(|port| Endpoint::new(address, port))
            .find(|endpoint| !self.taken.contains(endpoint))?;
        self.taken.insert(endpoint);
        Some(endpoint)
    }
}
