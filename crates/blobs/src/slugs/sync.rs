//! Making a slug durable before its name promises that it is there.

use crate::tree::{open_beneath, open_folder_beneath, sorted_names};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use std::io;

/// Up to this many files are synced one by one. Beyond, syncing the whole file system costs less than waiting for each.
const FILES_ONE_BY_ONE: usize = 256;

/// Writes a tree's files and folders through to the disk.
pub(crate) fn tree(folder: &OwnedFd) -> io::Result<()> {
    let mut files = 0;
    if each(folder, &mut files)? == Walk::TooMany {
        rustix::fs::syncfs(folder)?;
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Walk {
    Done,
    TooMany,
}

fn each(folder: impl AsFd, files: &mut usize) -> io::Result<Walk> {
    for (name, kind) in sorted_names(&folder)? {
        let walk = match kind {
            FileType::Directory => each(open_folder_beneath(&folder, &name)?, files)?,
            FileType::RegularFile => {
                *files += 1;
                rustix::fs::fsync(open_beneath(&folder, &name, OFlags::RDONLY, Mode::empty())?)?;
                Walk::Done
            }
            _ => Walk::Done,
        };
        if walk == Walk::TooMany || *files > FILES_ONE_BY_ONE {
            return Ok(Walk::TooMany);
        }
    }
    rustix::fs::fsync(folder)?;
    Ok(Walk::Done)
}

/// Sets a file's modification time to now.
pub(super) fn touch(folder: &OwnedFd, path: &str) -> io::Result<()> {
    let file = open_beneath(folder, path.as_bytes(), OFlags::RDONLY, Mode::empty())?;
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    rustix::fs::futimens(&file, &Timestamps { last_access: now, last_modification: now })?;
    Ok(rustix::fs::fsync(&file)?)
}
