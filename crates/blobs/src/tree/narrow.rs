//! Makes one folder of an extracted tree the whole tree: a project within a larger repository, or the one folder that many
//! archives wrap everything into.
//!
//! Links that stayed within the larger tree may leave the smaller one; those are refused, like any other that leaves.

use super::limits::Limits;
use super::links::Links;
use super::name::EntryName;
use super::open::{open_folder_beneath, sorted_names};
use super::refusal::{ExtractError, Refusal};
use super::remove::{remove_bytes, remove_contents, remove_tree};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{FileType, Mode, mkdirat, readlinkat, renameat};
use rustix::io::Errno;
use std::io;

/// Names of the top that are told to somebody who named a folder that is not there.
const SHOWN_NAMES: usize = 10;

/// If all there is in a tree is one folder, its contents become the tree.
pub fn unwrap_single_folder(tree: BorrowedFd<'_>, limits: &Limits) -> Result<(), ExtractError> {
    let names = sorted_names(tree).map_err(ExtractError::Destination)?;
    match names.as_slice() {
        [(name, FileType::Directory)] => narrowed(tree, name, limits),
        _ => Ok(()),
    }
}

/// The folder at `path`, relative and without `..`, becomes the tree. No link on the way to it is followed.
pub fn narrow(tree: BorrowedFd<'_>, path: &str, limits: &Limits) -> Result<(), ExtractError> {
    narrowed(tree, path.as_bytes(), limits)
}

fn narrowed(tree: BorrowedFd<'_>, path: &[u8], limits: &Limits) -> Result<(), ExtractError> {
    let wanted = match open_folder_beneath(tree, path) {
        Ok(folder) => folder,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(no_folder(tree, path)?.into()),
        Err(error) => return Err(ExtractError::Destination(error.into())),
    };
    let mut links = Links::default();
    collect_links(wanted.as_fd(), &mut Vec::new(), &mut links, limits)?;
    links.check()?;
    drop(wanted);
    let done = put_in_place(tree, path);
    if done.is_err() {
        // As after a failed extraction: nothing is left that looks like a tree.
        let _ = remove_contents(tree);
    }
    done.map_err(ExtractError::Destination)
}

fn no_folder(tree: BorrowedFd<'_>, path: &[u8]) -> Result<Refusal, ExtractError> {
    let names = sorted_names(tree).map_err(ExtractError::Destination)?;
    let folders = names.iter().filter(|(_, kind)| *kind == FileType::Directory);
    let shown: Vec<String> =
        folders.take(SHOWN_NAMES).map(|(name, _)| EntryName::new(name).to_string()).collect();
    let found = if shown.is_empty() { "no folder".to_owned() } else { shown.join(", ") };
    Ok(Refusal::NoFolder { name: EntryName::new(path), found })
}

/// Deeper trees were refused when they were extracted.
fn collect_links(
    folder: BorrowedFd<'_>,
    path: &mut Vec<u8>,
    links: &mut Links,
    limits: &Limits,
) -> Result<(), ExtractError> {
    for (name, kind) in sorted_names(folder).map_err(ExtractError::Destination)? {
        let length = path.len();
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
        match kind {
            FileType::Directory => {
                let inner = open_folder_beneath(folder, &name).map_err(unusable)?;
                collect_links(inner.as_fd(), path, links, limits)?;
            }
            FileType::Symlink => {
                let target = readlinkat(folder, name.as_slice(), Vec::new()).map_err(unusable)?;
                links.add(path, target.as_bytes(), limits)?;
            }
            _ => {}
        }
        path.truncate(length);
    }
    Ok(())
}

/// Moves the folder aside, removes the rest, moves what it holds to the top.
fn put_in_place(tree: BorrowedFd<'_>, path: &[u8]) -> io::Result<()> {
    let kept = open_folder_beneath(tree, path)?;
    let taken: Vec<Vec<u8>> =
        [sorted_names(&kept)?, sorted_names(tree)?].into_iter().flatten().map(|(name, _)| name).collect();
    let aside = (0..=taken.len())
        .map(|number| format!(".kept-{number}"))
        .find(|name| !taken.iter().any(|taken| taken == name.as_bytes()))
        .expect("there are more numbers than names");
    mkdirat(tree, aside.as_str(), Mode::from_raw_mode(0o700))?;
    let holder = open_folder_beneath(tree, aside.as_bytes())?;
    let parent = match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => Some((open_folder_beneath(tree, &path[..at])?, &path[at + 1..])),
        None => None,
    };
    match &parent {
        Some((parent, name)) => renameat(parent, *name, &holder, "tree")?,
        None => renameat(tree, path, &holder, "tree")?,
    }
    drop(parent);
    for (name, _) in sorted_names(tree)?.iter().filter(|(name, _)| name != aside.as_bytes()) {
        remove_bytes(tree, name)?;
    }
    for (name, _) in sorted_names(&kept)? {
        renameat(&kept, name.as_slice(), tree, name.as_slice())?;
    }
    remove_tree(tree, &aside)
}

fn unusable(error: Errno) -> ExtractError {
    ExtractError::Destination(error.into())
}

#[cfg(test)]
mod tests {
    use super::super::open::open_own_folder;
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, name).expect("written");
        }
        folder
    }

    fn narrow_to(folder: &Path, path: &str) -> Result<(), ExtractError> {
        let opened = open_own_folder(folder).expect("opens");
        narrow(opened.as_fd(), path, &Limits::SOURCE)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("reads")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_becomes_the_tree() {
        let folder = tree(&["a/web/web", "a/web/a/x", "a/web/.kept-0", "a/other", "b/c"]);
        narrow_to(folder.path(), "a/web").expect("narrowed");
        assert_eq!(names(folder.path()), [".kept-0", "a", "web"]);
        assert_eq!(fs::read_to_string(folder.path().join("a/x")).expect("reads"), "a/web/a/x");
    }

    #[test]
    fn what_is_no_folder_inside_is_refused() {
        for (path, says) in [
            ("nothing", "at its top are: a, b"),
            ("a/file", "no folder \"a/file\""),
            ("link", "no folder \"link\""),
            ("link/c", "no folder \"link/c\""),
        ] {
            let folder = tree(&["a/file", "b/c/d"]);
            symlink("b", folder.path().join("link")).expect("linked");
            let error = narrow_to(folder.path(), path).expect_err("refused");
            assert!(error.to_string().contains(says), "{path}: {error}");
        }
        let outside = tree(&["x/y"]);
        let folder = tree(&["a"]);
        let up = format!("../{}", outside.path().file_name().expect("a name").to_string_lossy());
        assert!(narrow_to(folder.path(), &up).is_err(), "nothing above is reached");
        assert!(outside.path().join("x/y").exists());
    }

    #[test]
    fn a_link_that_leaves_the_smaller_tree_is_refused() {
        let folder = tree(&["shared/x", "web/y"]);
        symlink("y", folder.path().join("web/fine")).expect("linked");
        symlink("../shared", folder.path().join("web/out")).expect("linked");
        let error = narrow_to(folder.path(), "web").expect_err("refused");
        assert!(matches!(error, ExtractError::Refused(Refusal::LinkLeaves { .. })), "{error}");
    }

    #[test]
    fn only_a_single_folder_is_unwrapped() {
        for (files, expected) in [
            (&["app-1/web", "app-1/app-1/x"][..], &["app-1", "web"][..]),
            (&["a/x", "b/y"], &["a", "b"]),
            (&["a/x", "file"], &["a", "file"]),
            (&["file"], &["file"]),
        ] {
            let folder = tree(files);
            let opened = open_own_folder(folder.path()).expect("opens");
            unwrap_single_folder(opened.as_fd(), &Limits::SOURCE).expect("done");
            assert_eq!(names(folder.path()), expected, "{files:?}");
        }
    }
}
