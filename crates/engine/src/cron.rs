//! Recurring commands: how a run becomes a job, and how entries follow the release that serves.
//!
//! A run's row, which no instant of an entry can have twice, is written in the transaction that makes its job. The job then starts as
//! every job does, at most once. All of this happens within a transaction that the caller has begun.
//!
//! The runs of a schedule have no events: a row each, of which a bounded number is kept, tells more.

use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::ops::{Done, record, run};
use domain::app_json::cron::CronEntry;
use domain::cron::admit::{Admission, Around, Quota, SkipReason, Unfinished, admit};
use domain::cron::entries::{Origin, plan_entries};
use domain::event::ResourceKind;
use domain::formation::Size;
use domain::ids::{AccountId, AppId, CronId, JobId};
use domain::job::{CRON_LIMIT_SECONDS, Job, JobState, JobStreams};
use domain::policy::Action;
use domain::process::JobKind;
use domain::release::Release;
use domain::time::WallMillis;
use store::Writer;
use store::tables::cron::{CronRow, RunOutcome};
use store::tables::jobs::JobRow;

/// Removed entries of an app whose history is kept.
const REMOVED_KEPT: u32 = 50;

/// What became of a run that was to start.
pub(crate) enum Begun {
    /// With the display name of its process.
    Started {
        job: JobId,
        name: String,
    },
    Skipped(SkipReason),
}

/// Starts a run of an entry, or says why not. `due_at`: `None` when somebody asks for it.
pub(crate) fn begin(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    entry: &CronRow,
    due_at: Option<WallMillis>,
) -> Result<Begun, Error> {
    let Some(release) = run::serving_release(writer, entry.app)? else {
        return Ok(Begun::Skipped(SkipReason::NoRelease));
    };
    let before = writer.unfinished_cron_jobs(entry.id)?;
    match admit(entry.entry.concurrency, unfinished(&before), around(writer, entry.app)?) {
        Admission::Skip(reason) => return Ok(Begun::Skipped(reason)),
        Admission::Replace => cancel(engine, writer, &before)?,
        Admission::Start => {}
    }
    let row = job(engine, writer, context, entry, &release)?;
    writer.insert_job(&row, &[], &engine.nonce())?;
    let (job, name) = (row.job.id, row.job.display_name());
    keep_run(engine, writer, entry.id, due_at, &RunOutcome::Started { job })?;
    if due_at.is_none() {
        let done = Done::new(Action::JobCreate.name(), Some(entry.app), ResourceKind::Job, job);
        record(engine, writer, context, done.after("name", &name).after("cron", entry.id))?;
    }
    Ok(Begun::Started { job, name })
}

/// A row of an entry's history; the oldest goes when there are too many.
pub(crate) fn keep_run(
    engine: &Engine,
    writer: &Writer<'_>,
    entry: CronId,
    due_at: Option<WallMillis>,
    outcome: &RunOutcome,
) -> Result<(), Error> {
    writer.insert_cron_run(entry, due_at, outcome, engine.now())?;
    Ok(writer.prune_cron_runs(entry, engine.0.settings.cron_runs_kept)?)
}

fn around(writer: &Writer<'_>, app: AppId) -> Result<Around, Error> {
    let of_app = usize::try_from(writer.unfinished_cron_jobs_of_app(app)?).unwrap_or(usize::MAX);
    let quota = match writer.app(app)? {
        Some(app) => quota(writer, app.owner)?,
        None => Quota::HasRoom,
    };
    Ok(Around { of_app, quota })
}

fn quota(writer: &Writer<'_>, owner: AccountId) -> Result<Quota, Error> {
    let Some(limit) = writer.process_quota(owner)? else { return Ok(Quota::HasRoom) };
    let taken = writer.processes_wanted_by(owner)? + writer.unfinished_cron_jobs_of_owner(owner)?;
    Ok(if taken < u64::from(limit) { Quota::HasRoom } else { Quota::UsedUp })
}

fn unfinished(jobs: &[JobRow]) -> Unfinished {
    let waiting = jobs.iter().filter(|row| row.job.state == JobState::Waiting).count();
    Unfinished { waiting, started: jobs.len() - waiting }
}

fn cancel(engine: &Engine, writer: &Writer<'_>, jobs: &[JobRow]) -> Result<(), Error> {
    for row in jobs {
        writer.cancel_job(row.job.id, engine.now())?;
    }
    Ok(())
}

fn job(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    entry: &CronRow,
    release: &Release,
) -> Result<JobRow, Error> {
    let (now, size) = (engine.now(), Size::default());
    let job = Job {
        id: JobId::from_uuid(engine.uuid()),
        app: entry.app,
        kind: JobKind::Cron,
        release: release.id,
        number: writer.newest_job_number(entry.app, JobKind::Cron)? + 1,
        command: run::resolve(release, &entry.entry.command),
        streams: JobStreams::Log,
        limits: size.limits(),
        time_limit_seconds: CRON_LIMIT_SECONDS,
        actor: context.actor.account(),
        created_at: now,
        updated_at: now,
        cancelled: false,
        state: JobState::Waiting,
    };
    Ok(JobRow { job, size, held: false })
}

/// A new entry, due from now on.
pub(crate) fn insert(
    engine: &Engine,
    writer: &Writer<'_>,
    app: AppId,
    origin: Origin,
    entry: CronEntry,
) -> Result<CronRow, Error> {
    let now = engine.now();
    let next_due = entry.schedule.next_after(now, &entry.timezone);
    let id = CronId::from_uuid(engine.uuid());
    let row = CronRow { id, app, origin, entry, created_at: now, dealt_until: now, next_due };
    writer.insert_cron_entry(&row)?;
    Ok(row)
}

/// Its history is kept for a while, unless many others were removed since.
pub(crate) fn remove(engine: &Engine, writer: &Writer<'_>, app: AppId, id: CronId) -> Result<(), Error> {
    writer.remove_cron_entry(id, engine.now())?;
    Ok(writer.prune_removed_cron_entries_of(app, REMOVED_KEPT)?)
}

/// The entries of a release that serves from now on take the place of those of the one before.
pub(crate) fn follow_release(engine: &Engine, writer: &Writer<'_>, release: &Release) -> Result<(), Error> {
    let (mut present, mut unreadable) = (Vec::new(), Vec::new());
    for id in writer.cron_entry_ids_of(release.app, Origin::AppJson)? {
        match writer.cron_entry(id) {
            Ok(row) => present.extend(row.map(|row| (id, row.entry))),
            Err(_) => unreadable.push(id),
        }
    }
    let changes = plan_entries(&present, &release.artifact.app_json.cron);
    let now = engine.now();
    for id in changes.removed.into_iter().chain(unreadable) {
        remove(engine, writer, release.app, id)?;
    }
    for (id, entry) in changes.changed {
        writer.change_cron_entry(id, &entry)?;
        writer.set_cron_progress(id, now, entry.schedule.next_after(now, &entry.timezone))?;
    }
    for entry in changes.added {
        insert(engine, writer, release.app, Origin::AppJson, entry)?;
    }
    Ok(())
}

/// The rules of time zones may be newer than those by which the next instants were found.
pub(crate) fn find_next_instants(engine: &Engine) -> Result<(), Error> {
    let ids = engine.read(|reader| Ok(reader.cron_entry_ids()?))?;
    let entries: Vec<_> = ids.into_iter().filter_map(|id| readable(engine, id)).collect();
    let next = |row: &CronRow| row.entry.schedule.next_after(row.dealt_until, &row.entry.timezone);
    let changed: Vec<_> = entries.iter().filter(|row| row.next_due != next(row)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    engine.write_quietly(|writer| {
        for row in changed {
            writer.set_cron_progress(row.id, row.dealt_until, next(row))?;
        }
        Ok(())
    })
}

/// One that this version cannot read keeps no server from starting.
fn readable(engine: &Engine, id: CronId) -> Option<CronRow> {
    let row: Result<_, Error> = engine.read(|reader| Ok(reader.cron_entry(id)?));
    row.unwrap_or_else(|error| {
        tracing::error!(cron = %id, error = %domain::cause::chain(&error), "a recurring command cannot be read");
        None
    })
}
