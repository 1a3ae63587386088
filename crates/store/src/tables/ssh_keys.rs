//! Public keys by which accounts are known over SSH. A key belongs to one account.

use crate::error::Result;
use crate::sql::{int, parsed, wall};
use crate::{Reader, Writer};
use domain::account::{AccountRef, SshKey};
use domain::ids::{AccountId, KeyId};
use rusqlite::Row;

const COLUMNS: &str =
    "SELECT ssh_keys.id, account_id, email, public_key, fingerprint, comment, ssh_keys.created_at
    FROM ssh_keys JOIN accounts ON accounts.id = account_id";

fn read(row: &Row<'_>) -> rusqlite::Result<SshKey> {
    Ok(SshKey {
        id: parsed(row, "id")?,
        account: AccountRef { id: parsed(row, "account_id")?, email: parsed(row, "email")? },
        public_key: row.get("public_key")?,
        fingerprint: row.get("fingerprint")?,
        comment: row.get("comment")?,
        created_at: wall(row, "created_at")?,
    })
}

impl Reader<'_> {
    pub fn ssh_key_by_fingerprint(&self, fingerprint: &str) -> Result<Option<SshKey>> {
        self.one(&format!("{COLUMNS} WHERE fingerprint = ?1"), [fingerprint], read)
    }

    /// Oldest first.
    pub fn ssh_keys_of(&self, account: AccountId) -> Result<Vec<SshKey>> {
        let sql = format!("{COLUMNS} WHERE account_id = ?1 ORDER BY ssh_keys.created_at, ssh_keys.id");
        self.all(&sql, [account.to_string()], read)
    }
}

impl Writer<'_> {
    pub fn insert_ssh_key(&self, key: &SshKey) -> Result<()> {
        let sql = "INSERT INTO ssh_keys (id, account_id, public_key, fingerprint, comment, created_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (id, account) = (key.id.to_string(), key.account.id.to_string());
        let row = (&key.public_key, &key.fingerprint, &key.comment, int(key.created_at.0));
        self.run(sql, (id, account, row.0, row.1, row.2, row.3)).map(drop)
    }

    pub fn delete_ssh_key(&self, id: KeyId) -> Result<()> {
        self.run("DELETE FROM ssh_keys WHERE id = ?1", [id.to_string()]).map(drop)
    }
}
