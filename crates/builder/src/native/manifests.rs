//! The files by which an app says what it needs, read once, each within a limit and all of them within one together: they lie in the
//! memory of the server, which builds several apps at a time.

use super::NativeError;
use crate::error::BuildError;
use blobs::tree::{ReadError, SourceTree};
use std::collections::BTreeMap;

/// Bytes of all files of one app together. Lock files of large Node.js apps have some megabytes.
const MOST_BYTES: u64 = 32 * 1024 * 1024;
/// Largest file that is not a lock.
const MOST_PLAIN_BYTES: u64 = 1024 * 1024;

/// Files by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifests {
    files: BTreeMap<String, Vec<u8>>,
    bytes: u64,
}

/// What a file is for, which says how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A lock, or a part of one.
    Lock,
    Plain,
}

/// Why a manifest cannot be used as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error(
        "{file} is not UTF-8 text; it looks like UTF-16, as PowerShell's `>` writes it. Fix: save it as UTF-8, for example with \
         `pip freeze | Out-File -Encoding utf8 {file}`, and commit it"
    )]
    Utf16 { file: String },
    #[error("{file} is not UTF-8 text. Fix: save it as UTF-8 and commit it")]
    NotText { file: String },
    #[error("{file} has more than {most} bytes")]
    TooLarge { file: String, most: u64 },
    #[error("the manifests and lock files up to {file} have more than {MOST_BYTES} bytes together")]
    TooLargeTogether { file: String },
}

impl Manifests {
    /// Reads those that are there.
    pub(crate) fn read(tree: &SourceTree, locks: &[&str], others: &[&str]) -> Result<Self, BuildError> {
        let mut manifests = Self::default();
        let locks = locks.iter().map(|name| (name, Role::Lock));
        for (name, role) in locks.chain(others.iter().map(|name| (name, Role::Plain))) {
            manifests.add(tree, name, role)?;
        }
        Ok(manifests)
    }

    /// Reads one more, unless it has been read. Says whether it is there.
    pub(crate) fn add(&mut self, tree: &SourceTree, name: &str, role: Role) -> Result<bool, BuildError> {
        if self.has(name) {
            return Ok(true);
        }
        let left = MOST_BYTES.saturating_sub(self.bytes);
        let most = if role == Role::Lock { MOST_BYTES } else { MOST_PLAIN_BYTES };
        match tree.read(name, most.min(left)) {
            Ok(None) => Ok(false),
            Ok(Some(bytes)) => {
                self.bytes += bytes.len() as u64;
                self.files.insert(name.to_owned(), bytes);
                Ok(true)
            }
            Err(ReadError::TooLarge { .. }) => {
                let file = name.to_owned();
                let error = if left < most {
                    ManifestError::TooLargeTogether { file }
                } else {
                    ManifestError::TooLarge { file, most }
                };
                Err(NativeError::from(error).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// A file as text, without a byte order mark.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, ManifestError> {
        let Some(bytes) = self.files.get(name) else { return Ok(None) };
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(ManifestError::Utf16 { file: name.to_owned() });
        }
        let text =
            std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText { file: name.to_owned() })?;
        Ok(Some(text.strip_prefix('\u{feff}').unwrap_or(text)))
    }

    /// Everything that was read, for a key.
    pub(crate) fn into_parts(self) -> Vec<(String, Vec<u8>)> {
        self.files.into_iter().collect()
    }
}

#[cfg(test)]
impl Manifests {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        Self { files: files.collect(), bytes: 0 }
    }
}

/// The first line that says something, of a file such as `.python-version`.
pub(crate) fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_a_limit_and_all_of_them_together() {
        let place = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: u64| {
            let file = std::fs::File::create(place.path().join(name)).expect("made");
            file.set_len(bytes).expect("as long as that");
        };
        let tree = SourceTree::open(place.path()).expect("opens");
        let read = |locks: &[&str], others: &[&str]| {
            Manifests::read(&tree, locks, others)
                .map(Manifests::into_parts)
                .map_err(|error| error.to_string())
        };
        write("half", MOST_BYTES / 2);
        write("other-half", MOST_BYTES / 2);
        write("plain", MOST_PLAIN_BYTES);
        write("byte", 1);
        write("large", MOST_PLAIN_BYTES + 1);
        let parts = read(&["half", "other-half", "half", "absent"], &[]).expect("just fits");
        assert_eq!(parts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["half", "other-half"]);
        assert_eq!(read(&["half"], &["plain", "byte"]).expect("fits").len(), 3);
        assert_eq!(read(&[], &["large"]), Err("large has more than 1048576 bytes".to_owned()));
        assert_eq!(read(&["large"], &[]).expect("a lock may be larger").len(), 1);
        let together = "the manifests and lock files up to byte have more than 33554432 bytes together";
        assert_eq!(read(&["half", "other-half"], &["byte"]), Err(together.to_owned()));
    }
}
