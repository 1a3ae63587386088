//! Looking into a stranger's tree: kinds, listings and small files, each read bounded, no link followed.

use super::open::{open_beneath, open_folder_beneath, open_own_folder, sorted_names};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A tree that is open for reading.
#[derive(Debug)]
pub struct SourceTree {
    folder: OwnedFd,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link,
    /// Something that an extracted tree never holds.
    Other,
}

/// One name of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: Vec<u8>,
    pub kind: Kind,
}

/// Why something in a tree could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("\"{path}\" has more than {limit} bytes")]
    TooLarge { path: String, limit: u64 },
    #[error("\"{path}\" is a symbolic link or lies behind one; links are not followed")]
    Link { path: String },
    #[error("\"{path}\" is not a regular file")]
    NotAFile { path: String },
    #[error("reading \"{path}\" failed")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
}

impl SourceTree {
    /// Opens a folder of our own data folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { folder: open_own_folder(path)? })
    }

    /// A folder that is already open.
    pub const fn of(folder: OwnedFd) -> Self {
        Self { folder }
    }

    pub fn as_folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// What `path` is, `None` when there is nothing.
    pub fn kind(&self, path: &str) -> Result<Option<Kind>, ReadError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let failed = |error: Errno| ReadError::Io { path: path.to_owned(), source: error.into() };
        match open_beneath(&self.folder, path.as_bytes(), flags, Mode::empty()) {
            Ok(file) => rustix::fs::fstat(file)
                .map(|stat| Some(kind_of(FileType::from_raw_mode(stat.st_mode))))
                .map_err(failed),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(Errno::LOOP) => Ok(Some(Kind::Link)),
            Err(error) => Err(failed(error)),
        }
    }

    pub fn is_file(&self, path: &str) -> Result<bool, ReadError> {
        Ok(self.kind(path)? == Some(Kind::File))
    }

    /// The whole of a small file, `None` when there is nothing of that name.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(file) = self.open_file(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let failed = |source| ReadError::Io { path: path.to_owned(), source };
        file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(ReadError::TooLarge { path: path.to_owned(), limit });
        }
        Ok(Some(bytes))
    }

    /// A regular file, open for reading, `None` when there is nothing of that name.
    pub fn open_file(&self, path: &str) -> Result<Option<File>, ReadError> {
        let named = || path.to_owned();
        // NONBLOCK: opening a named pipe must not wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match open_beneath(&self.folder, path.as_bytes(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(Errno::LOOP) => return Err(ReadError::Link { path: named() }),
            Err(error) => return Err(ReadError::Io { path: named(), source: error.into() }),
        };
        let metadata = file.metadata().map_err(|source| ReadError::Io { path: named(), source })?;
        if !metadata.is_file() {
            return Err(ReadError::NotAFile { path: named() });
        }
        Ok(Some(file))
    }

    /// A folder, open, `None` when there is none of that name.
    pub fn open_folder(&self, path: &str) -> Result<Option<OwnedFd>, ReadError> {
        match open_folder_beneath(&self.folder, path.as_bytes()) {
            Ok(folder) => Ok(Some(folder)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(ReadError::Io { path: path.to_owned(), source: error.into() }),
        }
    }

    /// Names in a folder (`""` for the root), sorted by bytes; `None` when there is no such folder.
    pub fn list(&self, path: &str) -> Result<Option<Vec<Listed>>, ReadError> {
        let failed = |source| ReadError::Io { path: path.to_owned(), source };
        let path = if path.is_empty() { "." } else { path };
        let folder = match open_folder_beneath(&self.folder, path.as_bytes()) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let names = sorted_names(folder).map_err(failed)?;
        Ok(Some(names.into_iter().map(|(name, kind)| Listed { name, kind: kind_of(kind) }).collect()))
    }
}

fn kind_of(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn reads_files_and_follows_nothing() {
        let outside = tempfile::tempdir().expect("a folder");
        std::fs::write(outside.path().join("secret"), "s").expect("written");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), "12345").expect("written");
        std::fs::create_dir(folder.path().join("sub")).expect("made");
        std::fs::write(folder.path().join("sub/inner"), "x").expect("written");
        symlink(outside.path(), folder.path().join("out")).expect("linked");
        symlink("file", folder.path().join("alias")).expect("linked");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join("pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .expect("a named pipe");
        let tree = SourceTree::open(folder.path()).expect("opens");
        assert_eq!(tree.read("file", 5).expect("reads").as_deref(), Some(&b"12345"[..]));
        assert!(matches!(tree.read("file", 4), Err(ReadError::TooLarge { .. })));
        assert!(matches!(tree.read("alias", 9), Err(ReadError::Link { .. })));
        assert!(matches!(tree.read("out/secret", 9), Err(ReadError::Link { .. })));
        assert!(matches!(tree.read("pipe", 9), Err(ReadError::NotAFile { .. })));
        assert!(matches!(tree.read("sub", 9), Err(ReadError::NotAFile { .. })));
        assert!(tree.read("../x", 9).is_err());
        assert!(tree.read("/etc/passwd", 9).is_err());
        assert_eq!(tree.read("none/x", 9).expect("nothing there"), None);
        assert_eq!(tree.kind("alias").expect("a kind"), Some(Kind::Link));
        assert_eq!(tree.kind("pipe").expect("a kind"), Some(Kind::Other));
        assert_eq!(tree.kind("sub").expect("a kind"), Some(Kind::Folder));
        assert_eq!(tree.kind("file/x").expect("a kind"), None);
        let names: Vec<_> =
            tree.list("").expect("lists").expect("is there").into_iter().map(|l| l.name).collect();
        assert_eq!(names, [&b"alias"[..], b"file", b"out", b"pipe", b"sub"]);
        assert_eq!(tree.list("out").expect("lists"), None);
    }
}
