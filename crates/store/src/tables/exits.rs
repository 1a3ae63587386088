//! Ends of processes, recorded once each. Only a process whose end is here may be cleaned up.

use crate::error::Result;
use crate::sql::{int, json, json_optional, parsed, to_json, wall};
use crate::{Reader, Writer};
use domain::ids::{AppId, ProcessId};
use domain::process::{Exit, Purpose};
use domain::time::{BootId, WallMillis};
use rusqlite::Row;
use std::collections::BTreeSet;

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitRow {
    pub process: ProcessId,
    pub app: AppId,
    pub purpose: Purpose,
    /// `None`: nobody saw how.
    pub exit: Option<Exit>,
    pub recorded_at: WallMillis,
}

const COLUMNS: &str = "SELECT process_id, app_id, purpose, exit, recorded_at FROM exits";

fn read(row: &Row<'_>) -> rusqlite::Result<ExitRow> {
    Ok(ExitRow {
        process: parsed(row, "process_id")?,
        app: parsed(row, "app_id")?,
        purpose: json(row, "purpose")?,
        exit: json_optional(row, "exit")?,
        recorded_at: wall(row, "recorded_at")?,
    })
}

impl Reader<'_> {
    pub fn exit(&self, process: ProcessId) -> Result<Option<ExitRow>> {
        self.one(&format!("{COLUMNS} WHERE process_id = ?1"), [process.to_string()], read)
    }

    /// Of an app, newest first.
    pub fn exits_of(&self, app: AppId, limit: usize) -> Result<Vec<ExitRow>> {
        let sql = format!("{COLUMNS} WHERE app_id = ?1 ORDER BY recorded_at DESC, process_id LIMIT ?2");
        self.all(&sql, (app.to_string(), limit as i64), read)
    }

    /// Recorded ends of which something may still be observed.
    pub fn recorded_exits(&self) -> Result<BTreeSet<ProcessId>> {
        let sql = "SELECT process_id FROM exits WHERE gone = 0";
        Ok(self.all(sql, (), |row| parsed(row, "process_id"))?.into_iter().collect())
    }
}

impl Writer<'_> {
    /// `false` if it was recorded before.
    pub fn record_exit(&self, row: &ExitRow, boot: &BootId) -> Result<bool> {
        let sql = "INSERT INTO exits (process_id, app_id, purpose, exit, boot_id, gone, recorded_at)
            VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6) ON CONFLICT (process_id) DO NOTHING";
        let purpose = to_json("exit", &row.purpose)?;
        let exit = row.exit.as_ref().map(|exit| to_json("exit", exit)).transpose()?;
        let (process, app) = (row.process.to_string(), row.app.to_string());
        let new = self.run(sql, (&process, app, purpose, exit, &boot.0, int(row.recorded_at.0)))? == 1;
        if !new {
            self.run("UPDATE exits SET gone = 0 WHERE process_id = ?1", [process])?;
        }
        Ok(new)
    }

    /// Nothing of this process is observed any more.
    pub fn set_exit_gone(&self, process: ProcessId) -> Result<()> {
        self.run("UPDATE exits SET gone = 1 WHERE process_id = ?1", [process.to_string()]).map(drop)
    }

    pub fn forget_exits_before(&self, at: WallMillis) -> Result<usize> {
        self.run("DELETE FROM exits WHERE gone = 1 AND recorded_at < ?1", [int(at.0)])
    }
}
