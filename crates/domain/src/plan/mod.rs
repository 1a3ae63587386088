//! The decision: what to do next, given what is desired and what was observed.
//!
//! [`plan`] is pure, total and deterministic: equal inputs and an equal seed of [`Ids`] give an equal plan. It looks only at its
//! arguments, remembers nothing, and leaves no choice to execution. Each rule stands in a file of its own:
//!
//! - [`routers`]: what routers may still do with a process, from the published table and their answers
//! - `app`: which of an app's processes are wanted (*kept*) and which are surplus
//! - `replacement`: which of the wanted make room for their successors, and how many at a time
//! - `routing`: the next route table
//! - `stops`, `removals`: what may be ended and cleaned up
//! - `spawns`, `jobs`, `endpoints`: what is started, where, and why it waits
//!
//! The chain that makes a deploy lose no request: a process is routed only after it was seen up; its successor is routed by the
//! table that ends its own routes; it is stopped only when every living router has confirmed such a table and has no request in
//! flight to it (or the drain's time is over); its endpoint is given out again only when no router can hold it any more.

pub mod action;
pub(crate) mod app;
mod endpoints;
mod jobs;
mod removals;
mod replacement;
pub mod report;
pub mod routers;
mod routing;
mod spawns;
mod steady;
pub(crate) mod stops;

use crate::desired::Desired;
use crate::ids::{AppId, Ids};
use crate::observed::{Observed, ObservedProcess};
use crate::time::BootMillis;
pub use action::{Action, Plan, Spawn, StopReason};
use app::AppView;
pub use endpoints::{PORTS, SHARED_PORTS};
pub use report::{BootUntil, Report, Waiting, Why};
use routers::Routers;
use std::collections::{BTreeMap, BTreeSet};

/// Decides the next steps towards `desired`.
pub fn plan(desired: &Desired, observed: &Observed, now: BootMillis, ids: &mut Ids) -> Plan {
    let routers = Routers::new(observed);
    let apps = view_apps(desired, observed, now);
    let mut draft = Draft { now, plan: Plan::default() };

    removals::plan_removals(desired, observed, &routers, &mut draft);
    for app in &apps {
        stops::plan_stops(app, &routers, desired, &mut draft);
        if let Some(at) = app.settles_at(now) {
            draft.wake(at);
        }
    }
    routing::plan_table(desired, observed, &apps, &routers, &mut draft);
    removals::plan_networks(desired, observed, &routers, &mut draft);
    spawns::plan_spawns(desired, observed, &apps, &routers, ids, &mut draft);
    draft.plan
}

/// A plan under construction.
pub(crate) struct Draft {
    now: BootMillis,
    plan: Plan,
}

impl Draft {
    fn push(&mut self, action: Action) {
        self.plan.actions.push(action);
    }

    fn wait(&mut self, waiting: Waiting) {
        self.plan.report.waiting.push(waiting);
    }

    /// Asks for another look at `at`, or now if that has passed.
    fn wake(&mut self, at: BootMillis) {
        let at = at.max(self.now);
        self.plan.wake_at = Some(self.plan.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// One view per app that is desired or has processes, in the order of the ledger, strays last.
fn view_apps<'a>(desired: &'a Desired, observed: &'a Observed, now: BootMillis) -> Vec<AppView<'a>> {
    let bounds = &desired.bounds;
    let mut by_app: BTreeMap<AppId, Vec<&ObservedProcess>> = BTreeMap::new();
    for process in &observed.processes {
        by_app.entry(process.app).or_default().push(process);
    }
    let mut views = Vec::new();
    let mut seen = BTreeSet::new();
    for app in &desired.apps {
        seen.insert(app.app);
        let processes = by_app.remove(&app.app).unwrap_or_default();
        views.push(AppView::new(app.app, Some(app), processes, bounds, now));
    }
    for (app, processes) in by_app {
        views.push(AppView::new(app, None, processes, bounds, now));
    }
    views
}
