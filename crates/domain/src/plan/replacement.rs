//! Which processes make room for their successors, and how many at a time: after a restart, by age, and after a release for a type
//! that rolls.
//!
//! A place is *in flight* while it has no process that serves: that is up, and for `web` is ready for requests or as little ready as
//! all others. Of the places that are to be renewed, those in flight go at once, for nobody can miss them; of the others only as many as
//! the type's strategy allows, in order of their index. Of a rolling type a place is in flight also while what is up in it is not
//! [steady](super::steady).

use super::app::{AppView, Standing, is_slot, rank};
use super::routing::is_ready;
use super::steady::{is_steady, rolls, settles_at};
use crate::cycle;
use crate::desired::{Bounds, DesiredRelease, DesiredSlots, Strategy};
use crate::ids::ProcessId;
use crate::mutant::{self, Mutant};
use crate::names::ProcessType;
use crate::observed::ObservedProcess;
use crate::plan::action::StopReason;
use crate::process::Purpose;
use crate::time::BootMillis;
use std::collections::BTreeMap;

type Surplus = BTreeMap<ProcessId, StopReason>;

/// Places of a type that may be in flight at a time because of a replacement.
pub(crate) fn most_in_flight(slots: &DesiredSlots) -> usize {
    if mutant::active(Mutant::IgnoreMaxInFlight) {
        return usize::MAX;
    }
    match slots.strategy {
        Strategy::Overlap => 1,
        Strategy::StopFirst => usize::MAX,
        Strategy::Rolling { max_in_flight } => max_in_flight.max(1) as usize,
    }
}

/// Processes of a candidate's type that may be starting at a time.
pub(crate) fn most_starting(standing: Standing, slots: &DesiredSlots) -> usize {
    match (standing, slots.strategy) {
        (Standing::Candidate, Strategy::Rolling { .. }) => most_in_flight(slots),
        (Standing::Candidate | Standing::Current, _) => usize::MAX,
    }
}

impl<'a> AppView<'a> {
    /// Whether a process of an earlier release may stay in this place until its turn has come.
    pub(super) fn rolls(&self, process_type: &ProcessType, index: u32) -> bool {
        let current = self.desired.and_then(|app| app.current.as_ref());
        let mut slots = current.into_iter().flat_map(|current| &current.slots);
        slots.any(|slots| {
            let rolling = matches!(slots.strategy, Strategy::Rolling { .. }) && !slots.overlap();
            rolling && slots.process_type == *process_type && slots.wanted().any(|wanted| wanted == index)
        })
    }

    /// Of processes of earlier releases in a place that rolls at most one stays, and none beside one of the current release.
    pub(super) fn mark_predecessors(&self, mut processes: Vec<&ObservedProcess>, surplus: &mut Surplus) {
        processes.sort_by_key(|process| (rank(&process.state), process.started_at, process.process));
        let succeeded = processes.first().is_some_and(|process| self.has_successor(process));
        let going = processes.iter().skip(usize::from(!succeeded));
        surplus.extend(going.map(|process| (process.process, StopReason::NotWanted)));
    }

    fn has_successor(&self, process: &ObservedProcess) -> bool {
        let current = self.desired.and_then(|app| app.current.as_ref());
        match (&process.purpose, current) {
            (Purpose::Slot { process_type, index, .. }, Some(current)) => {
                self.in_slot(current.release, process_type, *index).next().is_some()
            }
            (Purpose::Slot { .. } | Purpose::Job { .. }, _) => false,
        }
    }

    /// Marks what makes room now.
    pub(super) fn mark_replacements(&self, bounds: &Bounds, now: BootMillis, surplus: &mut Surplus) {
        for (standing, release, slots) in
            self.runnable_slots().filter(|(_, _, slots)| may_renew(slots, bounds))
        {
            let holders: Vec<_> = self.holders(standing, release, slots, surplus);
            let some_are_ready = holders.iter().any(|(_, holder)| is_ready(holder));
            let serves = |process: &ObservedProcess| {
                let unready = slots.process_type.is_web() && some_are_ready && !is_ready(process);
                process.state.is_up() && !unready
            };
            let held = |(index, process): &&(u32, &ObservedProcess)| {
                serves(process) && is_steady(slots, *index, process, now)
            };
            let in_flight = slots.wanted().count() - holders.iter().filter(held).count();
            let renewed: Vec<_> = holders
                .into_iter()
                .filter_map(|(_, process)| Some((process, reason(process, release, slots, bounds, now)?)))
                .collect();
            let (serving, idle): (Vec<_>, Vec<_>) =
                renewed.into_iter().partition(|(process, _)| serves(process));
            let turn = serving.into_iter().take(most_in_flight(slots).saturating_sub(in_flight));
            surplus.extend(idle.into_iter().chain(turn).map(|(process, why)| (process.process, why)));
        }
    }

    /// When a process of a rolling type will be over its start, the first of them.
    pub(super) fn settles_at(&self, now: BootMillis) -> Option<BootMillis> {
        let rolling = self.runnable_slots().filter(|(_, _, slots)| rolls(slots));
        let slots = rolling.flat_map(|(_, release, slots)| {
            slots.wanted().flat_map(move |index| {
                let of_slot = self.in_slot(release.release, &slots.process_type, index);
                of_slot.filter_map(|process| settles_at(slots, process))
            })
        });
        slots.filter(|at| *at > now).min()
    }

    /// The places that are held, with what holds them.
    fn holders(
        &self,
        standing: Standing,
        release: &DesiredRelease,
        slots: &DesiredSlots,
        surplus: &Surplus,
    ) -> Vec<(u32, &'a ObservedProcess)> {
        let holder = |index| Some((index, self.holder(standing, release, slots, index, surplus)?));
        slots.wanted().filter_map(holder).collect()
    }

    /// The process that has a place: one of the release, else one of an earlier release that may stay for now.
    fn holder(
        &self,
        standing: Standing,
        release: &DesiredRelease,
        slots: &DesiredSlots,
        index: u32,
        surplus: &Surplus,
    ) -> Option<&'a ObservedProcess> {
        let kept = |process: &&ObservedProcess| !surplus.contains_key(&process.process);
        let own = self.in_slot(release.release, &slots.process_type, index).find(kept);
        let rolls = standing == Standing::Current && self.rolls(&slots.process_type, index);
        let earlier = || {
            let of_place = |process: &&ObservedProcess| {
                is_slot(process, process.purpose.release(), &slots.process_type, index)
            };
            self.live().filter(of_place).find(kept).filter(|_| rolls)
        };
        own.or_else(earlier)
    }
}

/// Whether it is worth looking: most types have nothing to renew at most times.
const fn may_renew(slots: &DesiredSlots, bounds: &Bounds) -> bool {
    rolls(slots) || slots.restarted_at.is_some() || bounds.cycle_after_seconds.is_some()
}

/// Why the holder of a place is to be renewed, if it is.
fn reason(
    process: &ObservedProcess,
    release: &DesiredRelease,
    slots: &DesiredSlots,
    bounds: &Bounds,
    now: BootMillis,
) -> Option<StopReason> {
    if process.purpose.release() != release.release {
        return Some(StopReason::NotWanted);
    }
    if slots.restarted_at.is_some_and(|restarted_at| process.started_at < restarted_at) {
        return Some(StopReason::Restart);
    }
    let old = cycle::is_due(process.process, process.started_at, now, bounds.cycle_after_seconds);
    old.then_some(StopReason::Cycle)
}

#[cfg(test)]
#[path = "replacement_tests.rs"]
mod tests;
