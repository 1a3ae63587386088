//! From a folder to a tar stream whose bytes depend on names, contents, execute bits and link targets alone: parents first, names
//! sorted by bytes within their folder, GNU headers, one time, one owner, two modes, no extended attributes. Sockets, pipes and
//! devices are left out. Two copies of one tree give the same stream, and so the same digest.

use super::create::Executable;
use super::header::{self, BLOCK_BYTES, Flag};
use super::name::EntryName;
use super::open::{open_beneath, open_folder_beneath, sorted_names};
use super::{MODE_EXECUTABLE, MODE_PLAIN};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{FileType, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};

/// The name under which GNU tar announces a name or target that does not fit its field.
const LONG_LINK: &[u8] = b"././@LongLink";
const BUFFER_BYTES: usize = 64 * 1024;
/// Deeper trees are none that the extractor made; the bound keeps the recursion off the stack's end.
const MAX_DEPTH: usize = 200;
const MODE_LINK: u32 = 0o777;

/// What was packed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    pub entries: u64,
    pub files: u64,
    /// Sum of all files' contents.
    pub bytes: u64,
}

/// Why a tree could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("reading \"{name}\" failed")]
    Read {
        name: EntryName,
        #[source]
        source: io::Error,
    },
    #[error("writing the archive failed")]
    Write(#[source] io::Error),
    #[error("\"{name}\" became shorter while it was packed")]
    Changed { name: EntryName },
    #[error("\"{name}\" is nested too deeply to be packed")]
    TooDeep { name: EntryName },
}

/// Packs what is in `folder` as `prefix/...`, the entry of `prefix` itself included. An empty prefix packs the names as they are.
pub fn pack(folder: BorrowedFd<'_>, prefix: &str, out: &mut dyn Write) -> Result<Packed, PackError> {
    let mut packer = Packer::new(out);
    packer.tree(folder, prefix, &[])?;
    packer.finish()
}

/// Writes an archive piece by piece.
pub struct Packer<'a> {
    out: &'a mut dyn Write,
    packed: Packed,
    buffer: Vec<u8>,
}

impl<'a> Packer<'a> {
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, packed: Packed::default(), buffer: vec![0; BUFFER_BYTES] }
    }

    /// Adds a folder's whole tree, without the names listed in `except` of its top level.
    pub fn tree(&mut self, folder: BorrowedFd<'_>, prefix: &str, except: &[&str]) -> Result<(), PackError> {
        if !prefix.is_empty() {
            self.folder(prefix)?;
        }
        self.contents(folder, prefix.as_bytes(), except, MAX_DEPTH)
    }

    /// Adds the entry of one folder.
    pub fn folder(&mut self, name: &str) -> Result<(), PackError> {
        self.entry(Flag::Folder, &[name.as_bytes(), b"/"].concat(), b"", MODE_EXECUTABLE, 0)
    }

    /// Adds one open file under a name of its own.
    pub fn file(&mut self, name: &str, file: &mut File) -> Result<(), PackError> {
        self.open_file(name.as_bytes(), file)
    }

    /// Writes the end mark. Without it the archive counts as cut.
    pub fn finish(self) -> Result<Packed, PackError> {
        self.out.write_all(&[0; 2 * BLOCK_BYTES]).map_err(PackError::Write)?;
        self.out.flush().map_err(PackError::Write)?;
        Ok(self.packed)
    }

    fn contents(
        &mut self,
        folder: BorrowedFd<'_>,
        prefix: &[u8],
        except: &[&str],
        depth: usize,
    ) -> Result<(), PackError> {
        let failed = |source| PackError::Read { name: EntryName::new(prefix), source };
        let Some(depth) = depth.checked_sub(1) else {
            return Err(PackError::TooDeep { name: EntryName::new(prefix) });
        };
        for (name, kind) in sorted_names(folder).map_err(failed)? {
            if except.iter().any(|skipped| skipped.as_bytes() == name) {
                continue;
            }
            let full = if prefix.is_empty() { name.clone() } else { [prefix, b"/", &name].concat() };
            self.listed(folder, &name, kind, &full, depth)?;
        }
        Ok(())
    }

    fn listed(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        kind: FileType,
        full: &[u8],
        depth: usize,
    ) -> Result<(), PackError> {
        let failed =
            |error: rustix::io::Errno| PackError::Read { name: EntryName::new(full), source: error.into() };
        match kind {
            FileType::Directory => {
                let folder = open_folder_beneath(parent, name).map_err(failed)?;
                self.entry(Flag::Folder, &[full, b"/"].concat(), b"", MODE_EXECUTABLE, 0)?;
                self.contents(folder.as_fd(), full, &[], depth)
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new()).map_err(failed)?;
                self.entry(Flag::Symlink, full, target.to_bytes(), MODE_LINK, 0)
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
                let mut file = File::from(open_beneath(parent, name, flags, Mode::empty()).map_err(failed)?);
                self.open_file(full, &mut file)
            }
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Ok(()),
        }
    }

    fn open_file(&mut self, full: &[u8], file: &mut File) -> Result<(), PackError> {
        let failed = |source| PackError::Read { name: EntryName::new(full), source };
        let stat = rustix::fs::fstat(&*file).map_err(|error| failed(error.into()))?;
        let mode = match Executable::of_mode(stat.st_mode) {
            Executable::Yes => MODE_EXECUTABLE,
            Executable::No => MODE_PLAIN,
        };
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.entry(Flag::File, full, b"", mode, size)?;
        self.content(full, file, size)?;
        self.packed.files += 1;
        self.packed.bytes += size;
        Ok(())
    }

    fn content(&mut self, full: &[u8], file: &mut File, size: u64) -> Result<(), PackError> {
        let mut left = file.take(size);
        loop {
            let failed = |source| PackError::Read { name: EntryName::new(full), source };
            let read = left.read(&mut self.buffer).map_err(failed)?;
            if read == 0 {
                break;
            }
            self.out.write_all(&self.buffer[..read]).map_err(PackError::Write)?;
        }
        if left.limit() > 0 {
            return Err(PackError::Changed { name: EntryName::new(full) });
        }
        self.pad(size)
    }

    fn entry(&mut self, flag: Flag, name: &[u8], link: &[u8], mode: u32, size: u64) -> Result<(), PackError> {
        if !header::fits(link) {
            self.long(Flag::GnuLongLink, link)?;
        }
        if !header::fits(name) {
            self.long(Flag::GnuLongName, name)?;
        }
        self.packed.entries += 1;
        self.block(&header::encode(flag, name, link, mode, size))
    }

    fn long(&mut self, flag: Flag, text: &[u8]) -> Result<(), PackError> {
        let size = text.len() as u64 + 1;
        self.block(&header::encode(flag, LONG_LINK, b"", MODE_PLAIN, size))?;
        self.block(text)?;
        self.block(&[0])?;
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<(), PackError> {
        let over = usize::try_from(size % BLOCK_BYTES as u64).expect("a remainder of 512 fits");
        self.block(&[0; BLOCK_BYTES][..(BLOCK_BYTES - over) % BLOCK_BYTES])
    }

    fn block(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.out.write_all(bytes).map_err(PackError::Write)
    }
}
