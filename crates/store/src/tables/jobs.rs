//! Jobs: one-off processes and release phases. A job's start is recorded once, by compare-and-set, before its process is spawned.

use crate::error::Result;
use crate::seal::Nonce;
use crate::sql::{
    int, json, json_optional, number, parsed, parsed_optional, small_number, to_json, wall, word,
};
use crate::tables::releases::{decode_vars, encode_vars};
use crate::{Reader, StoreError, Writer};
use domain::formation::Size;
use domain::ids::{AppId, JobId, ProcessId, ReleaseId};
use domain::job::{Job, JobState};
use domain::names::ConfigKey;
use domain::process::{ExitStatus, JobKind};
use domain::secret::Secret;
use domain::time::WallMillis;
use rusqlite::Row;
use rusqlite::types::Type;

/// A job and what only the ledger cares about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    pub job: Job,
    pub size: Size,
    /// It may not start before the person who attaches has come.
    pub held: bool,
}

pub(super) const COLUMNS: &str =
    "SELECT id, app_id, kind, release_id, number, command, streams, size, time_limit_seconds, actor_id, held,
    cancelled, started_process, state, exit_status, created_at, updated_at FROM jobs";

fn kind_word(kind: JobKind) -> &'static str {
    match kind {
        JobKind::OneOff => "one_off",
        JobKind::ReleasePhase => "release_phase",
        JobKind::Cron => "cron",
    }
}

fn read_kind(word: &str) -> Option<JobKind> {
    JobKind::ALL.into_iter().find(|kind| kind_word(*kind) == word)
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    let size: Size = parsed(row, "size")?;
    let job = Job {
        id: parsed(row, "id")?,
        app: parsed(row, "app_id")?,
        kind: word(row, "kind", read_kind)?,
        release: parsed(row, "release_id")?,
        number: small_number(row, "number")?,
        command: row.get("command")?,
        streams: json(row, "streams")?,
        limits: size.limits(),
        time_limit_seconds: number(row, "time_limit_seconds")?,
        actor: parsed_optional(row, "actor_id")?,
        created_at: wall(row, "created_at")?,
        updated_at: wall(row, "updated_at")?,
        cancelled: row.get("cancelled")?,
        state: read_state(row)?,
    };
    Ok(JobRow { job, size, held: row.get("held")? })
}

fn read_state(row: &Row<'_>) -> rusqlite::Result<JobState> {
    let state: String = row.get("state")?;
    let process: Option<ProcessId> = parsed_optional(row, "started_process")?;
    let status: Option<ExitStatus> = json_optional(row, "exit_status")?;
    match (state.as_str(), process, status) {
        ("waiting", None, None) => Ok(JobState::Waiting),
        ("started", Some(process), None) => Ok(JobState::Started { process }),
        ("ended", Some(process), Some(status)) => Ok(JobState::Ended { process, status }),
        ("lost", Some(process), None) => Ok(JobState::Lost { process }),
        ("never_started", None, None) => Ok(JobState::NeverStarted),
        _ => {
            let detail = format!("state {state:?} of a job does not fit its process and exit").into();
            Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Text, detail))
        }
    }
}

fn environment_place(app: AppId, job: JobId) -> String {
    format!("environment of app {app} job {job}")
}

impl Reader<'_> {
    pub fn job(&self, id: JobId) -> Result<Option<JobRow>> {
        self.one(&format!("{COLUMNS} WHERE id = ?1"), [id.to_string()], read)
    }

    pub fn job_of_process(&self, process: ProcessId) -> Result<Option<JobRow>> {
        self.one(&format!("{COLUMNS} WHERE started_process = ?1"), [process.to_string()], read)
    }

    pub fn job_by_number(&self, app: AppId, kind: JobKind, number: u32) -> Result<Option<JobRow>> {
        let sql = format!("{COLUMNS} WHERE app_id = ?1 AND kind = ?2 AND number = ?3");
        self.one(&sql, (app.to_string(), kind_word(kind), number), read)
    }

    /// In order of creation, those that have not ended.
    pub fn unfinished_jobs(&self, app: AppId) -> Result<Vec<JobRow>> {
        let sql = format!(
            "{COLUMNS} WHERE app_id = ?1 AND state IN ('waiting', 'started') ORDER BY created_at, id"
        );
        self.all(&sql, [app.to_string()], read)
    }

    pub fn release_phase_job(&self, release: ReleaseId) -> Result<Option<JobRow>> {
        self.one(
            &format!("{COLUMNS} WHERE release_id = ?1 AND kind = 'release_phase'"),
            [release.to_string()],
            read,
        )
    }

    pub fn newest_one_off_number(&self, app: AppId) -> Result<u32> {
        self.newest_job_number(app, JobKind::OneOff)
    }

    /// 0 before the first.
    pub fn newest_job_number(&self, app: AppId, kind: JobKind) -> Result<u32> {
        let sql = "SELECT coalesce(max(number), 0) FROM jobs WHERE app_id = ?1 AND kind = ?2";
        Ok(self.count(sql, (app.to_string(), kind_word(kind)))? as u32)
    }

    /// Vars of this job alone.
    pub fn job_environment(&self, app: AppId, job: JobId) -> Result<Vec<(ConfigKey, Secret<String>)>> {
        let sql = "SELECT environment FROM jobs WHERE id = ?1 AND app_id = ?2";
        let params = (job.to_string(), app.to_string());
        let sealed = self.one(sql, params, |row| row.get::<_, Option<Vec<u8>>>("environment"))?.flatten();
        let Some(sealed) = sealed else { return Ok(Vec::new()) };
        let place = environment_place(app, job);
        decode_vars(&place, &self.app_key(app)?.open(&place, &sealed)?)
    }
}

impl Writer<'_> {
    /// A new job, waiting. `row.job.state` is not looked at.
    pub fn insert_job(
        &self,
        row: &JobRow,
        environment: &[(ConfigKey, Secret<String>)],
        nonce: &Nonce,
    ) -> Result<()> {
        let job = &row.job;
        let sealed = self.seal_environment(job, environment, nonce)?;
        let sql =
            "INSERT INTO jobs (id, app_id, kind, release_id, number, command, environment, streams, size,
            time_limit_seconds, actor_id, held, state, created_at, updated_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'waiting', ?13, ?13)";
        self.run(
            sql,
            rusqlite::params![
                job.id.to_string(),
                job.app.to_string(),
                kind_word(job.kind),
                job.release.to_string(),
                job.number,
                job.command,
                sealed,
                to_json("job", &job.streams)?,
                row.size.name(),
                int(job.time_limit_seconds),
                job.actor.map(|id| id.to_string()),
                row.held,
                int(job.created_at.0),
            ],
        )
        .map(drop)
    }

    fn seal_environment(
        &self,
        job: &Job,
        environment: &[(ConfigKey, Secret<String>)],
        nonce: &Nonce,
    ) -> Result<Option<Vec<u8>>> {
        if environment.is_empty() {
            return Ok(None);
        }
        let place = environment_place(job.app, job.id);
        let plain = encode_vars(&place, environment.iter().map(|(key, value)| (key, value)))?;
        self.app_key(job.app)?.seal(&place, nonce, &plain).map(Some)
    }

    /// Records that `process` is about to be spawned for this job. Only the first call for a job that is wanted gets `true`.
    pub fn start_job(&self, job: JobId, process: ProcessId, now: WallMillis) -> Result<bool> {
        let sql = "UPDATE jobs SET started_process = ?2, state = 'started', updated_at = ?3
            WHERE id = ?1 AND state = 'waiting' AND started_process IS NULL AND cancelled = 0 AND held = 0";
        Ok(self.run(sql, (job.to_string(), process.to_string(), int(now.0)))? == 1)
    }

    /// Records a process that is running for a job that this ledger never saw start.
    pub fn adopt_job(&self, job: JobId, process: ProcessId, now: WallMillis) -> Result<bool> {
        let sql = "UPDATE jobs SET started_process = ?2, state = 'started', held = 0, updated_at = ?3
            WHERE id = ?1 AND state = 'waiting' AND started_process IS NULL";
        Ok(self.run(sql, (job.to_string(), process.to_string(), int(now.0)))? == 1)
    }

    /// The person who attaches has come.
    pub fn release_held_job(&self, job: JobId, now: WallMillis) -> Result<bool> {
        let sql =
            "UPDATE jobs SET held = 0, updated_at = ?2 WHERE id = ?1 AND held = 1 AND state = 'waiting'";
        Ok(self.run(sql, (job.to_string(), int(now.0)))? == 1)
    }

    /// `true` if that is news and the job has not ended.
    pub fn cancel_job(&self, job: JobId, now: WallMillis) -> Result<bool> {
        let sql = "UPDATE jobs SET cancelled = 1, held = 0, updated_at = ?2
            WHERE id = ?1 AND cancelled = 0 AND state IN ('waiting', 'started')";
        Ok(self.run(sql, (job.to_string(), int(now.0)))? == 1)
    }

    /// Jobs that nobody has come for since `before`.
    pub fn cancel_held_jobs(&self, before: WallMillis, now: WallMillis) -> Result<usize> {
        let sql = "UPDATE jobs SET cancelled = 1, held = 0, updated_at = ?2
            WHERE held = 1 AND cancelled = 0 AND state = 'waiting' AND created_at < ?1";
        self.run(sql, (int(before.0), int(now.0)))
    }

    /// Records how a job ended. `false` if that was recorded before.
    pub fn end_job(&self, job: JobId, state: &JobState, now: WallMillis) -> Result<bool> {
        let (word, status, from) = match state {
            JobState::Ended { status, .. } => ("ended", Some(to_json("job", status)?), "started"),
            JobState::Lost { .. } => ("lost", None, "started"),
            JobState::NeverStarted => ("never_started", None, "waiting"),
            JobState::Waiting | JobState::Started { .. } => {
                let detail = format!("job {job} cannot end as {state:?}");
                return Err(StoreError::Content { table: "job", detail });
            }
        };
        let sql =
            "UPDATE jobs SET state = ?2, exit_status = ?3, updated_at = ?5 WHERE id = ?1 AND state = ?4";
        Ok(self.run(sql, (job.to_string(), word, status, from, int(now.0)))? == 1)
    }
}
