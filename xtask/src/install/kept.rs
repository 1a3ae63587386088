//! Folders of the target folder that are filled once and kept until what they are made from changes.

use anyhow::{Context, Result};
use std::fs;
use std::io::{Error, ErrorKind};
use std::path::Path;

/// Beside a folder, as its extension: what it was made from.
const MARK: &str = "lock";
/// Begins the names of folders that are being filled.
const UNFINISHED: &str = ".unfinished-";

/// Fills `folder`, unless it was made from `wanted` already. It is filled under a name that nobody had before and gets its own once it
/// is whole: an installation that was cut off, or whose leftovers still write, gets in nobody's way. What is put there must not
/// hold its own absolute name.
pub fn ensure(folder: &Path, wanted: &[u8], fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mark = folder.with_extension(MARK);
    if folder.is_dir() && fs::read(&mark).is_ok_and(|known| known == wanted) {
        return Ok(());
    }
    let parent = folder.parent().context("a kept folder lies in another one")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    sweep(parent);
    let place = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(parent)?;
    let new = place.path().join("new");
    fs::create_dir(&new)?;
    fill(&new)?;
    // The mark goes first and comes last: it never stands beside what was made from something else.
    gone(fs::remove_file(&mark)).with_context(|| format!("cannot remove {}", mark.display()))?;
    gone(fs::remove_dir_all(folder)).with_context(|| format!("cannot remove {}", folder.display()))?;
    fs::rename(&new, folder).with_context(|| format!("cannot name {}", folder.display()))?;
    fs::write(&mark, wanted).with_context(|| format!("cannot write {}", mark.display()))
}

/// Removes what was cut off, as far as that can be done now.
fn sweep(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let old = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED));
    for entry in old {
        let _still_written = fs::remove_dir_all(entry.path());
    }
}

/// The end of a removal of what may not have been there.
fn gone(removed: Result<(), Error>) -> Result<(), Error> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    fn filled_with(text: &'static str) -> impl FnOnce(&Path) -> Result<()> {
        move |folder| Ok(fs::write(folder.join("file"), text)?)
    }

    fn not_called(_folder: &Path) -> Result<()> {
        bail!("it was filled again")
    }

    #[test]
    fn a_folder_is_filled_once_for_what_is_wanted() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("all/kept");
        ensure(&folder, b"one", filled_with("1")).unwrap();
        ensure(&folder, b"one", not_called).unwrap();
        ensure(&folder, b"two", filled_with("2")).unwrap();
        assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "2");
        let names: Vec<_> = fs::read_dir(folder.parent().unwrap()).unwrap().flatten().collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn what_was_cut_off_does_not_count_and_is_in_nobodys_way() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("kept");
        let left = place.path().join(format!("{UNFINISHED}left"));
        fs::create_dir_all(left.join("new")).unwrap();
        let cut_off = |folder: &Path| -> Result<()> {
            fs::write(folder.join("half"), "")?;
            bail!("cut off")
        };
        ensure(&folder, b"one", cut_off).unwrap_err();
        assert!(!folder.exists() && !left.exists());
        ensure(&folder, b"one", filled_with("1")).unwrap();
        ensure(&folder, b"two", cut_off).unwrap_err();
        ensure(&folder, b"one", not_called).unwrap();
        assert!(folder.join("file").exists() && !folder.join("half").exists());
    }
}
