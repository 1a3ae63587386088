//! The next route table.

use crate::desired::{Desired, DesiredApp};
use crate::ids::{AppId, ProcessId};
use crate::mutant::{self, Mutant};
use crate::observed::{Observed, ObservedProcess, ProcessState};
use crate::plan::app::{AppView, Standing};
use crate::plan::routers::Routers;
use crate::plan::{Action, Draft, Waiting};
use crate::process::Purpose;
use crate::route::{
    AppRoute, DrainingProcess, Gate, Generation, ROUTE_TABLE_FORMAT, RouteTable, RoutedProcess,
};
use crate::time::BootMillis;
use std::collections::BTreeMap;

/// Publishes a table if the one on disk does not say what it should.
pub(crate) fn plan_table(
    desired: &Desired,
    observed: &Observed,
    apps: &[AppView<'_>],
    routers: &Routers<'_>,
    draft: &mut Draft,
) {
    if routers.published.is_none() && routers.someone_is_silent() {
        // The file is gone and its generation with it. A router that may know a later one must answer first, or two tables
        // could bear the same generation.
        return;
    }
    let routes: Vec<AppRoute> =
        apps.iter().filter_map(|app| Some(render_route(app, app.desired?, draft))).collect();
    let draining = render_draining(observed, &routes, routers, draft.now);
    let latest = routers.latest_generation();
    let unchanged = routers.published.is_some_and(|table| {
        table.apps == routes
            && table.draining == draining
            && table.generation >= latest
            && table.generation.epoch >= desired.epoch
    });
    if unchanged {
        return;
    }
    let generation = next_generation(latest, desired.epoch);
    draft.push(Action::Publish {
        table: RouteTable { format: ROUTE_TABLE_FORMAT, generation, apps: routes, draining },
    });
}

fn next_generation(latest: Generation, epoch: u64) -> Generation {
    if mutant::active(Mutant::ForgetGeneration) {
        return Generation { epoch, counter: 1 };
    }
    if latest.epoch < epoch {
        return Generation { epoch, counter: 1 };
    }
    Generation { epoch: latest.epoch, counter: latest.counter + 1 }
}

fn render_route(view: &AppView<'_>, app: &DesiredApp, draft: &mut Draft) -> AppRoute {
    let started = started_processes(view);
    if !started.is_empty() && !started.iter().any(|process| is_ready(process)) {
        draft.wait(Waiting::NoneReady { app: view.app });
    }
    let routed = readiest(started);
    let gate = gate(view, app, &routed);
    AppRoute {
        app: app.app,
        name: app.name.clone(),
        hosts: app.hosts.clone(),
        gate,
        processes: routed.into_iter().filter_map(render_process).collect(),
    }
}

fn render_process(process: &ObservedProcess) -> Option<RoutedProcess> {
    let name = process.purpose.display_name();
    Some(RoutedProcess { process: process.process, name, endpoint: process.endpoint? })
}

/// Those that are ready for requests. If none is, all: checks that fail everywhere more often lie than tell that no process can
/// answer, and a request that might be answered is better than one that is refused for sure.
fn readiest(started: Vec<&ObservedProcess>) -> Vec<&ObservedProcess> {
    if mutant::active(Mutant::RouteUnready) {
        return started;
    }
    let ready: Vec<_> = started.iter().copied().filter(|process| is_ready(process)).collect();
    if ready.is_empty() && !mutant::active(Mutant::CloseOnUnready) { started } else { ready }
}

/// The up web processes of the current release, ready or not, in order of their index.
fn started_processes<'a>(view: &AppView<'a>) -> Vec<&'a ObservedProcess> {
    let may_serve = |standing: Standing| match standing {
        Standing::Current => {
            view.desired.is_none_or(|app| app.candidate.is_none()) || !mutant::active(Mutant::UnrouteEarly)
        }
        Standing::Candidate => mutant::active(Mutant::RouteCandidate),
    };
    let slots = view
        .runnable_slots()
        .filter(|(standing, _, slots)| may_serve(*standing) && slots.process_type.is_web());
    slots
        .flat_map(|(_, release, slots)| {
            let indexes = slots.wanted();
            indexes.filter_map(move |index| {
                let kept = view.in_slot(release.release, &slots.process_type, index);
                kept.into_iter()
                    .find(|process| is_started(process) && view.surplus(process.process).is_none())
            })
        })
        .collect()
}

pub(super) const fn is_ready(process: &ObservedProcess) -> bool {
    matches!(process.state, ProcessState::Up { .. })
}

fn is_started(process: &ObservedProcess) -> bool {
    process.state.is_up()
        || (mutant::active(Mutant::RouteStarting) && process.state == ProcessState::Starting)
}

fn gate(view: &AppView<'_>, app: &DesiredApp, routed: &[&ObservedProcess]) -> Gate {
    if app.maintenance {
        return Gate::Maintenance;
    }
    if !routed.is_empty() {
        return Gate::Running;
    }
    let coming = |release: Option<&crate::desired::DesiredRelease>| {
        release.and_then(|release| release.web()).is_some_and(|web| web.wanted().next().is_some())
    };
    if coming(app.candidate.as_ref()) {
        return Gate::Starting;
    }
    match &app.current {
        None => Gate::Blank,
        Some(current) if current.slug.is_none() => Gate::Blank,
        Some(current) if !coming(Some(current)) => Gate::NoWeb,
        Some(_) => crashed_or_starting(view),
    }
}

/// Crashed when every wanted web slot of the current release is empty and pauses; else one is on its way.
fn crashed_or_starting(view: &AppView<'_>) -> Gate {
    let mut web = view
        .runnable_slots()
        .filter(|(standing, _, slots)| *standing == Standing::Current && slots.process_type.is_web());
    let all_pause = web.all(|(_, release, slots)| {
        slots.wanted().all(|index| {
            let paused = slots
                .crashes
                .get(&index)
                .is_some_and(|record| crate::backoff::wait_seconds(record.count) > 0);
            paused && view.in_slot(release.release, &slots.process_type, index).next().is_none()
        })
    });
    if all_pause { Gate::Crashed } else { Gate::Starting }
}

/// Live processes that were given to routers and are not routed by the new table, each with the instant its drain began.
fn render_draining(
    observed: &Observed,
    routes: &[AppRoute],
    routers: &Routers<'_>,
    now: BootMillis,
) -> Vec<DrainingProcess> {
    let routed: BTreeMap<ProcessId, AppId> =
        routes.iter().flat_map(|route| route.processes.iter().map(|p| (p.process, route.app))).collect();
    let began: BTreeMap<ProcessId, BootMillis> = routers
        .published
        .iter()
        .flat_map(|table| table.draining.iter().map(|d| (d.process, d.since)))
        .collect();
    let mut draining: Vec<_> = observed
        .processes
        .iter()
        .filter(|process| process.state.is_live() && !routed.contains_key(&process.process))
        .filter(|process| matches!(process.purpose, Purpose::Slot { .. }) && routers.knows(process.process))
        .filter_map(|process| {
            let since = began.get(&process.process).copied().unwrap_or(now);
            Some(DrainingProcess {
                app: process.app,
                process: process.process,
                endpoint: process.endpoint?,
                since,
            })
        })
        .collect();
    draining.sort_by_key(|draining| draining.process);
    draining
}
