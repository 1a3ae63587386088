//! A second tree of the same files: folders and links are made anew, files get a second name. Only for trees that nobody writes to
//! any more, on one file system.

use super::MODE_EXECUTABLE;
use super::open::{open_folder_beneath, sorted_names};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Mode, linkat, mkdirat, readlinkat, symlinkat};
use rustix::io::Errno;
use std::io;

/// Deeper trees are none that the extractor made.
const MAX_DEPTH: usize = 200;

/// Gives every file of `from` a second name in `to`, which is there and has none of the top names.
pub fn share_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    contents(from, to, MAX_DEPTH)
}

fn contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
    let depth = depth.checked_sub(1).ok_or_else(|| io::Error::from(Errno::LOOP))?;
    for (name, kind) in sorted_names(from)? {
        let name = name.as_slice();
        match kind {
            FileType::Directory => folder(from, to, name, depth)?,
            FileType::Symlink => symlinkat(readlinkat(from, name, Vec::new())?, to, name)?,
            _ => linkat(from, name, to, name, AtFlags::empty())?,
        }
    }
    Ok(())
}

fn folder(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &[u8], depth: usize) -> io::Result<()> {
    let mode = Mode::from_raw_mode(MODE_EXECUTABLE);
    mkdirat(to, name, mode)?;
    let made = open_folder_beneath(to, name)?;
    // Whatever the mask of this process is.
    rustix::fs::fchmod(&made, mode)?;
    contents(open_folder_beneath(from, name)?.as_fd(), made.as_fd(), depth)
}

#[cfg(test)]
mod tests {
    use super::super::{open_own_folder, pack};
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn the_second_tree_is_the_same_and_costs_no_bytes() {
        let place = tempfile::tempdir().expect("a folder");
        let (first, second) = (place.path().join("first"), place.path().join("second"));
        std::fs::create_dir_all(first.join("a/b")).expect("made");
        std::fs::create_dir(&second).expect("made");
        std::fs::write(first.join("a/b/run"), "#!").expect("written");
        std::fs::set_permissions(first.join("a/b/run"), PermissionsExt::from_mode(0o755)).expect("set");
        std::os::unix::fs::symlink("/opt/python", first.join("a/link")).expect("linked");
        let (from, to) = (open_own_folder(&first).expect("opens"), open_own_folder(&second).expect("opens"));
        share_tree(from.as_fd(), to.as_fd()).expect("shared");
        let packed = |folder: BorrowedFd<'_>| {
            let mut bytes = Vec::new();
            pack(folder, "", &mut bytes).expect("packs");
            bytes
        };
        assert_eq!(packed(from.as_fd()), packed(to.as_fd()));
        assert_eq!(std::fs::metadata(second.join("a/b/run")).expect("is there").nlink(), 2);
        assert!(share_tree(from.as_fd(), to.as_fd()).is_err(), "nothing is written over");
    }
}
