//! Copies and listings of trees inside the sandbox, where everything belongs to the build.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Every path of a folder, and what is there.
pub(super) type Listing = BTreeMap<PathBuf, State>;

/// What is at a path, as far as it shows whether somebody has changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Folder,
    Link(PathBuf),
    /// Whatever is done to a file changes its inode, or the time of the inode's last change.
    File {
        inode: u64,
        changed: (i64, i64),
    },
}

/// What was done to a folder that has got nothing new.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) gone: BTreeSet<PathBuf>,
    /// Files with other contents, or the same written again.
    pub(super) written: BTreeSet<PathBuf>,
}

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

/// Everything below a folder, by its path relative to it. No link is followed.
pub(super) fn list(folder: &Path) -> io::Result<Listing> {
    let mut all = Listing::new();
    let mut ahead = vec![PathBuf::new()];
    while let Some(relative) = ahead.pop() {
        for entry in fs::read_dir(folder.join(&relative))? {
            let path = relative.join(entry?.file_name());
            let state = observe(&folder.join(&path))?;
            if state == State::Folder {
                ahead.push(path.clone());
            }
            all.insert(path, state);
        }
    }
    Ok(all)
}

fn observe(path: &Path) -> io::Result<State> {
    let found = fs::symlink_metadata(path)?;
    Ok(if found.is_dir() {
        State::Folder
    } else if found.is_symlink() {
        State::Link(fs::read_link(path)?)
    } else {
        State::File { inode: found.ino(), changed: (found.ctime(), found.ctime_nsec()) }
    })
}

/// `None` when there is something new, or something else in an old place.
pub(super) fn compare(before: &Listing, after: &Listing) -> Option<Change> {
    let mut written = BTreeSet::new();
    for (path, state) in after {
        match (before.get(path)?, state) {
            (old, new) if old == new => {}
            (State::File { .. }, State::File { .. }) => drop(written.insert(path.clone())),
            _ => return None,
        }
    }
    let gone = before.keys().filter(|path| !after.contains_key(*path)).cloned().collect();
    Some(Change { gone, written })
}

/// Copies files over those of the same path, where there still are any.
pub(super) fn overwrite(from: &Path, to: &Path) -> io::Result<()> {
    for (path, _) in list(from)?.iter().filter(|(_, state)| matches!(state, State::File { .. })) {
        if fs::symlink_metadata(to.join(path)).is_ok_and(|found| found.is_file()) {
            fs::copy(from.join(path), to.join(path))?;
        }
    }
    Ok(())
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

    fn paths(folder: &Path) -> Vec<String> {
        list(folder).expect("listed").keys().map(|path| path.display().to_string()).collect()
    }

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
        assert_eq!(paths(&full), paths(&second));
        let before = list(&full).expect("listed");
        fs::remove_dir_all(full.join("dev")).expect("removed");
        fs::remove_file(full.join(".bin/dev")).expect("removed");
        let change = compare(&before, &list(&full).expect("listed")).expect("nothing new");
        assert!(change.written.is_empty(), "{change:?}");
        fs::write(second.join("dev/made-by-the-build"), "x").expect("written");
        remove(&second, &change.gone).expect("removed");
        assert_eq!(paths(&second), [".bin", "dev", "dev/made-by-the-build", "kept"]);
        remove(&second, &change.gone).expect("again");
    }

    #[test]
    fn what_is_written_is_told_and_what_is_new_is_no_mere_change() {
        let place = tempfile::tempdir().expect("a folder");
        let at = |name: &str| place.path().join("all").join(name);
        fs::create_dir_all(at("folder")).expect("made");
        ["record", "same"].iter().for_each(|name| fs::write(at(name), "1").expect("written"));
        std::os::unix::fs::symlink("same", at("link")).expect("linked");
        let before = list(&at("")).expect("listed");
        let change = || compare(&before, &list(&at("")).expect("listed"));
        let nothing = Change { gone: BTreeSet::new(), written: BTreeSet::new() };
        assert_eq!(change(), Some(nothing));
        fs::write(at("new-record"), "2").expect("written");
        assert_eq!(change(), None, "something was added");
        fs::rename(at("new-record"), at("record")).expect("renamed");
        assert_eq!(change().expect("only changed").written, BTreeSet::from([PathBuf::from("record")]));
        fs::remove_file(at("link")).expect("removed");
        std::os::unix::fs::symlink("record", at("link")).expect("linked");
        assert_eq!(change(), None, "a link leads elsewhere");
        let (records, other) = (place.path().join("records"), place.path().join("other"));
        [&records, &other].iter().for_each(|folder| fs::create_dir(folder).expect("made"));
        ["record", "removed"].iter().for_each(|name| fs::write(records.join(name), "2").expect("written"));
        fs::write(other.join("record"), "1").expect("written");
        overwrite(&records, &other).expect("copied");
        assert_eq!(
            (fs::read(other.join("record")).expect("reads"), paths(&other)),
            (b"2".to_vec(), vec!["record".to_owned()])
        );
    }
}
