//! Which content each source file had when it was last built, and since when: by that, an unchanged file keeps its modification
//! time from build to build, and cargo compiles again only what changed.
//!
//! One file in the cache: a line `format 1`, then for each file its SHA-256, its time in seconds and nanoseconds, and its path,
//! each record ended by a NUL (a path may hold everything else).

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const HEAD: &[u8] = b"format 1\n";

/// A file's content as it was built, and the time that stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// SHA-256 in hexadecimal.
    pub(super) digest: String,
    pub(super) since: SystemTime,
}

/// All files of the last build, by path below the source.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) files: HashMap<Vec<u8>, Known>,
}

impl Index {
    /// An index that is absent or unreadable is an empty one: everything counts as changed.
    pub(super) fn read(path: &Path) -> Self {
        fs::read(path).ok().and_then(|bytes| Self::parse(&bytes)).unwrap_or_default()
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let records = bytes.strip_prefix(HEAD)?;
        let mut files = HashMap::new();
        for record in records.split(|byte| *byte == 0).filter(|record| !record.is_empty()) {
            let mut fields = record.splitn(4, |byte| *byte == b' ');
            let mut text = || std::str::from_utf8(fields.next()?).ok();
            let digest = text()?.to_owned();
            let (seconds, nanos): (u64, u32) = (text()?.parse().ok()?, text()?.parse().ok()?);
            if nanos >= 1_000_000_000 || seconds > i64::MAX as u64 {
                return None;
            }
            let since = UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))?;
            files.insert(fields.next()?.to_vec(), Known { digest, since });
        }
        Some(Self { files })
    }

    pub(super) fn render(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        for (path, known) in &self.files {
            let since = known.since.duration_since(UNIX_EPOCH).unwrap_or_default();
            let head = format!("{} {} {} ", known.digest, since.as_secs(), since.subsec_nanos());
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(path);
            bytes.push(0);
        }
        bytes
    }

    /// Whole or not at all.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("new");
        fs::File::create(&temporary)?.write_all(&self.render())?;
        fs::rename(temporary, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            files in proptest::collection::hash_map(
                proptest::collection::vec(1_u8..=255, 1..30),
                ("[0-9a-f]{64}", 0_u64..4_000_000_000, 0_u32..1_000_000_000),
                0..10,
            )
        ) {
            let files = files.into_iter().map(|(path, (digest, seconds, nanos))| {
                (path, Known { digest, since: UNIX_EPOCH + Duration::new(seconds, nanos) })
            });
            let index = Index { files: files.collect() };
            prop_assert_eq!(Index::parse(&index.render()), Some(index));
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Index::parse(&[HEAD, &bytes].concat());
            let _ = Index::parse(&bytes);
        }
    }

    #[test]
    fn another_format_is_no_index() {
        assert_eq!(Index::parse(b"format 2\n"), None);
        assert_eq!(Index::parse(b""), None);
    }
}
