//! Apps, their data keys and the people they are shared with.

use crate::error::{Result, StoreError};
use crate::seal::{AppKey, Nonce};
use crate::sql::{int, parsed, small_number, wall, word};
use crate::{Reader, Writer};
use domain::account::AccountRef;
use domain::app::App;
use domain::ids::{AccountId, AppId};
use domain::names::AppName;
use domain::policy::Role;
use domain::time::WallMillis;
use rusqlite::Row;

const COLUMNS: &str = "SELECT id, name, app_index, owner_id, maintenance, created_at, updated_at FROM apps";

fn read(row: &Row<'_>) -> rusqlite::Result<App> {
    Ok(App {
        id: parsed(row, "id")?,
        name: parsed(row, "name")?,
        index: small_number(row, "app_index")?,
        owner: parsed(row, "owner_id")?,
        maintenance: row.get("maintenance")?,
        created_at: wall(row, "created_at")?,
        updated_at: wall(row, "updated_at")?,
    })
}

impl Reader<'_> {
    pub fn app(&self, id: AppId) -> Result<Option<App>> {
        self.one(&format!("{COLUMNS} WHERE id = ?1"), [id.to_string()], read)
    }

    pub fn app_by_name(&self, name: &AppName) -> Result<Option<App>> {
        self.one(&format!("{COLUMNS} WHERE name = ?1"), [name.as_str()], read)
    }

    /// By name.
    pub fn apps(&self) -> Result<Vec<App>> {
        self.all(&format!("{COLUMNS} ORDER BY name"), (), read)
    }

    pub fn app_ids(&self) -> Result<Vec<AppId>> {
        self.all("SELECT id FROM apps", (), |row| parsed(row, "id"))
    }

    /// Owned by or shared with this account, by name.
    pub fn apps_of(&self, account: AccountId) -> Result<Vec<App>> {
        let shared = "id IN (SELECT app_id FROM collaborators WHERE account_id = ?1)";
        self.all(
            &format!("{COLUMNS} WHERE owner_id = ?1 OR {shared} ORDER BY name"),
            [account.to_string()],
            read,
        )
    }

    pub fn count_apps_of(&self, owner: AccountId) -> Result<u64> {
        self.count("SELECT count(*) FROM apps WHERE owner_id = ?1", [owner.to_string()])
    }

    pub fn granted_role(&self, app: AppId, account: AccountId) -> Result<Role> {
        let sql = "SELECT role FROM collaborators WHERE app_id = ?1 AND account_id = ?2";
        let params = (app.to_string(), account.to_string());
        Ok(self.one(sql, params, |row| word(row, "role", Role::from_name))?.unwrap_or(Role::None))
    }

    pub fn collaborators(&self, app: AppId) -> Result<Vec<(AccountRef, Role, WallMillis)>> {
        let sql = "SELECT accounts.id, email, collaborators.role, collaborators.created_at FROM collaborators
            JOIN accounts ON accounts.id = account_id WHERE app_id = ?1 ORDER BY email";
        self.all(sql, [app.to_string()], |row| {
            let account = AccountRef { id: parsed(row, "id")?, email: parsed(row, "email")? };
            Ok((account, word(row, "role", Role::from_name)?, wall(row, "created_at")?))
        })
    }

    /// The key that seals this app's secrets.
    pub(crate) fn app_key(&self, app: AppId) -> Result<AppKey> {
        let sql = "SELECT data_key FROM apps WHERE id = ?1";
        let wrapped = self.one(sql, [app.to_string()], |row| row.get::<_, Vec<u8>>("data_key"))?;
        let wrapped =
            wrapped.ok_or_else(|| StoreError::Unsealable { what: format!("key of absent app {app}") })?;
        self.master.unwrap(app, &wrapped)
    }
}

impl Writer<'_> {
    pub fn insert_app(&self, app: &App, key: &AppKey, nonce: &Nonce) -> Result<()> {
        let sql =
            "INSERT INTO apps (id, name, app_index, owner_id, maintenance, data_key, created_at, updated_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let wrapped = self.master.wrap(app.id, key, nonce)?;
        let (id, name, owner) = (app.id.to_string(), app.name.as_str(), app.owner.to_string());
        let (created_at, updated_at) = (int(app.created_at.0), int(app.updated_at.0));
        self.run(sql, (id, name, app.index, owner, app.maintenance, wrapped, created_at, updated_at))
            .map(drop)
    }

    /// Keeps name, maintenance and the time of change.
    pub fn update_app(&self, app: &App) -> Result<()> {
        let sql = "UPDATE apps SET name = ?2, maintenance = ?3, updated_at = ?4 WHERE id = ?1";
        self.run(sql, (app.id.to_string(), app.name.as_str(), app.maintenance, int(app.updated_at.0)))
            .map(drop)
    }

    /// With everything that belongs to it, its data key included: its secrets are gone for good.
    pub fn delete_app(&self, app: AppId) -> Result<()> {
        self.run("DELETE FROM apps WHERE id = ?1", [app.to_string()]).map(drop)
    }

    pub fn set_collaborator(
        &self,
        app: AppId,
        account: AccountId,
        role: Role,
        now: WallMillis,
    ) -> Result<()> {
        let sql = "INSERT INTO collaborators (app_id, account_id, role, created_at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (app_id, account_id) DO UPDATE SET role = ?3";
        self.run(sql, (app.to_string(), account.to_string(), role.name(), int(now.0))).map(drop)
    }

    pub fn delete_collaborator(&self, app: AppId, account: AccountId) -> Result<usize> {
        let sql = "DELETE FROM collaborators WHERE app_id = ?1 AND account_id = ?2";
        self.run(sql, (app.to_string(), account.to_string()))
    }
}
