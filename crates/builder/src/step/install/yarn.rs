//! Locks of Yarn 1 name their registry in every entry, and Yarn asks that one whatever its settings say. While it runs they name the
//! mirror instead. What is installed is the same: an entry's digest stays.

use crate::native::node::{MODULES, YARN_LOCK};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The setting of a registry, as Yarn reads it.
const REGISTRY: &str = "YARN_REGISTRY";
/// What locks of developers name.
const PUBLIC: [&str; 2] = ["https://registry.yarnpkg.com/", "https://registry.npmjs.org/"];
/// What Yarn notes about an installation, addresses included.
const NOTES: &str = ".yarn-integrity";

/// A lock that names a mirror for now.
pub(super) struct Mirrored {
    work: PathBuf,
    own: String,
}

/// `None`: there is no mirror, or nothing that it takes the place of.
pub(super) fn lead_to_mirror(work: &Path) -> io::Result<Option<Mirrored>> {
    let Ok(mirror) = std::env::var(REGISTRY) else { return Ok(None) };
    let own = fs::read_to_string(work.join(YARN_LOCK))?;
    let Some(text) = with_registry(&own, &mirror) else { return Ok(None) };
    fs::write(work.join(YARN_LOCK), text)?;
    Ok(Some(Mirrored { work: work.to_owned(), own }))
}

impl Mirrored {
    /// The lock is as it was pushed, and nothing tells of the mirror, whose address may hold a password.
    pub(super) fn put_back(self) -> io::Result<()> {
        fs::write(self.work.join(YARN_LOCK), self.own)?;
        match fs::remove_file(self.work.join(MODULES).join(NOTES)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The lock with another registry in the public ones' place; `None` if it names none of them.
fn with_registry(lock: &str, mirror: &str) -> Option<String> {
    let mirror = format!("{}/", mirror.trim_end_matches('/'));
    let mut is_changed = false;
    let lines = lock.split_inclusive('\n').map(|line| {
        let address = line.trim_start().strip_prefix("resolved \"");
        let path = address.and_then(|address| PUBLIC.iter().find_map(|public| address.strip_prefix(public)));
        is_changed |= path.is_some();
        path.map_or_else(|| line.to_owned(), |path| format!("  resolved \"{mirror}{path}"))
    });
    let text = lines.collect();
    is_changed.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "# yarn lockfile v1\n\n\n\"@a/b@^1\", ms@2.1.3:\n  version \"2.1.3\"\n  \
                        resolved \"https://registry.yarnpkg.com/ms/-/ms-2.1.3.tgz#574c8138ce1d2b5861f0b44579dbadd60c6615b2\"\n  \
                        integrity sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==\n";

    #[test]
    fn a_mirror_takes_the_place_of_public_registries() {
        for mirror in ["http://10.0.0.1:8080/npm", "http://10.0.0.1:8080/npm/"] {
            let expected = LOCK.replace("https://registry.yarnpkg.com/", "http://10.0.0.1:8080/npm/");
            assert_eq!(with_registry(LOCK, mirror), Some(expected));
        }
        let npm = LOCK.replace("registry.yarnpkg.com", "registry.npmjs.org").replace('\n', "\r\n");
        let expected = npm.replace("https://registry.npmjs.org/", "http://m/");
        assert_eq!(with_registry(&npm, "http://m"), Some(expected));
    }

    #[test]
    fn what_is_elsewhere_stays_there() {
        for other in ["https://npm.example.com/", "http://registry.yarnpkg.com.evil.example/"] {
            let lock = LOCK.replace("https://registry.yarnpkg.com/", other);
            assert_eq!(with_registry(&lock, "http://m/"), None, "{other}");
        }
    }

    #[test]
    fn the_lock_is_put_back_and_the_notes_are_gone() {
        let place = tempfile::tempdir().expect("a folder");
        let notes = place.path().join(MODULES).join(NOTES);
        fs::create_dir_all(notes.parent().expect("a folder")).expect("made");
        fs::write(&notes, "{}").expect("written");
        fs::write(place.path().join(YARN_LOCK), "changed").expect("written");
        let mirrored = Mirrored { work: place.path().to_owned(), own: LOCK.to_owned() };
        mirrored.put_back().expect("put back");
        assert_eq!(fs::read_to_string(place.path().join(YARN_LOCK)).expect("read"), LOCK);
        assert!(!notes.exists());
    }
}
