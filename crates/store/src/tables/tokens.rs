//! Access tokens. The secret part never comes here: only its SHA-256, which is found by index and then compared in constant time.

use crate::error::Result;
use crate::sql::{int, parsed, parsed_optional, wall};
use crate::{Reader, Writer};
use domain::account::{AccountRef, Authorization};
use domain::ids::{AccountId, TokenId};
use domain::scope::Scope;
use domain::time::WallMillis;
use rusqlite::Row;
use subtle::ConstantTimeEq;

pub type SecretHash = [u8; 32];

const COLUMNS: &str =
    "SELECT tokens.id, account_id, email, prefix, description, tokens.created_at, expires_at, secret_hash,
    deploy_app_id, apps.name AS deploy_app_name FROM tokens JOIN accounts ON accounts.id = account_id
    LEFT JOIN apps ON apps.id = deploy_app_id";

fn read(row: &Row<'_>) -> rusqlite::Result<Authorization> {
    let expires_at: Option<i64> = row.get("expires_at")?;
    Ok(Authorization {
        id: parsed(row, "id")?,
        account: AccountRef { id: parsed(row, "account_id")?, email: parsed(row, "email")? },
        description: row.get("description")?,
        prefix: row.get("prefix")?,
        scope: parsed_optional(row, "deploy_app_id")?.map_or(Scope::Global, Scope::Deploy),
        deploys: parsed_optional(row, "deploy_app_name")?,
        created_at: wall(row, "created_at")?,
        expires_at: expires_at.map(|at| WallMillis(at as u64)),
    })
}

impl Reader<'_> {
    /// The token with this secret, expired or not.
    pub fn token_by_secret(&self, hash: &SecretHash) -> Result<Option<Authorization>> {
        let sql = format!("{COLUMNS} WHERE secret_hash = ?1");
        let found =
            self.one(&sql, [hash.as_slice()], |row| Ok((read(row)?, row.get::<_, Vec<u8>>("secret_hash")?)))?;
        Ok(found.filter(|(_, kept)| bool::from(kept.ct_eq(hash.as_slice()))).map(|(token, _)| token))
    }

    pub fn token(&self, id: TokenId) -> Result<Option<Authorization>> {
        self.one(&format!("{COLUMNS} WHERE tokens.id = ?1"), [id.to_string()], read)
    }

    pub fn tokens_of(&self, account: AccountId) -> Result<Vec<Authorization>> {
        let sql = format!("{COLUMNS} WHERE account_id = ?1 ORDER BY tokens.created_at, tokens.id");
        self.all(&sql, [account.to_string()], read)
    }
}

impl Writer<'_> {
    pub fn insert_token(&self, token: &Authorization, hash: &SecretHash) -> Result<()> {
        let sql = "INSERT INTO tokens (id, account_id, secret_hash, prefix, description, created_at, expires_at, deploy_app_id)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let app = match token.scope {
            Scope::Global => None,
            Scope::Deploy(app) => Some(app.to_string()),
        };
        let expires_at = token.expires_at.map(|at| int(at.0));
        let (id, account) = (token.id.to_string(), token.account.id.to_string());
        let rest = (&token.prefix, &token.description, int(token.created_at.0), expires_at);
        self.run(sql, (id, account, hash.as_slice(), rest.0, rest.1, rest.2, rest.3, app)).map(drop)
    }

    pub fn describe_token(&self, id: TokenId, description: &str) -> Result<()> {
        self.run("UPDATE tokens SET description = ?2 WHERE id = ?1", (id.to_string(), description)).map(drop)
    }

    /// Gives a token another secret: the one before opens nothing any more.
    pub fn rotate_token(&self, token: &Authorization, hash: &SecretHash) -> Result<()> {
        let sql =
            "UPDATE tokens SET secret_hash = ?2, prefix = ?3, created_at = ?4, expires_at = ?5 WHERE id = ?1";
        let expires_at = token.expires_at.map(|at| int(at.0));
        let (id, created_at) = (token.id.to_string(), int(token.created_at.0));
        self.run(sql, (id, hash.as_slice(), &token.prefix, created_at, expires_at)).map(drop)
    }

    pub fn delete_token(&self, id: TokenId) -> Result<()> {
        self.run("DELETE FROM tokens WHERE id = ?1", [id.to_string()]).map(drop)
    }

    pub fn delete_expired_tokens(&self, now: WallMillis) -> Result<usize> {
        self.run("DELETE FROM tokens WHERE expires_at <= ?1", [int(now.0)])
    }
}
