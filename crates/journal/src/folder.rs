//! A writer's folder: its segment files, and who holds it.
//!
//! A living writer holds an exclusive lock (flock(2)) on its folder. So anybody may ask whether the writer is alive, and the kernel
//! answers truly however the writer ended.

use crate::segment::{segment_file_name, segment_number};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Segments are read and written by their writer and by the hub, which shares the folder's group.
const SEGMENT_MODE: Mode = Mode::from_raw_mode(0o660);
/// A hub holds the lock only to look or to delete: a writer that meets it asks again, this often and this long between.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// What could not be done with a folder of segments.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot make the journal folder {}", path.display())]
    Make { path: PathBuf, source: Errno },
    #[error("cannot open the journal folder {}", path.display())]
    Open { path: PathBuf, source: Errno },
    #[error("cannot list the journal folder {}", path.display())]
    List { path: PathBuf, source: Errno },
    #[error("cannot lock the journal folder {}", path.display())]
    Lock { path: PathBuf, source: Errno },
    #[error("another writer holds the journal folder {}", path.display())]
    Held { path: PathBuf },
}

/// Whether a folder's writer lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    Alive,
    Gone,
}

/// A segment file as a listing shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFile {
    pub number: u64,
    pub bytes: u64,
    /// Seconds since 1970 of the last write, by the file system's clock.
    pub modified_seconds: u64,
}

/// An open folder of one writer's segments.
#[derive(Debug)]
pub struct WriterFolder {
    path: PathBuf,
    directory: OwnedFd,
}

impl WriterFolder {
    /// Opens an existing folder; a symbolic link is refused.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|source| FolderError::Open { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), directory })
    }

    /// Makes the folder with exactly this mode, whatever the umask, and opens it; one that exists is left as it is.
    pub fn make(path: &Path, mode: u32) -> Result<Self, FolderError> {
        let failed = |source| FolderError::Make { path: path.to_owned(), source };
        match rustix::fs::mkdir(path, Mode::from_raw_mode(mode)) {
            Ok(()) => rustix::fs::chmod(path, Mode::from_raw_mode(mode)).map_err(failed)?,
            Err(Errno::EXIST) => {}
            Err(source) => return Err(failed(source)),
        }
        Self::open(path)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another descriptor of the folder, which shares the lock; nothing if there are too many.
    pub(crate) fn duplicate(&self) -> Option<OwnedFd> {
        self.directory.try_clone().ok()
    }

    /// Takes the folder for writing until this value is dropped. Held by another writer: an error, after a short patience.
    pub(crate) fn lock_for_writing(&self) -> Result<(), FolderError> {
        for _ in 0..LOCK_ATTEMPTS {
            if self.try_lock()? {
                return Ok(());
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        Err(FolderError::Held { path: self.path.clone() })
    }

    fn try_lock(&self) -> Result<bool, FolderError> {
        match rustix::fs::flock(&self.directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(source) => Err(FolderError::Lock { path: self.path.clone(), source }),
        }
    }

    /// Whether a writer holds this folder. If none does, `this` value holds it now, and no writer can begin until it is dropped:
    /// drop it soon.
    pub fn liveness(&self) -> Result<Liveness, FolderError> {
        Ok(if self.try_lock()? { Liveness::Gone } else { Liveness::Alive })
    }

    /// The segments, by number.
    pub fn segments(&self) -> Result<Vec<SegmentFile>, FolderError> {
        let failed = |source| FolderError::List { path: self.path.clone(), source };
        let mut segments = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let number = entry.file_name().to_str().ok().and_then(segment_number);
            segments.extend(number.and_then(|number| self.segment(number)));
        }
        segments.sort_by_key(|segment| segment.number);
        Ok(segments)
    }

    /// One segment, if it is there and a regular file.
    pub fn segment(&self, number: u64) -> Option<SegmentFile> {
        let name = segment_file_name(number);
        let stat = rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        regular.then(|| SegmentFile {
            number,
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            modified_seconds: u64::try_from(stat.st_mtime).unwrap_or(0),
        })
    }

    /// The segment that follows `after`, if there is one. Writers number without holes and the oldest go first, so a listing is
    /// needed only when `after` itself is gone. Then only lower numbers can mean that its writer found an empty folder and began
    /// anew.
    pub(crate) fn next_segment(&self, after: u64) -> Result<Option<u64>, FolderError> {
        let next = after.saturating_add(1);
        if self.segment(next).is_some() {
            return Ok(Some(next));
        }
        if self.segment(after).is_some() {
            return Ok(None);
        }
        let numbers: Vec<u64> = self.segments()?.iter().map(|segment| segment.number).collect();
        Ok(numbers.iter().copied().find(|number| *number > after).or(numbers.first().copied()))
    }

    /// Opens a segment to read. Neither a symbolic link nor a pipe in its place can mislead or delay the caller.
    pub(crate) fn open_segment(&self, number: u64) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, segment_file_name(number), flags, Mode::empty())?;
        match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            FileType::Directory
            | FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Err(Errno::INVAL),
        }
    }

    /// Makes a new segment file; one of that number must not exist.
    pub(crate) fn create_segment(&self, number: u64) -> Result<File, Errno> {
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::APPEND
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, segment_file_name(number), flags, SEGMENT_MODE)?;
        // The umask may have taken the group's right to read.
        rustix::fs::fchmod(&file, SEGMENT_MODE)?;
        Ok(File::from(file))
    }

    /// Deletes a segment; one that is gone already is fine.
    pub fn remove_segment(&self, number: u64) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.directory, segment_file_name(number), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(source),
        }
    }
}

impl AsFd for WriterFolder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder(mode: u32) -> (tempfile::TempDir, WriterFolder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = WriterFolder::make(&parent.path().join("w"), mode).unwrap();
        (parent, folder)
    }

    #[test]
    fn modes_are_exact() {
        let (_parent, folder) = folder(0o2770);
        assert_eq!(folder.path().metadata().unwrap().permissions().mode() & 0o7777, 0o2770);
        let file = folder.create_segment(1).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o660);
        assert_eq!(folder.create_segment(1).unwrap_err(), Errno::EXIST);
    }

    #[test]
    fn one_writer_and_a_true_answer_about_it() {
        let (_parent, first) = folder(0o770);
        let second = WriterFolder::open(first.path()).unwrap();
        first.lock_for_writing().unwrap();
        assert_eq!(second.liveness().unwrap(), Liveness::Alive);
        assert!(matches!(second.lock_for_writing(), Err(FolderError::Held { .. })));
        drop(first);
        assert_eq!(second.liveness().unwrap(), Liveness::Gone);
    }

    #[test]
    fn only_regular_segment_files_count() {
        let (_parent, folder) = folder(0o770);
        folder.create_segment(2).unwrap();
        folder.create_segment(10).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
        std::fs::create_dir(folder.path().join(segment_file_name(3))).unwrap();
        symlink("/etc/passwd", folder.path().join(segment_file_name(4))).unwrap();
        let numbers: Vec<_> = folder.segments().unwrap().iter().map(|segment| segment.number).collect();
        assert_eq!(numbers, [2, 10]);
        assert_eq!(folder.next_segment(1).unwrap(), Some(2));
        assert_eq!(folder.next_segment(5).unwrap(), Some(10));
        assert_eq!(folder.next_segment(11).unwrap(), Some(2), "a series begun anew");
        assert_eq!(folder.next_segment(10).unwrap(), None);
        assert!(folder.open_segment(3).is_err() && folder.open_segment(4).is_err());
        folder.remove_segment(2).unwrap();
        folder.remove_segment(2).unwrap();
    }
}
