//! Which files of a folder belong to it.

use super::PackError;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files and links below a folder, sorted, relative to it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub files: Vec<PathBuf>,
    /// What is neither file, link nor folder, and what git keeps elsewhere (submodules).
    pub left_out: Vec<PathBuf>,
    /// The commit that the folder holds, unchanged; `None` without git or with changes.
    pub commit: Option<String>,
}

/// Lists a folder: what is tracked or would be (`.gitignore` is heeded) inside a repository, all but `.git` elsewhere.
pub fn list_files(folder: &Path) -> Result<Listed, PackError> {
    if !folder.is_dir() {
        return Err(PackError::NotAFolder { path: folder.to_owned() });
    }
    let listed = if is_in_repository(folder) { by_git(folder)? } else { by_walking(folder)? };
    if listed.files.is_empty() {
        return Err(PackError::Empty { path: folder.to_owned() });
    }
    Ok(listed)
}

fn git(folder: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

fn is_in_repository(folder: &Path) -> bool {
    git(folder, &["rev-parse", "--is-inside-work-tree"]).is_some_and(|answer| answer.starts_with(b"true"))
}

fn by_git(folder: &Path) -> Result<Listed, PackError> {
    let words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let missing = || PackError::Git { path: folder.to_owned(), message: "`git ls-files` failed".to_owned() };
    let names = git(folder, &words).ok_or_else(missing)?;
    let mut listed = Listed { commit: unchanged_commit(folder), ..Listed::default() };
    let names: BTreeSet<&[u8]> = names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    for name in names {
        let path = path_of(name);
        match fs::symlink_metadata(folder.join(&path)) {
            Ok(found) if found.is_file() || found.is_symlink() => listed.files.push(path),
            Ok(_) => listed.left_out.push(path),
            // Deleted, and not committed yet.
            Err(_) => {}
        }
    }
    Ok(listed)
}

/// Only if nothing differs from it, below this folder or beside it.
fn unchanged_commit(folder: &Path) -> Option<String> {
    let changes = git(folder, &["status", "--porcelain"])?;
    let head = git(folder, &["rev-parse", "HEAD"])?;
    changes.is_empty().then(|| String::from_utf8_lossy(&head).trim().to_owned())
}

#[cfg(unix)]
fn path_of(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(name))
}

#[cfg(not(unix))]
fn path_of(name: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(name).into_owned())
}

fn by_walking(folder: &Path) -> Result<Listed, PackError> {
    let mut listed = Listed::default();
    walk(folder, Path::new(""), &mut listed)?;
    listed.files.sort();
    Ok(listed)
}

fn walk(folder: &Path, below: &Path, listed: &mut Listed) -> Result<(), PackError> {
    let here = folder.join(below);
    let failed = |source| PackError::Read { path: here.clone(), source };
    for entry in fs::read_dir(&here).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (below.join(entry.file_name()), entry.file_type().map_err(failed)?);
        if kind.is_dir() {
            if entry.file_name() != ".git" {
                walk(folder, &path, listed)?;
            }
        } else if kind.is_file() || kind.is_symlink() {
            listed.files.push(path);
        } else {
            listed.left_out.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
    }

    fn names(listed: &Listed) -> Vec<&str> {
        listed.files.iter().map(|path| path.to_str().unwrap()).collect()
    }

    fn run(folder: &Path, words: &[&str]) {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        assert!(git(folder, &[&identity, words].concat()).is_some(), "git {words:?}");
    }

    #[test]
    fn a_repository_gives_what_it_would_commit() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["app.py", "web/x", "web/cache/y", ".env", "gone", ".gitignore"]);
        fs::write(folder.path().join(".gitignore"), ".env\ncache/\n").unwrap();
        run(folder.path(), &["init", "--quiet"]);
        run(folder.path(), &["add", "--all"]);
        run(folder.path(), &["commit", "--quiet", "-m", "x"]);
        let listed = list_files(folder.path()).unwrap();
        assert_eq!(names(&listed), [".gitignore", "app.py", "gone", "web/x"]);
        assert_eq!(listed.commit.as_ref().map(String::len), Some(40));
        fs::remove_file(folder.path().join("gone")).unwrap();
        write(folder.path(), &["new"]);
        let listed = list_files(folder.path()).unwrap();
        assert_eq!(names(&listed), [".gitignore", "app.py", "new", "web/x"]);
        assert_eq!(listed.commit, None, "it is not what was committed");
        assert_eq!(names(&list_files(&folder.path().join("web")).unwrap()), ["x"], "a folder of it alone");
    }

    #[test]
    fn elsewhere_everything_counts() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["b", "a/.env", ".git/config"]);
        assert_eq!(names(&list_files(folder.path()).unwrap()), ["a/.env", "b"]);
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(list_files(empty.path()), Err(PackError::Empty { .. })));
        assert!(matches!(list_files(&folder.path().join("b")), Err(PackError::NotAFolder { .. })));
    }
}
