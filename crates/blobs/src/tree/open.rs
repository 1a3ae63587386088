//! The one way in: `openat2` below an open folder, no symbolic link followed, no way up.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::io;
use std::path::Path;

/// The kernel answers EAGAIN when a rename elsewhere raced with the walk; it asks to try again.
const OPEN_ATTEMPTS: u32 = 16;

/// Opens `path` (bytes, relative, never empty) below `folder`.
pub(crate) fn open_beneath(
    folder: impl AsFd,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for _ in 1..OPEN_ATTEMPTS {
        match openat2(folder.as_fd(), path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    openat2(folder.as_fd(), path, flags | OFlags::CLOEXEC, mode, resolve)
}

pub(crate) fn open_folder_beneath(folder: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    open_beneath(folder, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

/// Opens one of our own folders, by a path of our own making.
pub(crate) fn open_own_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// Names and kinds in an open folder, sorted by bytes, without `.` and `..`.
pub(crate) fn sorted_names(folder: impl AsFd) -> io::Result<Vec<(Vec<u8>, FileType)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder.as_fd())? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => kind_of(&folder, name)?,
            known => known,
        };
        names.push((name.to_vec(), kind));
    }
    names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(names)
}

/// Some file systems do not tell kinds in listings.
fn kind_of(folder: impl AsFd, name: &[u8]) -> io::Result<FileType> {
    let stat = rustix::fs::statat(folder.as_fd(), name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}
