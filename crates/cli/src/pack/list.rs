//! Which files of a folder belong to it.

use super::PackError;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files and links below a folder, sorted, relative to it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub files: Vec<PathBuf>,
    /// What is neither file, link nor folder, and what git keeps elsewhere (submodules).
    pub left_out: Vec<PathBuf>,
    /// The commit that the folder holds, whole and unchanged; `None` without git, with changes, or if something of it is not packed.
    pub commit: Option<String>,
}

/// Lists a folder: what is tracked or would be (`.gitignore` is heeded) inside a repository, all but `.git` elsewhere.
pub fn list_files(folder: &Path) -> Result<Listed, PackError> {
    if !folder.is_dir() {
        return Err(PackError::NotAFolder { path: folder.to_owned() });
    }
    let listed = if is_in_repository(folder)? { by_git(folder)? } else { by_walking(folder)? };
    if listed.files.is_empty() {
        return Err(PackError::Empty { path: folder.to_owned() });
    }
    Ok(listed)
}

fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, PackError> {
    let failed = |message: String| PackError::Git { path: folder.to_owned(), message };
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(format!("it does not start: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Decided by what lies there, so that a repository which git refuses, or no git, is not taken for a plain folder. Git is asked for
/// repositories that only its environment names.
fn is_in_repository(folder: &Path) -> Result<bool, PackError> {
    let whole = folder.canonicalize();
    let whole = whole.map_err(|source| PackError::Read { path: folder.to_owned(), source })?;
    if whole.ancestors().any(|above| above.join(".git").symlink_metadata().is_ok()) {
        return Ok(true);
    }
    let answer = git(folder, &["rev-parse", "--is-inside-work-tree"]);
    Ok(answer.is_ok_and(|answer| answer.starts_with(b"true")))
}

/// What `ls-files -v` puts before a name that is only in the index: it is left out of a sparse checkout.
const SKIPPED: [u8; 2] = [b'S', b's'];
/// Before a name that git looks at for changes: tracked, and untracked.
const WATCHED: [u8; 2] = [b'H', b'?'];

fn by_git(folder: &Path) -> Result<Listed, PackError> {
    let answer = git(folder, &["ls-files", "-v", "-z", "--cached", "--others", "--exclude-standard"])?;
    let mut listed = Listed::default();
    let mut whole = true;
    let entries: BTreeMap<&[u8], u8> = answer.split(|byte| *byte == 0).filter_map(parse_entry).collect();
    for (name, mark) in entries {
        let path = path_of(name);
        whole &= WATCHED.contains(&mark);
        match find(folder, &path) {
            Some(found) if found.is_file() || found.is_symlink() => listed.files.push(path),
            Some(_) => listed.left_out.push(path),
            None if SKIPPED.contains(&mark) => {
                return Err(PackError::Sparse { path: folder.to_owned(), missing: path });
            }
            // Deleted, and not committed yet.
            None => whole = false,
        }
    }
    whole &= listed.left_out.is_empty();
    listed.commit = if whole { unchanged_commit(folder) } else { None };
    Ok(listed)
}

/// `H name`: a mark, a blank, the name.
fn parse_entry(entry: &[u8]) -> Option<(&[u8], u8)> {
    let (mark, name) = entry.split_first()?;
    Some((name.strip_prefix(b" ")?, *mark))
}

/// What lies there, unless a link leads to it: that belongs to where the link leads.
fn find(folder: &Path, path: &Path) -> Option<fs::Metadata> {
    let is_link = |above: &Path| folder.join(above).symlink_metadata().is_ok_and(|found| found.is_symlink());
    let mut above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    if above.any(is_link) {
        return None;
    }
    folder.join(path).symlink_metadata().ok()
}

/// Only if nothing differs from it, below this folder or beside it.
fn unchanged_commit(folder: &Path) -> Option<String> {
    let changes = git(folder, &["status", "--porcelain", "--untracked-files=normal"]).ok()?;
    let head = git(folder, &["rev-parse", "HEAD"]).ok()?;
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
        git(folder, &[&identity, words].concat()).unwrap_or_else(|error| panic!("git {words:?}: {error}"));
    }

    fn committed(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), names);
        run(folder.path(), &["init", "--quiet"]);
        run(folder.path(), &["add", "--all"]);
        run(folder.path(), &["commit", "--quiet", "-m", "x"]);
        folder
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
    fn a_repository_that_git_cannot_read_is_no_plain_folder() {
        let folder = committed(&["app.py", "web/x"]);
        fs::remove_file(folder.path().join(".git/HEAD")).unwrap();
        for folder in [folder.path().to_owned(), folder.path().join("web")] {
            let Err(PackError::Git { message, .. }) = list_files(&folder) else { panic!("it was listed") };
            assert!(message.contains("not a git repository"), "in git's words: {message}");
        }
    }

    #[test]
    fn what_git_was_told_not_to_look_at_is_not_called_by_the_commit() {
        let folder = committed(&["app.py", "x"]);
        run(folder.path(), &["update-index", "--assume-unchanged", "x"]);
        fs::write(folder.path().join("x"), "otherwise").unwrap();
        assert_eq!(git(folder.path(), &["status", "--porcelain"]).unwrap(), b"", "git sees nothing");
        assert_eq!(list_files(folder.path()).unwrap().commit, None);

        let folder = committed(&["app.py"]);
        run(folder.path(), &["config", "status.showUntrackedFiles", "no"]);
        write(folder.path(), &["new"]);
        let listed = list_files(folder.path()).unwrap();
        assert_eq!((names(&listed), &listed.commit), (vec!["app.py", "new"], &None));
    }

    #[test]
    fn what_is_left_out_is_not_called_by_the_commit() {
        let folder = committed(&["app.py"]);
        let other = committed(&["library.py"]);
        let address = other.path().to_string_lossy();
        let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &address, "library"];
        run(folder.path(), &add);
        run(folder.path(), &["commit", "--quiet", "-m", "x"]);
        let listed = list_files(folder.path()).unwrap();
        assert_eq!(names(&listed), [".gitmodules", "app.py"]);
        assert_eq!((listed.left_out, listed.commit), (vec![PathBuf::from("library")], None));
    }

    #[test]
    fn a_sparse_checkout_is_no_whole_app() {
        let folder = committed(&["app.py", "web/x", "docs/y"]);
        run(folder.path(), &["sparse-checkout", "set", "--cone", "web"]);
        let Err(PackError::Sparse { missing, .. }) = list_files(folder.path()) else { panic!("listed") };
        assert_eq!(missing, Path::new("docs/y"));
        run(folder.path(), &["sparse-checkout", "disable"]);
        assert_eq!(names(&list_files(folder.path()).unwrap()), ["app.py", "docs/y", "web/x"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_a_folder_is_not_followed() {
        let (folder, elsewhere) = (committed(&["app.py", "web/x"]), tempfile::tempdir().unwrap());
        write(elsewhere.path(), &["x"]);
        fs::remove_dir_all(folder.path().join("web")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("web")).unwrap();
        let listed = list_files(folder.path()).unwrap();
        assert_eq!((names(&listed), &listed.commit), (vec!["app.py", "web"], &None));
    }

    #[test]
    fn elsewhere_everything_counts() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["b", "a/.env", "c/.git/config"]);
        assert_eq!(names(&list_files(folder.path()).unwrap()), ["a/.env", "b"]);
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(list_files(empty.path()), Err(PackError::Empty { .. })));
        assert!(matches!(list_files(&folder.path().join("b")), Err(PackError::NotAFolder { .. })));
    }
}
