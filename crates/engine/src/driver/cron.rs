//! Starts what is due. Before each pass of the driver, so that the pass finds the jobs.
//!
//! What has come while the server was away, or while the clock was put forward, is dealt with as [`domain::cron::due`] says. When
//! the clock is put back, an entry goes by the clock again, and instants that were dealt with are passed over: their rows are there.

use crate::context::Context;
use crate::cron::{Begun, begin};
use crate::engine::Engine;
use crate::error::Error;
use crate::ops::{log_api, log_by_actor};
use domain::cron::due::{MOST_COUNTED, Missed, due};
use domain::ids::{AppId, CronId};
use domain::time::{WallMillis, in_words};
use store::Writer;
use store::tables::cron::{CronRow, RunOutcome};

/// A line of the app's log.
enum Told {
    Started(AppId, String),
    Other(AppId, String),
}

/// Deals with all that has come. The answer: when to look again.
pub(super) fn before_pass(engine: &Engine) -> Result<Option<WallMillis>, Error> {
    let now = engine.now();
    let pressing = engine.read(|reader| Ok(reader.pressing_cron_entries(now)?))?;
    for entry in pressing {
        for told in engine.write_quietly(|writer| deal_with(engine, writer, entry.id))? {
            tell(engine, told);
        }
    }
    engine.read(|reader| Ok(reader.next_cron_due()?))
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
    writer.insert_cron_run(row.id, Some(missed.first), &outcome, engine.now())?;
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
        Begun::Started { name } => {
            Ok(Some(Told::Started(row.app, format!("Starting process {name} with command `{command}`"))))
        }
        Begun::Skipped(reason) => {
            let outcome = RunOutcome::Skipped { reason: reason.to_string() };
            writer.insert_cron_run(row.id, Some(due_at), &outcome, engine.now())?;
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
