//! Removing trees that a stranger wrote, however deep they are: without recursion, and with a few descriptors open at any time.
//!
//! Files go where they lie. A folder below a folder of the top is moved up into the top first, under a name of its own, and has its
//! turn there. Every name is used beneath an open folder, so that no link is followed.

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Removes a folder and everything in it. Goes on as far as it can; the first error of the last pass is returned.
pub fn remove(path: &Path) -> rustix::io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    let top = open(CWD, &name)?;
    let mut lifted = Lifted::default();
    loop {
        let before = lifted.moved;
        let pass = pass(top.as_fd(), &mut lifted)?;
        match pass.left {
            None if pass.removed == 0 => break,
            Some(error) if pass.removed == 0 && lifted.moved == before => return Err(error),
            // Listings may leave out what came, or went, while they were read.
            None | Some(_) => {}
        }
    }
    rustix::fs::unlinkat(CWD, &*name, AtFlags::REMOVEDIR)
}

/// What was done to the entries of the top.
#[derive(Default)]
struct Pass {
    removed: u64,
    left: Option<Errno>,
}

/// Folders that were moved up.
#[derive(Default)]
struct Lifted {
    /// Of the names that were tried: none is tried twice.
    names: u64,
    moved: u64,
}

fn pass(top: BorrowedFd<'_>, lifted: &mut Lifted) -> rustix::io::Result<Pass> {
    let mut pass = Pass::default();
    each_name(top, |name| {
        let removed = match rustix::fs::unlinkat(top, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => remove_folder(top, name, lifted),
            other => other,
        };
        match removed {
            Ok(()) => pass.removed += 1,
            Err(error) => pass.left = pass.left.or(Some(error)),
        }
    })?;
    Ok(pass)
}

/// Unlinks the files of one folder of the top, moves its folders up, and removes it.
fn remove_folder(top: BorrowedFd<'_>, name: &CStr, lifted: &mut Lifted) -> rustix::io::Result<()> {
    let folder = open(top, name)?;
    let mut outcome = Ok(());
    each_name(folder.as_fd(), |name| {
        let gone = match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => lift(folder.as_fd(), name, top, lifted),
            other => other,
        };
        outcome = outcome.and(gone);
    })?;
    outcome?;
    rustix::fs::unlinkat(top, name, AtFlags::REMOVEDIR)
}

/// Moves a folder up. What is in the way under the new name is to be removed as well: an empty folder goes at once.
fn lift(
    folder: BorrowedFd<'_>,
    name: &CStr,
    top: BorrowedFd<'_>,
    lifted: &mut Lifted,
) -> rustix::io::Result<()> {
    // It is written to itself: it names the folder above it.
    allow_all(folder, name)?;
    loop {
        lifted.names += 1;
        match rustix::fs::renameat(folder, name, top, format!(".lifted-{}", lifted.names)) {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            Err(other) => return Err(other),
            Ok(()) => {
                lifted.moved += 1;
                return Ok(());
            }
        }
    }
}

fn each_name(folder: BorrowedFd<'_>, mut act: impl FnMut(&CStr)) -> rustix::io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            act(entry.file_name());
        }
    }
    Ok(())
}

/// Opens a folder itself, never what a link leads to, with every right of its owner's.
fn open(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let folder = allow_all(parent, name)?;
    rustix::fs::openat(&folder, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Who is not root may have to open a folder first: tools write-protect what they unpack.
fn allow_all(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    // Where it is refused, what follows tells whether that matters.
    let _ = rustix::fs::chmod(format!("/proc/self/fd/{}", folder.as_raw_fd()), Mode::RWXU);
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    const DEPTH: usize = 3_000;
    /// Descriptors that the test below leaves to the child that removes.
    const FEW: u32 = 32;
    /// Names the tree to the child.
    const TREE: &str = "DOZEN_TEST_DEEP_TREE";

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn protect(path: &Path) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o500)).unwrap();
    }

    #[test]
    fn write_protected_trees_are_removed_and_links_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let (tree, outside) = (place.path().join("tree"), place.path().join("outside"));
        std::fs::create_dir_all(tree.join("a/b/c/d")).unwrap();
        // In the way of what is moved up: a file, an empty folder, one with something in it.
        std::fs::write(tree.join(".lifted-1"), "x").unwrap();
        std::fs::create_dir_all(tree.join(".lifted-2")).unwrap();
        std::fs::create_dir_all(tree.join(".lifted-3/x/y")).unwrap();
        std::fs::write(tree.join("a/b/file"), "x").unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "x").unwrap();
        for name in ["link", "a/link", "a/b/link"] {
            symlink(&outside, tree.join(name)).unwrap();
        }
        [&outside, &tree.join("a/b"), &tree.join("a"), &tree].into_iter().for_each(|path| protect(path));
        let parent = open(CWD, &CString::new(place.path().as_os_str().as_bytes()).unwrap()).unwrap();
        drop(open(parent.as_fd(), c"tree").unwrap());
        assert_eq!((mode(&tree), mode(&tree.join("a"))), (0o700, 0o500), "each as its turn comes");
        symlink(&outside, place.path().join("link")).unwrap();
        assert!(open(parent.as_fd(), c"link").is_err());
        assert!(remove(&place.path().join("link")).is_err());
        protect(&tree);
        remove(&tree).unwrap();
        assert!(!tree.exists() && outside.join("kept").exists());
        assert_eq!(mode(&outside), 0o500);
        assert_eq!(remove(&tree), Err(Errno::NOENT));
    }

    /// A folder that cannot be moved stays, and that is an error: nobody tries for ever.
    #[test]
    fn what_cannot_be_moved_ends_it() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root to mount something");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let held = place.path().join("tree/a/held");
        std::fs::create_dir_all(&held).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&held).status().unwrap();
        assert!(mounted.success());
        let removed = remove(&place.path().join("tree"));
        let unmounted = Command::new("umount").arg(&held).status().unwrap();
        assert_eq!((removed, unmounted.success()), (Err(Errno::BUSY), true));
        remove(&place.path().join("tree")).unwrap();
    }

    /// As deep as a script of a build likes, and the child that removes it has a few descriptors.
    #[test]
    fn depth_costs_neither_descriptors_nor_stack() {
        if let Some(tree) = std::env::var_os(TREE) {
            return remove(Path::new(&tree)).unwrap();
        }
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let mut folder = open(CWD, &CString::new(tree.as_os_str().as_bytes()).unwrap()).unwrap();
        for _ in 0..DEPTH {
            rustix::fs::mkdirat(&folder, c"deeper", Mode::RWXU).unwrap();
            folder = open(folder.as_fd(), c"deeper").unwrap();
        }
        let mut child = Command::new("sh");
        child.args(["-c", &format!("ulimit -n {FEW} && exec \"$@\""), "sh"]);
        child.arg(std::env::current_exe().unwrap()).args(["depth_costs_neither", "--test-threads=1"]);
        let output = child.env(TREE, &tree).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        assert!(!tree.exists());
    }
}
