//! First answers to POSTs, kept for a while so that a repeat gets the same one. No secret is ever part of them: they name a
//! resource, which is rendered again.

use crate::error::Result;
use crate::sql::{int, number, wall, word};
use crate::{Reader, Writer};
use domain::event::ResourceKind;
use domain::ids::AccountId;
use domain::time::{BootId, BootMillis, WallMillis};

/// What makes a repeat the same request. Key and body come as SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    pub actor: AccountId,
    pub method: String,
    pub path: String,
    pub key_hash: [u8; 32],
    pub body_hash: [u8; 32],
}

/// The first answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstAnswer {
    pub body_hash: Vec<u8>,
    pub resource: ResourceKind,
    pub resource_id: String,
    pub status: u16,
    pub at: WallMillis,
    pub boot_id: BootId,
    pub boot_at: BootMillis,
}

impl Reader<'_> {
    pub fn first_answer(&self, request: &Repeatable) -> Result<Option<FirstAnswer>> {
        let sql = "SELECT body_hash, resource, resource_id, status, at, boot_id, boot_at FROM idempotency
            WHERE actor_id = ?1 AND method = ?2 AND path = ?3 AND key_hash = ?4";
        let params = (request.actor.to_string(), &request.method, &request.path, request.key_hash.as_slice());
        self.one(sql, params, |row| {
            Ok(FirstAnswer {
                body_hash: row.get("body_hash")?,
                resource: word(row, "resource", ResourceKind::from_name)?,
                resource_id: row.get("resource_id")?,
                status: row.get("status")?,
                at: wall(row, "at")?,
                boot_id: BootId(row.get("boot_id")?),
                boot_at: BootMillis(number(row, "boot_at")?),
            })
        })
    }
}

impl Writer<'_> {
    /// In place of an older one for the same request.
    pub fn keep_first_answer(&self, request: &Repeatable, answer: &FirstAnswer) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO idempotency
            (actor_id, method, path, key_hash, body_hash, resource, resource_id, status, at, boot_id, boot_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        self.run(
            sql,
            rusqlite::params![
                request.actor.to_string(),
                request.method,
                request.path,
                request.key_hash.as_slice(),
                request.body_hash.as_slice(),
                answer.resource.name(),
                answer.resource_id,
                answer.status,
                int(answer.at.0),
                answer.boot_id.0,
                int(answer.boot_at.0),
            ],
        )
        .map(drop)
    }

    pub fn forget_answers_before(&self, at: WallMillis) -> Result<usize> {
        self.run("DELETE FROM idempotency WHERE at < ?1", [int(at.0)])
    }
}
