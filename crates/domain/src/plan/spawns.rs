//! What is started, and why the rest waits.

use crate::backoff;
use crate::desired::{Desired, DesiredApp, DesiredRelease, DesiredSlots, ReleasePhase, Strategy};
use crate::ids::{Ids, ReleaseId};
use crate::mutant::{self, Mutant};
use crate::observed::{Observed, ObservedProcess, ProcessState};
use crate::plan::app::{AppView, Standing};
use crate::plan::endpoints::Endpoints;
use crate::plan::replacement::most_starting;
use crate::plan::routers::Routers;
use crate::plan::{Action, Draft, Spawn, Waiting, Why, jobs};
use crate::process::{JobKind, Purpose};

/// A start that nothing but the host's bounds could hold back.
struct Wish<'a> {
    /// Smaller goes first: healthy before crashing, an app's first wish before any app's second, recurring commands last.
    order: (u32, usize),
    app: &'a DesiredApp,
    what: What<'a>,
}

enum What<'a> {
    Slot { release: &'a DesiredRelease, slots: &'a DesiredSlots, index: u32 },
    Job(&'a crate::desired::DesiredJob),
}

/// Starts what is wanted and allowed, fairly across apps.
pub(crate) fn plan_spawns(
    desired: &Desired,
    observed: &Observed,
    apps: &[AppView<'_>],
    routers: &Routers<'_>,
    ids: &mut Ids,
    draft: &mut Draft,
) {
    let mut wishes = Vec::new();
    for view in apps {
        wishes.extend(wishes_of(view, desired, draft));
    }
    wishes.sort_by_key(|wish| wish.order);
    let mut endpoints = Endpoints::new(observed, routers);
    let live = observed.processes.iter().filter(|process| process.state.is_live()).count();
    let mut room = (desired.bounds.processes as usize).saturating_sub(live);
    if mutant::active(Mutant::IgnoreBudget) {
        room = usize::MAX;
    }
    let mut networks = observed.networks.clone();
    for wish in wishes {
        match grant(&wish, desired, observed, &mut room, &mut endpoints, ids) {
            Ok(spawn) => {
                if networks.insert(wish.app.app) {
                    draft.push(Action::CreateNetwork { app: wish.app.app, index: wish.app.index });
                }
                draft.push(Action::Spawn { spawn });
            }
            Err(why) => draft.wait(wish.waiting(why)),
        }
    }
}

/// Turns a wish into a spawn if the host has room for it.
fn grant(
    wish: &Wish<'_>,
    desired: &Desired,
    observed: &Observed,
    room: &mut usize,
    endpoints: &mut Endpoints<'_>,
    ids: &mut Ids,
) -> Result<Spawn, Why> {
    if let Some(reason) = &observed.cannot_start {
        return Err(Why::CannotStart { reason: reason.clone() });
    }
    if *room == 0 {
        return Err(Why::ProcessBudget { limit: desired.bounds.processes });
    }
    let spawn = wish.render(endpoints, ids).ok_or(Why::NoEndpoint)?;
    *room -= 1;
    Ok(spawn)
}

/// What `view` would like to start now; what it may not start yet is reported.
fn wishes_of<'a>(view: &AppView<'a>, desired: &Desired, draft: &mut Draft) -> Vec<Wish<'a>> {
    let Some(app) = view.desired else { return Vec::new() };
    let mut wishes = Vec::new();
    for job in jobs::startable(view, draft) {
        let rank = job_rank(job.kind);
        wishes.push(Wish { order: (rank, wishes.len()), app, what: What::Job(job) });
    }
    report_release_phase(app, draft);
    let limit = desired.bounds.starting_per_app;
    let starting_of = |web| {
        let starting = view.live().filter(|process| process.state == ProcessState::Starting);
        starting.filter(|process| process.purpose.is_web() == web).count()
    };
    // Workers may start for an hour, as their checks have it: web does not wait for them.
    let (mut web, mut others) = (starting_of(true), starting_of(false));
    for (standing, release, slots) in view.runnable_slots() {
        if release.slug.is_none() {
            continue;
        }
        let in_flight = most_starting(standing, slots);
        let starting = if slots.process_type.is_web() { &mut web } else { &mut others };
        let mut of_type = starting_of_type(view, release, slots);
        for index in slots.wanted().filter(|index| is_empty(view, release, slots, *index)) {
            let crashes = slots.crashes.get(&index).map_or(0, |record| record.count);
            let held = hold(view, desired, standing, release, slots, index, draft);
            let over = (*starting >= limit as usize).then_some(Why::StartingLimit { limit });
            let turn = (of_type >= in_flight).then(|| max_in_flight(slots));
            match held.or(over).or(turn) {
                Some(why) => draft.wait(slot_waiting(app, release.release, slots, index, why)),
                None => {
                    *starting += 1;
                    of_type += 1;
                    let rank =
                        if mutant::active(Mutant::CrashersFirst) { u32::MAX - crashes } else { crashes };
                    wishes.push(Wish {
                        order: (rank, wishes.len()),
                        app,
                        what: What::Slot { release, slots, index },
                    });
                }
            }
        }
    }
    wishes
}

/// A recurring command that finds no room is missed, and its next instant comes: no place of a formation waits for it.
fn job_rank(kind: JobKind) -> u32 {
    match kind {
        JobKind::Cron if !mutant::active(Mutant::CronFirst) => u32::MAX,
        JobKind::Cron | JobKind::OneOff | JobKind::ReleasePhase => 0,
    }
}

fn report_release_phase(app: &DesiredApp, draft: &mut Draft) {
    if let Some(candidate) =
        app.candidate.as_ref().filter(|candidate| candidate.phase == ReleasePhase::Waiting)
    {
        draft.wait(Waiting::ReleasePhase { app: app.app, release: candidate.release });
    }
}

fn is_empty(view: &AppView<'_>, release: &DesiredRelease, slots: &DesiredSlots, index: u32) -> bool {
    let mut live = view.in_slot(release.release, &slots.process_type, index);
    live.all(|process| {
        matches!(process.state, ProcessState::Stopping { .. }) && mutant::active(Mutant::FillStoppingSlot)
    })
}

/// What keeps an empty slot from being filled now, for reasons of its own app.
fn hold(
    view: &AppView<'_>,
    desired: &Desired,
    standing: Standing,
    release: &DesiredRelease,
    slots: &DesiredSlots,
    index: u32,
    draft: &mut Draft,
) -> Option<Why> {
    if unrecorded_end(view, desired, release.release, slots, index) {
        return Some(Why::RecordingExit);
    }
    let record = slots.crashes.get(&index);
    let until = backoff::not_before(record);
    if let Some(record) = record.filter(|_| until > draft.now) {
        draft.wake(until);
        return Some(Why::BackOff { crashes: record.count, until });
    }
    let stop_first = !slots.overlap() && !mutant::active(Mutant::OverlapStopFirst);
    if standing == Standing::Current && stop_first {
        let predecessor = view.live().find(|process| is_predecessor(process, release.release, slots, index));
        return predecessor.map(|process| match view.surplus(process.process) {
            Some(_) => Why::Predecessor { process: process.process },
            None => max_in_flight(slots),
        });
    }
    None
}

fn max_in_flight(slots: &DesiredSlots) -> Why {
    match slots.strategy {
        Strategy::Rolling { max_in_flight } => Why::MaxInFlight { limit: max_in_flight },
        Strategy::Overlap | Strategy::StopFirst => Why::MaxInFlight { limit: slots.quantity },
    }
}

fn starting_of_type(view: &AppView<'_>, release: &DesiredRelease, slots: &DesiredSlots) -> usize {
    let of_type = |process: &&ObservedProcess| match &process.purpose {
        Purpose::Slot { release: of, process_type, .. } => {
            *of == release.release && *process_type == slots.process_type
        }
        Purpose::Job { .. } => false,
    };
    view.live().filter(of_type).filter(|process| process.state == ProcessState::Starting).count()
}

/// The last process of this slot has ended and the ledger does not know yet: back-off cannot be judged.
fn unrecorded_end(
    view: &AppView<'_>,
    desired: &Desired,
    of: ReleaseId,
    slots: &DesiredSlots,
    at: u32,
) -> bool {
    view.processes.iter().any(|process| {
        let ended = !process.state.is_live() && !desired.recorded_exits.contains(&process.process);
        ended && is_in(process, slots, at).is_some_and(|release| release == of)
    })
}

fn is_predecessor(process: &ObservedProcess, of: ReleaseId, slots: &DesiredSlots, at: u32) -> bool {
    is_in(process, slots, at).is_some_and(|release| release != of)
}

/// The release of a process in a slot of this type and index.
fn is_in(process: &ObservedProcess, slots: &DesiredSlots, at: u32) -> Option<ReleaseId> {
    match &process.purpose {
        Purpose::Slot { release, process_type, index }
            if *process_type == slots.process_type && *index == at =>
        {
            Some(*release)
        }
        Purpose::Slot { .. } | Purpose::Job { .. } => None,
    }
}

fn slot_waiting(app: &DesiredApp, release: ReleaseId, slots: &DesiredSlots, index: u32, why: Why) -> Waiting {
    Waiting::Slot { app: app.app, release, process_type: slots.process_type.clone(), index, why }
}

impl Wish<'_> {
    fn waiting(&self, why: Why) -> Waiting {
        match &self.what {
            What::Slot { release, slots, index } => {
                slot_waiting(self.app, release.release, slots, *index, why)
            }
            What::Job(job) => Waiting::Job { app: self.app.app, release: job.release, job: job.job, why },
        }
    }

    fn render(&self, endpoints: &mut Endpoints<'_>, ids: &mut Ids) -> Option<Spawn> {
        let app = self.app;
        let (purpose, slug, command, limits, stop, endpoint, version, time_limit_seconds) = match &self.what {
            What::Slot { release, slots, index } => {
                let purpose = Purpose::Slot {
                    release: release.release,
                    process_type: slots.process_type.clone(),
                    index: *index,
                };
                let endpoint = Some(endpoints.take(app.index)?);
                let version = Some(release.version);
                (
                    purpose,
                    release.slug.clone()?,
                    &slots.command,
                    slots.limits,
                    slots.stop,
                    endpoint,
                    version,
                    None,
                )
            }
            What::Job(job) => {
                let purpose = Purpose::Job {
                    release: job.release,
                    job: job.job,
                    job_kind: job.kind,
                    number: job.number,
                };
                let version =
                    app.releases().find(|release| release.release == job.release).map(|r| r.version);
                let limit = Some(job.time_limit_seconds);
                (purpose, job.slug.clone(), &job.command, job.limits, job.stop, None, version, limit)
            }
        };
        Some(Spawn {
            process: ids.next_process(),
            app: app.app,
            app_name: app.name.clone(),
            app_index: app.index,
            purpose,
            version,
            slug,
            command: command.clone(),
            limits,
            stop,
            endpoint,
            time_limit_seconds,
        })
    }
}
