//! The first minutes of releases: how often their processes crashed, and which releases were given up for it.

use crate::error::Result;
use crate::sql::{number, parsed, small_number};
use crate::{Reader, Writer};
use domain::ids::{AppId, ReleaseId};
use domain::time::{BootId, BootMillis};
use std::collections::{BTreeMap, BTreeSet};

/// A release that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialRow {
    /// When it was promoted.
    pub since: BootMillis,
    pub crashes: u32,
}

impl Reader<'_> {
    /// Of all releases that serve and were promoted in this boot.
    pub fn all_trials(&self, boot: &BootId) -> Result<BTreeMap<ReleaseId, TrialRow>> {
        let sql = "SELECT promotions.release_id, boot_at, coalesce(crashes, 0) AS crashes
            FROM promotions LEFT JOIN trials ON trials.release_id = promotions.release_id
            WHERE boot_id = ?1 AND sequence IN (SELECT max(sequence) FROM promotions GROUP BY app_id)";
        let rows = self.all(sql, [&boot.0], |row| {
            let since = BootMillis(number(row, "boot_at")?);
            Ok((parsed(row, "release_id")?, TrialRow { since, crashes: small_number(row, "crashes")? }))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// The app's releases that were given up for their crashes.
    pub fn given_up(&self, app: AppId) -> Result<BTreeSet<ReleaseId>> {
        let sql = "SELECT release_id FROM trials WHERE app_id = ?1 AND given_up_for IS NOT NULL";
        Ok(self.all(sql, [app.to_string()], |row| parsed(row, "release_id"))?.into_iter().collect())
    }

    /// Whether another release was given up for this one.
    pub fn is_substitute(&self, app: AppId, release: ReleaseId) -> Result<bool> {
        let sql = "SELECT count(*) FROM trials WHERE app_id = ?1 AND given_up_for = ?2";
        Ok(self.count(sql, (app.to_string(), release.to_string()))? > 0)
    }
}

impl Writer<'_> {
    /// One more crash in the release's first minutes.
    pub fn count_trial_crash(&self, app: AppId, release: ReleaseId) -> Result<()> {
        let sql = "INSERT INTO trials (release_id, app_id, crashes) VALUES (?1, ?2, 1)
            ON CONFLICT (release_id) DO UPDATE SET crashes = crashes + 1";
        self.run(sql, (release.to_string(), app.to_string())).map(drop)
    }

    pub fn give_up(&self, app: AppId, release: ReleaseId, substitute: ReleaseId) -> Result<()> {
        let sql = "INSERT INTO trials (release_id, app_id, crashes, given_up_for) VALUES (?1, ?2, 0, ?3)
            ON CONFLICT (release_id) DO UPDATE SET given_up_for = ?3";
        self.run(sql, (release.to_string(), app.to_string(), substitute.to_string())).map(drop)
    }
}
