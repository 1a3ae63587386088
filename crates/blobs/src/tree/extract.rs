//! From a tar stream to a folder: the one extractor, for `git archive`, for uploaded tarballs and for what a sandbox hands out.
//!
//! The rules, in one place:
//! * Files become 0644 or 0755 (by the owner's execute bit), folders 0755; set-uid, set-gid and sticky bits, owners, times and
//!   extended attributes are dropped. Files get the one fixed time of stored trees.
//! * Relative symbolic links that stay inside are kept and never followed; all others are refused ([`super::links`]).
//! * A hard link to an earlier regular file becomes a copy of it, counted like any file; other hard links are refused.
//! * A file or link may occur once; a folder may be named again. Nothing may lie below a file or a link.
//! * Names are bytes; names that differ by case are different ([`super::name`]).
//! * Devices, fifos, sparse files and unknown types are refused; so is an archive that is cut, damaged or followed by anything.
//! * Whatever fails, the folder is empty afterwards.

use super::archive::{Archive, Entry};
use super::create::{Destination, Executable, finish_file};
use super::header::Flag;
use super::limits::Limits;
use super::links::Links;
use super::name::{EntryName, EntryPath};
use super::open::sorted_names;
use super::refusal::{ExtractError, Refusal};
use super::remove::remove_contents;
use domain::names::CommitId;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};

const BUFFER_BYTES: usize = 64 * 1024;

/// What was extracted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TreeSummary {
    pub files: u64,
    pub folders: u64,
    pub links: u64,
    /// Sum of all files' contents.
    pub bytes: u64,
    /// The commit that `git archive` wrote into the global header.
    pub commit: Option<CommitId>,
}

/// Extracts a whole archive into an open, empty folder. On failure the folder is empty again.
pub fn extract(
    reader: &mut dyn Read,
    folder: BorrowedFd<'_>,
    limits: &Limits,
) -> Result<TreeSummary, ExtractError> {
    if !sorted_names(folder).map_err(ExtractError::Destination)?.is_empty() {
        return Err(ExtractError::NotEmpty);
    }
    let result = Extraction::new(reader, folder, limits).run();
    if result.is_err() {
        // The reason of the failure matters more than a left-over, which the caller's own clean-up finds again.
        let _ = remove_contents(folder);
    }
    result
}

struct Extraction<'a> {
    archive: Archive<'a>,
    destination: Destination<'a>,
    limits: &'a Limits,
    links: Links,
    summary: TreeSummary,
    seen: u64,
    /// Written since somebody looked at the free space.
    unseen_bytes: u64,
    buffer: Vec<u8>,
}

impl<'a> Extraction<'a> {
    fn new(reader: &'a mut dyn Read, folder: BorrowedFd<'a>, limits: &'a Limits) -> Self {
        Self {
            archive: Archive::new(reader),
            destination: Destination::new(folder),
            limits,
            links: Links::default(),
            summary: TreeSummary::default(),
            seen: 0,
            // The first file is a reason to look.
            unseen_bytes: Limits::LOOK_BYTES,
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    fn run(mut self) -> Result<TreeSummary, ExtractError> {
        while let Some(entry) = self.archive.next_entry()? {
            self.take(&entry)?;
            self.check_count()?;
        }
        self.links.check()?;
        // The folder itself is part of the tree: readable by all, whatever umask it was made under.
        self.destination.open_to_all().map_err(|error| ExtractError::Destination(error.into()))?;
        self.summary.folders = self.destination.folders;
        self.summary.commit = self.archive.comment().and_then(commit_of);
        Ok(self.summary)
    }

    fn take(&mut self, entry: &Entry) -> Result<(), ExtractError> {
        self.seen += 1;
        self.check_count()?;
        let path = EntryPath::parse(&entry.name, self.limits)?;
        match entry.flag {
            Flag::File => self.file(&path, entry),
            Flag::Folder => self.destination.folder(&path).map_err(|error| failed(&path, error)),
            Flag::Symlink => self.symlink(&path, entry),
            Flag::HardLink => self.hard_link(&path, entry),
            Flag::CharacterDevice => refuse_kind(entry, "character device"),
            Flag::BlockDevice => refuse_kind(entry, "block device"),
            Flag::Fifo => refuse_kind(entry, "named pipe"),
            Flag::GnuSparse => refuse_kind(entry, "sparse file"),
            Flag::Unknown(flag) => {
                Err(Refusal::UnknownKind { name: entry.shown(), flag: char::from(flag) }.into())
            }
            Flag::PaxNext | Flag::PaxGlobal | Flag::GnuLongName | Flag::GnuLongLink => {
                unreachable!("the archive applies these to the entries that it returns")
            }
        }
    }

    fn check_count(&self) -> Result<(), Refusal> {
        let made = self.summary.files + self.summary.links + self.destination.folders;
        if made.max(self.seen) > self.limits.entries {
            return Err(Refusal::TooManyEntries { limit: self.limits.entries });
        }
        Ok(())
    }

    fn file(&mut self, path: &EntryPath, entry: &Entry) -> Result<(), ExtractError> {
        if path.is_root() || entry.name.ends_with(b"/") {
            return Err(Refusal::Kind { name: entry.shown(), kind: "file with a folder's name" }.into());
        }
        self.account(path, entry.size)?;
        let mut file = self.destination.file(path).map_err(|error| failed(path, error))?;
        loop {
            let read = self.archive.content(&mut self.buffer)?;
            if read == 0 {
                break;
            }
            file.write_all(&self.buffer[..read]).map_err(|source| write_failed(path, source))?;
            self.written(read as u64, 0)?;
        }
        self.finish(path, &file, Executable::of_mode(entry.mode))
    }

    fn symlink(&mut self, path: &EntryPath, entry: &Entry) -> Result<(), ExtractError> {
        self.links.add(path.as_bytes(), &entry.link, self.limits)?;
        self.destination.link(path, &entry.link).map_err(|error| failed(path, error))?;
        self.summary.links += 1;
        Ok(())
    }

    fn hard_link(&mut self, path: &EntryPath, entry: &Entry) -> Result<(), ExtractError> {
        let refused = || Refusal::HardLink { name: entry.shown(), target: EntryName::new(&entry.link) };
        let target = EntryPath::parse(&entry.link, self.limits).map_err(|_| refused())?;
        if target.is_root() {
            return Err(refused().into());
        }
        let mut original = self.destination.existing(&target).map_err(|_| refused())?;
        let stat = rustix::fs::fstat(&original).map_err(|error| write_failed(path, error.into()))?;
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(refused().into());
        }
        self.account(path, u64::try_from(stat.st_size).unwrap_or(u64::MAX))?;
        let mut file = self.destination.file(path).map_err(|error| failed(path, error))?;
        let copied = std::io::copy(&mut original, &mut file).map_err(|source| write_failed(path, source))?;
        self.written(copied, 0)?;
        self.finish(path, &file, Executable::of_mode(stat.st_mode))
    }

    /// Counts a file's bytes before one of them is written.
    fn account(&mut self, path: &EntryPath, bytes: u64) -> Result<(), ExtractError> {
        self.check_bytes(path, bytes)?;
        self.written(Limits::OVERHEAD_BYTES, bytes)
    }

    /// From time to time looks whether the file system has room for what is coming.
    fn written(&mut self, bytes: u64, coming: u64) -> Result<(), ExtractError> {
        self.unseen_bytes = self.unseen_bytes.saturating_add(bytes);
        let seldom = self.unseen_bytes.saturating_add(coming) < Limits::LOOK_BYTES;
        if self.limits.spare_bytes == 0 || seldom {
            return Ok(());
        }
        self.unseen_bytes = 0;
        let free = self.destination.free_bytes().map_err(|error| ExtractError::Destination(error.into()))?;
        if free > self.limits.spare_bytes.saturating_add(coming) { Ok(()) } else { Err(ExtractError::NoRoom) }
    }

    fn check_bytes(&mut self, path: &EntryPath, bytes: u64) -> Result<(), Refusal> {
        if bytes > self.limits.file_bytes {
            return Err(Refusal::FileTooLarge { name: path.name(), bytes, limit: self.limits.file_bytes });
        }
        let limit = self.limits.effective_total();
        self.summary.bytes = self.summary.bytes.saturating_add(bytes);
        if self.summary.bytes <= limit {
            return Ok(());
        }
        let name = path.name();
        match self.limits.compressed_bytes {
            Some(compressed) if limit < self.limits.total_bytes => {
                Err(Refusal::Expansion { name, limit, compressed, times: Limits::RATIO })
            }
            _ => Err(Refusal::TooLarge { name, limit }),
        }
    }

    fn finish(&mut self, path: &EntryPath, file: &File, executable: Executable) -> Result<(), ExtractError> {
        finish_file(file, executable).map_err(|error| write_failed(path, error.into()))?;
        self.summary.files += 1;
        Ok(())
    }
}

fn refuse_kind(entry: &Entry, kind: &'static str) -> Result<(), ExtractError> {
    Err(Refusal::Kind { name: entry.shown(), kind }.into())
}

/// What the kernel's answer to making an entry says about the archive.
fn failed(path: &EntryPath, error: Errno) -> ExtractError {
    match error {
        Errno::EXIST => Refusal::Duplicate { name: path.name() }.into(),
        Errno::LOOP | Errno::NOTDIR | Errno::XDEV => Refusal::BelowNonFolder { name: path.name() }.into(),
        other => write_failed(path, other.into()),
    }
}

fn write_failed(path: &EntryPath, source: std::io::Error) -> ExtractError {
    ExtractError::Write { name: path.name(), source }
}

fn commit_of(comment: &[u8]) -> Option<CommitId> {
    std::str::from_utf8(comment).ok()?.parse().ok()
}
