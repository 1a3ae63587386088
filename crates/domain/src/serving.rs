//! Whether requests reach a release: promotion is a fact in the ledger; this is what can be seen of it outside.

use crate::ids::{AppId, ReleaseId};
use crate::observed::{Observed, ObservedRouter};
use crate::route::AppRoute;

/// Every living router has the published table in force, and that table leads to processes of no other release of the app.
pub fn is_served_by(observed: &Observed, app: AppId, release: ReleaseId) -> bool {
    let Some(table) = &observed.published else { return false };
    let in_force = observed.routers.iter().all(|router| match router {
        ObservedRouter::Answered(status) => status.loaded >= Some(table.generation),
        ObservedRouter::Silent => false,
    });
    let route = table.apps.iter().find(|route| route.app == app);
    in_force && route.is_none_or(|route| leads_to(observed, route, release))
}

fn leads_to(observed: &Observed, route: &AppRoute, release: ReleaseId) -> bool {
    route.processes.iter().all(|routed| {
        let process = observed.processes.iter().find(|process| process.process == routed.process);
        process.is_some_and(|process| process.purpose.release() == release)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::ids::{ProcessId, RouterId};
    use crate::observed::{ObservedProcess, ProcessState};
    use crate::process::Purpose;
    use crate::route::{Gate, Generation, RouteTable, RoutedProcess, RouterStatus};
    use crate::time::BootMillis;

    #[test]
    fn only_a_confirmed_table_that_leads_to_the_release_counts() {
        let (app, release, process) = (AppId::from_u128(1), ReleaseId::from_u128(2), ProcessId::from_u128(3));
        let endpoint: Endpoint = Endpoint::new([10, 0, 0, 1].into(), 5000);
        let purpose = Purpose::Slot { release, process_type: "web".parse().unwrap(), index: 1 };
        let generation = Generation { epoch: 1, counter: 5 };
        let routed = RoutedProcess { process, name: "web.1".into(), endpoint };
        let route = AppRoute {
            app,
            name: "app".parse().unwrap(),
            hosts: vec![],
            gate: Gate::Running,
            processes: vec![routed],
        };
        let status = |counter| {
            let loaded = Some(Generation { epoch: 1, counter });
            ObservedRouter::Answered(RouterStatus { router: RouterId::from_u128(9), loaded, held: vec![] })
        };
        let (started_at, state) = (BootMillis(0), ProcessState::Up { since: BootMillis(1) });
        let mut observed = Observed {
            processes: vec![ObservedProcess {
                process,
                app,
                purpose,
                endpoint: Some(endpoint),
                started_at,
                state,
            }],
            published: Some(RouteTable { apps: vec![route], ..RouteTable::empty(generation) }),
            routers: vec![status(5)],
            ..Observed::default()
        };
        assert!(is_served_by(&observed, app, release));
        assert!(!is_served_by(&observed, app, ReleaseId::from_u128(7)), "it leads to another release");
        observed.routers.push(status(4));
        assert!(!is_served_by(&observed, app, release), "a router has an older table");
        observed.routers[1] = ObservedRouter::Silent;
        assert!(!is_served_by(&observed, app, release), "a router says nothing");
        observed.published = None;
        assert!(!is_served_by(&observed, app, release));
    }
}
