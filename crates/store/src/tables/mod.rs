//! One file per noun: what can be read on a [`crate::Reader`] and written on a [`crate::Writer`].

pub mod accounts;
pub mod apps;
pub mod buildpacks;
pub mod builds;
pub mod cron;
mod cron_pruning;
pub mod desired;
pub mod domains;
pub mod events;
pub mod exits;
pub mod features;
pub mod formation;
pub mod hosts;
pub mod idempotency;
pub mod jobs;
pub mod placements;
pub mod releases;
pub mod slots;
pub mod sources;
pub mod ssh_keys;
pub mod tokens;
pub mod trials;

use crate::error::Result;
use crate::{Reader, Writer};
use rusqlite::{OptionalExtension, Params, Row};

impl Reader<'_> {
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    pub(crate) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?.collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }

    pub(crate) fn count(&self, sql: &str, params: impl Params) -> Result<u64> {
        let count: i64 = self.connection.prepare_cached(sql)?.query_row(params, |row| row.get(0))?;
        Ok(count as u64)
    }
}

impl Writer<'_> {
    /// Rows changed.
    pub(crate) fn run(&self, sql: &str, params: impl Params) -> Result<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }
}
