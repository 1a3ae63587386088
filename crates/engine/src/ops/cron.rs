//! Recurring commands of an app: those of its app.json, which follow its releases, and those that people add.

use super::{Done, authorised_app, log_by_actor, record};
use crate::context::Context;
use crate::cron::{self, Begun, begin, insert};
use crate::engine::Engine;
use crate::error::Error;
use crate::idempotency;
use crate::reference::AppRef;
use domain::app_json::cron::{CronEntry, MAX_ENTRIES};
use domain::cron::admit::SkipReason;
use domain::cron::entries::Origin;
use domain::event::ResourceKind;
use domain::ids::{AppId, CronId, JobId};
use domain::policy::Action;
use domain::time::WallMillis;
use store::tables::cron::CronRow;
pub use store::tables::cron::{HistoryRow, RunOutcome};
use store::{Reader, Writer};

/// Next instants that are told of each entry.
const NEXT_RUNS: usize = 3;
/// Rows of history that one question can ask for.
pub const HISTORY_LIMIT: u32 = 1000;

/// An entry as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronInfo {
    pub row: CronRow,
    pub next_runs: Vec<WallMillis>,
    pub last_run: Option<HistoryRow>,
}

/// Oldest first.
pub fn list(engine: &Engine, context: &Context, app: &AppRef) -> Result<Vec<CronInfo>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::CronRead)?;
        reader.cron_entries(app.id)?.into_iter().map(|row| info_of(engine, reader, row)).collect()
    })
}

pub fn info(engine: &Engine, context: &Context, app: &AppRef, id: Option<CronId>) -> Result<CronInfo, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::CronRead)?;
        info_of(engine, reader, find(reader, app.id, id)?)
    })
}

pub fn add(engine: &Engine, context: &Context, app: &AppRef, entry: CronEntry) -> Result<CronInfo, Error> {
    let (info, new) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::CronWrite)?;
        if let Some(id) = idempotency::earlier::<CronId>(engine, writer, context, ResourceKind::Cron)? {
            let row = find(writer, app.id, Some(id))?;
            return info_of(engine, writer, row).map(|info| (info, false));
        }
        check_room(writer, app.id)?;
        let row = insert(engine, writer, app.id, Origin::Added, entry)?;
        let done = Done::new(Action::CronWrite.name(), Some(app.id), ResourceKind::Cron, row.id);
        let done = done.after("command", &row.entry.command).after("schedule", &row.entry.schedule);
        record(engine, writer, context, done)?;
        idempotency::keep(engine, writer, context, ResourceKind::Cron, row.id.to_string())?;
        info_of(engine, writer, row).map(|info| (info, true))
    })?;
    if new {
        let CronEntry { command, schedule, timezone, .. } = &info.row.entry;
        let text = format!("Add recurring command `{command}`, {schedule} in {timezone},");
        log_by_actor(engine, context, info.row.app, &text);
    }
    Ok(info)
}

/// Runs that have begun go on to their end.
pub fn remove(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    id: Option<CronId>,
) -> Result<CronInfo, Error> {
    let info = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::CronWrite)?;
        let row = find(writer, app.id, id)?;
        match row.origin {
            Origin::Added => {}
            Origin::AppJson => {
                let told = "This command comes from the app.json of the release that serves.";
                return Err(Error::conflict(told)
                    .with_hint("Take it out of the file and push: `git push dozen main`."));
            }
        }
        let done = Done::new(Action::CronWrite.name(), Some(app.id), ResourceKind::Cron, row.id);
        let done = done.before("command", &row.entry.command).before("schedule", &row.entry.schedule);
        record(engine, writer, context, done)?;
        cron::remove(engine, writer, app.id, row.id)?;
        info_of(engine, writer, row)
    })?;
    let text = format!("Remove recurring command `{}`", info.row.entry.command);
    log_by_actor(engine, context, info.row.app, &text);
    Ok(info)
}

/// Starts a run now, beside those of the schedule.
pub fn run_now(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    id: Option<CronId>,
) -> Result<HistoryRow, Error> {
    let (app, run, new) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::JobCreate)?;
        if let Some(job) = idempotency::earlier::<JobId>(engine, writer, context, ResourceKind::Job)? {
            return Ok((app, run_of(writer, job)?, false));
        }
        let row = find(writer, app.id, id)?;
        let job = match begin(engine, writer, context, &row, None)? {
            Begun::Started { job, .. } => job,
            Begun::Skipped(reason) => return Err(not_begun(reason)),
        };
        idempotency::keep(engine, writer, context, ResourceKind::Job, job.to_string())?;
        Ok((app, run_of(writer, job)?, true))
    })?;
    if new {
        let name = run.job.as_ref().map(|row| row.job.display_name()).unwrap_or_default();
        let text = format!("Starting process {name} with command `{}`", run.command);
        log_by_actor(engine, context, app.id, &text);
    }
    Ok(run)
}

fn run_of(reader: &Reader<'_>, job: JobId) -> Result<HistoryRow, Error> {
    reader.cron_run_of_job(job)?.ok_or_else(|| Error::not_found("cron", "Couldn't find that run any more."))
}

/// Newest first. `None`: of all entries, those too that have been removed.
pub fn history(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    entry: Option<Option<CronId>>,
) -> Result<Vec<HistoryRow>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::CronRead)?;
        let entry = match entry {
            Some(id) => Some(find(reader, app.id, id)?.id),
            None => None,
        };
        Ok(reader.cron_history(app.id, entry, HISTORY_LIMIT)?)
    })
}

fn not_begun(reason: SkipReason) -> Error {
    match reason {
        SkipReason::NoRelease => {
            Error::invalid("This app has no release that serves, so there is nothing to run it on.")
                .with_hint("Push some code first: `git push dozen main`.")
        }
        SkipReason::QuotaUsedUp => Error::forbidden(format!("It is not started: {reason}."))
            .with_hint("Scale something down, or ask the operator for more."),
        SkipReason::NotEnded | SkipReason::NotStarted | SkipReason::TooMany | SkipReason::AppTooMany => {
            Error::conflict(format!("It is not started: {reason}."))
                .with_hint("`dozen ps` shows what runs; `dozen ps:stop cron.N` ends it.")
        }
    }
}

fn check_room(writer: &Writer<'_>, app: AppId) -> Result<(), Error> {
    let added = writer.cron_entries(app)?.iter().filter(|row| row.origin == Origin::Added).count();
    if added < MAX_ENTRIES {
        return Ok(());
    }
    Err(Error::invalid(format!("An app can have {MAX_ENTRIES} recurring commands that were added."))
        .with_hint("Remove one with `dozen cron:remove`."))
}

/// `None`: what was given is no id.
fn find(reader: &Reader<'_>, app: AppId, id: Option<CronId>) -> Result<CronRow, Error> {
    let found = match id {
        Some(id) => reader.cron_entry(id)?.filter(|row| row.app == app),
        None => None,
    };
    found.ok_or_else(|| {
        Error::not_found("cron", "Couldn't find that recurring command.")
            .with_hint("Run `dozen cron` to see those that there are.")
    })
}

fn info_of(engine: &Engine, reader: &Reader<'_>, row: CronRow) -> Result<CronInfo, Error> {
    let next = |at: &WallMillis| row.entry.schedule.next_after(*at, &row.entry.timezone);
    let next_runs = std::iter::successors(next(&engine.now()), next).take(NEXT_RUNS).collect();
    let last_run = reader.cron_history(row.app, Some(row.id), 1)?.into_iter().next();
    Ok(CronInfo { row, next_runs, last_run })
}
