//! Places for uploads. Their secrets never come here, only digests of them; the bytes lie in files.

use crate::error::Result;
use crate::sql::{int, number, parsed, parsed_optional, wall};
use crate::tables::tokens::SecretHash;
use crate::{Reader, Writer};
use domain::ids::{AccountId, AppId, SourceId};
use domain::names::SourceChecksum;
use domain::time::WallMillis;
use rusqlite::Row;

/// A place for an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub id: SourceId,
    pub account: AccountId,
    /// `None`: for any app that the account may deploy.
    pub app: Option<AppId>,
    /// `None`: nothing was uploaded yet.
    pub upload: Option<Upload>,
    pub created_at: WallMillis,
    pub expires_at: WallMillis,
}

/// What was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub bytes: u64,
    pub checksum: SourceChecksum,
}

/// What one account takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourcesInUse {
    /// Places that nothing was uploaded to yet.
    pub empty: u64,
    /// Uploads that are whole, and their bytes.
    pub full: u64,
    pub bytes: u64,
}

const COLUMNS: &str = "SELECT id, account_id, app_id, bytes, checksum, created_at, expires_at FROM sources";

fn read(row: &Row<'_>) -> rusqlite::Result<Source> {
    let bytes: Option<i64> = row.get("bytes")?;
    let checksum = parsed_optional(row, "checksum")?;
    Ok(Source {
        id: parsed(row, "id")?,
        account: parsed(row, "account_id")?,
        app: parsed_optional(row, "app_id")?,
        upload: bytes.zip(checksum).map(|(bytes, checksum)| Upload { bytes: bytes as u64, checksum }),
        created_at: wall(row, "created_at")?,
        expires_at: wall(row, "expires_at")?,
    })
}

impl Reader<'_> {
    /// By the secret for writing, expired or not.
    pub fn source_to_write(&self, hash: &SecretHash) -> Result<Option<Source>> {
        self.one(&format!("{COLUMNS} WHERE put_hash = ?1"), [hash.as_slice()], read)
    }

    /// By the secret for reading, expired or not.
    pub fn source_to_read(&self, hash: &SecretHash) -> Result<Option<Source>> {
        self.one(&format!("{COLUMNS} WHERE get_hash = ?1"), [hash.as_slice()], read)
    }

    pub fn source(&self, id: SourceId) -> Result<Option<Source>> {
        self.one(&format!("{COLUMNS} WHERE id = ?1"), [id.to_string()], read)
    }

    pub fn sources_before(&self, now: WallMillis) -> Result<Vec<Source>> {
        self.all(&format!("{COLUMNS} WHERE expires_at <= ?1"), [int(now.0)], read)
    }

    /// What an account has in places that have not expired.
    pub fn sources_in_use(&self, account: AccountId, now: WallMillis) -> Result<SourcesInUse> {
        let sql =
            "SELECT count(*) - count(bytes) AS empty, count(bytes) AS full, coalesce(sum(bytes), 0) AS bytes
            FROM sources WHERE account_id = ?1 AND expires_at > ?2";
        let found = self.one(sql, (account.to_string(), int(now.0)), |row| {
            Ok(SourcesInUse {
                empty: number(row, "empty")?,
                full: number(row, "full")?,
                bytes: number(row, "bytes")?,
            })
        })?;
        Ok(found.unwrap_or_default())
    }
}

impl Writer<'_> {
    /// A new place; `source.upload` is not looked at.
    pub fn insert_source(&self, source: &Source, put: &SecretHash, get: &SecretHash) -> Result<()> {
        let sql = "INSERT INTO sources (id, account_id, app_id, put_hash, get_hash, created_at, expires_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let app = source.app.map(|app| app.to_string());
        let (created_at, expires_at) = (int(source.created_at.0), int(source.expires_at.0));
        let row = (source.id.to_string(), source.account.to_string(), app, put.as_slice(), get.as_slice());
        self.run(sql, (row.0, row.1, row.2, row.3, row.4, created_at, expires_at)).map(drop)
    }

    /// The file is whole. `false`: the place is gone.
    pub fn set_upload(&self, id: SourceId, upload: &Upload) -> Result<bool> {
        let sql = "UPDATE sources SET bytes = ?2, checksum = ?3 WHERE id = ?1";
        Ok(self.run(sql, (id.to_string(), int(upload.bytes), upload.checksum.as_str()))? > 0)
    }

    pub fn delete_source(&self, id: SourceId) -> Result<()> {
        self.run("DELETE FROM sources WHERE id = ?1", [id.to_string()]).map(drop)
    }
}
