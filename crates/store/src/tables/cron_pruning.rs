//! What is forgotten of recurring commands, and what is remembered instead: the instants of rows that are gone, as spans.

use crate::error::Result;
use crate::sql::{int, json, parsed, to_json, wall};
use crate::{Reader, Writer};
use domain::cron::spans::Spans;
use domain::ids::{AppId, CronId};
use domain::time::WallMillis;

/// The row's run has not ended, so that neither it nor its entry can go.
const GOES_ON: &str =
    "EXISTS (SELECT 1 FROM jobs WHERE jobs.id = cron_runs.job_id AND state IN ('waiting', 'started'))";

impl Reader<'_> {
    /// Instants of which the rows are gone.
    pub(super) fn pruned_cron_instants(&self, entry: CronId) -> Result<Spans> {
        let sql = "SELECT pruned FROM cron_entries WHERE id = ?1";
        Ok(self.one(sql, [entry.to_string()], |row| json(row, "pruned"))?.unwrap_or_default())
    }

    fn all_runs_have_ended(&self, entry: CronId) -> Result<bool> {
        let sql = format!("SELECT count(*) FROM cron_runs WHERE entry_id = ?1 AND {GOES_ON}");
        Ok(self.count(&sql, [entry.to_string()])? == 0)
    }
}

impl Writer<'_> {
    /// Keeps the newest rows of an entry and those of jobs that have not ended; of the others their instants.
    pub fn prune_cron_runs(&self, entry: CronId, kept: u32) -> Result<()> {
        let cut =
            "SELECT sequence FROM cron_runs WHERE entry_id = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2";
        let Some(cut) = self.one(cut, (entry.to_string(), kept), |row| row.get::<_, i64>(0))? else {
            return Ok(());
        };
        let old = format!("FROM cron_runs WHERE entry_id = ?1 AND sequence <= ?2 AND NOT {GOES_ON}");
        let of = || (entry.to_string(), cut);
        let instants =
            format!("SELECT due_at {old} AND outcome <> 'missed' AND due_at IS NOT NULL ORDER BY sequence");
        self.remember_pruned(entry, &self.all(&instants, of(), |row| wall(row, "due_at"))?)?;
        // A run goes with its job.
        self.run(&format!("DELETE FROM jobs WHERE id IN (SELECT job_id {old})"), of())?;
        self.run(&format!("DELETE {old}"), of()).map(drop)
    }

    fn remember_pruned(&self, entry: CronId, instants: &[WallMillis]) -> Result<()> {
        if instants.is_empty() {
            return Ok(());
        }
        let mut spans = self.pruned_cron_instants(entry)?;
        instants.iter().for_each(|at| spans.add(*at));
        let sql = "UPDATE cron_entries SET pruned = ?2 WHERE id = ?1";
        self.run(sql, (entry.to_string(), to_json("recurring command", &spans)?)).map(drop)
    }

    /// Forgets entries that were removed before an instant, so many at most, with all that is known of them.
    pub fn prune_removed_cron_entries(&self, before: WallMillis, at_most: u32) -> Result<()> {
        let sql = "SELECT id FROM cron_entries WHERE removed_at < ?1 ORDER BY removed_at LIMIT ?2";
        let removed = self.all(sql, (int(before.0), at_most), |row| parsed(row, "id"))?;
        self.forget_cron_entries(&removed)
    }

    /// Forgets all but the newest so many of an app's removed entries.
    pub fn prune_removed_cron_entries_of(&self, app: AppId, kept: u32) -> Result<()> {
        let sql = "SELECT id FROM cron_entries WHERE app_id = ?1 AND removed_at IS NOT NULL
            ORDER BY removed_at DESC, rowid DESC LIMIT -1 OFFSET ?2";
        let removed = self.all(sql, (app.to_string(), kept), |row| parsed(row, "id"))?;
        self.forget_cron_entries(&removed)
    }

    fn forget_cron_entries(&self, entries: &[CronId]) -> Result<()> {
        for entry in entries {
            if self.all_runs_have_ended(*entry)? {
                let jobs = "DELETE FROM jobs WHERE id IN (SELECT job_id FROM cron_runs WHERE entry_id = ?1)";
                self.run(jobs, [entry.to_string()])?;
                self.run("DELETE FROM cron_entries WHERE id = ?1", [entry.to_string()])?;
            }
        }
        Ok(())
    }
}
