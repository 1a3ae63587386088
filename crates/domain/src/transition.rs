//! What the driver records after a look at the world: facts, each worth one transaction, none ever recomputed.
//!
//! Like the plan these are pure functions of desired and observed state, so that the simulator records by the same rules.

use crate::app_json::health::CheckKind;
use crate::backoff;
use crate::cycle;
use crate::desired::{
    Bounds, CrashRecord, Desired, DesiredApp, DesiredJob, DesiredRelease, DesiredSlots, ReleasePhase,
};
use crate::ids::{AppId, JobId, ProcessId, ReleaseId};
use crate::mutant::{self, Mutant};
use crate::names::ProcessType;
use crate::observed::{Observed, ObservedProcess, ProcessState};
use crate::plan::app::AppView;
use crate::plan::stops::boot_seconds;
use crate::process::{Exit, ExitStatus, FailedCheck, JobKind, Purpose};
use crate::time::BootMillis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How often a web process of a candidate may end before it serves; then the release has failed.
pub const CANDIDATE_ATTEMPTS: u32 = 2;
/// A look at the world takes a moment: what ends meanwhile ends after the instant that the look is judged by.
const LOOK_SECONDS: u64 = 30;

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Transition {
    /// A process has ended; from now on it may be cleaned up. `exit` is `None` when nobody saw how.
    Ended { app: AppId, process: ProcessId, purpose: Purpose, exit: Option<Exit>, crash: Option<Crash> },
    /// A job is running although the ledger does not know that it was started (it was restored from an older copy).
    JobAdopted { app: AppId, job: JobId, process: ProcessId },
    /// A job has reached its end, whatever that is.
    JobEnded { app: AppId, release: ReleaseId, job: JobId, kind: JobKind, outcome: JobOutcome },
    /// The release phase of a candidate has begun to run.
    PhaseStarted { app: AppId, release: ReleaseId },
    /// The candidate serves from now on.
    Promoted { app: AppId, release: ReleaseId },
    /// The candidate will never serve.
    ReleaseFailed { app: AppId, release: ReleaseId, reason: ReleaseFailure },
    /// The current release has crashed more often than is borne: an earlier one is to serve again.
    BudgetSpent { app: AppId, release: ReleaseId, crashes: u32, back_to: ReleaseId },
}

/// A slot's history after one more crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    pub process_type: ProcessType,
    pub index: u32,
    pub record: CrashRecord,
    /// Whether it counts against the crash budget of its release.
    #[serde(default)]
    pub on_trial: bool,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum JobOutcome {
    Exited {
        status: ExitStatus,
    },
    /// Started, vanished, no record of its end. It is never started again.
    Lost,
    /// Cancelled before it was started.
    Cancelled,
}

/// Why a release will never serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum ReleaseFailure {
    /// The `release:` process ended with something else than 0.
    PhaseFailed { status: ExitStatus },
    /// The `release:` process vanished.
    PhaseLost,
    /// The `release:` process was cancelled.
    PhaseCancelled,
    /// A web process did not accept on its port in time (R10).
    BootTimeout { name: String, process: ProcessId, seconds: u64 },
    /// A health check ended a web process before it served.
    CheckFailed { name: String, check: FailedCheck },
    /// A web process ended before it ever served, more often than is forgiven.
    Crashed { name: String, status: Option<ExitStatus> },
}

impl fmt::Display for ReleaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PhaseFailed { status } => write!(f, "the release phase ended with {status}"),
            Self::PhaseLost => {
                f.write_str("the release phase's process vanished without a record of its end")
            }
            Self::PhaseCancelled => f.write_str("the release phase was cancelled"),
            Self::BootTimeout { name, seconds, .. } => {
                write!(f, "{name} failed to bind to $PORT within {seconds} seconds of launch (R10)")
            }
            Self::CheckFailed { name, check } => write!(f, "{name} did not start: its {check}"),
            Self::Crashed { name, status: Some(status) } => {
                write!(f, "{name} ended with {status} before it served")
            }
            Self::Crashed { name, status: None } => write!(f, "{name} vanished before it served"),
        }
    }
}

/// All facts that are to be recorded now, in an order in which they may be applied one by one, with a crash after any of them:
/// verdicts on releases first, then ends of jobs, ends of processes last, since what these rest on is cleaned up once an end is
/// recorded.
pub fn transitions(desired: &Desired, observed: &Observed, now: BootMillis) -> Vec<Transition> {
    let mut facts = Vec::new();
    for app in &desired.apps {
        let processes = observed.processes.iter().filter(|process| process.app == app.app).collect();
        let view = AppView::new(app.app, Some(app), processes, &desired.bounds, now);
        let mut seen = jobs(&view, app);
        seen.extend(ends(&view, desired, now));
        let verdict =
            app.candidate.as_ref().and_then(|candidate| judge(&view, candidate, desired, &seen, now));
        facts.extend(verdict);
        facts.extend(budget_spent(app, &desired.bounds));
        facts.extend(seen);
    }
    facts.extend(strays(desired, observed));
    facts
}

/// Crashes are counted when their ends are recorded: this judges by what the ledger knows.
fn budget_spent(app: &DesiredApp, bounds: &Bounds) -> Option<Transition> {
    let current = app.current.as_ref()?;
    let trial = current.trial?;
    let back_to = trial.verdict(&bounds.crash_budget?)?;
    Some(Transition::BudgetSpent { app: app.app, release: current.release, crashes: trial.crashes, back_to })
}

/// Ends of processes whose app is gone.
fn strays(desired: &Desired, observed: &Observed) -> Vec<Transition> {
    let stray =
        observed.processes.iter().filter(|process| !desired.apps.iter().any(|app| app.app == process.app));
    let ended = stray.filter(|process| is_unrecorded_end(process, desired));
    ended.map(|process| ended_fact(process, None)).collect()
}

fn ends(view: &AppView<'_>, desired: &Desired, now: BootMillis) -> Vec<Transition> {
    let ended = view.processes.iter().filter(|process| is_unrecorded_end(process, desired));
    ended.map(|process| ended_fact(process, crash_of(view, desired, process, now))).collect()
}

fn is_unrecorded_end(process: &ObservedProcess, desired: &Desired) -> bool {
    !process.state.is_live() && !desired.recorded_exits.contains(&process.process)
}

fn ended_fact(process: &ObservedProcess, crash: Option<Crash>) -> Transition {
    let exit = exit_of(process).cloned();
    Transition::Ended {
        app: process.app,
        process: process.process,
        purpose: process.purpose.clone(),
        exit,
        crash,
    }
}

const fn exit_of(process: &ObservedProcess) -> Option<&Exit> {
    match &process.state {
        ProcessState::Exited(exit) => Some(exit),
        ProcessState::Starting
        | ProcessState::Up { .. }
        | ProcessState::Unready { .. }
        | ProcessState::Stopping { .. }
        | ProcessState::Lost => None,
    }
}

/// The crash record that this end leads to, if the process was wanted and ended on its own or for not booting in time.
fn crash_of(
    view: &AppView<'_>,
    desired: &Desired,
    process: &ObservedProcess,
    now: BootMillis,
) -> Option<Crash> {
    // An end that lies ahead of the clock was recorded before the machine was rebooted.
    let exit = exit_of(process).filter(|exit| exit.at <= now.plus_seconds(LOOK_SECONDS))?;
    let (of, slots, index) = slot_of(view, process)?;
    let restarted = slots.restarted_at.is_some_and(|restarted_at| process.started_at < restarted_at);
    let cycled =
        cycle::is_due(process.process, process.started_at, exit.at, desired.bounds.cycle_after_seconds);
    let replaced = restarted || (cycled && exit.stop_requested && !mutant::active(Mutant::CycleIsCrash));
    let boot_limit = slots.boot_seconds(&desired.bounds) * 1000;
    let may_be_late = process.purpose.is_web() || slots.startup_seconds.is_some();
    let ran_into_boot_limit = may_be_late && exit.at.millis_since(process.started_at) >= boot_limit;
    if replaced || (exit.stop_requested && !ran_into_boot_limit) {
        return None;
    }
    let record = backoff::after_crash(slots.crashes.get(&index), process.started_at, exit.at);
    let record = CrashRecord { last_exit: record.last_exit.min(now), ..record };
    let budget = desired.bounds.crash_budget;
    let on_trial = of.trial.zip(budget).is_some_and(|(trial, budget)| trial.covers(exit.at, &budget));
    Some(Crash { process_type: slots.process_type.clone(), index, record, on_trial })
}

/// The desired slot that this process was made for, if it is still wanted.
fn slot_of<'a>(
    view: &AppView<'a>,
    process: &ObservedProcess,
) -> Option<(&'a DesiredRelease, &'a DesiredSlots, u32)> {
    match &process.purpose {
        Purpose::Slot { release, process_type, index } => {
            let mut slots = view.runnable_slots().map(|(_, of, slots)| (of, slots));
            let (of, slots) =
                slots.find(|(of, slots)| of.release == *release && slots.process_type == *process_type)?;
            slots.wanted().any(|wanted| wanted == *index).then_some((of, slots, *index))
        }
        Purpose::Job { .. } => None,
    }
}

fn jobs(view: &AppView<'_>, app: &DesiredApp) -> Vec<Transition> {
    app.jobs.iter().flat_map(|job| job_facts(view, app, job)).collect()
}

fn job_facts(view: &AppView<'_>, app: &DesiredApp, job: &DesiredJob) -> Vec<Transition> {
    let seen = view.processes.iter().find(|process| match &process.purpose {
        Purpose::Job { job: of, .. } => *of == job.job,
        Purpose::Slot { .. } => false,
    });
    let ended = |outcome| Transition::JobEnded {
        app: app.app,
        release: job.release,
        job: job.job,
        kind: job.kind,
        outcome,
    };
    let Some(process) = seen else {
        return match job.started {
            Some(_) => vec![ended(JobOutcome::Lost)],
            None if job.cancelled => vec![ended(JobOutcome::Cancelled)],
            None => Vec::new(),
        };
    };
    let mut facts = Vec::new();
    if job.started.is_none() {
        facts.push(Transition::JobAdopted { app: app.app, job: job.job, process: process.process });
    }
    facts.extend(match &process.state {
        ProcessState::Exited(exit) => Some(ended(JobOutcome::Exited { status: exit.status })),
        ProcessState::Lost => Some(ended(JobOutcome::Lost)),
        ProcessState::Starting
        | ProcessState::Up { .. }
        | ProcessState::Unready { .. }
        | ProcessState::Stopping { .. } => phase_started(app, job),
    });
    facts
}

fn phase_started(app: &DesiredApp, job: &DesiredJob) -> Option<Transition> {
    match job.kind {
        JobKind::ReleasePhase => Some(Transition::PhaseStarted { app: app.app, release: job.release }),
        JobKind::OneOff | JobKind::Cron => None,
    }
}

/// What becomes of the candidate, if that can be said now. `facts` are those of its app, not yet recorded.
fn judge(
    view: &AppView<'_>,
    candidate: &DesiredRelease,
    desired: &Desired,
    facts: &[Transition],
    now: BootMillis,
) -> Option<Transition> {
    let (app, release) = (view.app, candidate.release);
    let failed = |reason| Some(Transition::ReleaseFailed { app, release, reason });
    match phase_outcome(candidate, facts) {
        Some(Err(reason)) => return failed(reason),
        Some(Ok(())) => return None,
        None if candidate.phase == ReleasePhase::Waiting => return None,
        None => {}
    }
    if let Some(reason) = failed_boot(view, candidate, desired, facts, now) {
        return failed(reason);
    }
    all_web_up(view, candidate).then_some(Transition::Promoted { app, release })
}

/// The end of the candidate's release phase, if it is among the facts.
fn phase_outcome(candidate: &DesiredRelease, facts: &[Transition]) -> Option<Result<(), ReleaseFailure>> {
    facts.iter().find_map(|fact| match fact {
        Transition::JobEnded { release, kind: JobKind::ReleasePhase, outcome, .. }
            if *release == candidate.release =>
        {
            Some(match outcome {
                JobOutcome::Exited { status } if status.is_success() => Ok(()),
                JobOutcome::Exited { status } => Err(ReleaseFailure::PhaseFailed { status: *status }),
                JobOutcome::Lost => Err(ReleaseFailure::PhaseLost),
                JobOutcome::Cancelled => Err(ReleaseFailure::PhaseCancelled),
            })
        }
        Transition::Ended { .. }
        | Transition::JobAdopted { .. }
        | Transition::JobEnded { .. }
        | Transition::PhaseStarted { .. }
        | Transition::Promoted { .. }
        | Transition::ReleaseFailed { .. }
        | Transition::BudgetSpent { .. } => None,
    })
}

fn failed_boot(
    view: &AppView<'_>,
    candidate: &DesiredRelease,
    desired: &Desired,
    facts: &[Transition],
    now: BootMillis,
) -> Option<ReleaseFailure> {
    let seconds = boot_seconds(candidate.web(), desired);
    let mut late = view.live().filter(|process| {
        let of_candidate = process.purpose.release() == candidate.release && process.purpose.is_web();
        of_candidate
            && process.state == ProcessState::Starting
            && process.started_at.plus_seconds(seconds) <= now
    });
    if let Some(process) = late.next() {
        let name = process.purpose.display_name();
        return Some(ReleaseFailure::BootTimeout { name, process: process.process, seconds });
    }
    facts.iter().find_map(|fact| match fact {
        Transition::Ended { purpose, exit, crash: Some(crash), .. }
            if purpose.release() == candidate.release =>
        {
            failed_start(purpose, exit.as_ref(), crash)
        }
        Transition::Ended { .. }
        | Transition::JobAdopted { .. }
        | Transition::JobEnded { .. }
        | Transition::PhaseStarted { .. }
        | Transition::Promoted { .. }
        | Transition::ReleaseFailed { .. }
        | Transition::BudgetSpent { .. } => None,
    })
}

/// A startup check has had its attempts; any other end may be bad luck once.
fn failed_start(purpose: &Purpose, exit: Option<&Exit>, crash: &Crash) -> Option<ReleaseFailure> {
    let name = purpose.display_name();
    let check = exit.and_then(|exit| exit.failed_check.clone());
    match check {
        Some(check) if check.kind == CheckKind::Startup => Some(ReleaseFailure::CheckFailed { name, check }),
        _ if crash.record.count < CANDIDATE_ATTEMPTS => None,
        Some(check) => Some(ReleaseFailure::CheckFailed { name, check }),
        None => Some(ReleaseFailure::Crashed { name, status: exit.map(|exit| exit.status) }),
    }
}

/// Every wanted web slot of the candidate has an up process. True at once without web, or when web may not overlap.
fn all_web_up(view: &AppView<'_>, candidate: &DesiredRelease) -> bool {
    let Some(web) = candidate.web().filter(|web| web.overlap() && candidate.slug.is_some()) else {
        return true;
    };
    let is_up = |index| view.up_in_slot(candidate.release, &web.process_type, index).is_some();
    if mutant::active(Mutant::PromoteOnFirstUp) {
        return web.wanted().next().is_none() || web.wanted().any(is_up);
    }
    web.wanted().all(is_up)
}

#[cfg(test)]
#[path = "transition_tests.rs"]
mod tests;
