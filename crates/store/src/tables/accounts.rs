//! Accounts and what they may have at most.

use crate::error::Result;
use crate::sql::{int, parsed, wall, word};
use crate::{Reader, Writer};
use domain::account::{Account, AccountRef, Email};
use domain::ids::AccountId;
use domain::policy::Role;
use rusqlite::Row;

const COLUMNS: &str = "SELECT id, email, role, created_at, updated_at FROM accounts";

fn read(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: parsed(row, "id")?,
        email: parsed(row, "email")?,
        role: word(row, "role", Role::from_name)?,
        created_at: wall(row, "created_at")?,
        updated_at: wall(row, "updated_at")?,
    })
}

impl Reader<'_> {
    pub fn account(&self, id: AccountId) -> Result<Option<Account>> {
        self.one(&format!("{COLUMNS} WHERE id = ?1"), [id.to_string()], read)
    }

    /// By address.
    pub fn accounts(&self) -> Result<Vec<Account>> {
        self.all(&format!("{COLUMNS} ORDER BY email"), (), read)
    }

    pub fn account_by_email(&self, email: &Email) -> Result<Option<Account>> {
        self.one(&format!("{COLUMNS} WHERE email = ?1"), [email.as_str()], read)
    }

    /// `None` if the account is gone.
    pub fn account_ref(&self, id: AccountId) -> Result<Option<AccountRef>> {
        Ok(self.account(id)?.map(|account| account.reference()))
    }

    pub fn count_accounts(&self) -> Result<u64> {
        self.count("SELECT count(*) FROM accounts", ())
    }

    /// How many apps this owner may have; `None`: no row or no limit.
    pub fn app_quota(&self, owner: AccountId) -> Result<Option<u32>> {
        let sql = "SELECT apps FROM quotas WHERE account_id = ?1";
        Ok(self.one(sql, [owner.to_string()], |row| row.get::<_, Option<u32>>("apps"))?.flatten())
    }

    /// How many processes this owner's formations may ask for in all.
    pub fn process_quota(&self, owner: AccountId) -> Result<Option<u32>> {
        let sql = "SELECT processes FROM quotas WHERE account_id = ?1";
        Ok(self.one(sql, [owner.to_string()], |row| row.get::<_, Option<u32>>("processes"))?.flatten())
    }
}

impl Writer<'_> {
    pub fn insert_account(&self, account: &Account) -> Result<()> {
        let sql =
            "INSERT INTO accounts (id, email, role, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)";
        let (id, email, role) = (account.id.to_string(), account.email.as_str(), account.role.name());
        self.run(sql, (id, email, role, int(account.created_at.0), int(account.updated_at.0))).map(drop)
    }

    pub fn set_quotas(&self, owner: AccountId, apps: Option<u32>, processes: Option<u32>) -> Result<()> {
        let sql = "INSERT INTO quotas (account_id, apps, processes) VALUES (?1, ?2, ?3)
            ON CONFLICT (account_id) DO UPDATE SET apps = ?2, processes = ?3";
        self.run(sql, (owner.to_string(), apps, processes)).map(drop)
    }
}
