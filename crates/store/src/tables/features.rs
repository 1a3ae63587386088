//! What apps have switched on.

use crate::error::Result;
use crate::sql::{int, wall, word};
use crate::{Reader, Writer};
use domain::feature::Feature;
use domain::ids::AppId;
use domain::time::WallMillis;
use std::collections::BTreeMap;

impl Reader<'_> {
    /// Those that are on, and since when.
    pub fn features(&self, app: AppId) -> Result<BTreeMap<Feature, WallMillis>> {
        let sql = "SELECT feature, enabled_at FROM app_features WHERE app_id = ?1";
        let rows = self.all(sql, [app.to_string()], |row| {
            Ok((word(row, "feature", Feature::from_name)?, wall(row, "enabled_at")?))
        })?;
        Ok(rows.into_iter().collect())
    }
}

impl Writer<'_> {
    /// `false` if it was on before.
    pub fn enable_feature(&self, app: AppId, feature: Feature, now: WallMillis) -> Result<bool> {
        let sql = "INSERT INTO app_features (app_id, feature, enabled_at) VALUES (?1, ?2, ?3)
            ON CONFLICT (app_id, feature) DO NOTHING";
        Ok(self.run(sql, (app.to_string(), feature.name(), int(now.0)))? == 1)
    }

    /// `false` if it was off before.
    pub fn disable_feature(&self, app: AppId, feature: Feature) -> Result<bool> {
        let sql = "DELETE FROM app_features WHERE app_id = ?1 AND feature = ?2";
        Ok(self.run(sql, (app.to_string(), feature.name()))? == 1)
    }
}
