//! Host names that people have added to apps. `NAME.BASE` is not here: it follows from the app's name.

use crate::error::Result;
use crate::sql::{int, parsed, wall};
use crate::{Reader, Writer};
use domain::ids::{AppId, DomainId};
use domain::names::HostName;
use domain::time::WallMillis;
use rusqlite::Row;

/// A host name of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRow {
    pub id: DomainId,
    pub app: AppId,
    pub hostname: HostName,
    pub created_at: WallMillis,
}

const COLUMNS: &str = "SELECT id, app_id, hostname, created_at FROM domains";

fn read(row: &Row<'_>) -> rusqlite::Result<DomainRow> {
    Ok(DomainRow {
        id: parsed(row, "id")?,
        app: parsed(row, "app_id")?,
        hostname: parsed(row, "hostname")?,
        created_at: wall(row, "created_at")?,
    })
}

impl Reader<'_> {
    pub fn domains(&self, app: AppId) -> Result<Vec<DomainRow>> {
        self.all(&format!("{COLUMNS} WHERE app_id = ?1 ORDER BY hostname"), [app.to_string()], read)
    }

    /// Of all apps.
    pub fn all_domains(&self) -> Result<Vec<DomainRow>> {
        self.all(&format!("{COLUMNS} ORDER BY hostname"), (), read)
    }

    pub fn domain_by_hostname(&self, hostname: &HostName) -> Result<Option<DomainRow>> {
        self.one(&format!("{COLUMNS} WHERE hostname = ?1"), [hostname.as_str()], read)
    }
}

impl Writer<'_> {
    pub fn insert_domain(&self, domain: &DomainRow) -> Result<()> {
        let sql = "INSERT INTO domains (id, app_id, hostname, created_at) VALUES (?1, ?2, ?3, ?4)";
        let (id, app) = (domain.id.to_string(), domain.app.to_string());
        self.run(sql, (id, app, domain.hostname.as_str(), int(domain.created_at.0))).map(drop)
    }

    pub fn delete_domain(&self, id: DomainId) -> Result<()> {
        self.run("DELETE FROM domains WHERE id = ?1", [id.to_string()]).map(drop)
    }
}
