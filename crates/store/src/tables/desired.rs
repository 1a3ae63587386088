//! Facts of all apps at once: what the driver reads before every pass, in a number of queries that does not grow with the apps.

use super::jobs;
use super::slots::Restart;
use crate::Reader;
use crate::error::Result;
use crate::sql::{number, parsed, parsed_optional, small_number};
use domain::desired::CrashRecord;
use domain::formation::{Formation, Quantity};
use domain::ids::{AppId, ReleaseId};
use domain::names::{HostName, ProcessType};
use domain::time::{BootId, BootMillis};
use std::collections::BTreeMap;

/// The two releases of an app that may matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub current: Option<ReleaseId>,
    pub head: Option<ReleaseId>,
}

/// What is known of a release's places.
pub type Crashes = BTreeMap<ProcessType, BTreeMap<u32, CrashRecord>>;

impl Reader<'_> {
    pub fn standings(&self) -> Result<BTreeMap<AppId, Standing>> {
        let sql = "SELECT id,
            (SELECT release_id FROM promotions WHERE app_id = apps.id ORDER BY sequence DESC LIMIT 1) AS current,
            (SELECT id FROM releases WHERE app_id = apps.id ORDER BY version DESC LIMIT 1) AS head FROM apps";
        let rows = self.all(sql, (), |row| {
            let standing =
                Standing { current: parsed_optional(row, "current")?, head: parsed_optional(row, "head")? };
            Ok((parsed(row, "id")?, standing))
        })?;
        Ok(rows.into_iter().collect())
    }

    pub fn all_formations(&self) -> Result<BTreeMap<AppId, Formation>> {
        let mut all: BTreeMap<AppId, Formation> = BTreeMap::new();
        let rows = self.all("SELECT app_id, process_type, quantity, size FROM formation", (), |row| {
            let quantity = Quantity { quantity: small_number(row, "quantity")?, size: parsed(row, "size")? };
            Ok((parsed(row, "app_id")?, parsed::<ProcessType>(row, "process_type")?, quantity))
        })?;
        for (app, process_type, quantity) in rows {
            all.entry(app).or_default().insert(process_type, quantity);
        }
        Ok(all)
    }

    pub fn all_stopped_slots(&self) -> Result<BTreeMap<AppId, Vec<(ProcessType, u32)>>> {
        let rows = self.all("SELECT app_id, process_type, slot FROM stopped_slots", (), |row| {
            Ok((parsed(row, "app_id")?, (parsed(row, "process_type")?, small_number(row, "slot")?)))
        })?;
        Ok(grouped(rows))
    }

    /// Those of this boot.
    pub fn all_restarts(&self, boot: &BootId) -> Result<BTreeMap<AppId, Vec<Restart>>> {
        let sql = "SELECT app_id, process_type, slot, boot_at FROM restarts WHERE boot_id = ?1";
        let rows = self.all(sql, [&boot.0], |row| {
            let at = BootMillis(number(row, "boot_at")?);
            let restart =
                Restart { process_type: parsed(row, "process_type")?, slot: small_number(row, "slot")?, at };
            Ok((parsed(row, "app_id")?, restart))
        })?;
        Ok(grouped(rows))
    }

    /// Those of this boot.
    pub fn all_crashes(&self, boot: &BootId) -> Result<BTreeMap<ReleaseId, Crashes>> {
        let sql = "SELECT release_id, process_type, slot, count, last_exit FROM crashes WHERE boot_id = ?1";
        let rows = self.all(sql, [&boot.0], |row| {
            let last_exit = BootMillis(number(row, "last_exit")?);
            let record = CrashRecord { count: small_number(row, "count")?, last_exit };
            Ok((parsed(row, "release_id")?, parsed(row, "process_type")?, small_number(row, "slot")?, record))
        })?;
        let mut all: BTreeMap<ReleaseId, Crashes> = BTreeMap::new();
        for (release, process_type, slot, record) in rows {
            all.entry(release).or_default().entry(process_type).or_default().insert(slot, record);
        }
        Ok(all)
    }

    /// In order of creation within each app.
    pub fn all_unfinished_jobs(&self) -> Result<BTreeMap<AppId, Vec<jobs::JobRow>>> {
        let sql = format!("{} WHERE state IN ('waiting', 'started') ORDER BY created_at, id", jobs::COLUMNS);
        let rows = self.all(&sql, (), jobs::read)?;
        Ok(grouped(rows.into_iter().map(|row| (row.job.app, row)).collect()))
    }

    pub fn all_hostnames(&self) -> Result<BTreeMap<AppId, Vec<HostName>>> {
        let rows = self.all("SELECT app_id, hostname FROM domains ORDER BY hostname", (), |row| {
            Ok((parsed(row, "app_id")?, parsed(row, "hostname")?))
        })?;
        Ok(grouped(rows))
    }
}

fn grouped<T>(rows: Vec<(AppId, T)>) -> BTreeMap<AppId, Vec<T>> {
    let mut all: BTreeMap<AppId, Vec<T>> = BTreeMap::new();
    for (app, row) in rows {
        all.entry(app).or_default().push(row);
    }
    all
}
