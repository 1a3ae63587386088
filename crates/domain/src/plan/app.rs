//! Which processes of an app are wanted. The rest are surplus and leave, gently.

use crate::desired::{Bounds, DesiredApp, DesiredJob, DesiredRelease, DesiredSlots, ReleasePhase};
use crate::ids::{AppId, JobId, ProcessId, ReleaseId};
use crate::mutant::{self, Mutant};
use crate::names::ProcessType;
use crate::observed::{ObservedProcess, ProcessState};
use crate::plan::action::StopReason;
use crate::process::Purpose;
use crate::time::BootMillis;
use std::collections::BTreeMap;

/// One app, desired and observed side by side.
pub(crate) struct AppView<'a> {
    pub app: AppId,
    pub desired: Option<&'a DesiredApp>,
    pub processes: Vec<&'a ObservedProcess>,
    /// Live processes that are not wanted, with the reason.
    surplus: BTreeMap<ProcessId, StopReason>,
}

/// Whether a slot's release serves or is about to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Current,
    Candidate,
}

impl<'a> AppView<'a> {
    pub fn new(
        app: AppId,
        desired: Option<&'a DesiredApp>,
        processes: Vec<&'a ObservedProcess>,
        bounds: &Bounds,
        now: BootMillis,
    ) -> Self {
        let mut view = Self { app, desired, processes, surplus: BTreeMap::new() };
        let mut surplus = view.find_surplus();
        view.mark_replacements(bounds, now, &mut surplus);
        view.surplus = surplus;
        view
    }

    pub fn live(&self) -> impl Iterator<Item = &'a ObservedProcess> + '_ {
        self.processes.iter().copied().filter(|process| process.state.is_live())
    }

    /// Why this live process is not wanted, `None` if it is.
    pub fn surplus(&self, process: ProcessId) -> Option<StopReason> {
        self.surplus.get(&process).copied()
    }

    pub fn job(&self, job: JobId) -> Option<&'a DesiredJob> {
        self.desired?.jobs.iter().find(|desired| desired.job == job)
    }

    /// Live processes that are wanted in this slot.
    pub fn in_slot(
        &self,
        release: ReleaseId,
        kind: &ProcessType,
        index: u32,
    ) -> impl Iterator<Item = &'a ObservedProcess> {
        let matching = self.live().filter(|process| is_slot(process, release, kind, index));
        matching.collect::<Vec<_>>().into_iter()
    }

    /// The wanted process of a slot, if it has been seen up.
    pub fn up_in_slot(
        &self,
        release: ReleaseId,
        kind: &ProcessType,
        index: u32,
    ) -> Option<&'a ObservedProcess> {
        self.in_slot(release, kind, index)
            .find(|process| process.state.is_up() && self.surplus(process.process).is_none())
    }

    /// The desired slots that `release` may have processes for, now.
    pub fn runnable_slots(&self) -> impl Iterator<Item = (Standing, &'a DesiredRelease, &'a DesiredSlots)> {
        let desired = self.desired;
        let current =
            desired.and_then(|app| app.current.as_ref()).map(|release| (Standing::Current, release));
        let candidate =
            desired.and_then(|app| app.candidate.as_ref()).map(|release| (Standing::Candidate, release));
        current.into_iter().chain(candidate).flat_map(|(standing, release)| {
            let slots = release.slots.iter().filter(move |slots| may_run(standing, release, slots));
            slots.map(move |slots| (standing, release, slots))
        })
    }

    fn find_surplus(&self) -> BTreeMap<ProcessId, StopReason> {
        let mut surplus = BTreeMap::new();
        let mut slots: BTreeMap<(ReleaseId, ProcessType, u32), Vec<&ObservedProcess>> = BTreeMap::new();
        let mut earlier: BTreeMap<(ProcessType, u32), Vec<&ObservedProcess>> = BTreeMap::new();
        for process in self.live() {
            match &process.purpose {
                Purpose::Job { job, .. } => {
                    if self.job(*job).is_none() {
                        surplus.insert(process.process, StopReason::NotWanted);
                    }
                }
                Purpose::Slot { release, process_type, index } => {
                    if self.wants_slot(*release, process_type, *index) {
                        slots.entry((*release, process_type.clone(), *index)).or_default().push(process);
                    } else if self.rolls(process_type, *index) {
                        earlier.entry((process_type.clone(), *index)).or_default().push(process);
                    } else {
                        surplus.insert(process.process, StopReason::NotWanted);
                    }
                }
            }
        }
        for processes in slots.into_values() {
            mark_duplicates(processes, &mut surplus);
        }
        for processes in earlier.into_values() {
            self.mark_predecessors(processes, &mut surplus);
        }
        surplus
    }

    fn wants_slot(&self, release: ReleaseId, process_type: &ProcessType, index: u32) -> bool {
        self.runnable_slots().any(|(_, desired, slots)| {
            desired.release == release
                && slots.process_type == *process_type
                && slots.wanted().any(|i| i == index)
        })
    }
}

/// Whether processes of these slots may run at all at this stage of their release.
fn may_run(standing: Standing, release: &DesiredRelease, slots: &DesiredSlots) -> bool {
    match standing {
        Standing::Current => true,
        Standing::Candidate => {
            let phase_over = release.phase == ReleasePhase::Done || mutant::active(Mutant::SkipReleasePhase);
            let beside_the_old =
                slots.process_type.is_web() && slots.overlap() || mutant::active(Mutant::OverlapStopFirst);
            phase_over && beside_the_old
        }
    }
}

pub(super) fn is_slot(process: &ObservedProcess, release: ReleaseId, kind: &ProcessType, at: u32) -> bool {
    match &process.purpose {
        Purpose::Slot { release: r, process_type, index } => {
            *r == release && process_type == kind && *index == at
        }
        Purpose::Job { .. } => false,
    }
}

/// Of several live processes in one slot the best stays: not stopping before stopping, ready before unready before
/// starting, then the oldest.
fn mark_duplicates(mut processes: Vec<&ObservedProcess>, surplus: &mut BTreeMap<ProcessId, StopReason>) {
    processes.sort_by_key(|process| (rank(&process.state), process.started_at, process.process));
    for process in processes.iter().skip(1) {
        surplus.insert(process.process, StopReason::Duplicate);
    }
}

pub(super) const fn rank(state: &ProcessState) -> u8 {
    match state {
        ProcessState::Up { .. } => 0,
        ProcessState::Unready { .. } => 1,
        ProcessState::Starting => 2,
        ProcessState::Stopping { .. } => 3,
        ProcessState::Exited(_) | ProcessState::Lost => 4,
    }
}
