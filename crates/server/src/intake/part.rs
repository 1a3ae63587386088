//! Bytes on their way into an upload: counted, hashed, flushed, and gone again unless they are kept.

use super::MAX_ARCHIVE_BYTES;
use engine::ops::sources::{self, Upload};
use engine::{Engine, Error};
use rustix::fs::{StatVfs, statvfs};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Free space is looked at each time that so much has come.
const LOOK_EVERY_BYTES: u64 = 8 * 1024 * 1024;
/// Space that uploads and trees leave free, for the ledger above all: so much, or a tenth of a smaller file system.
const FLOOR_BYTES: u64 = 512 * 1024 * 1024;

/// A file that is being filled. Dropping it removes it.
pub struct Part {
    path: PathBuf,
    file: File,
    hash: Sha256,
    bytes: u64,
    next_look: u64,
}

/// A file that is filled and flushed. Dropping it removes it; keeping it takes it away before.
pub struct Filled {
    path: PathBuf,
    pub upload: Upload,
}

impl Part {
    pub fn create(engine: &Engine) -> io::Result<Self> {
        let path = sources::part_file(engine)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file, hash: Sha256::new(), bytes: 0, next_look: 0 })
    }

    /// Flushes to the disk.
    pub fn finish(mut self) -> io::Result<Filled> {
        self.file.sync_all()?;
        let digest = hex::encode(std::mem::take(&mut self.hash).finalize());
        let checksum = format!("SHA256:{digest}").parse().map_err(io::Error::other)?;
        let filled =
            Filled { path: std::mem::take(&mut self.path), upload: Upload { bytes: self.bytes, checksum } };
        Ok(filled)
    }

    fn look(&mut self) -> io::Result<()> {
        if self.bytes < self.next_look {
            return Ok(());
        }
        self.next_look = self.bytes + LOOK_EVERY_BYTES;
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        if has_room(folder)? { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }
}

/// Whether a folder's file system has more free than uploads must leave.
pub fn has_room(folder: &Path) -> io::Result<bool> {
    let stat = statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize) > spare(&stat))
}

/// What sources and their trees must leave free of a folder's file system.
pub fn spare_bytes(folder: &Path) -> io::Result<u64> {
    Ok(spare(&statvfs(folder)?))
}

fn spare(stat: &StatVfs) -> u64 {
    FLOOR_BYTES.min(stat.f_blocks.saturating_mul(stat.f_frsize) / 10)
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.look()?;
        if self.bytes + bytes.len() as u64 > MAX_ARCHIVE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.file.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Filled {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The upload is whole from here on.
    pub fn keep(self, engine: &Engine, source: domain::ids::SourceId) -> Result<(), Error> {
        sources::keep(engine, source, &self.path, &self.upload)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// A name that was taken away is empty, or no longer there.
fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "a part of an upload is left behind until the next start")
        }
        Err(_) | Ok(()) => {}
    }
}

/// Why bytes were not stored, for the person who sent them.
pub fn sentence(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::FileTooLarge => format!(
            "The archive has more than {} MB. Leave out what the build does not need.",
            MAX_ARCHIVE_BYTES / 1024 / 1024
        ),
        io::ErrorKind::StorageFull => {
            "The server's disk is nearly full; it takes no uploads until there is room again.".to_owned()
        }
        _ => "The server could not store the archive.".to_owned(),
    }
}
