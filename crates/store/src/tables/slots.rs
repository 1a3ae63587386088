//! What people and crashes have done to single places of a formation: stopped, restarted, crashed.

use crate::error::Result;
use crate::sql::{int, number, parsed, small_number};
use crate::{Reader, Writer};
use domain::desired::CrashRecord;
use domain::ids::{AppId, ReleaseId};
use domain::names::ProcessType;
use domain::time::{BootId, BootMillis};

/// Someone asked for new processes of a type, or of one place (`slot` from 1; 0: all).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    pub process_type: ProcessType,
    pub slot: u32,
    pub at: BootMillis,
}

impl Reader<'_> {
    pub fn stopped_slots(&self, app: AppId) -> Result<Vec<(ProcessType, u32)>> {
        let sql = "SELECT process_type, slot FROM stopped_slots WHERE app_id = ?1";
        self.all(sql, [app.to_string()], |row| Ok((parsed(row, "process_type")?, small_number(row, "slot")?)))
    }

    /// Those of this boot.
    pub fn crashes(&self, release: ReleaseId, boot: &BootId) -> Result<Vec<(ProcessType, u32, CrashRecord)>> {
        let sql =
            "SELECT process_type, slot, count, last_exit FROM crashes WHERE release_id = ?1 AND boot_id = ?2";
        self.all(sql, (release.to_string(), &boot.0), |row| {
            let last_exit = BootMillis(number(row, "last_exit")?);
            let record = CrashRecord { count: small_number(row, "count")?, last_exit };
            Ok((parsed(row, "process_type")?, small_number(row, "slot")?, record))
        })
    }
}

impl Writer<'_> {
    pub fn stop_slot(&self, app: AppId, process_type: &ProcessType, slot: u32) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO stopped_slots (app_id, process_type, slot) VALUES (?1, ?2, ?3)";
        self.run(sql, (app.to_string(), process_type.as_str(), slot)).map(drop)
    }

    /// `slot` `None`: every place of the type.
    pub fn unstop_slots(&self, app: AppId, process_type: &ProcessType, slot: Option<u32>) -> Result<()> {
        let sql =
            "DELETE FROM stopped_slots WHERE app_id = ?1 AND process_type = ?2 AND (?3 IS NULL OR slot = ?3)";
        self.run(sql, (app.to_string(), process_type.as_str(), slot)).map(drop)
    }

    pub fn unstop_app(&self, app: AppId) -> Result<()> {
        self.run("DELETE FROM stopped_slots WHERE app_id = ?1", [app.to_string()]).map(drop)
    }

    pub fn put_restart(&self, app: AppId, restart: &Restart, boot: &BootId) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO restarts (app_id, process_type, slot, boot_id, boot_at)
            VALUES (?1, ?2, ?3, ?4, ?5)";
        let (process_type, at) = (restart.process_type.as_str(), int(restart.at.0));
        self.run(sql, (app.to_string(), process_type, restart.slot, &boot.0, at)).map(drop)
    }

    pub fn put_crash(
        &self,
        release: ReleaseId,
        process_type: &ProcessType,
        slot: u32,
        record: &CrashRecord,
        boot: &BootId,
    ) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO crashes (release_id, process_type, slot, count, boot_id, last_exit)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let last_exit = int(record.last_exit.0);
        let process_type = process_type.as_str();
        self.run(sql, (release.to_string(), process_type, slot, record.count, &boot.0, last_exit)).map(drop)
    }

    /// Forgets the crashes of a type's places in all of the app's releases; `slot` `None`: of every place.
    pub fn clear_crashes(&self, app: AppId, process_type: &ProcessType, slot: Option<u32>) -> Result<()> {
        let sql = "DELETE FROM crashes WHERE release_id IN (SELECT id FROM releases WHERE app_id = ?1)
            AND process_type = ?2 AND (?3 IS NULL OR slot = ?3)";
        self.run(sql, (app.to_string(), process_type.as_str(), slot)).map(drop)
    }
}
