//! What is cleaned up: ended processes that the ledger has recorded, and networks of apps that are gone.

use crate::desired::Desired;
use crate::mutant::{self, Mutant};
use crate::observed::Observed;
use crate::plan::routers::Routers;
use crate::plan::{Action, Draft};

/// Removes ended processes. Their run folders reserve their endpoints, so a folder stays while a router may hold the endpoint.
pub(crate) fn plan_removals(
    desired: &Desired,
    observed: &Observed,
    routers: &Routers<'_>,
    draft: &mut Draft,
) {
    if mutant::active(Mutant::NeverRemove) {
        return;
    }
    let ended = observed.processes.iter().filter(|process| !process.state.is_live());
    for process in ended {
        let recorded =
            desired.recorded_exits.contains(&process.process) || mutant::active(Mutant::RemoveUnrecorded);
        let held =
            process.endpoint.is_some() && (routers.knows(process.process) || routers.may_hold_older_table());
        if recorded && (!held || mutant::active(Mutant::ReuseEndpointEarly)) {
            draft.push(Action::Remove { app: process.app, process: process.process });
        }
    }
}

/// Removes the network of an app that is not desired, has no run folder left and that no router can reach.
pub(crate) fn plan_networks(
    desired: &Desired,
    observed: &Observed,
    routers: &Routers<'_>,
    draft: &mut Draft,
) {
    for app in &observed.networks {
        let wanted = desired.apps.iter().any(|desired| desired.app == *app);
        let populated = observed.processes.iter().any(|process| process.app == *app);
        let mentioned = routers.published.is_some_and(|table| {
            table.apps.iter().any(|route| route.app == *app)
                || table.draining.iter().any(|draining| draining.app == *app)
        });
        if !wanted && !populated && !mentioned && !routers.may_hold_older_table() {
            draft.push(Action::RemoveNetwork { app: *app });
        }
    }
}
