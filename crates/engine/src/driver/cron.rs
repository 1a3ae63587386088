//! Starts what is due. Before each pass of the driver, so that the pass finds the jobs.
//!
//! What has come while the server was away, or while the clock was put forward, is dealt with as [`domain::cron::due`] says. When
//! the clock is put back, an entry goes by the clock again, and instants that were dealt with are passed over: their rows are there.

use super::retry_wait;
use crate::context::Context;
use crate::cron::{Begun, begin, keep_run};
use crate::engine::Engine;
use crate::error::Error;
use crate::ops::{log_api, log_by_actor};
use domain::cause::chain;
use domain::cron::due::{GRACE_SECONDS, MOST_COUNTED, Missed, due};
use domain::ids::{AppId, CronId};
use domain::process::JobKind;
use domain::time::{BootMillis, WallMillis, in_words};
use std::collections::BTreeMap;
use store::Writer;
use store::tables::cron::{CronRow, HistoryRow, RunOutcome};
use store::tables::jobs::JobRow;

/// A line of the app's log.
enum Told {
    Started(AppId, String),
    Other(AppId, String),
}

/// Entries that are dealt with in one transaction and before one pass: so many at once keep nothing else waiting for long.
const AT_ONCE: usize = 100;

/// Which entries could not be dealt with, and when that is tried again. One that cannot be read, or a ledger that cannot be
/// written, keeps neither the other entries nor the pass from going on.
#[derive(Default)]
pub(crate) struct Schedules {
    troubles: BTreeMap<CronId, Trouble>,
}

struct Trouble {
    failures: u32,
    rests_until: BootMillis,
}

impl Schedules {
    /// Deals with what has come. The answer: when to look again.
    pub(crate) fn before_pass(&mut self, engine: &Engine) -> Option<WallMillis> {
        self.look(engine).unwrap_or_else(|error| {
            tracing::error!(error = %chain(&error), "schedules cannot be looked at");
            None
        })
    }

    fn look(&mut self, engine: &Engine) -> Result<Option<WallMillis>, Error> {
        let (now, boot) = (engine.now(), engine.boot());
        let pressing = engine.read(|reader| Ok(reader.pressing_cron_entries(now)?))?;
        self.troubles.retain(|id, _| pressing.contains(id));
        let tried: Vec<_> = pressing.into_iter().filter(|id| !self.rests(*id, boot)).collect();
        let (first, later) = tried.split_at(tried.len().min(AT_ONCE));
        self.deal_with_all(engine, first);
        if !later.is_empty() {
            return Ok(Some(now));
        }
        let next_due = engine.read(|reader| Ok(reader.next_cron_due(now)?))?;
        let rest = self.troubles.values().map(|trouble| trouble.rests_until.millis_since(boot)).min();
        let again = rest.map(|rest| WallMillis(now.0.saturating_add(rest)));
        Ok(next_due.into_iter().chain(again).min())
    }

    fn rests(&self, id: CronId, now: BootMillis) -> bool {
        self.troubles.get(&id).is_some_and(|trouble| trouble.rests_until > now)
    }

    fn deal_with_all(&mut self, engine: &Engine, entries: &[CronId]) {
        if entries.is_empty() {
            return;
        }
        let one = |writer: &Writer<'_>, id| (id, writer.attempt(|| deal_with(engine, writer, id)));
        let done =
            engine.write_quietly(|writer| Ok(entries.iter().map(|id| one(writer, *id)).collect::<Vec<_>>()));
        match done {
            Ok(outcomes) => outcomes.into_iter().for_each(|(id, outcome)| self.settle(engine, id, outcome)),
            Err(error) => {
                tracing::error!(entries = entries.len(), error = %chain(&error), "recurring commands that are due were not started");
                for id in entries {
                    self.put_off(engine, *id);
                }
            }
        }
    }

    fn settle(&mut self, engine: &Engine, id: CronId, outcome: Result<Vec<Told>, Error>) {
        match outcome {
            Ok(told) => {
                self.troubles.remove(&id);
                told.into_iter().for_each(|told| tell(engine, told));
            }
            Err(error) => {
                let failures = self.put_off(engine, id);
                tracing::error!(cron = %id, failures, error = %chain(&error), "a recurring command that is due was not started");
            }
        }
    }

    /// How often it has failed by now.
    fn put_off(&mut self, engine: &Engine, id: CronId) -> u32 {
        let failures = self.troubles.get(&id).map_or(0, |trouble| trouble.failures).saturating_add(1);
        let wait = u64::try_from(retry_wait(failures).as_millis()).unwrap_or(u64::MAX);
        let rests_until = engine.boot().plus_millis(wait);
        self.troubles.insert(id, Trouble { failures, rests_until });
        failures
    }
}

/// Gives up runs that were to start long ago and could not: what is due at night shall not run at noon. After a pass, which would
/// have seen a process of such a run that this ledger does not know of.
pub(crate) fn give_up_late(engine: &Engine) {
    let given_up = engine.read(|reader| Ok(reader.waiting_cron_runs(too_late(engine))?)).and_then(|late| {
        if late.is_empty() {
            Ok(Vec::new())
        } else {
            engine.write(|writer| cancel_late(engine, writer, late))
        }
    });
    match given_up {
        Ok(told) => told.into_iter().for_each(|told| tell(engine, told)),
        Err(error) => tracing::error!(error = %chain(&error), "runs that are too late cannot be given up"),
    }
}

fn cancel_late(engine: &Engine, writer: &Writer<'_>, late: Vec<HistoryRow>) -> Result<Vec<Told>, Error> {
    let mut told = Vec::new();
    for HistoryRow { run, command, job } in late {
        let Some(row) = job else { continue };
        if writer.cancel_job(row.job.id, engine.now())? {
            writer.miss_cron_run(run.sequence)?;
            let name = row.job.display_name();
            let minutes = GRACE_SECONDS / 60;
            let text = format!(
                "Missed {name} with command `{command}`: it could not be started within {minutes} minutes"
            );
            told.push(Told::Other(row.job.app, text));
        }
    }
    Ok(told)
}

/// Runs that were made before this instant and have not begun do not begin any more.
fn too_late(engine: &Engine) -> WallMillis {
    WallMillis(engine.now().0.saturating_sub(GRACE_SECONDS * 1000))
}

/// Asked in the transaction that records its start.
pub(super) fn may_start(engine: &Engine, row: &JobRow) -> bool {
    row.job.kind != JobKind::Cron || row.job.created_at >= too_late(engine)
}

fn deal_with(engine: &Engine, writer: &Writer<'_>, id: CronId) -> Result<Vec<Told>, Error> {
    let now = engine.now();
    let Some(row) = writer.cron_entry(id)? else { return Ok(Vec::new()) };
    let next = |after| row.entry.schedule.next_after(after, &row.entry.timezone);
    if row.dealt_until > now {
        writer.set_cron_progress(id, now, next(now))?;
        return Ok(Vec::new());
    }
    // After a clock was put back, instants that were dealt with may come again.
    let newest = writer.newest_cron_instant(id, now)?.unwrap_or_default();
    let come = due(&row.entry.schedule, &row.entry.timezone, row.dealt_until.max(newest), now);
    let mut told = Vec::new();
    if let Some(missed) = come.missed {
        told.push(miss(engine, writer, &row, missed)?);
    }
    if let Some(due_at) = come.run {
        told.extend(run(engine, writer, &row, due_at)?);
    }
    writer.set_cron_progress(id, come.until, next(come.until))?;
    Ok(told)
}

fn miss(engine: &Engine, writer: &Writer<'_>, row: &CronRow, missed: Missed) -> Result<Told, Error> {
    let outcome = RunOutcome::Missed { count: missed.count };
    keep_run(engine, writer, row.id, Some(missed.first), &outcome)?;
    let (command, first) = (&row.entry.command, in_words(missed.first));
    let runs = match missed.count {
        1 => format!("the run of `{command}` that was due at {first}"),
        MOST_COUNTED.. => format!("{MOST_COUNTED} runs or more of `{command}`, the first due at {first},"),
        count => format!("{count} runs of `{command}`, the first due at {first},"),
    };
    Ok(Told::Other(
        row.app,
        format!("Missed {runs} and did not start it later: nothing looked at the time then"),
    ))
}

fn run(
    engine: &Engine,
    writer: &Writer<'_>,
    row: &CronRow,
    due_at: WallMillis,
) -> Result<Option<Told>, Error> {
    if writer.is_cron_instant_dealt_with(row.id, due_at)? {
        return Ok(None);
    }
    let command = &row.entry.command;
    match begin(engine, writer, &Context::system("cron"), row, Some(due_at))? {
        Begun::Started { name, .. } => {
            Ok(Some(Told::Started(row.app, format!("Starting process {name} with command `{command}`"))))
        }
        Begun::Skipped(reason) => {
            let outcome = RunOutcome::Skipped { reason: reason.to_string() };
            keep_run(engine, writer, row.id, Some(due_at), &outcome)?;
            let due_at = in_words(due_at);
            Ok(Some(Told::Other(
                row.app,
                format!("Skipped the run of `{command}` due at {due_at}: {reason}"),
            )))
        }
    }
}

fn tell(engine: &Engine, told: Told) {
    match told {
        Told::Started(app, text) => log_by_actor(engine, &Context::system("cron"), app, &text),
        Told::Other(app, text) => log_api(engine, app, text),
    }
}
