//! Where processes live and how they are, for people. The plan never reads this.

use crate::error::Result;
use crate::sql::{int, json, parsed, to_json, wall};
use crate::{Reader, Writer};
use domain::ids::{AppId, HostId, ProcessId};
use domain::process::Purpose;
use domain::time::WallMillis;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// Where in its life a placed process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlacementState {
    Starting,
    Up,
    Stopping,
}

/// A living process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub process: ProcessId,
    pub app: AppId,
    pub host: HostId,
    pub purpose: Purpose,
    pub state: PlacementState,
    pub created_at: WallMillis,
    pub updated_at: WallMillis,
}

const COLUMNS: &str =
    "SELECT process_id, app_id, host_id, purpose, state, created_at, updated_at FROM placements";

fn read(row: &Row<'_>) -> rusqlite::Result<Placement> {
    Ok(Placement {
        process: parsed(row, "process_id")?,
        app: parsed(row, "app_id")?,
        host: parsed(row, "host_id")?,
        purpose: json(row, "purpose")?,
        state: json(row, "state")?,
        created_at: wall(row, "created_at")?,
        updated_at: wall(row, "updated_at")?,
    })
}

impl Reader<'_> {
    pub fn placements(&self) -> Result<Vec<Placement>> {
        self.all(COLUMNS, (), read)
    }

    pub fn placements_of(&self, app: AppId) -> Result<Vec<Placement>> {
        self.all(
            &format!("{COLUMNS} WHERE app_id = ?1 ORDER BY created_at, process_id"),
            [app.to_string()],
            read,
        )
    }
}

impl Writer<'_> {
    /// Makes or changes a placement; `created_at` counts for a new one.
    pub fn put_placement(&self, placement: &Placement) -> Result<()> {
        let sql =
            "INSERT INTO placements (process_id, app_id, host_id, purpose, state, created_at, updated_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT (process_id) DO UPDATE SET state = ?5, updated_at = ?7";
        let ids = (placement.process.to_string(), placement.app.to_string(), placement.host.to_string());
        let purpose = to_json("placement", &placement.purpose)?;
        let state = to_json("placement", &placement.state)?;
        let (created_at, updated_at) = (int(placement.created_at.0), int(placement.updated_at.0));
        self.run(sql, (ids.0, ids.1, ids.2, purpose, state, created_at, updated_at)).map(drop)
    }

    pub fn delete_placement(&self, process: ProcessId) -> Result<()> {
        self.run("DELETE FROM placements WHERE process_id = ?1", [process.to_string()]).map(drop)
    }
}
