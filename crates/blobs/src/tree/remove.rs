//! Removing whole trees, without following a link and without leaving the folder.

use super::open::{open_folder_beneath, sorted_names};
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FileType, unlinkat};
use rustix::io::Errno;
use std::io;

/// Deeper trees are not ours. Extracted ones are far below; the bound keeps the recursion off the stack's end.
const MAX_DEPTH: usize = 500;

/// Empties a folder. Goes on as far as it can; the first error is returned.
pub fn remove_contents(folder: impl AsFd) -> io::Result<()> {
    remove_contents_to(folder.as_fd(), MAX_DEPTH)
}

/// Removes what `name` is in `folder`: file, link or tree. Nothing there is success.
pub fn remove_tree(folder: impl AsFd, name: &str) -> io::Result<()> {
    remove_bytes(folder, name.as_bytes())
}

/// As [`remove_tree`], for names of strangers.
pub(crate) fn remove_bytes(folder: impl AsFd, name: &[u8]) -> io::Result<()> {
    match unlinkat(folder.as_fd(), name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => remove_folder(folder.as_fd(), name, MAX_DEPTH),
        Err(error) => Err(error.into()),
    }
}

fn remove_contents_to(folder: impl AsFd, depth: usize) -> io::Result<()> {
    let mut first_error = Ok(());
    for (name, kind) in sorted_names(&folder)? {
        let removed = match kind {
            FileType::Directory => remove_folder(&folder, &name, depth),
            _ => unlinkat(folder.as_fd(), name.as_slice(), AtFlags::empty()).map_err(io::Error::from),
        };
        first_error = first_error.and(removed);
    }
    first_error
}

fn remove_folder(parent: impl AsFd, name: &[u8], depth: usize) -> io::Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(io::Error::other("the tree is nested too deeply to be removed"));
    };
    let folder = open_folder_beneath(&parent, name)?;
    remove_contents_to(&folder, depth)?;
    Ok(unlinkat(parent.as_fd(), name, AtFlags::REMOVEDIR)?)
}

#[cfg(test)]
mod tests {
    use super::super::open::open_own_folder;
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn removes_the_tree_and_nothing_that_links_lead_to() {
        let outer = tempfile::tempdir().expect("a folder");
        let kept = outer.path().join("kept");
        fs::create_dir(&kept).expect("made");
        fs::write(kept.join("file"), "x").expect("written");
        let tree = outer.path().join("tree");
        fs::create_dir_all(tree.join("a/b/c")).expect("made");
        fs::write(tree.join("a/b/file"), "x").expect("written");
        symlink(&kept, tree.join("a/link")).expect("linked");
        let folder = open_own_folder(outer.path()).expect("opens");
        remove_tree(&folder, "tree").expect("removed");
        remove_tree(&folder, "tree").expect("nothing there is success");
        assert!(!tree.exists());
        assert!(kept.join("file").exists());
        symlink(&kept, outer.path().join("link")).expect("linked");
        remove_tree(&folder, "link").expect("removed");
        assert!(kept.join("file").exists());
        remove_contents(&folder).expect("emptied");
        assert_eq!(fs::read_dir(outer.path()).expect("reads").count(), 0);
    }
}
