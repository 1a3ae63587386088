//! How many processes of each type an app wants.

use crate::error::Result;
use crate::sql::{int, parsed, small_number, wall};
use crate::{Reader, Writer};
use domain::formation::{Formation, Quantity};
use domain::ids::AppId;
use domain::names::ProcessType;
use domain::time::WallMillis;
use rusqlite::Row;
use uuid::Uuid;

/// One type's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormationRow {
    pub id: Uuid,
    pub process_type: ProcessType,
    pub quantity: Quantity,
    pub created_at: WallMillis,
    pub updated_at: WallMillis,
}

fn read(row: &Row<'_>) -> rusqlite::Result<FormationRow> {
    Ok(FormationRow {
        id: parsed(row, "id")?,
        process_type: parsed(row, "process_type")?,
        quantity: Quantity { quantity: small_number(row, "quantity")?, size: parsed(row, "size")? },
        created_at: wall(row, "created_at")?,
        updated_at: wall(row, "updated_at")?,
    })
}

impl Reader<'_> {
    /// Every type that the app ever had, by name.
    pub fn formation_rows(&self, app: AppId) -> Result<Vec<FormationRow>> {
        let sql = "SELECT id, process_type, quantity, size, created_at, updated_at FROM formation
            WHERE app_id = ?1 ORDER BY process_type";
        self.all(sql, [app.to_string()], read)
    }

    pub fn formation(&self, app: AppId) -> Result<Formation> {
        Ok(self.formation_rows(app)?.into_iter().map(|row| (row.process_type, row.quantity)).collect())
    }

    /// What the formations of all of an owner's apps ask for together.
    pub fn processes_wanted_by(&self, owner: domain::ids::AccountId) -> Result<u64> {
        let sql = "SELECT coalesce(sum(quantity), 0) FROM formation
            WHERE app_id IN (SELECT id FROM apps WHERE owner_id = ?1)";
        self.count(sql, [owner.to_string()])
    }
}

impl Writer<'_> {
    /// Makes or changes one type's row. `id` is used for a new one.
    pub fn put_formation(
        &self,
        app: AppId,
        id: Uuid,
        process_type: &ProcessType,
        quantity: &Quantity,
        now: WallMillis,
    ) -> Result<()> {
        let sql = "INSERT INTO formation (app_id, process_type, id, quantity, size, created_at, updated_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
            ON CONFLICT (app_id, process_type) DO UPDATE SET quantity = ?4, size = ?5, updated_at = ?6";
        let (app, id, size) = (app.to_string(), id.to_string(), quantity.size.name());
        self.run(sql, (app, process_type.as_str(), id, quantity.quantity, size, int(now.0))).map(drop)
    }
}
