//! The tables, as a list of migrations. A migration that was ever released is never edited; a new one is added.
//!
//! Ids are text in their usual form, times are milliseconds, everything is STRICT. `releases` refuses updates by a trigger.

use crate::error::{Result, StoreError};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// `PRAGMA application_id`: "dozn".
const APPLICATION_ID: i64 = 0x646f_7a6e;

const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_begin.sql"),
    include_str!("migrations/0002_buildpacks.sql"),
    include_str!("migrations/0003_intake.sql"),
    include_str!("migrations/0004_app_json.sql"),
    include_str!("migrations/0005_trials.sql"),
    include_str!("migrations/0006_features.sql"),
    include_str!("migrations/0007_cron.sql"),
    include_str!("migrations/0008_cron_spans.sql"),
    include_str!("migrations/0009_indexes.sql"),
];

/// The format that this build writes.
pub const FORMAT: i64 = MIGRATIONS.len() as i64;

/// Brings a ledger to this build's format. Each migration is one transaction.
pub(crate) fn migrate(connection: &mut Connection, now: i64) -> Result<()> {
    let found = format_of(connection)?;
    if found > FORMAT {
        return Err(StoreError::NewerFormat { found, known: FORMAT });
    }
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        let version = index as i64 + 1;
        transaction
            .execute("INSERT INTO migrations (version, applied_at) VALUES (?1, ?2)", [version, now])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.commit()?;
    }
    Ok(())
}

/// 0 for an empty file.
fn format_of(connection: &Connection) -> Result<i64> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if application != APPLICATION_ID {
        return Err(StoreError::NotALedger);
    }
    let newest =
        connection.query_row("SELECT max(version) FROM migrations", [], |row| row.get(0)).optional()?;
    newest.flatten().ok_or(StoreError::NotALedger)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done for each release or app, or goes with one: by an index, however many rows there are of others.
    #[test]
    fn what_belongs_to_one_is_found_without_reading_all() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, 1).unwrap();
        for sql in [
            "SELECT id FROM jobs WHERE release_id = ?1 AND kind = 'release_phase'",
            "UPDATE jobs SET cancelled = 1 WHERE held = 1 AND cancelled = 0 AND state = 'waiting' AND created_at < ?1",
            "DELETE FROM jobs WHERE release_id = ?1",
            "DELETE FROM promotions WHERE release_id = ?1",
            "DELETE FROM tokens WHERE deploy_app_id = ?1",
            "DELETE FROM sources WHERE app_id = ?1",
        ] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement.query_map([1], |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<_> = steps.collect::<rusqlite::Result<_>>().unwrap();
            assert!(
                !steps.is_empty() && steps.iter().all(|step| !step.starts_with("SCAN")),
                "{sql}: {steps:?}"
            );
        }
    }

    #[test]
    fn migrates_once_and_refuses_what_it_does_not_know() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, 1).unwrap();
        migrate(&mut connection, 2).unwrap();
        let applied: i64 =
            connection.query_row("SELECT count(*) FROM migrations", [], |row| row.get(0)).unwrap();
        assert_eq!(applied, FORMAT);
        connection.execute("INSERT INTO migrations VALUES (99, 0)", []).unwrap();
        assert!(matches!(migrate(&mut connection, 3), Err(StoreError::NewerFormat { found: 99, .. })));
        let mut other = Connection::open_in_memory().unwrap();
        other.execute_batch("CREATE TABLE pets (name TEXT)").unwrap();
        assert!(matches!(migrate(&mut other, 1), Err(StoreError::NotALedger)));
    }
}
