//! Facts become rows: each in a transaction of its own, with its event and its lines in the app's log.

use super::budget;
use super::diagnosis::Diagnoses;
use crate::append::log_system;
use crate::context::Context;
use crate::cron;
use crate::engine::Engine;
use crate::error::Error;
use crate::ops::{Done, record as record_event};
use crate::ports::Status;
use domain::event::ResourceKind;
use domain::ids::{AppId, JobId, ReleaseId};
use domain::job::{Job, JobState};
use domain::names::ReleaseVersion;
use domain::process::{JobKind, Purpose};
use domain::release::{Release, ReleaseStatus, ReleaseStep, superseded};
use domain::transition::{Crash, JobOutcome, ReleaseFailure, Transition};
use std::collections::BTreeMap;
use store::Writer;
use store::tables::exits::ExitRow;
use store::tables::releases::PromotedAt;

/// Moves releases along that no fact of the plan moves: those whose place was taken, those whose phase is over. `true` if any did.
pub(super) fn advance(engine: &Engine) -> Result<bool, Error> {
    let unfinished = engine.read(|reader| Ok(reader.unfinished_releases()?))?;
    let mut by_app: BTreeMap<AppId, Vec<Release>> = BTreeMap::new();
    for release in unfinished {
        by_app.entry(release.app).or_default().push(release);
    }
    let mut moved = false;
    for (app, releases) in by_app {
        let head = engine.read(|reader| Ok(reader.head_release(app)?))?;
        let all: Vec<_> = releases.iter().cloned().chain(head.clone()).collect();
        for release in superseded(&all) {
            moved |= supersede(engine, release)?;
        }
        for release in
            releases.iter().filter(|release| Some(release.version) == head.as_ref().map(|h| h.version))
        {
            moved |= settle_phase(engine, release)?;
        }
    }
    Ok(moved)
}

/// Records one fact; `false` if the ledger knew it.
pub(super) fn record(
    engine: &Engine,
    diagnoses: &mut Diagnoses,
    status: &Status,
    fact: Transition,
) -> Result<bool, Error> {
    match fact {
        Transition::Ended { app, process, purpose, exit, crash } => {
            let row = ExitRow { process, app, purpose, exit, recorded_at: engine.now() };
            diagnoses.tell_if_boot_timeout(engine, status, &row, crash.as_ref());
            ended(engine, &row, crash)
        }
        Transition::JobAdopted { job, process, .. } => {
            engine.write(|writer| Ok(writer.adopt_job(job, process, engine.now())?))
        }
        Transition::JobEnded { job, outcome, .. } => {
            engine.write(|writer| end_job(engine, writer, job, outcome))
        }
        Transition::PhaseStarted { release, .. } => {
            step(engine, release, ReleaseStep::PhaseStarted, "phase_started")
        }
        Transition::Promoted { app, release } => promoted(engine, app, release),
        Transition::ReleaseFailed { release, reason, .. } => {
            if let ReleaseFailure::BootTimeout { process, name, .. } = &reason {
                diagnoses.tell_boot_timeout(engine, status, *process, name);
            }
            failed(engine, release, &reason)
        }
        Transition::BudgetSpent { app, release, crashes, .. } => {
            budget::give_up(engine, app, release, crashes)
        }
    }
}

/// The end of a process, and with it that of its job: a run folder may be removed once its end is recorded, and a job without
/// either would count as lost.
fn ended(engine: &Engine, row: &ExitRow, crash: Option<Crash>) -> Result<bool, Error> {
    let boot = engine.boot_id();
    engine.write(|writer| {
        let new = writer.record_exit(row, &boot)?;
        writer.delete_placement(row.process)?;
        match &row.purpose {
            Purpose::Job { job, .. } => {
                writer.adopt_job(*job, row.process, engine.now())?;
                let status = row.exit.as_ref().map(|exit| exit.status);
                let outcome = status.map_or(JobOutcome::Lost, |status| JobOutcome::Exited { status });
                end_job(engine, writer, *job, outcome)?;
            }
            Purpose::Slot { release, .. } => {
                if let Some(crash) = crash.filter(|_| new)
                    && writer.release(*release)?.is_some()
                {
                    writer.put_crash(*release, &crash.process_type, crash.index, &crash.record, &boot)?;
                    if crash.on_trial {
                        writer.count_trial_crash(row.app, *release)?;
                    }
                }
            }
        }
        Ok(new)
    })
}

fn end_job(engine: &Engine, writer: &Writer<'_>, job: JobId, outcome: JobOutcome) -> Result<bool, Error> {
    let Some(row) = writer.job(job)? else { return Ok(false) };
    let state = match (outcome, row.job.state.process()) {
        (JobOutcome::Exited { status }, Some(process)) => JobState::Ended { process, status },
        (JobOutcome::Lost, Some(process)) => JobState::Lost { process },
        (JobOutcome::Cancelled, None) => JobState::NeverStarted,
        // Started or adopted meanwhile: the next pass sees how it ends.
        (JobOutcome::Exited { .. } | JobOutcome::Lost, None) | (JobOutcome::Cancelled, Some(_)) => {
            return Ok(false);
        }
    };
    let ended = writer.end_job(job, &state, engine.now())?;
    if ended && !is_scheduled(&row.job) {
        let done = Done::new("job:ended", Some(row.job.app), ResourceKind::Job, job);
        let done = done.after("name", row.job.display_name()).after("outcome", outcome_word(&state));
        record_event(engine, writer, &system(), done)?;
    }
    Ok(ended)
}

/// The history of its recurring command tells how it ended: events are for ever, and schedules make very many runs.
fn is_scheduled(job: &Job) -> bool {
    job.kind == JobKind::Cron && job.actor.is_none()
}

fn outcome_word(state: &JobState) -> String {
    match state {
        JobState::Ended { status, .. } => status.to_string(),
        JobState::Lost { .. } => "lost".to_owned(),
        JobState::NeverStarted => "cancelled".to_owned(),
        JobState::Waiting | JobState::Started { .. } => "running".to_owned(),
    }
}

fn promoted(engine: &Engine, app: AppId, release: ReleaseId) -> Result<bool, Error> {
    let moved = engine.write(|writer| {
        let moved = apply(engine, writer, release, ReleaseStep::Promoted, "promoted")?;
        if let Some(promoted) = &moved {
            let (boot_id, boot) = (engine.boot_id(), engine.boot());
            writer.append_promotion(app, release, &PromotedAt { wall: engine.now(), boot_id, boot })?;
            cron::follow_release(engine, writer, promoted)?;
        }
        Ok(moved)
    })?;
    if let Some(release) = &moved {
        log_system(engine, release, "is serving");
    }
    Ok(moved.is_some())
}

fn failed(engine: &Engine, release: ReleaseId, reason: &ReleaseFailure) -> Result<bool, Error> {
    let step = ReleaseStep::Failed { reason: reason.to_string() };
    let moved = engine.write(|writer| {
        let moved = apply(engine, writer, release, step, "failed")?;
        if moved.is_some() {
            cancel_waiting_phase(engine, writer, release)?;
        }
        Ok(moved)
    })?;
    if let Some(release) = &moved {
        log_system(engine, release, &format!("failed: {reason}"));
    }
    Ok(moved.is_some())
}

fn supersede(engine: &Engine, release: &Release) -> Result<bool, Error> {
    let moved = engine.write(|writer| {
        let moved = apply(engine, writer, release.id, ReleaseStep::Superseded, "superseded")?;
        cancel_waiting_phase(engine, writer, release.id)?;
        Ok(moved)
    })?;
    if let Some(release) = &moved {
        log_system(engine, release, "was superseded by a newer release before it served");
    }
    Ok(moved.is_some())
}

/// A phase that runs is left to its end: half a migration is worse than a whole one.
fn cancel_waiting_phase(engine: &Engine, writer: &Writer<'_>, release: ReleaseId) -> Result<(), Error> {
    let Some(row) = writer.release_phase_job(release)? else { return Ok(()) };
    match row.job.state {
        JobState::Waiting => writer.cancel_job(row.job.id, engine.now()).map(drop)?,
        JobState::Started { .. }
        | JobState::Ended { .. }
        | JobState::Lost { .. }
        | JobState::NeverStarted => {}
    }
    Ok(())
}

/// The release phase of a candidate is over, or it has none: it boots or has failed. Looked up anew in every pass, since the
/// server may have died between the end of the phase and what follows from it.
fn settle_phase(engine: &Engine, release: &Release) -> Result<bool, Error> {
    match release.status {
        ReleaseStatus::Pending | ReleaseStatus::PhaseRunning => {}
        ReleaseStatus::Starting
        | ReleaseStatus::Succeeded
        | ReleaseStatus::Failed { .. }
        | ReleaseStatus::Superseded => return Ok(false),
    }
    let job = engine.read(|reader| Ok(reader.release_phase_job(release.id)?))?;
    let failure = match job.map(|row| row.job.state) {
        None => None,
        Some(JobState::Ended { status, .. }) if status.is_success() => None,
        Some(JobState::Ended { status, .. }) => Some(ReleaseFailure::PhaseFailed { status }),
        Some(JobState::Lost { .. }) => Some(ReleaseFailure::PhaseLost),
        Some(JobState::NeverStarted) => Some(ReleaseFailure::PhaseCancelled),
        Some(JobState::Waiting | JobState::Started { .. }) => return Ok(false),
    };
    match failure {
        None => step(engine, release.id, ReleaseStep::BootStarted, "starting"),
        Some(reason) => failed(engine, release.id, &reason),
    }
}

/// One step of a release's status. It is looked up first: most repeats need no transaction.
fn step(engine: &Engine, release: ReleaseId, step: ReleaseStep, word: &str) -> Result<bool, Error> {
    let Some(present) = engine.read(|reader| Ok(reader.release(release)?))? else { return Ok(false) };
    match present.status.after(step.clone()) {
        Ok(after) if after != present.status => {}
        Ok(_) | Err(_) => return Ok(false),
    }
    engine.write(|writer| apply(engine, writer, release, step, word)).map(|moved| moved.is_some())
}

/// The release as it was, if the step changed its status.
fn apply(
    engine: &Engine,
    writer: &Writer<'_>,
    release: ReleaseId,
    step: ReleaseStep,
    word: &str,
) -> Result<Option<Release>, Error> {
    let Some(release) = writer.release(release)? else { return Ok(None) };
    let after = match release.status.after(step) {
        Ok(after) if after != release.status => after,
        Ok(_) | Err(_) => return Ok(None),
    };
    writer.set_release_status(release.id, &after, engine.now())?;
    let done = Done::new("", Some(release.app), ResourceKind::Release, release.id);
    let action = format!("release:{word}");
    let done = Done { action: &action, ..done }
        .before("status", release.status.name())
        .after("status", after.name());
    record_event(engine, writer, &system(), done.after("version", ReleaseVersion(release.version.0)))?;
    Ok(Some(release))
}

fn system() -> Context {
    Context::system("driver")
}

/// `web.1` or `run.12`
pub(super) fn display_name(purpose: &Purpose) -> String {
    purpose.display_name()
}
