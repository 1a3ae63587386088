//! What the ledger says should be so, read in one transaction.
//!
//! Rules that live here, because they need what the plan does not see: a release phase waits until the app's phase before it has
//! ended; a phase of a release that is no candidate never starts; a recurring command that replaces its last run waits for its end; a job that is held for its caller is not there yet; the restart
//! of one place is a stop of that place for as long as its old process lives.

use crate::append::release_phase_command;
use crate::engine::Engine;
use crate::error::Error;
use crate::ops::apps::host_of;
use domain::app::App;
use domain::desired::{
    Desired, DesiredApp, DesiredJob, DesiredRelease, DesiredSlots, ReleasePhase, Strategy,
};
use domain::formation::{Formation, first_quantity};
use domain::ids::{AppId, JobId, ReleaseId};
use domain::job::JobState;
use domain::names::{HostName, ProcessType};
use domain::observed::Observed;
use domain::process::{ExitStatus, JobKind, Purpose, StopPolicy};
use domain::release::Release;
use domain::size::SizeRules;
use domain::time::BootMillis;
use domain::trial::Trial;
use std::collections::{BTreeMap, BTreeSet};
use store::Reader;
use store::tables::cron::RunOf;
use store::tables::desired::{Crashes, Standing};
use store::tables::jobs::JobRow;
use store::tables::slots::Restart;
use store::tables::trials::TrialRow;

/// Reads all of it. `seen` is what the last pass observed.
pub(super) fn read(engine: &Engine, seen: &Observed) -> Result<Desired, Error> {
    engine.read(|reader| {
        let mut facts = Facts::read(engine, reader)?;
        let apps = reader.apps()?.into_iter().map(|app| desired_app(engine, reader, &mut facts, app, seen));
        Ok(Desired {
            epoch: reader.epoch()?,
            apps: apps.collect::<Result<_, Error>>()?,
            bounds: engine.0.settings.bounds.clone(),
            recorded_exits: reader.recorded_exits()?,
        })
    })
}

/// Rows of all apps, taken out app by app.
struct Facts {
    standings: BTreeMap<AppId, Standing>,
    formations: BTreeMap<AppId, Formation>,
    stopped: BTreeMap<AppId, Vec<(ProcessType, u32)>>,
    restarts: BTreeMap<AppId, Vec<Restart>>,
    crashes: BTreeMap<ReleaseId, Crashes>,
    jobs: BTreeMap<AppId, Vec<JobRow>>,
    hostnames: BTreeMap<AppId, Vec<HostName>>,
    /// None without a crash budget.
    trials: BTreeMap<ReleaseId, TrialRow>,
    /// Of jobs that are runs of recurring commands.
    cron_entries: BTreeMap<JobId, RunOf>,
}

impl Facts {
    fn read(engine: &Engine, reader: &Reader<'_>) -> Result<Self, Error> {
        let boot = engine.boot_id();
        Ok(Self {
            standings: reader.standings()?,
            formations: reader.all_formations()?,
            stopped: reader.all_stopped_slots()?,
            restarts: reader.all_restarts(&boot)?,
            crashes: reader.all_crashes(&boot)?,
            jobs: reader.all_unfinished_jobs()?,
            hostnames: reader.all_hostnames()?,
            trials: match engine.0.settings.bounds.crash_budget {
                Some(_) => reader.all_trials(&boot)?,
                None => BTreeMap::new(),
            },
            cron_entries: reader.entries_of_unfinished_jobs()?,
        })
    }
}

/// What the slots of one app's releases are made from.
struct Places<'a> {
    formation: Formation,
    stopped: BTreeSet<(ProcessType, u32)>,
    restarts: Vec<Restart>,
    /// Living processes of the app: type, index, start.
    living: Vec<(&'a ProcessType, u32, BootMillis)>,
    sizes: &'a SizeRules,
}

fn desired_app(
    engine: &Engine,
    reader: &Reader<'_>,
    facts: &mut Facts,
    app: App,
    seen: &Observed,
) -> Result<DesiredApp, Error> {
    let standing = facts.standings.remove(&app.id).unwrap_or_default();
    let places = Places {
        formation: facts.formations.remove(&app.id).unwrap_or_default(),
        stopped: facts.stopped.remove(&app.id).unwrap_or_default().into_iter().collect(),
        restarts: facts.restarts.remove(&app.id).unwrap_or_default(),
        living: living(seen, app.id),
        sizes: &engine.0.settings.sizes,
    };
    let candidate = match standing.head.filter(|head| standing.current != Some(*head)) {
        Some(head) => reader.release(head)?.filter(|head| !head.status.is_final()),
        None => None,
    };
    let current = match standing.current {
        Some(current) => reader.release(current)?,
        None => None,
    };
    let trial = match &current {
        Some(current) => trial(engine, reader, facts, current, standing.head)?,
        None => None,
    };
    let jobs = facts.jobs.remove(&app.id).unwrap_or_default();
    let phase = match &candidate {
        Some(candidate) => release_phase(reader, candidate)?,
        None => ReleasePhase::Done,
    };
    // A base domain that became longer may have made one app's host too long: it is told at the start, and no other app's concern.
    let mut hosts: Vec<_> = host_of(engine, &app.name).into_iter().collect();
    hosts.extend(facts.hostnames.remove(&app.id).unwrap_or_default());
    let mut run = |release: Release, phase| {
        let crashes = facts.crashes.remove(&release.id).unwrap_or_default();
        desired_release(release, phase, &places, crashes)
    };
    let candidate_id = candidate.as_ref().map(|candidate| candidate.id);
    Ok(DesiredApp {
        app: app.id,
        current: current.map(|current| DesiredRelease { trial, ..run(current, ReleasePhase::Done) }),
        candidate: candidate.map(|candidate| run(candidate, phase)),
        jobs: desired_jobs(reader, &engine.0.settings.sizes, jobs, candidate_id, &facts.cron_entries)?,
        name: app.name,
        index: app.index,
        hosts,
        maintenance: app.maintenance,
    })
}

/// What to go back to is looked up only once the budget is spent.
fn trial(
    engine: &Engine,
    reader: &Reader<'_>,
    facts: &mut Facts,
    current: &Release,
    head: Option<ReleaseId>,
) -> Result<Option<Trial>, Error> {
    let budget = engine.0.settings.bounds.crash_budget;
    let Some((row, budget)) = facts.trials.remove(&current.id).zip(budget) else { return Ok(None) };
    let newer_exists = head != Some(current.id);
    let back_to = match row.crashes > budget.crashes && !newer_exists {
        true => fall_back(reader, current)?.map(|release| release.id),
        false => None,
    };
    Ok(Some(Trial { since: row.since, crashes: row.crashes, back_to, newer_exists }))
}

/// The release that may serve in place of this one. What was itself made by giving up another is not given up.
pub(super) fn fall_back(reader: &Reader<'_>, current: &Release) -> Result<Option<Release>, Error> {
    if reader.is_substitute(current.app, current.id)? {
        return Ok(None);
    }
    let given_up = reader.given_up(current.app)?;
    let found = reader.newest_served_before(current.app, current.version, &given_up)?;
    Ok(found.filter(|found| domain::trial::may_fall_back(current, found, &given_up)))
}

fn living(seen: &Observed, app: AppId) -> Vec<(&ProcessType, u32, BootMillis)> {
    let of_app = seen.processes.iter().filter(|process| process.app == app && process.state.is_live());
    of_app
        .filter_map(|process| match &process.purpose {
            Purpose::Slot { process_type, index, .. } => Some((process_type, *index, process.started_at)),
            Purpose::Job { .. } => None,
        })
        .collect()
}

/// How far the release phase of a candidate is.
fn release_phase(reader: &Reader<'_>, release: &Release) -> Result<ReleasePhase, Error> {
    if release_phase_command(release).is_none() {
        return Ok(ReleasePhase::Done);
    }
    let job = reader.release_phase_job(release.id)?;
    let succeeded = job.is_some_and(|row| match row.job.state {
        JobState::Ended { status, .. } => ExitStatus::is_success(status),
        JobState::Waiting | JobState::Started { .. } | JobState::Lost { .. } | JobState::NeverStarted => {
            false
        }
    });
    Ok(if succeeded { ReleasePhase::Done } else { ReleasePhase::Waiting })
}

fn desired_release(
    release: Release,
    phase: ReleasePhase,
    places: &Places<'_>,
    mut crashes: Crashes,
) -> DesiredRelease {
    let app_json = release.artifact.app_json;
    let types = release.artifact.process_types.into_iter().filter(|(kind, _)| !kind.is_release_phase());
    let slots = types.map(|(kind, command)| {
        let crashes = crashes.remove(&kind).unwrap_or_default();
        let strategy = app_json.strategy(&kind);
        let startup_seconds = app_json.startup_seconds(&kind);
        DesiredSlots { startup_seconds, ..places.slots(kind, command, strategy, crashes) }
    });
    DesiredRelease {
        release: release.id,
        version: release.version,
        slots: slots.collect(),
        slug: release.artifact.slug,
        phase,
        trial: None,
    }
}

impl Places<'_> {
    fn slots(
        &self,
        process_type: ProcessType,
        command: String,
        strategy: Strategy,
        crashes: BTreeMap<u32, domain::desired::CrashRecord>,
    ) -> DesiredSlots {
        let row = self.formation.get(&process_type).cloned().unwrap_or_else(|| first_quantity(&process_type));
        let of_type = |restart: &&Restart| restart.process_type == process_type;
        // With a single place, that place is the type: a replacement may then overlap.
        let whole = |restart: &&Restart| restart.slot == 0 || (restart.slot == 1 && row.quantity == 1);
        let restarted_at = self.restarts.iter().filter(of_type).filter(whole).map(|restart| restart.at).max();
        let single = self.restarts.iter().filter(of_type).filter(|restart| !whole(restart));
        let replaced = single.filter(|restart| self.has_older_process(restart)).map(|restart| restart.slot);
        let stopped = self.stopped.iter().filter(|(kind, _)| *kind == process_type).map(|(_, slot)| *slot);
        DesiredSlots {
            command,
            quantity: row.quantity,
            strategy,
            startup_seconds: None,
            limits: self.sizes.limits(row.size),
            stop: StopPolicy::APP,
            stopped: stopped.chain(replaced).collect(),
            restarted_at,
            crashes,
            process_type,
        }
    }

    fn has_older_process(&self, restart: &Restart) -> bool {
        self.living.iter().any(|(kind, index, started_at)| {
            **kind == restart.process_type && *index == restart.slot && *started_at < restart.at
        })
    }
}

/// Whether it takes the place of another run of its recurring command, which is being ended: it begins after it.
fn waits_for_its_place(row: &JobRow, ending: &[JobId], runs: &BTreeMap<JobId, RunOf>) -> bool {
    let Some(run) = runs.get(&row.job.id).filter(|run| run.replaces) else { return false };
    let is_of_same = |job: &JobId| runs.get(job).is_some_and(|other| other.entry == run.entry);
    ending.iter().any(|job| *job != row.job.id && is_of_same(job))
}

fn desired_jobs(
    reader: &Reader<'_>,
    sizes: &SizeRules,
    rows: Vec<JobRow>,
    candidate: Option<ReleaseId>,
    runs: &BTreeMap<JobId, RunOf>,
) -> Result<Vec<DesiredJob>, Error> {
    let is_running_phase = |row: &JobRow| match (row.job.kind, &row.job.state) {
        (JobKind::ReleasePhase, JobState::Started { .. }) => true,
        (JobKind::ReleasePhase | JobKind::OneOff | JobKind::Cron, _) => false,
    };
    let ending: Vec<_> = rows.iter().filter(|row| row.job.cancelled).map(|row| row.job.id).collect();
    let phase_is_running = rows.iter().any(is_running_phase);
    let may_be_there = |row: &JobRow| match (row.job.kind, &row.job.state) {
        (_, JobState::Started { .. }) => true,
        _ if row.job.cancelled => true,
        (JobKind::OneOff, _) => !row.held,
        (JobKind::Cron, _) => !waits_for_its_place(row, &ending, runs),
        (JobKind::ReleasePhase, _) => candidate == Some(row.job.release) && !phase_is_running,
    };
    let mut jobs = Vec::new();
    for row in rows.into_iter().filter(may_be_there) {
        let slug = reader.release(row.job.release)?.and_then(|release| release.artifact.slug);
        // A job is only ever made on a release with a slug.
        let Some(slug) = slug else { continue };
        jobs.push(DesiredJob {
            job: row.job.id,
            kind: row.job.kind,
            release: row.job.release,
            slug,
            number: row.job.number,
            started: row.job.state.process(),
            command: row.job.command,
            limits: sizes.limits(row.size),
            stop: StopPolicy::APP,
            time_limit_seconds: row.job.time_limit_seconds,
            cancelled: row.job.cancelled,
        });
    }
    Ok(jobs)
}
