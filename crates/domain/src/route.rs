//! The route table: everything a router needs to know, as one value with a generation.
//!
//! The server renders it whole on every change and replaces the file `routes/table.json` atomically; routers load it whole or
//! not at all. Routing is therefore constant work: a router needs no other file and no answer from the server.

use crate::endpoint::Endpoint;
use crate::ids::{AppId, ProcessId};
use crate::names::{AppName, HostName};
use crate::time::BootMillis;
use serde::{Deserialize, Serialize};

/// The version of the table's format that this build writes; a reader refuses others and keeps its last good table.
pub const ROUTE_TABLE_FORMAT: u32 = 1;

/// When a table was made: a later one is greater. A restored ledger begins a new epoch, so that its counter may start low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Generation {
    pub epoch: u64,
    pub counter: u64,
}

/// All routes of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    pub format: u32,
    pub generation: Generation,
    pub apps: Vec<AppRoute>,
    /// Processes that get no new request and may still be answering old ones.
    pub draining: Vec<DrainingProcess>,
}

/// The routes of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRoute {
    pub app: AppId,
    pub name: AppName,
    pub hosts: Vec<HostName>,
    pub gate: Gate,
    /// In order of display name. Only processes that were seen up.
    pub processes: Vec<RoutedProcess>,
}

/// What a router does with a request for an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Forward to one of the processes.
    Running,
    /// Hold the request's head (H20 after 75 s, H11 when too many wait) until a later table opens the gate.
    Starting,
    /// Every web process has crashed and waits for its back-off: H10.
    Crashed,
    /// Nothing was ever deployed: H81.
    Blank,
    /// Web is scaled to zero, or the release has no web process: H14.
    NoWeb,
    /// Maintenance mode: H80.
    Maintenance,
}

/// A process that gets requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedProcess {
    pub process: ProcessId,
    /// Display name for log lines, such as `web.1`.
    pub name: String,
    pub endpoint: Endpoint,
}

/// A process on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainingProcess {
    pub app: AppId,
    pub process: ProcessId,
    pub endpoint: Endpoint,
    /// When the first table without a route to it was made; its drain ends `drain_seconds` later at the latest.
    pub since: BootMillis,
}

impl RouteTable {
    /// The table of a host on which nothing runs.
    pub const fn empty(generation: Generation) -> Self {
        Self { format: ROUTE_TABLE_FORMAT, generation, apps: Vec::new(), draining: Vec::new() }
    }

    pub fn routes(&self, process: ProcessId) -> bool {
        self.apps.iter().any(|app| app.processes.iter().any(|routed| routed.process == process))
    }

    /// Every endpoint that the table mentions, routed or draining.
    pub fn endpoints(&self) -> impl Iterator<Item = (ProcessId, Endpoint)> + '_ {
        let routed = self.apps.iter().flat_map(|app| app.processes.iter().map(|p| (p.process, p.endpoint)));
        routed.chain(self.draining.iter().map(|d| (d.process, d.endpoint)))
    }
}

/// What a router instance answers on its control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterStatus {
    pub router: crate::ids::RouterId,
    /// The generation in force, `None` before the first table was loaded.
    pub loaded: Option<Generation>,
    /// Every process of the table in force and every one with requests in flight or pooled connections.
    pub held: Vec<HeldProcess>,
}

/// A process that a router knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldProcess {
    pub process: ProcessId,
    pub endpoint: Endpoint,
    /// Whether new requests may still be sent to it.
    pub routed: bool,
    pub in_flight: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../fixtures/route-table-1.json");

    /// Routers outlive servers, and files both: a table that was written in this format is read, and written the same.
    #[test]
    fn a_table_of_the_first_format() {
        let table: RouteTable = serde_json::from_str(GOLDEN).expect("it is understood");
        assert_eq!(table.format, ROUTE_TABLE_FORMAT);
        let gates: Vec<Gate> = table.apps.iter().map(|app| app.gate).collect();
        let all = [Gate::Running, Gate::Starting, Gate::Crashed, Gate::Blank, Gate::NoWeb, Gate::Maintenance];
        assert_eq!(gates, all);
        assert_eq!(table.endpoints().count(), 2);
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).expect("it is JSON");
        assert_eq!(serde_json::to_value(&table).expect("it can be written"), golden);
    }
}
