//! Copies and listings of trees inside the sandbox, where everything belongs to the build.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Copies what is in `from` into `to`, which is there, without the names of `except` at the top.
pub(super) fn copy(from: &Path, to: &Path, except: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if except.iter().any(|skipped| name == *skipped) {
            continue;
        }
        let (kind, target) = (entry.file_type()?, to.join(&name));
        if kind.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target, &[])?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Every path below a folder, relative to it. No link is followed.
pub(super) fn list(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::new();
    let mut ahead = vec![PathBuf::new()];
    while let Some(relative) = ahead.pop() {
        for entry in fs::read_dir(folder.join(&relative))? {
            let entry = entry?;
            let path = relative.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                ahead.push(path.clone());
            }
            all.insert(path);
        }
    }
    Ok(all)
}

/// Removes these paths, deepest first. What is gone already, or has got contents that are not listed, stays as it is.
pub(super) fn remove(folder: &Path, paths: &BTreeSet<PathBuf>) -> io::Result<()> {
    for path in paths.iter().rev().map(|path| folder.join(path)) {
        let removed = match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => fs::remove_dir(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_out_once_can_be_taken_out_of_a_copy() {
        let place = tempfile::tempdir().expect("a folder");
        let [full, second] = ["full", "second"].map(|name| place.path().join(name));
        fs::create_dir_all(full.join("dev/deep")).expect("made");
        fs::create_dir_all(full.join(".bin")).expect("made");
        fs::write(full.join("dev/deep/file"), "x").expect("written");
        fs::write(full.join("kept"), "x").expect("written");
        std::os::unix::fs::symlink("../dev/deep/file", full.join(".bin/dev")).expect("linked");
        fs::create_dir(&second).expect("made");
        copy(&full, &second, &[]).expect("copied");
        assert_eq!(list(&full).expect("listed"), list(&second).expect("listed"));
        let before = list(&full).expect("listed");
        fs::remove_dir_all(full.join("dev")).expect("removed");
        fs::remove_file(full.join(".bin/dev")).expect("removed");
        let gone = before.difference(&list(&full).expect("listed")).cloned().collect();
        fs::write(second.join("dev/made-by-the-build"), "x").expect("written");
        remove(&second, &gone).expect("removed");
        let left: Vec<String> =
            list(&second).expect("listed").iter().map(|path| path.display().to_string()).collect();
        assert_eq!(left, [".bin", "dev", "dev/made-by-the-build", "kept"]);
        remove(&second, &gone).expect("again");
    }
}
