//! Names inside a tree: bytes, as on Linux, checked once and shown escaped.

use super::limits::Limits;
use super::refusal::Refusal;
use std::fmt;

/// Bytes of one component, the limit of every Linux file system.
const COMPONENT_BYTES: usize = 255;
/// Bytes shown of a name in a message.
const SHOWN_BYTES: usize = 300;

/// A name as it stood in an archive, for messages: control characters and invalid UTF-8 are escaped, so that it can be printed
/// to a terminal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Vec<u8>);

impl EntryName {
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES)];
        match std::str::from_utf8(shown) {
            Ok(text) if !text.chars().any(|c| c.is_control() || c == '"') => f.write_str(text)?,
            _ => shown.escape_ascii().fmt(f)?,
        }
        if self.0.len() > SHOWN_BYTES { f.write_str("...") } else { Ok(()) }
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A relative path without `.`, `..`, empty components or NUL: safe to hand to the kernel below an open folder.
///
/// Names are bytes: invalid UTF-8 is a legal file name on Linux and in git, so it is kept. Names that differ only by case are
/// different names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryPath {
    /// Joined by single slashes; empty for the root itself (`./`).
    joined: Vec<u8>,
}

impl EntryPath {
    pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let name = || EntryName::new(bytes);
        if bytes.is_empty() {
            return Err(Refusal::EmptyName);
        }
        if bytes.len() > limits.path_bytes {
            return Err(Refusal::PathTooLong { name: name(), limit: limits.path_bytes });
        }
        if bytes.contains(&0) {
            return Err(Refusal::NulInName { name: name() });
        }
        if bytes[0] == b'/' {
            return Err(Refusal::Absolute { name: name() });
        }
        let mut joined = Vec::with_capacity(bytes.len());
        let mut depth = 0;
        for component in components(bytes) {
            if component == b".." {
                return Err(Refusal::ParentComponent { name: name() });
            }
            if component.len() > COMPONENT_BYTES {
                return Err(Refusal::PathTooLong { name: name(), limit: COMPONENT_BYTES });
            }
            if depth > 0 {
                joined.push(b'/');
            }
            joined.extend_from_slice(component);
            depth += 1;
        }
        if depth > limits.depth {
            return Err(Refusal::TooDeep { name: name(), limit: limits.depth });
        }
        Ok(Self { joined })
    }

    pub(crate) fn is_root(&self) -> bool {
        self.joined.is_empty()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.joined
    }

    pub(crate) fn name(&self) -> EntryName {
        EntryName::new(&self.joined)
    }

    /// The components of the folder that holds it, and its own name. `None` for the root.
    pub(crate) fn split(&self) -> Option<(Vec<&[u8]>, &[u8])> {
        let mut parts: Vec<&[u8]> = components(&self.joined).collect();
        parts.pop().map(|last| (parts, last))
    }
}

/// Components of a path without the empty ones and `.`, which mean nothing.
pub(crate) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_normalised_or_refused() {
        let good: &[(&[u8], &[u8])] = &[
            (b"a", b"a"),
            (b"./a/b/", b"a/b"),
            (b"./", b""),
            (b"a//b/./c", b"a/b/c"),
            (b"...", b"..."),
            (b"a..b/..c", b"a..b/..c"),
            (b"\xff\xfe", b"\xff\xfe"),
            (b"Readme", b"Readme"),
        ];
        for (given, expected) in good {
            let path = EntryPath::parse(given, &Limits::SOURCE).expect("a good path");
            assert_eq!(path.as_bytes(), *expected);
        }
        let long_component = [b'a'; 256];
        let long_path = b"a/".repeat(2001);
        let deep_path = b"a/".repeat(101);
        let bad: &[&[u8]] = &[
            b"",
            b"/",
            b"/etc/passwd",
            b"..",
            b"a/../b",
            b"a/..",
            b"a\0b",
            &long_component,
            &long_path,
            &deep_path,
        ];
        for given in bad {
            assert!(EntryPath::parse(given, &Limits::SOURCE).is_err(), "{:?}", EntryName::new(given));
        }
    }

    #[test]
    fn names_are_shown_safely() {
        assert_eq!(EntryName::new(b"a\x1b[2Jb").to_string(), "a\\x1b[2Jb");
        assert_eq!(EntryName::new("grün".as_bytes()).to_string(), "grün");
        assert_eq!(EntryName::new(&[b'x'; 400]).to_string().len(), SHOWN_BYTES + 3);
    }

    proptest! {
        #[test]
        fn accepted_paths_stay_below(bytes in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'.'), any::<u8>()], 0..60)) {
            if let Ok(path) = EntryPath::parse(&bytes, &Limits::SOURCE) {
                prop_assert!(!path.as_bytes().starts_with(b"/"));
                prop_assert!(path.as_bytes().split(|b| *b == b'/').all(|part| part != b".." && part != b"."));
            }
        }
    }
}
