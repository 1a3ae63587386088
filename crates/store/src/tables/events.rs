//! The record of what was done. Append-only; it outlives what it is about.

use crate::error::Result;
use crate::sql::{int, json, number, parsed_optional, to_json, wall, word};
use crate::{Reader, Writer};
use domain::event::{Event, ResourceKind};
use domain::ids::AppId;
use rusqlite::Row;

const COLUMNS: &str = "SELECT sequence, at, actor_id, action, app_id, resource, resource_id, before, after, request_id FROM events";

fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        sequence: number(row, "sequence")?,
        at: wall(row, "at")?,
        actor: parsed_optional(row, "actor_id")?,
        action: row.get("action")?,
        app: parsed_optional(row, "app_id")?,
        resource: word(row, "resource", ResourceKind::from_name)?,
        resource_id: row.get("resource_id")?,
        before: json(row, "before")?,
        after: json(row, "after")?,
        request_id: row.get("request_id")?,
    })
}

impl Reader<'_> {
    /// In order, those after `after`, at most `limit`.
    pub fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>> {
        self.all(
            &format!("{COLUMNS} WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"),
            (int(after), limit as i64),
            read,
        )
    }

    pub fn events_of(&self, app: AppId, after: u64, limit: usize) -> Result<Vec<Event>> {
        let sql = format!("{COLUMNS} WHERE app_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3");
        self.all(&sql, (app.to_string(), int(after), limit as i64), read)
    }
}

impl Writer<'_> {
    /// `event.sequence` is not looked at; the one it gets is returned.
    pub fn append_event(&self, event: &Event) -> Result<u64> {
        let sql = "INSERT INTO events (at, actor_id, action, app_id, resource, resource_id, before, after, request_id)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let (actor, app) = (event.actor.map(|id| id.to_string()), event.app.map(|id| id.to_string()));
        let (before, after) = (to_json("event", &event.before)?, to_json("event", &event.after)?);
        let resource = (event.resource.name(), &event.resource_id);
        let at = int(event.at.0);
        self.run(
            sql,
            (at, actor, &event.action, app, resource.0, resource.1, before, after, &event.request_id),
        )?;
        Ok(self.connection.last_insert_rowid() as u64)
    }
}
