//! The app's build cache, `/cache`: kept from build to build, never trusted after a build that did not end by itself.
//!
//! `dirty` is there while a build runs. A build that is killed (time, memory, cancelled, power) leaves it behind, and the next one
//! starts from an empty cache: half-written files are worse than none. A build that fails by itself ends cleanly.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const DIRTY: &str = "dirty";
const FORMAT_FILE: &str = "format";
/// The version of what the cache holds; a cache of another version is emptied.
const FORMAT: &str = "1\n";

/// What was found at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Kept,
    Empty,
    /// The build before did not end by itself, or was one of another version: emptied.
    Wiped,
}

/// A cache in use. Only [`Cache::end`] makes it clean again.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
}

impl Cache {
    pub(super) fn begin(path: &Path) -> io::Result<(Self, Found)> {
        let is_empty = fs::read_dir(path)?.next().is_none();
        let is_clean = !path.join(DIRTY).try_exists()? && is_of_this_format(path)?;
        let found = match (is_empty, is_clean) {
            (true, _) => Found::Empty,
            (false, true) => Found::Kept,
            (false, false) => {
                wipe(path)?;
                Found::Wiped
            }
        };
        fs::write(path.join(DIRTY), "")?;
        // On disk before anything else changes, or a power cut could lose the mark and keep the mess.
        fs::File::open(path)?.sync_all()?;
        fs::write(path.join(FORMAT_FILE), FORMAT)?;
        Ok((Self { path: path.to_owned() }, found))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The build ended by itself, well or not.
    pub(super) fn end(self) -> io::Result<()> {
        fs::remove_file(self.path.join(DIRTY))
    }
}

fn is_of_this_format(path: &Path) -> io::Result<bool> {
    match fs::read_to_string(path.join(FORMAT_FILE)) {
        Ok(text) => Ok(text == FORMAT),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn wipe(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // The mark goes last, or a wipe that is itself killed would pass for a clean cache.
        if entry.file_name() == DIRTY {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?
        } else {
            fs::remove_file(entry.path())?
        }
    }
    match fs::remove_file(path.join(DIRTY)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_kept_only_after_a_build_that_ended() {
        let place = tempfile::tempdir().expect("a folder");
        let (cache, found) = Cache::begin(place.path()).expect("begins");
        assert_eq!(found, Found::Empty);
        fs::create_dir_all(cache.path("target/deep")).expect("made");
        cache.end().expect("ends");
        let (cache, found) = Cache::begin(place.path()).expect("begins");
        assert_eq!(found, Found::Kept);
        assert!(cache.path("target/deep").exists());
        drop(cache); // As when killed.
        let (cache, found) = Cache::begin(place.path()).expect("begins");
        assert_eq!(found, Found::Wiped);
        assert!(!cache.path("target").exists());
        cache.end().expect("ends");
        fs::write(place.path().join(FORMAT_FILE), "0\n").expect("written");
        assert_eq!(Cache::begin(place.path()).expect("begins").1, Found::Wiped);
    }
}
