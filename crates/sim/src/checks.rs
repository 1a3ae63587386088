//! The properties that can be judged from a plan and its inputs, stated anew and not by calling the rules they judge.

use crate::in_flight;
use crate::world::Violation;
use domain::cycle;
use domain::desired::{Bounds, Desired, DesiredApp};
use domain::ids::{AppId, ReleaseId};
use domain::observed::{Observed, ObservedProcess, ProcessState};
use domain::plan::{Action, Plan, StopReason, Waiting, Why};
use domain::process::{JobKind, Purpose};
use domain::route::RouteTable;
use domain::time::BootMillis;
use domain::transition::Transition;

pub fn check_plan(
    desired: &Desired,
    observed: &Observed,
    plan: &Plan,
    now: BootMillis,
) -> Result<(), Violation> {
    let table = plan.actions.iter().find_map(|action| match action {
        Action::Publish { table } => Some(table),
        Action::Remove { .. }
        | Action::Stop { .. }
        | Action::RemoveNetwork { .. }
        | Action::CreateNetwork { .. }
        | Action::Spawn { .. } => None,
    });
    if let Some(table) = table {
        check_routed(desired, observed, table)?;
        check_ready(desired, observed, table, now)?;
        check_not_stopped(plan, table)?;
    }
    if let Some(table) = table.or(observed.published.as_ref()) {
        check_served(desired, observed, table, now)?;
    }
    in_flight::check(desired, observed, plan, table, now)?;
    check_not_stopped_early(desired, observed, now, plan)?;
    check_fair(desired, plan)
}

/// An unready process is routed only where no process of its app that may stay is ready.
fn check_ready(
    desired: &Desired,
    observed: &Observed,
    table: &RouteTable,
    now: BootMillis,
) -> Result<(), Violation> {
    for app in &desired.apps {
        let of_app = || observed.processes.iter().filter(|process| process.app == app.app);
        let is_ready = |process: &ObservedProcess| {
            may_stay(desired, app, process, now) && matches!(process.state, ProcessState::Up { .. })
        };
        let unready = of_app().find(|process| {
            matches!(process.state, ProcessState::Unready { .. }) && table.routes(process.process)
        });
        if let Some(unready) = unready.filter(|_| of_app().any(is_ready)) {
            return Err(format!("{} is not ready and routed beside one that is", unready.purpose));
        }
    }
    Ok(())
}

/// A start is given up when both the platform's time and the app's own are over.
fn check_not_stopped_early(
    desired: &Desired,
    observed: &Observed,
    now: BootMillis,
    plan: &Plan,
) -> Result<(), Violation> {
    for action in &plan.actions {
        let Action::Stop { process, why: StopReason::BootTimeout, .. } = action else { continue };
        let found = observed.processes.iter().find(|seen| seen.process == *process);
        let Some(found) = found else { return Err(format!("{process} is not there and was stopped")) };
        let apps = desired.apps.iter().filter(|app| app.app == found.app);
        let releases = apps.flat_map(DesiredApp::releases).filter(|r| r.release == found.purpose.release());
        let own = releases.flat_map(|release| &release.slots).filter_map(|slots| match &found.purpose {
            Purpose::Slot { process_type, .. } if *process_type == slots.process_type => {
                slots.startup_seconds
            }
            Purpose::Slot { .. } | Purpose::Job { .. } => None,
        });
        let (own, usual) = (own.max().unwrap_or(0), desired.bounds.boot_timeout_seconds);
        let seconds = if found.purpose.is_web() { own + usual } else { own.max(usual) };
        if found.started_at.plus_seconds(seconds) > now {
            return Err(format!("{} was not given the {seconds} s that it may take to start", found.purpose));
        }
    }
    Ok(())
}

/// Routed is a subset of the up processes of the current release.
fn check_routed(desired: &Desired, observed: &Observed, table: &RouteTable) -> Result<(), Violation> {
    for route in &table.apps {
        let current =
            desired.apps.iter().find(|app| app.app == route.app).and_then(|app| app.current.as_ref());
        for routed in &route.processes {
            let process = observed.processes.iter().find(|process| process.process == routed.process);
            let serves = process.is_some_and(|process| {
                let of_current = current.is_some_and(|current| current.release == process.purpose.release());
                of_current
                    && process.state.is_up()
                    && process.purpose.is_web()
                    && process.endpoint == Some(routed.endpoint)
            });
            if !serves {
                return Err(format!(
                    "{} is routed and is not an up process of the current release",
                    routed.name
                ));
            }
        }
    }
    Ok(())
}

fn check_not_stopped(plan: &Plan, table: &RouteTable) -> Result<(), Violation> {
    let stopped = plan.actions.iter().find_map(|action| match action {
        Action::Stop { process, .. } => table.routes(*process).then_some(*process),
        Action::Remove { .. }
        | Action::Publish { .. }
        | Action::RemoveNetwork { .. }
        | Action::CreateNetwork { .. }
        | Action::Spawn { .. } => None,
    });
    stopped.map_or(Ok(()), |process| Err(format!("{process} is stopped by the plan that routes to it")))
}

/// An app with an up, wanted process of its current release has a route.
fn check_served(
    desired: &Desired,
    observed: &Observed,
    table: &RouteTable,
    now: BootMillis,
) -> Result<(), Violation> {
    for app in &desired.apps {
        let able = observed
            .processes
            .iter()
            .any(|process| process.app == app.app && may_stay(desired, app, process, now));
        let routed = table.apps.iter().any(|route| route.app == app.app && !route.processes.is_empty());
        if able && !routed {
            return Err(format!("{} has no route although a process of its current release is up", app.name));
        }
    }
    Ok(())
}

/// An up web process that nothing is about to renew.
fn may_stay(desired: &Desired, app: &DesiredApp, process: &ObservedProcess, now: BootMillis) -> bool {
    let cycle = desired.bounds.cycle_after_seconds;
    is_able(app, process) && !cycle::is_due(process.process, process.started_at, now, cycle)
}

fn is_able(app: &DesiredApp, process: &ObservedProcess) -> bool {
    let Some(current) = &app.current else { return false };
    let Some(web) = current.slots.iter().find(|slots| slots.process_type.as_str() == "web") else {
        return false;
    };
    match &process.purpose {
        Purpose::Slot { release, process_type, index } => {
            let wanted =
                *release == current.release && process_type.as_str() == "web" && *index <= web.quantity;
            let fresh = web.restarted_at.is_none_or(|restarted_at| process.started_at >= restarted_at);
            wanted && fresh && process.state.is_up()
        }
        Purpose::Job { .. } => false,
    }
}

/// When the budget is short, no slot that crashes is served before a slot that does not, and no recurring command before any slot.
fn check_fair(desired: &Desired, plan: &Plan) -> Result<(), Violation> {
    let crashes = |app: domain::ids::AppId, purpose: &Purpose| match purpose {
        Purpose::Slot { release, process_type, index } => {
            let app = desired.apps.iter().find(|desired| desired.app == app);
            let mut slots = app.into_iter().flat_map(|app| app.releases()).filter(|r| r.release == *release);
            let slots = slots.find_map(|r| r.slots.iter().find(|slots| slots.process_type == *process_type));
            slots.and_then(|slots| slots.crashes.get(index)).map_or(0, |record| record.count)
        }
        Purpose::Job { job_kind: JobKind::Cron, .. } => u32::MAX,
        Purpose::Job { job_kind: JobKind::OneOff | JobKind::ReleasePhase, .. } => 0,
    };
    let granted = plan.actions.iter().filter_map(|action| match action {
        Action::Spawn { spawn } => Some(crashes(spawn.app, &spawn.purpose)),
        Action::Remove { .. }
        | Action::Stop { .. }
        | Action::Publish { .. }
        | Action::RemoveNetwork { .. }
        | Action::CreateNetwork { .. } => None,
    });
    let denied = plan.report.waiting.iter().filter_map(|waiting| match waiting {
        Waiting::Slot { app, release, process_type, index, why: Why::ProcessBudget { .. } } => {
            let (release, process_type, index) = (*release, process_type.clone(), *index);
            Some(crashes(*app, &Purpose::Slot { release, process_type, index }))
        }
        Waiting::Slot { .. }
        | Waiting::Boot { .. }
        | Waiting::NoneReady { .. }
        | Waiting::Drain { .. }
        | Waiting::RouterAcknowledgement { .. }
        | Waiting::ReleasePhase { .. }
        | Waiting::Job { .. }
        | Waiting::LostJob { .. } => None,
    });
    match (granted.max(), denied.min()) {
        (Some(granted), Some(denied)) if granted > denied => Err(format!(
            "what goes after {granted} crashes was started before a slot that crashed {denied} times"
        )),
        _ => Ok(()),
    }
}

/// A release that crashed beyond its budget and could be given up was.
pub fn check_given_up(app: &DesiredApp, bounds: &Bounds) -> Result<(), Violation> {
    let trial = app.current.as_ref().and_then(|current| current.trial);
    match (trial, bounds.crash_budget) {
        (Some(trial), Some(budget))
            if trial.back_to.is_some() && !trial.newer_exists && trial.crashes > budget.crashes =>
        {
            Err(format!("{} still serves by a release that crashed {} times", app.name, trial.crashes))
        }
        _ => Ok(()),
    }
}

/// A promotion needs every web slot up; a release is given up for more crashes than are borne and for no newer one.
pub fn check_fact(desired: &Desired, observed: &Observed, fact: &Transition) -> Result<(), Violation> {
    match fact {
        Transition::Promoted { app, release } => check_promoted(desired, observed, *app, *release),
        Transition::BudgetSpent { app, release, crashes, .. } => {
            let app = desired.apps.iter().find(|desired| desired.app == *app);
            let serves = app.and_then(|app| app.current.as_ref()).is_some_and(|now| now.release == *release);
            let alone = app.is_some_and(|app| app.candidate.is_none());
            let spent = desired.bounds.crash_budget.is_some_and(|budget| *crashes > budget.crashes);
            match serves && alone && spent {
                true => Ok(()),
                false => Err(format!("{release} is rolled back after {crashes} crashes, with no reason")),
            }
        }
        Transition::Ended { .. }
        | Transition::JobAdopted { .. }
        | Transition::JobEnded { .. }
        | Transition::PhaseStarted { .. }
        | Transition::ReleaseFailed { .. } => Ok(()),
    }
}

fn check_promoted(
    desired: &Desired,
    observed: &Observed,
    app: AppId,
    release: ReleaseId,
) -> Result<(), Violation> {
    let app = desired.apps.iter().find(|desired| desired.app == app);
    let candidate =
        app.and_then(|app| app.candidate.as_ref()).filter(|candidate| candidate.release == release);
    let Some(candidate) = candidate else {
        return Err(format!("{release} was promoted and is no candidate"));
    };
    let web = candidate
        .slots
        .iter()
        .find(|slots| slots.process_type.as_str() == "web")
        .map_or(0, |slots| slots.quantity);
    for wanted in 1..=web {
        let up = observed.processes.iter().any(|process| match &process.purpose {
            Purpose::Slot { release: r, process_type, index } => {
                *r == release && process_type.as_str() == "web" && *index == wanted && process.state.is_up()
            }
            Purpose::Job { .. } => false,
        });
        if !up {
            return Err(format!("{} was promoted while web.{wanted} was not up", candidate.version));
        }
    }
    Ok(())
}

/// Every wanted slot of the current release has one up process.
pub fn check_whole(app: &DesiredApp, observed: &Observed) -> Result<(), Violation> {
    let Some(current) = &app.current else { return Ok(()) };
    for slots in &current.slots {
        for wanted in 1..=slots.quantity {
            let up = observed.processes.iter().filter(|process| match &process.purpose {
                Purpose::Slot { release, process_type, index } => {
                    let same = *release == current.release
                        && *process_type == slots.process_type
                        && *index == wanted;
                    same && process.state.is_up()
                }
                Purpose::Job { .. } => false,
            });
            if up.count() != 1 {
                return Err(format!("{}: {}.{wanted} is not up in the calm", app.name, slots.process_type));
            }
        }
    }
    Ok(())
}

/// Nothing runs, lies about or is connected that nobody wants.
pub fn check_nothing_left(desired: &Desired, observed: &Observed) -> Result<(), Violation> {
    for process in &observed.processes {
        let app = desired.apps.iter().find(|app| app.app == process.app);
        let current = app.and_then(|app| app.current.as_ref()).map(|current| current.release);
        if !process.state.is_live() || current != Some(process.purpose.release()) {
            return Err(format!(
                "{} of an earlier time is left over as {:?}",
                process.purpose, process.state
            ));
        }
    }
    match observed.networks.iter().find(|network| !desired.apps.iter().any(|app| app.app == **network)) {
        Some(network) => Err(format!("the network of {network} is left over")),
        None => Ok(()),
    }
}
