//! Opening, connections, transactions, backup and restore.

use crate::error::{Result, StoreError};
use crate::schema;
use crate::seal::{MasterKey, Nonce};
use domain::time::WallMillis;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wait for another process that holds the file, such as a backup by hand.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle reading connections that are kept.
const IDLE_READERS: usize = 3;
/// Page cache of one connection, in KiB (negative by SQLite's convention).
const CACHE_KIB: i64 = -512;
/// The log is folded into the database when it is this many pages long.
const CHECKPOINT_PAGES: i64 = 400;
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 64;
/// Pages copied per step of a backup, and the pause between steps in which writers go on.
const BACKUP_STEP_PAGES: std::ffi::c_int = 256;
const BACKUP_PAUSE: Duration = Duration::from_millis(2);

/// What opening needs from outside.
pub struct Opening {
    pub master: MasterKey,
    /// Used once, when the ledger is made.
    pub nonce: Nonce,
    /// The first epoch of a new ledger. Later than that of a ledger that was lost, so that its route tables are outranked.
    pub epoch: u64,
    pub now: WallMillis,
}

/// An open ledger. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    master: MasterKey,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

/// A consistent view.
pub struct Reader<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) master: &'c MasterKey,
}

/// A view that may be changed; the changes are kept when its closure returns `Ok`.
pub struct Writer<'c> {
    reader: Reader<'c>,
}

impl<'c> Deref for Writer<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Self::Target {
        &self.reader
    }
}

impl Writer<'_> {
    /// Runs a part of the transaction. If it fails, it alone is undone, and the rest may go on.
    pub fn attempt<T, E: From<StoreError>>(
        &self,
        part: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let say = |sql| self.connection.execute_batch(sql).map_err(StoreError::from);
        // Some errors, a full disk's among them, undo a transaction as a whole.
        if self.connection.is_autocommit() {
            return Err(StoreError::from(undone()).into());
        }
        say("SAVEPOINT part")?;
        let outcome = part();
        match outcome {
            Ok(_) => say("RELEASE part")?,
            Err(_) if self.connection.is_autocommit() => {}
            Err(_) => say("ROLLBACK TO part; RELEASE part")?,
        }
        outcome
    }
}

impl Store {
    /// Opens or makes the ledger at `path`, migrates it and checks the master key.
    pub fn open(path: &Path, opening: Opening) -> Result<Self> {
        make_file(path)?;
        let mut connection = connect(path)?;
        let now = opening.now.0 as i64;
        schema::migrate(&mut connection, now)?;
        begin_or_verify(&connection, &opening)?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            master: opening.master,
            writer: Mutex::new(connection),
            readers: Mutex::new(Vec::new()),
        })))
    }

    /// Runs `work` in one transaction. It is kept if `work` returns `Ok` and undone otherwise; when this returns, it is on disk.
    pub fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Writer<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut connection = lock(&self.0.writer);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let value = work(&Writer { reader: Reader { connection: &transaction, master: &self.0.master } })?;
        transaction.commit().map_err(StoreError::from)?;
        Ok(value)
    }

    /// Runs `work` on one consistent view, beside a writer.
    pub fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut connection = self.take_reader()?;
        let result = {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Deferred)
                .map_err(StoreError::from)?;
            work(&Reader { connection: &transaction, master: &self.0.master })
        };
        let mut readers = lock(&self.0.readers);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    fn take_reader(&self) -> Result<Connection> {
        let idle = lock(&self.0.readers).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => connect_reader(&self.0.path),
        }
    }

    /// Copies the ledger to `target` while it is in use. Secrets stay sealed; the master key is not part of it.
    pub fn backup(&self, target: &Path) -> Result<()> {
        make_file(target)?;
        let source = connect_reader(&self.0.path)?;
        let mut copy = connect(target)?;
        copy_all(&source, &mut copy)
    }
}

/// Puts a backup in the place of the ledger of a stopped server and begins a new epoch: `at_least` or one more than the backup's,
/// whichever is greater.
pub fn restore(backup: &Path, ledger: &Path, at_least: u64) -> Result<u64> {
    make_file(ledger)?;
    let source = connect_reader(backup)?;
    let mut connection = connect(ledger)?;
    copy_all(&source, &mut connection)?;
    schema::migrate(&mut connection, 0)?;
    let epoch: i64 = connection.query_row(
        "UPDATE ledger SET epoch = max(epoch + 1, ?1) RETURNING epoch",
        [at_least as i64],
        |row| row.get(0),
    )?;
    Ok(epoch as u64)
}

fn undone() -> rusqlite::Error {
    let told = "the transaction was undone before";
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT),
        Some(told.to_owned()),
    )
}

fn copy_all(source: &Connection, target: &mut Connection) -> Result<()> {
    let backup = Backup::new(source, target)?;
    backup.run_to_completion(BACKUP_STEP_PAGES, BACKUP_PAUSE, None)?;
    Ok(())
}

fn begin_or_verify(connection: &Connection, opening: &Opening) -> Result<()> {
    let rows: i64 = connection.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0))?;
    if rows == 0 {
        let check = opening.master.check_value(&opening.nonce)?;
        let sql = "INSERT INTO ledger (only, epoch, next_app_index, key_check, created_at) VALUES (1, ?1, 0, ?2, ?3)";
        connection.execute(sql, (opening.epoch.max(1) as i64, check, opening.now.0 as i64))?;
        return Ok(());
    }
    let check: Vec<u8> = connection.query_row("SELECT key_check FROM ledger", [], |row| row.get(0))?;
    opening.master.verify(&check)
}

/// An empty file for its owner alone, before SQLite opens it: the files beside it get the same mode.
fn make_file(path: &Path) -> Result<()> {
    let failed = |source| StoreError::Folder { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop).map_err(failed)
}

fn connect(path: &Path) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // Secrets never reach the disk in the clear, but deleted names need not linger either.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

fn connect_reader(path: &Path) -> Result<Connection> {
    // Not SQLITE_OPEN_READ_ONLY: the first connection after a crash may have to rebuild the shared memory of the log.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in a transaction has rolled it back: the connection is sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
