//! Recurring commands of apps, and what became of each instant at which one was due.

use super::jobs::{self, JobRow};
use crate::error::Result;
use crate::sql::{int, number, parsed, parsed_optional, small_number, wall, word};
use crate::{Reader, Writer};
use domain::app_json::cron::{Concurrency, CronEntry};
use domain::cron::entries::Origin;
use domain::ids::{AccountId, AppId, CronId, JobId};
use domain::time::WallMillis;
use rusqlite::Row;
use rusqlite::types::Type;
use std::collections::BTreeMap;

/// An entry of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronRow {
    pub id: CronId,
    pub app: AppId,
    pub origin: Origin,
    pub entry: CronEntry,
    pub created_at: WallMillis,
    /// Instants up to here have been dealt with.
    pub dealt_until: WallMillis,
    /// The first after that.
    pub next_due: Option<WallMillis>,
}

/// What became of an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub sequence: u64,
    pub entry: CronId,
    /// `None`: it was started by hand.
    pub due_at: Option<WallMillis>,
    pub at: WallMillis,
    pub outcome: RunOutcome,
}

/// Whether something was started, and if not why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOutcome {
    Started {
        job: JobId,
    },
    Skipped {
        reason: String,
    },
    /// That many instants from this one on.
    Missed {
        count: u32,
    },
}

/// What an unfinished job is a run of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOf {
    pub entry: CronId,
    /// Whether it takes the place of the run before it.
    pub replaces: bool,
}

/// A run with the command that it was a run of, and its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    pub run: RunRow,
    pub command: String,
    pub job: Option<JobRow>,
}

const ENTRIES: &str = "SELECT id, app_id, origin, command, schedule, timezone, concurrency, created_at, dealt_until, next_due FROM cron_entries";
const RUNS: &str = "SELECT sequence, entry_id, due_at, at, outcome, job_id, reason, count FROM cron_runs";

fn read_entry(row: &Row<'_>) -> rusqlite::Result<CronRow> {
    let entry = CronEntry {
        command: row.get("command")?,
        schedule: parsed(row, "schedule")?,
        timezone: parsed(row, "timezone")?,
        concurrency: word(row, "concurrency", Concurrency::from_word)?,
    };
    Ok(CronRow {
        id: parsed(row, "id")?,
        app: parsed(row, "app_id")?,
        origin: word(row, "origin", Origin::from_word)?,
        entry,
        created_at: wall(row, "created_at")?,
        dealt_until: wall(row, "dealt_until")?,
        next_due: wall_optional(row, "next_due")?,
    })
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let (outcome, job): (String, _) = (row.get("outcome")?, parsed_optional(row, "job_id")?);
    let reason: Option<String> = row.get("reason")?;
    let outcome = match (outcome.as_str(), job, reason) {
        ("started", Some(job), None) => RunOutcome::Started { job },
        ("skipped", None, Some(reason)) => RunOutcome::Skipped { reason },
        // With a job: it was not started in time.
        ("missed", _, None) => RunOutcome::Missed { count: small_number(row, "count")? },
        _ => {
            let detail = format!("outcome {outcome:?} of a scheduled run does not fit its columns").into();
            return Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Text, detail));
        }
    };
    Ok(RunRow {
        sequence: number(row, "sequence")?,
        entry: parsed(row, "entry_id")?,
        due_at: wall_optional(row, "due_at")?,
        at: wall(row, "at")?,
        outcome,
    })
}

fn wall_optional(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<WallMillis>> {
    match row.get::<_, Option<i64>>(column)? {
        Some(_) => wall(row, column).map(Some),
        None => Ok(None),
    }
}

impl Reader<'_> {
    /// Those that have not been removed, oldest first.
    pub fn cron_entries(&self, app: AppId) -> Result<Vec<CronRow>> {
        let sql = format!("{ENTRIES} WHERE app_id = ?1 AND removed_at IS NULL ORDER BY created_at, rowid");
        self.all(&sql, [app.to_string()], read_entry)
    }

    /// Of all apps. Each is read by itself: one that this version cannot read shall not stand in the way of the others.
    pub fn cron_entry_ids(&self) -> Result<Vec<CronId>> {
        self.all("SELECT id FROM cron_entries WHERE removed_at IS NULL", (), |row| parsed(row, "id"))
    }

    /// Of an app, those of one origin, oldest first.
    pub fn cron_entry_ids_of(&self, app: AppId, origin: Origin) -> Result<Vec<CronId>> {
        let sql = "SELECT id FROM cron_entries WHERE app_id = ?1 AND origin = ?2 AND removed_at IS NULL
            ORDER BY created_at, rowid";
        self.all(sql, (app.to_string(), origin.as_word()), |row| parsed(row, "id"))
    }

    pub fn cron_entry(&self, id: CronId) -> Result<Option<CronRow>> {
        let sql = format!("{ENTRIES} WHERE id = ?1 AND removed_at IS NULL");
        self.one(&sql, [id.to_string()], read_entry)
    }

    /// Those that are due, and those that are ahead of the clock since that was put back. What was due first comes first.
    pub fn pressing_cron_entries(&self, now: WallMillis) -> Result<Vec<CronId>> {
        let sql = "SELECT id, next_due FROM cron_entries WHERE removed_at IS NULL AND next_due <= ?1
            UNION SELECT id, next_due FROM cron_entries WHERE removed_at IS NULL AND dealt_until > ?1
            ORDER BY next_due, id";
        self.all(sql, [int(now.0)], |row| parsed(row, "id"))
    }

    /// When the next entry of all is due that is not yet.
    pub fn next_cron_due(&self, now: WallMillis) -> Result<Option<WallMillis>> {
        let sql =
            "SELECT min(next_due) AS next_due FROM cron_entries WHERE removed_at IS NULL AND next_due > ?1";
        Ok(self.one(sql, [int(now.0)], |row| wall_optional(row, "next_due"))?.flatten())
    }

    /// Whether this instant was run or skipped.
    pub fn is_cron_instant_dealt_with(&self, entry: CronId, due_at: WallMillis) -> Result<bool> {
        let sql =
            "SELECT count(*) FROM cron_runs WHERE entry_id = ?1 AND due_at = ?2 AND outcome <> 'missed'";
        let has_row = self.count(sql, (entry.to_string(), int(due_at.0)))? > 0;
        Ok(has_row || self.pruned_cron_instants(entry)?.contains(due_at))
    }

    /// The latest instant, none later than `at_most`, that was run or skipped.
    pub fn newest_cron_instant(&self, entry: CronId, at_most: WallMillis) -> Result<Option<WallMillis>> {
        let sql = "SELECT max(due_at) AS due_at FROM cron_runs WHERE entry_id = ?1 AND due_at <= ?2 AND outcome <> 'missed'";
        let of_rows =
            self.one(sql, (entry.to_string(), int(at_most.0)), |row| wall_optional(row, "due_at"))?.flatten();
        Ok(of_rows.max(self.pruned_cron_instants(entry)?.newest(at_most)))
    }

    /// What was recorded of an app's entries, removed ones included, newest first.
    pub fn cron_history(&self, app: AppId, entry: Option<CronId>, at_most: u32) -> Result<Vec<HistoryRow>> {
        let sql = format!(
            "{RUNS} WHERE entry_id IN (SELECT id FROM cron_entries WHERE app_id = ?1 AND (?2 IS NULL OR id = ?2))
            ORDER BY sequence DESC LIMIT ?3"
        );
        let params = (app.to_string(), entry.map(|entry| entry.to_string()), at_most);
        let runs = self.all(&sql, params, read_run)?;
        runs.into_iter().map(|run| self.with_job(run)).collect()
    }

    fn with_job(&self, run: RunRow) -> Result<HistoryRow> {
        let sql = "SELECT command FROM cron_entries WHERE id = ?1";
        let command = self.one(sql, [run.entry.to_string()], |row| row.get("command"))?.unwrap_or_default();
        let job = match run.outcome {
            RunOutcome::Started { job } => self.job(job)?,
            RunOutcome::Skipped { .. } | RunOutcome::Missed { .. } => None,
        };
        Ok(HistoryRow { run, command, job })
    }

    /// Runs of an entry that have not ended, oldest first.
    pub fn unfinished_cron_jobs(&self, entry: CronId) -> Result<Vec<JobRow>> {
        let sql = format!(
            "{} WHERE state IN ('waiting', 'started') AND id IN (SELECT job_id FROM cron_runs WHERE entry_id = ?1)
            ORDER BY created_at, id",
            jobs::COLUMNS
        );
        self.all(&sql, [entry.to_string()], jobs::read)
    }

    /// Which entries the unfinished jobs of all apps are runs of.
    pub fn entries_of_unfinished_jobs(&self) -> Result<BTreeMap<JobId, RunOf>> {
        let sql = "SELECT job_id, entry_id, concurrency = 'replace' AS replaces FROM jobs JOIN cron_runs ON job_id = jobs.id
            JOIN cron_entries ON cron_entries.id = entry_id WHERE state IN ('waiting', 'started')";
        let rows = self.all(sql, (), |row| {
            let run_of = RunOf { entry: parsed(row, "entry_id")?, replaces: row.get("replaces")? };
            Ok((parsed(row, "job_id")?, run_of))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// Runs of all entries of an app that have not ended.
    pub fn unfinished_cron_jobs_of_app(&self, app: AppId) -> Result<u64> {
        let sql = "SELECT count(*) FROM jobs WHERE app_id = ?1 AND kind = 'cron' AND state IN ('waiting', 'started')";
        self.count(sql, [app.to_string()])
    }

    /// The same of all of an owner's apps.
    pub fn unfinished_cron_jobs_of_owner(&self, owner: AccountId) -> Result<u64> {
        let sql = "SELECT count(*) FROM jobs WHERE app_id IN (SELECT id FROM apps WHERE owner_id = ?1)
            AND kind = 'cron' AND state IN ('waiting', 'started')";
        self.count(sql, [owner.to_string()])
    }

    /// The run that a job is of.
    pub fn cron_run_of_job(&self, job: JobId) -> Result<Option<HistoryRow>> {
        let run = self.one(&format!("{RUNS} WHERE job_id = ?1"), [job.to_string()], read_run)?;
        run.map(|run| self.with_job(run)).transpose()
    }

    /// Runs that were to start before an instant, have not and still may.
    pub fn waiting_cron_runs(&self, made_before: WallMillis) -> Result<Vec<HistoryRow>> {
        let sql = format!(
            "{RUNS} WHERE job_id IN (SELECT id FROM jobs WHERE state IN ('waiting', 'started') AND state = 'waiting'
            AND kind = 'cron' AND cancelled = 0 AND created_at < ?1)"
        );
        let runs = self.all(&sql, [int(made_before.0)], read_run)?;
        runs.into_iter().map(|run| self.with_job(run)).collect()
    }
}

impl Writer<'_> {
    pub fn insert_cron_entry(&self, row: &CronRow) -> Result<()> {
        let sql = "INSERT INTO cron_entries (id, app_id, origin, command, schedule, timezone, concurrency, created_at,
            dealt_until, next_due) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let entry = &row.entry;
        self.run(
            sql,
            (
                row.id.to_string(),
                row.app.to_string(),
                row.origin.as_word(),
                &entry.command,
                entry.schedule.as_str(),
                entry.timezone.name(),
                entry.concurrency.as_word(),
                int(row.created_at.0),
                int(row.dealt_until.0),
                row.next_due.map(|at| int(at.0)),
            ),
        )
        .map(drop)
    }

    /// The same entry with another content.
    pub fn change_cron_entry(&self, id: CronId, entry: &CronEntry) -> Result<()> {
        let sql = "UPDATE cron_entries SET command = ?2, schedule = ?3, timezone = ?4, concurrency = ?5 WHERE id = ?1";
        let words = (entry.schedule.as_str(), entry.timezone.name(), entry.concurrency.as_word());
        self.run(sql, (id.to_string(), &entry.command, words.0, words.1, words.2)).map(drop)
    }

    /// What has been dealt with, and what comes next.
    pub fn set_cron_progress(
        &self,
        id: CronId,
        dealt_until: WallMillis,
        next_due: Option<WallMillis>,
    ) -> Result<()> {
        let sql = "UPDATE cron_entries SET dealt_until = ?2, next_due = ?3 WHERE id = ?1";
        self.run(sql, (id.to_string(), int(dealt_until.0), next_due.map(|at| int(at.0)))).map(drop)
    }

    /// `false`: it was removed before.
    pub fn remove_cron_entry(&self, id: CronId, now: WallMillis) -> Result<bool> {
        let sql =
            "UPDATE cron_entries SET removed_at = ?2, next_due = NULL WHERE id = ?1 AND removed_at IS NULL";
        Ok(self.run(sql, (id.to_string(), int(now.0)))? == 1)
    }

    /// An instant that has a row already is an error, and the transaction with it: nothing is started twice.
    pub fn insert_cron_run(
        &self,
        entry: CronId,
        due_at: Option<WallMillis>,
        outcome: &RunOutcome,
        now: WallMillis,
    ) -> Result<()> {
        let (word, job, reason, count) = match outcome {
            RunOutcome::Started { job } => ("started", Some(job.to_string()), None, 1),
            RunOutcome::Skipped { reason } => ("skipped", None, Some(reason.as_str()), 1),
            RunOutcome::Missed { count } => ("missed", None, None, *count),
        };
        let sql = "INSERT INTO cron_runs (entry_id, due_at, at, outcome, job_id, reason, count) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let due_at = due_at.map(|at| int(at.0));
        self.run(sql, (entry.to_string(), due_at, int(now.0), word, job, reason, count)).map(drop)
    }

    /// The run was not started in time: what was to be its job has been cancelled.
    pub fn miss_cron_run(&self, sequence: u64) -> Result<()> {
        let sql = "UPDATE cron_runs SET outcome = 'missed' WHERE sequence = ?1 AND outcome = 'started'";
        self.run(sql, [int(sequence)]).map(drop)
    }
}
