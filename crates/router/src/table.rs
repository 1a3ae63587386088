//! The route table in the form that requests use: looked up by host, immutable, replaced whole.
//!
//! A [`Snapshot`] is built from a parsed table and the [`Registry`], which keeps what must survive a swap: the doors of processes and
//! the waiting room of each app.

use crate::drain::{Door, DoorMaker};
use domain::endpoint::Endpoint;
use domain::ids::{AppId, ProcessId};
use domain::route::{Gate, Generation, HeldProcess, RouteTable};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// One table in force.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// `None` before the first table.
    pub generation: Option<Generation>,
    apps: Vec<Arc<App>>,
    by_host: HashMap<String, usize>,
    /// By what follows the `*` of a wildcard, its dot included.
    by_suffix: HashMap<String, usize>,
    draining: Vec<(ProcessId, Endpoint)>,
}

/// An app's routes.
#[derive(Debug)]
pub(crate) struct App {
    pub id: AppId,
    pub gate: Gate,
    pub processes: Vec<Arc<Upstream>>,
    /// Requests that wait for this app, over all threads and tables.
    pub waiting: Arc<AtomicU32>,
}

/// A process that gets requests.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub process: ProcessId,
    pub name: String,
    pub endpoint: Endpoint,
    pub door: Arc<Door>,
}

impl Snapshot {
    pub(crate) fn empty() -> Self {
        Self {
            generation: None,
            apps: Vec::new(),
            by_host: HashMap::new(),
            by_suffix: HashMap::new(),
            draining: Vec::new(),
        }
    }

    /// The app of a lower-case host name: the name itself, else the longest wildcard that covers it.
    pub(crate) fn find(&self, host: &str) -> Option<&Arc<App>> {
        let exact = self.by_host.get(host);
        let index = exact.or_else(|| {
            let dots = host.match_indices('.').map(|(at, _)| &host[at..]);
            dots.filter(|_| !self.by_suffix.is_empty()).find_map(|suffix| self.by_suffix.get(suffix))
        });
        index.map(|index| &self.apps[*index])
    }

    fn routed(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.apps.iter().flat_map(|app| app.processes.iter())
    }
}

/// What outlives tables. Owned by the loader alone.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    doors: BTreeMap<(ProcessId, Endpoint), Arc<Door>>,
    waiting: HashMap<AppId, Arc<AtomicU32>>,
    maker: DoorMaker,
}

impl Registry {
    /// Step 1 of a load: the snapshot, with the doors of all that it routes open.
    pub(crate) fn build(&mut self, table: &RouteTable) -> Snapshot {
        self.waiting.retain(|_, waiting| Arc::strong_count(waiting) > 1);
        let apps: Vec<_> = table.apps.iter().map(|route| self.build_app(route)).collect();
        let hosts = || {
            table.apps.iter().enumerate().flat_map(|(i, app)| app.hosts.iter().map(move |h| (h.as_str(), i)))
        };
        let suffix = |(host, i): (&str, usize)| host.strip_prefix('*').map(|suffix| (suffix.to_owned(), i));
        Snapshot {
            generation: Some(table.generation),
            apps,
            by_host: hosts()
                .filter(|(host, _)| !host.starts_with('*'))
                .map(|(h, i)| (h.to_owned(), i))
                .collect(),
            by_suffix: hosts().filter_map(suffix).collect(),
            draining: table.draining.iter().map(|process| (process.process, process.endpoint)).collect(),
        }
    }

    fn build_app(&mut self, route: &domain::route::AppRoute) -> Arc<App> {
        let waiting = Arc::clone(self.waiting.entry(route.app).or_default());
        let processes = route.processes.iter().map(|routed| {
            let door =
                self.doors.entry((routed.process, routed.endpoint)).or_insert_with(|| self.maker.make());
            door.open();
            Arc::new(Upstream {
                process: routed.process,
                name: routed.name.clone(),
                endpoint: routed.endpoint,
                door: Arc::clone(door),
            })
        });
        Arc::new(App { id: route.app, gate: route.gate, processes: processes.collect(), waiting })
    }

    /// Step 3 of a load: closes every door that the table in force does not route.
    pub(crate) fn close_unrouted(&self, in_force: &Snapshot) {
        let routed: std::collections::HashSet<_> =
            in_force.routed().map(|upstream| upstream.door.key()).collect();
        for door in self.doors.values().filter(|door| !routed.contains(&door.key())) {
            door.close();
        }
    }

    /// Every process that the table in force mentions or that still has something of ours. Forgets the others.
    pub(crate) fn held(&mut self, in_force: &Snapshot) -> Vec<HeldProcess> {
        let routed: BTreeMap<_, _> = in_force.routed().map(|u| ((u.process, u.endpoint), ())).collect();
        self.doors.retain(|key, door| routed.contains_key(key) || door.in_flight() > 0 || door.idle() > 0);
        let known = self.doors.iter().map(|(key @ (process, endpoint), door)| HeldProcess {
            process: *process,
            endpoint: *endpoint,
            routed: routed.contains_key(key),
            in_flight: door.in_flight(),
        });
        let unknown = in_force.draining.iter().filter(|key| !self.doors.contains_key(key));
        let unknown = unknown.map(|(process, endpoint)| HeldProcess {
            process: *process,
            endpoint: *endpoint,
            routed: false,
            in_flight: 0,
        });
        known.chain(unknown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::route::{AppRoute, DrainingProcess, RoutedProcess};
    use domain::time::BootMillis;

    fn app(id: u128, hosts: &[&str], processes: &[u128]) -> AppRoute {
        AppRoute {
            app: AppId::from_u128(id),
            name: "example".parse().expect("a name"),
            hosts: hosts.iter().map(|host| host.parse().expect("a host")).collect(),
            gate: Gate::Running,
            processes: processes.iter().map(|id| routed(*id)).collect(),
        }
    }

    fn endpoint(id: u128) -> Endpoint {
        Endpoint::new([127, 0, 0, 1].into(), 1000 + id as u16)
    }

    fn routed(id: u128) -> RoutedProcess {
        RoutedProcess { process: ProcessId::from_u128(id), name: format!("web.{id}"), endpoint: endpoint(id) }
    }

    fn table(counter: u64, apps: Vec<AppRoute>) -> RouteTable {
        RouteTable { apps, ..RouteTable::empty(Generation { epoch: 1, counter }) }
    }

    #[test]
    fn hosts_are_found_exactly_then_by_the_longest_wildcard() {
        let apps = vec![
            app(1, &["a.example.com", "a.localhost"], &[]),
            app(2, &["*.example.com"], &[]),
            app(3, &["*.deep.example.com"], &[]),
        ];
        let snapshot = Registry::default().build(&table(1, apps));
        let cases = [
            ("a.example.com", Some(1)),
            ("b.example.com", Some(2)),
            ("x.y.example.com", Some(2)),
            ("x.deep.example.com", Some(3)),
            ("deep.example.com", Some(2)),
            ("example.com", None),
            ("localhost", None),
            ("", None),
            ("*", None),
        ];
        for (host, app) in cases {
            assert_eq!(snapshot.find(host).map(|app| app.id), app.map(AppId::from_u128), "{host}");
        }
    }

    #[test]
    fn doors_and_waiting_rooms_survive_swaps() {
        let mut registry = Registry::default();
        let first = registry.build(&table(1, vec![app(1, &["h.test"], &[1, 2])]));
        let permit = first.apps[0].processes[0].door.enter().expect("open");
        let second = registry.build(&table(2, vec![app(1, &["h.test"], &[2, 3])]));
        registry.close_unrouted(&second);
        assert!(Arc::ptr_eq(&first.apps[0].waiting, &second.apps[0].waiting));
        assert!(first.apps[0].processes[0].door.enter().is_none(), "an old snapshot must not let anyone in");
        assert!(first.apps[0].processes[1].door.enter().is_some());
        let held = |registry: &mut Registry, snapshot: &Snapshot| {
            let held = registry.held(snapshot).into_iter();
            held.map(|p| (p.process.as_uuid().as_u128(), p.routed, p.in_flight)).collect::<Vec<_>>()
        };
        assert_eq!(held(&mut registry, &second), [(1, false, 1), (2, true, 0), (3, true, 0)]);
        drop(permit);
        assert_eq!(held(&mut registry, &second), [(2, true, 0), (3, true, 0)]);
    }

    #[test]
    fn draining_processes_are_held_though_nobody_asked_for_them() {
        let mut registry = Registry::default();
        let draining = DrainingProcess {
            app: AppId::from_u128(1),
            process: ProcessId::from_u128(9),
            endpoint: endpoint(9),
            since: BootMillis(0),
        };
        let snapshot = registry.build(&RouteTable { draining: vec![draining], ..table(1, vec![]) });
        let held = registry.held(&snapshot);
        assert_eq!(held.len(), 1);
        assert!(!held[0].routed && held[0].in_flight == 0);
    }
}
