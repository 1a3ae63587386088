//! The builders that people chose for an app.

use crate::error::Result;
use crate::sql::parsed;
use crate::{Reader, Writer};
use domain::buildpack::Buildpack;
use domain::ids::AppId;

impl Reader<'_> {
    /// In order; none: nobody chose.
    pub fn buildpacks(&self, app: AppId) -> Result<Vec<Buildpack>> {
        let sql = "SELECT name FROM buildpacks WHERE app_id = ?1 ORDER BY ordinal";
        self.all(sql, [app.to_string()], |row| parsed(row, "name"))
    }
}

impl Writer<'_> {
    /// In place of those before.
    pub fn set_buildpacks(&self, app: AppId, buildpacks: &[Buildpack]) -> Result<()> {
        self.run("DELETE FROM buildpacks WHERE app_id = ?1", [app.to_string()])?;
        for (ordinal, buildpack) in (0_i64..).zip(buildpacks) {
            let sql = "INSERT INTO buildpacks (app_id, ordinal, name) VALUES (?1, ?2, ?3)";
            self.run(sql, (app.to_string(), ordinal, buildpack.as_str()))?;
        }
        Ok(())
    }
}
