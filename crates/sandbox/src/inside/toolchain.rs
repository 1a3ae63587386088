//! The one tree of tools that a process may see beside the stack, at a path that is the same on every machine.
//!
//! What is in such a tree refers to the place that it was installed at: libraries by the run path of programs, scripts by their
//! first line. Therefore the old name leads to the new place, by a link, and nothing else of the folders above it is there.

use super::InsideError;
use super::mounts::{self, Access};
use super::rootfs::make_folder;
use crate::shim::orders::Orders;
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::path::{Component, Path};

const OPT: &str = "opt";
/// Shown already, at its own place.
const USR: &str = "/usr";
/// Top folders of the new root that are mounts of their own or the app's: no old name is made in them.
const TAKEN: [&str; 14] = [
    "app", "bin", "cache", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "src", "tmp",
    "usr",
];

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
    keep_old_name(prefix, Path::new(target))
}

fn keep_old_name(prefix: &Path, target: &Path) -> Result<(), InsideError> {
    if !can_keep(prefix) || prefix == target {
        return Ok(());
    }
    for folder in prefix.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev().skip(1) {
        match rustix::fs::mkdirat(CWD, relative(folder), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => {
                return Err(InsideError::new(format!("make the folder {}", folder.display()), errno));
            }
        }
    }
    link(target, prefix)
}

/// Whether a name of the host can be made in the new root.
fn can_keep(prefix: &Path) -> bool {
    let mut components = prefix.components().skip(1);
    let top = components.next();
    let is_taken = |name: &OsStr| TAKEN.iter().any(|taken| name == *taken) || name == ".dozen";
    let is_plain = prefix.is_absolute() && components.all(|part| matches!(part, Component::Normal(_)));
    is_plain && matches!(top, Some(Component::Normal(name)) if !is_taken(name))
}

fn link(to: &Path, name: &Path) -> Result<(), InsideError> {
    rustix::fs::symlinkat(to, CWD, relative(name))
        .map_err(|errno| InsideError::new(format!("link {} to {}", name.display(), to.display()), errno))
}

/// The current directory is the new root.
fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_are_kept_where_nothing_else_is() {
        for (prefix, expected) in [
            ("/root/.pyenv/versions/3.11.7", true),
            ("/home/ada/.nvm/versions/node/v20.1.0", true),
            ("/opt/python-3.12", true),
            ("/tmp/python", false),
            ("/app/python", false),
            ("/etc/python", false),
            ("/", false),
            ("/srv/../etc/x", false),
        ] {
            assert_eq!(can_keep(Path::new(prefix)), expected, "{prefix}");
        }
    }
}
