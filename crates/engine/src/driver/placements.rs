//! Where processes live and how they are, written down for people whenever it has changed.

use crate::engine::Engine;
use crate::error::Error;
use domain::desired::Desired;
use domain::ids::ProcessId;
use domain::observed::{Observed, ObservedProcess, ProcessState};
use domain::time::WallMillis;
use std::collections::{BTreeMap, BTreeSet};
use store::tables::placements::{Placement, PlacementState};

/// Brings the rows up to what was observed, and marks recorded ends of which nothing is left.
pub(super) fn record(engine: &Engine, desired: &Desired, observed: &Observed) -> Result<(), Error> {
    let rows = engine.read(|reader| Ok(reader.placements()?))?;
    let before: BTreeMap<_, _> = rows.iter().map(|row| (row.process, row)).collect();
    let living: Vec<_> =
        observed.processes.iter().filter_map(|process| Some((process, living_state(process)?))).collect();
    let changed: Vec<_> = living
        .iter()
        .filter(|(process, state)| before.get(&process.process).is_none_or(|row| row.state != *state))
        .map(|(process, state)| placement(engine, process, *state))
        .collect();
    let alive: BTreeSet<_> = living.iter().map(|(process, _)| process.process).collect();
    let ended: Vec<_> = before.keys().filter(|process| !alive.contains(process)).copied().collect();
    let gone = gone(desired, observed);
    if changed.is_empty() && ended.is_empty() && gone.is_empty() {
        return Ok(());
    }
    // Nothing that is desired follows from this: the driver need not be woken.
    engine.write_quietly(|writer| {
        for placement in &changed {
            writer.put_placement(placement)?;
        }
        for process in ended {
            writer.delete_placement(process)?;
        }
        for process in gone {
            writer.set_exit_gone(process)?;
        }
        Ok(())
    })
}

/// Recorded ends whose run folders have been removed.
fn gone(desired: &Desired, observed: &Observed) -> Vec<ProcessId> {
    let seen: BTreeSet<_> = observed.processes.iter().map(|process| process.process).collect();
    desired.recorded_exits.iter().filter(|process| !seen.contains(process)).copied().collect()
}

const fn living_state(process: &ObservedProcess) -> Option<PlacementState> {
    match process.state {
        ProcessState::Starting => Some(PlacementState::Starting),
        ProcessState::Up { .. } | ProcessState::Unready { .. } => Some(PlacementState::Up),
        ProcessState::Stopping { .. } => Some(PlacementState::Stopping),
        ProcessState::Exited(_) | ProcessState::Lost => None,
    }
}

fn placement(engine: &Engine, process: &ObservedProcess, state: PlacementState) -> Placement {
    let (now, age) = (engine.now(), engine.boot().millis_since(process.started_at));
    Placement {
        process: process.process,
        app: process.app,
        host: engine.0.host,
        purpose: process.purpose.clone(),
        state,
        created_at: WallMillis(now.0.saturating_sub(age)),
        updated_at: now,
    }
}
