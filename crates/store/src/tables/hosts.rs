//! Facts about the ledger as a whole, and the machines that run processes.

use crate::error::Result;
use crate::sql::{int, parsed};
use crate::{Reader, Writer};
use domain::ids::HostId;
use domain::time::WallMillis;

impl Reader<'_> {
    /// Grows when a ledger is restored.
    pub fn epoch(&self) -> Result<u64> {
        self.count("SELECT epoch FROM ledger", ())
    }

    pub fn host(&self, name: &str) -> Result<Option<HostId>> {
        self.one("SELECT id FROM hosts WHERE name = ?1", [name], |row| parsed(row, "id"))
    }
}

impl Writer<'_> {
    pub fn insert_host(&self, id: HostId, name: &str, now: WallMillis) -> Result<()> {
        let sql = "INSERT INTO hosts (id, name, created_at) VALUES (?1, ?2, ?3)";
        self.run(sql, (id.to_string(), name, int(now.0))).map(drop)
    }

    /// The next app's number. Never given out twice, not even after a failure to use it.
    pub fn take_app_index(&self) -> Result<u32> {
        let sql = "UPDATE ledger SET next_app_index = next_app_index + 1 RETURNING next_app_index - 1";
        Ok(self.count(sql, ())? as u32)
    }
}
