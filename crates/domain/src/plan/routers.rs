//! What routers may still do with a process.
//!
//! *May route* is the union of the published table and what every living router reports; a router that is alive and silent may
//! hold any table that was ever published, so it vouches for nothing.

use crate::endpoint::Endpoint;
use crate::ids::ProcessId;
use crate::mutant::{self, Mutant};
use crate::observed::{Observed, ObservedRouter};
use crate::route::{Generation, RouteTable, RouterStatus};
use std::collections::BTreeSet;

/// The published table and the routers' answers, seen together.
pub struct Routers<'a> {
    pub published: Option<&'a RouteTable>,
    answers: Vec<&'a RouterStatus>,
    silent: usize,
}

/// How far a process is from getting no more requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// No router can send it anything and none waits for an answer.
    Free,
    /// Every router has confirmed that it sends nothing new; so many requests are still being answered.
    Finishing { in_flight: u32 },
    /// The published table, or some router, may still send it requests.
    MayRoute,
}

impl<'a> Routers<'a> {
    pub fn new(observed: &'a Observed) -> Self {
        let mut answers = Vec::new();
        let mut silent = 0;
        for router in &observed.routers {
            match router {
                ObservedRouter::Answered(status) => answers.push(status),
                ObservedRouter::Silent => silent += 1,
            }
        }
        if mutant::active(Mutant::SilenceIsConsent) {
            silent = 0;
        }
        Self { published: observed.published.as_ref(), answers, silent }
    }

    /// The greatest generation that was published or loaded.
    pub fn latest_generation(&self) -> Generation {
        let loaded = self.answers.iter().filter_map(|status| status.loaded);
        loaded.chain(self.published.map(|table| table.generation)).max().unwrap_or_default()
    }

    pub fn someone_is_silent(&self) -> bool {
        self.silent > 0
    }

    /// Every living router has the published table in force.
    fn all_current(&self) -> bool {
        let published = self.published.map(|table| table.generation);
        self.silent == 0 && self.answers.iter().all(|status| status.loaded >= published)
    }

    /// What may still reach `process`.
    pub fn release_of(&self, process: ProcessId) -> Release {
        let published_routes = self.published.is_some_and(|table| table.routes(process));
        if published_routes && !mutant::active(Mutant::StopWhileRouted) {
            return Release::MayRoute;
        }
        let held = self.answers.iter().flat_map(|status| &status.held).filter(|held| held.process == process);
        let (mut in_flight, mut routed) = (0u32, false);
        for held in held {
            in_flight = in_flight.saturating_add(held.in_flight);
            routed |= held.routed;
        }
        let unconfirmed = routed || !self.all_current();
        if unconfirmed && !mutant::active(Mutant::StopWithoutAck) && !mutant::active(Mutant::StopWhileRouted)
        {
            return Release::MayRoute;
        }
        if in_flight > 0 { Release::Finishing { in_flight } } else { Release::Free }
    }

    /// Whether a process was ever given to a router, as far as can be seen now.
    pub fn knows(&self, process: ProcessId) -> bool {
        let in_table =
            self.published.is_some_and(|table| table.endpoints().any(|(routed, _)| routed == process));
        in_table || self.answers.iter().any(|status| status.held.iter().any(|held| held.process == process))
    }

    /// Whether some living router may hold a table that is not the published one.
    pub fn may_hold_older_table(&self) -> bool {
        !self.all_current()
    }

    /// Endpoints that some table or router mentions.
    pub fn endpoints(&self) -> BTreeSet<Endpoint> {
        let mut endpoints = BTreeSet::new();
        if mutant::active(Mutant::ReuseEndpointEarly) {
            return endpoints;
        }
        if let Some(table) = self.published {
            endpoints.extend(table.endpoints().map(|(_, endpoint)| endpoint));
        }
        for status in &self.answers {
            endpoints.extend(status.held.iter().map(|held| held.endpoint));
        }
        endpoints
    }
}
