//! Making files, folders and links below one open folder. Knows the file system's rules, not those of archives.

use super::name::EntryPath;
use super::open::{open_beneath, open_folder_beneath};
use super::{MODE_EXECUTABLE, MODE_PLAIN, MTIME_SECONDS};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::fs::File;

/// Whether a file is to be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Executable {
    Yes,
    No,
}

impl Executable {
    /// By the owner's execute bit.
    pub(crate) const fn of_mode(mode: u32) -> Self {
        if mode & 0o100 != 0 { Self::Yes } else { Self::No }
    }

    pub(crate) const fn mode(self) -> u32 {
        match self {
            Self::Yes => MODE_EXECUTABLE,
            Self::No => MODE_PLAIN,
        }
    }
}

/// The folder that is being filled, with the chain of folders open down to where the last entry went: entries come sorted, so
/// that most need no walk.
pub(crate) struct Destination<'a> {
    root: BorrowedFd<'a>,
    open: Vec<(Vec<u8>, OwnedFd)>,
    /// Folders made so far, those for missing parents included.
    pub(crate) folders: u64,
}

impl<'a> Destination<'a> {
    pub(crate) fn new(root: BorrowedFd<'a>) -> Self {
        Self { root, open: Vec::new(), folders: 0 }
    }

    /// Gives the folder that is being filled the mode of all folders.
    pub(crate) fn open_to_all(&self) -> Result<(), Errno> {
        rustix::fs::fchmod(self.root, Mode::from_raw_mode(MODE_EXECUTABLE))
    }

    /// What its file system has left.
    pub(crate) fn free_bytes(&self) -> Result<u64, Errno> {
        let stat = rustix::fs::fstatvfs(self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// A new file's descriptor. EEXIST if the name is taken.
    pub(crate) fn file(&mut self, path: &EntryPath) -> Result<File, Errno> {
        let (parent, name) = self.parent_of(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        open_beneath(parent, name, flags, Mode::from_raw_mode(0o600)).map(File::from)
    }

    pub(crate) fn folder(&mut self, path: &EntryPath) -> Result<(), Errno> {
        match path.split() {
            None => Ok(()),
            Some((mut components, name)) => {
                components.push(name);
                self.walk(&components).map(|_| ())
            }
        }
    }

    pub(crate) fn link(&mut self, path: &EntryPath, target: &[u8]) -> Result<(), Errno> {
        let (parent, name) = self.parent_of(path)?;
        rustix::fs::symlinkat(target, parent, name)
    }

    /// Opens a file that an earlier entry made. ELOOP for a link, whatever it points to.
    pub(crate) fn existing(&self, path: &EntryPath) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        open_beneath(self.root, path.as_bytes(), flags, Mode::empty()).map(File::from)
    }

    fn parent_of<'p>(&mut self, path: &'p EntryPath) -> Result<(BorrowedFd<'_>, &'p [u8]), Errno> {
        let (components, name) = path.split().ok_or(Errno::EXIST)?;
        let parent = self.walk(&components)?;
        Ok((parent, name))
    }

    /// Opens the folder with these components, making what is missing.
    fn walk(&mut self, components: &[&[u8]]) -> Result<BorrowedFd<'_>, Errno> {
        let common =
            self.open.iter().zip(components).take_while(|((name, _), wanted)| name == *wanted).count();
        self.open.truncate(common);
        for component in &components[common..] {
            let here = self.open.last().map_or(self.root, |(_, folder)| folder.as_fd());
            let (next, made) = open_or_make(here, component)?;
            self.folders += made;
            self.open.push((component.to_vec(), next));
        }
        Ok(self.open.last().map_or(self.root, |(_, folder)| folder.as_fd()))
    }
}

/// The folder and how many were made: 0 or 1.
fn open_or_make(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(OwnedFd, u64), Errno> {
    match open_folder_beneath(parent, name) {
        Err(Errno::NOENT) => {}
        result => return result.map(|folder| (folder, 0)),
    }
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(MODE_EXECUTABLE))?;
    let folder = open_folder_beneath(parent, name)?;
    // mkdirat takes the umask off.
    rustix::fs::fchmod(&folder, Mode::from_raw_mode(MODE_EXECUTABLE))?;
    Ok((folder, 1))
}

/// Gives a written file its final mode and time.
pub(crate) fn finish_file(file: &File, executable: Executable) -> Result<(), Errno> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(executable.mode()))?;
    rustix::fs::futimens(file, &fixed_times())
}

fn fixed_times() -> Timestamps {
    let seconds = i64::try_from(MTIME_SECONDS).expect("a date of 1980 fits");
    let instant = Timespec { tv_sec: seconds, tv_nsec: 0 };
    Timestamps { last_access: instant, last_modification: instant }
}
