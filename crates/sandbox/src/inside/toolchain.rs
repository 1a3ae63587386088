//! The one tree of tools that a process may see beside the stack, at a path that is the same on every machine.
//!
//! What is in such a tree refers to the place that it was installed at: libraries by the run path of programs, scripts by their
//! first line. Therefore the old name leads to the new place, by a link, and nothing else of the folders above it is there.

use super::InsideError;
use super::mounts::{self, Access};
use super::rootfs::make_folder;
use crate::shim::orders::Orders;
use crate::spec::Toolchain;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Component, Path};

const OPT: &str = "opt";
/// Shown already, at its own place.
const USR: &str = "/usr";
/// Top folders of the new root that are mounts of their own, hold links or are the app's: no old name is made in them.
const TAKEN: [&str; 15] = [
    "app", "bin", "cache", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "src", "tmp",
    "usr", "var",
];

/// Why no process could start with a toolchain, as the end of a sentence that names its prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitPrefix {
    #[error("which lies below {0}, where apps find it: nothing can be made there. Move it elsewhere")]
    BelowTarget(&'static str),
    #[error("which holds {0}, where apps find it: it cannot be both. Move it to a folder of its own")]
    AboveTarget(&'static str),
}

/// Whether a toolchain can be bound from where it lies on this machine.
pub fn check_prefix(toolchain: Toolchain, prefix: &Path) -> Result<(), UnfitPrefix> {
    let target = toolchain.path();
    if prefix == Path::new(target) {
        Ok(())
    } else if prefix.starts_with(target) {
        Err(UnfitPrefix::BelowTarget(target))
    } else if Path::new(target).starts_with(prefix) {
        Err(UnfitPrefix::AboveTarget(target))
    } else {
        Ok(())
    }
}

/// Binds the tree that the orders name, if they name one.
pub fn bind(orders: &Orders) -> Result<(), InsideError> {
    let Some(toolchain) = orders.spec.toolchain else { return Ok(()) };
    let prefix = orders
        .toolchain_prefix
        .as_deref()
        .ok_or_else(|| InsideError::new("find the toolchain", "the launcher knows of none"))?;
    let target = toolchain.path();
    make_folder(OPT)?;
    if prefix.starts_with(USR) {
        return link(prefix, Path::new(target));
    }
    make_folder(target.trim_start_matches('/'))?;
    mounts::bind(prefix, target.trim_start_matches('/'), Access::ReadOnly)?;
    keep_old_name(CWD, prefix, Path::new(target))
}

/// `root`: the new root.
fn keep_old_name(root: BorrowedFd<'_>, prefix: &Path, target: &Path) -> Result<(), InsideError> {
    if !can_keep(prefix) || prefix == target {
        return Ok(());
    }
    for folder in prefix.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev().skip(1) {
        match in_root(root, folder, |parent, name| {
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
        }) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => {
                return Err(InsideError::new(format!("make the folder {}", folder.display()), errno));
            }
        }
    }
    in_root(root, prefix, |parent, name| rustix::fs::symlinkat(target, parent, name)).map_err(|errno| {
        InsideError::new(format!("link {} to {}", prefix.display(), target.display()), errno)
    })
}

/// Acts on a name of the new root, in the folder that it lies in. Links on the way lead where they will once the new root is the root.
fn in_root(
    root: BorrowedFd<'_>,
    path: &Path,
    act: impl FnOnce(&OwnedFd, &OsStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let parent = rustix::fs::openat2(root, parent, flags, Mode::empty(), resolve)?;
    act(&parent, name)
}

/// Whether a name of the host can be made in the new root.
fn can_keep(prefix: &Path) -> bool {
    let mut components = prefix.components().skip(1);
    let top = components.next();
    let is_taken = |name: &OsStr| TAKEN.iter().any(|taken| name == *taken) || name == ".dozen";
    let is_plain = prefix.is_absolute() && components.all(|part| matches!(part, Component::Normal(_)));
    is_plain && matches!(top, Some(Component::Normal(name)) if !is_taken(name))
}

/// The current directory is the new root.
fn link(to: &Path, name: &Path) -> Result<(), InsideError> {
    rustix::fs::symlinkat(to, CWD, name.strip_prefix("/").unwrap_or(name))
        .map_err(|errno| InsideError::new(format!("link {} to {}", name.display(), to.display()), errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn old_names_are_kept_where_nothing_else_is() {
        for (prefix, expected) in [
            ("/root/.pyenv/versions/3.11.7", true),
            ("/home/ada/.nvm/versions/node/v20.1.0", true),
            ("/opt/python-3.12", true),
            ("/tmp/python", false),
            ("/app/python", false),
            ("/etc/python", false),
            ("/var/tmp/python", false),
            ("/", false),
            ("/srv/../etc/x", false),
        ] {
            assert_eq!(can_keep(Path::new(prefix)), expected, "{prefix}");
        }
    }

    #[test]
    fn a_link_in_the_new_root_leads_nowhere_else() {
        let place = tempfile::tempdir().unwrap();
        let (root, outside) = (place.path().join("root"), place.path().join("outside"));
        std::fs::create_dir_all(root.join("real")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink("/real", root.join("inner")).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("outer")).unwrap();
        let opened = rustix::fs::open(&root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let keep = |prefix: &str| {
            keep_old_name(opened.as_fd(), Path::new(prefix), Path::new("/opt/python")).map_err(drop)
        };
        assert_eq!(keep("/home/ada/py"), Ok(()));
        assert_eq!(keep("/inner/a/py"), Ok(()));
        for name in ["home/ada/py", "real/a/py"] {
            assert_eq!(std::fs::read_link(root.join(name)).unwrap(), Path::new("/opt/python"), "{name}");
        }
        assert_eq!(keep("/outer/a/py"), Err(()));
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn a_prefix_may_not_lie_where_it_is_shown() {
        let python = Toolchain::Runtime("python-3.12".parse().unwrap());
        let (below, above) =
            (UnfitPrefix::BelowTarget("/opt/python"), UnfitPrefix::AboveTarget("/opt/python"));
        for (toolchain, prefix, expected) in [
            (python, "/opt/python", Ok(())),
            (python, "/opt/python-3.12", Ok(())),
            (python, "/opt/python/3.12", Err(below)),
            (python, "/opt", Err(above)),
            (python, "/opt/rust/python", Ok(())),
            (Toolchain::Rust, "/opt/rust/stable", Err(UnfitPrefix::BelowTarget("/opt/rust"))),
        ] {
            assert_eq!(check_prefix(toolchain, Path::new(prefix)), expected, "{prefix}");
        }
    }
}
