//! Whether there is room for what a push brings: on the disk, of which it must leave the ledger its share, and in the app's
//! repository, which may not grow without end.

use crate::intake::has_room;
use std::fs;
use std::io;
use std::path::Path;

/// What a repository may hold, the push under way included.
const MAX_REPOSITORY_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// The reason for the one who pushes, if there is none.
pub fn check(repository: &Path) -> Result<(), String> {
    check_for(repository, MAX_REPOSITORY_BYTES)
}

fn check_for(repository: &Path, most: u64) -> Result<(), String> {
    let unknown = |error: io::Error| {
        tracing::error!(%error, repository = %repository.display(), "a repository's room is not known");
        "the server cannot tell whether there is room for it".to_owned()
    };
    if !has_room(repository).map_err(unknown)? {
        return Err(
            "the server's disk is nearly full; it takes no pushes until there is room again".to_owned()
        );
    }
    if bytes_below(&repository.join("objects")).map_err(unknown)? > most {
        return Err(format!(
            "with it the app's repository would have more than {} MB. Keep large files elsewhere",
            most / 1024 / 1024
        ));
    }
    Ok(())
}

/// What disappears while it is counted was there for a moment only.
fn bytes_below(folder: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut bytes = 0;
    for entry in entries {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path())?,
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::Command;

    #[test]
    fn a_repository_is_bounded_with_what_is_coming() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check_for(folder.path(), 10), Ok(()));
        let incoming = folder.path().join("objects/tmp_objdir-incoming-x/pack");
        fs::create_dir_all(&incoming).unwrap();
        fs::write(incoming.join("pack"), [0; 11]).unwrap();
        assert!(check_for(folder.path(), 10).unwrap_err().contains("repository would have more than"));
        assert_eq!(check_for(folder.path(), 11), Ok(()));
    }

    #[test]
    fn a_disk_that_is_nearly_full_takes_no_push() {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path()).status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no file system may be mounted here");
            return;
        }
        let (before, filler) = (check(folder.path()), folder.path().join("filler"));
        let mut file = fs::File::create(filler).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        let full = check(folder.path());
        drop(file);
        let gone = Command::new("umount").arg("-l").arg(folder.path()).status();
        assert!(gone.is_ok_and(|status| status.success()));
        assert_eq!(before, Ok(()));
        assert!(full.unwrap_err().contains("nearly full"));
    }
}
