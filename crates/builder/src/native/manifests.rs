//! The small files by which an app says what it needs, read once, each within a limit.

use super::NativeError;
use crate::error::BuildError;
use blobs::tree::{ReadError, SourceTree};
use std::collections::BTreeMap;

/// Largest manifest or lock file that is read. Lock files of large Node.js apps have some megabytes.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

/// Files by name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Manifests {
    files: BTreeMap<String, Vec<u8>>,
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
    #[error("{file} has more than {MOST_BYTES} bytes")]
    TooLarge { file: String },
}

impl Manifests {
    /// Reads those of `names` that are there.
    pub(crate) fn read(tree: &SourceTree, names: &[&str]) -> Result<Self, BuildError> {
        let mut manifests = Self::default();
        for name in names {
            manifests.add(tree, name)?;
        }
        Ok(manifests)
    }

    /// Reads one more. Says whether it is there.
    pub(crate) fn add(&mut self, tree: &SourceTree, name: &str) -> Result<bool, BuildError> {
        match tree.read(name, MOST_BYTES) {
            Ok(None) => Ok(false),
            Ok(Some(bytes)) => {
                self.files.insert(name.to_owned(), bytes);
                Ok(true)
            }
            Err(ReadError::TooLarge { .. }) => {
                Err(NativeError::from(ManifestError::TooLarge { file: name.to_owned() }).into())
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
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }
}

#[cfg(test)]
impl Manifests {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        Self { files: files.collect() }
    }
}

/// The first line that says something, of a file such as `.python-version`.
pub(crate) fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))
}
