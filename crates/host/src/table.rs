//! The route table as a file: read whole, replaced atomically, durable before routers are told.

use domain::route::{ROUTE_TABLE_FORMAT, RouteTable};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(crate) const TABLE_FILE: &str = "table.json";
const TEMPORARY_FILE: &str = ".table.json.new";

/// What went wrong with the table's file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not a route table that this version understands", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error("{} has format {found}; this version understands {ROUTE_TABLE_FORMAT}", path.display())]
    Format { path: PathBuf, found: u32 },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

/// The published table; `None` if there is none.
pub(crate) fn read(folder: &Path) -> Result<Option<RouteTable>, TableError> {
    let path = folder.join(TABLE_FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TableError::Read { path, source }),
    };
    let table: RouteTable =
        serde_json::from_slice(&bytes).map_err(|source| TableError::Parse { path: path.clone(), source })?;
    if table.format != ROUTE_TABLE_FORMAT {
        return Err(TableError::Format { path, found: table.format });
    }
    Ok(Some(table))
}

/// Replaces the published table. When this returns, it survives a loss of power.
pub(crate) fn write(folder: &Path, table: &RouteTable) -> Result<(), TableError> {
    let failed = |source| TableError::Write { path: folder.join(TABLE_FILE), source };
    let bytes = serde_json::to_vec(table).map_err(|error| failed(error.into()))?;
    replace(folder, &bytes).map_err(failed)
}

fn replace(folder: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = folder.join(TEMPORARY_FILE);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    // The folder's group is the router's: it may read and not write.
    let mut file = File::from(rustix::fs::open(&temporary, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP)?);
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, folder.join(TABLE_FILE))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::route::Generation;

    #[test]
    fn reads_back_what_it_wrote_and_refuses_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        let table = RouteTable::empty(Generation { epoch: 1, counter: 7 });
        write(folder.path(), &table).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Some(table.clone()));
        write(folder.path(), &RouteTable { format: 2, ..table }).unwrap();
        assert!(matches!(read(folder.path()), Err(TableError::Format { found: 2, .. })));
        std::fs::write(folder.path().join(TABLE_FILE), b"{\"format\":1").unwrap();
        assert!(matches!(read(folder.path()), Err(TableError::Parse { .. })));
    }
}
