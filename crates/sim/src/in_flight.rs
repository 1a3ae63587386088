//! A replacement takes no more places away at a time than the type's strategy allows, stated anew.
//!
//! A worker's place is taken away when its up process is stopped, a web process's when a table no longer routes to it although it is
//! up, and ready or as little ready as all others. Places of the formation that are gone or stopped are nobody's concern.

use crate::world::Violation;
use domain::desired::{Desired, DesiredApp, DesiredSlots, Strategy};
use domain::ids::{ProcessId, ReleaseId};
use domain::observed::{Observed, ObservedProcess, ProcessState};
use domain::plan::{Action, Plan};
use domain::process::Purpose;
use domain::route::RouteTable;
use domain::time::BootMillis;
use std::collections::BTreeSet;

pub fn check(
    desired: &Desired,
    observed: &Observed,
    plan: &Plan,
    table: Option<&RouteTable>,
    now: BootMillis,
) -> Result<(), Violation> {
    let stopped: BTreeSet<ProcessId> = plan.actions.iter().filter_map(stopped).collect();
    for app in &desired.apps {
        let Some(current) = &app.current else { continue };
        for slots in &current.slots {
            let Some(limit) = limit(slots) else { continue };
            let places = match (slots.process_type.as_str(), table) {
                ("web", None) => continue,
                ("web", Some(table)) => routed_places(app, current.release, slots, observed, table),
                _ => running_places(app, slots, observed, &stopped, now),
            };
            let without = places.iter().filter(|place| !matches!(place, Place::Held)).count();
            if places.iter().any(|place| matches!(place, Place::Taken)) && without > limit {
                return Err(format!(
                    "{without} places of {} of {} are empty because of a replacement, {limit} may be",
                    slots.process_type, app.name
                ));
            }
        }
    }
    Ok(())
}

/// A worker has to stay up for so long before its place counts.
const SETTLING_MILLIS: u64 = 10_000;
/// A place whose process crashed lately does not count.
const LATELY_MILLIS: u64 = 60_000;

/// A place of the formation, after the plan.
enum Place {
    Held,
    Empty,
    /// Empty, and by the plan.
    Taken,
}

fn stopped(action: &Action) -> Option<ProcessId> {
    match action {
        Action::Stop { process, .. } => Some(*process),
        Action::Remove { .. }
        | Action::Publish { .. }
        | Action::RemoveNetwork { .. }
        | Action::CreateNetwork { .. }
        | Action::Spawn { .. } => None,
    }
}

const fn limit(slots: &DesiredSlots) -> Option<usize> {
    match slots.strategy {
        Strategy::Overlap => Some(1),
        Strategy::Rolling { max_in_flight } => Some(max_in_flight as usize),
        Strategy::StopFirst => None,
    }
}

fn running_places(
    app: &DesiredApp,
    slots: &DesiredSlots,
    observed: &Observed,
    stopped: &BTreeSet<ProcessId>,
    now: BootMillis,
) -> Vec<Place> {
    let place = |wanted| {
        let up: Vec<_> = up_in(app, slots, wanted, observed).collect();
        let stays = up.iter().any(|process| !stopped.contains(&process.process));
        match (up.is_empty(), stays) {
            (true, _) => Place::Empty,
            (false, false) => Place::Taken,
            (false, true) if up.iter().any(|process| is_steady(slots, wanted, process, now)) => Place::Held,
            (false, true) => Place::Empty,
        }
    };
    slots.wanted().map(place).collect()
}

fn is_steady(slots: &DesiredSlots, wanted: u32, process: &ObservedProcess, now: BootMillis) -> bool {
    let (ProcessState::Up { since } | ProcessState::Unready { since }) = process.state else { return false };
    let crashed =
        slots.crashes.get(&wanted).is_some_and(|crash| now.millis_since(crash.last_exit) < LATELY_MILLIS);
    let settled = slots.startup_seconds.is_some() || now.millis_since(since) >= SETTLING_MILLIS;
    settled && !crashed
}

fn routed_places(
    app: &DesiredApp,
    release: ReleaseId,
    slots: &DesiredSlots,
    observed: &Observed,
    table: &RouteTable,
) -> Vec<Place> {
    let before = observed.published.as_ref();
    let up_in = |wanted| {
        up_in(app, slots, wanted, observed).filter(move |process| process.purpose.release() == release)
    };
    let is_ready = |process: &ObservedProcess| matches!(process.state, ProcessState::Up { .. });
    let some_are_ready = slots.wanted().flat_map(up_in).any(is_ready);
    let served = |process: &ObservedProcess| {
        let was_routed = before.is_some_and(|before| before.routes(process.process));
        was_routed && (is_ready(process) || !some_are_ready)
    };
    let place = |wanted| {
        let routed = up_in(wanted).any(|process| table.routes(process.process));
        match (routed, up_in(wanted).any(served)) {
            (true, _) => Place::Held,
            (false, true) => Place::Taken,
            (false, false) => Place::Empty,
        }
    };
    slots.wanted().map(place).collect()
}

fn up_in<'a>(
    app: &'a DesiredApp,
    slots: &'a DesiredSlots,
    wanted: u32,
    observed: &'a Observed,
) -> impl Iterator<Item = &'a ObservedProcess> {
    observed.processes.iter().filter(move |process| match &process.purpose {
        Purpose::Slot { process_type, index, .. } => {
            process.app == app.app
                && *process_type == slots.process_type
                && *index == wanted
                && process.state.is_up()
        }
        Purpose::Job { .. } => false,
    })
}
