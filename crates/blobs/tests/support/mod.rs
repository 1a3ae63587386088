//! Archives made to order, honest and hostile, and a folder to extract them into.
#![allow(dead_code)] // Each test file uses its own part.

use blobs::tree::{ExtractError, Limits, SourceTree, TreeSummary, extract};
use std::path::PathBuf;
use tar::{EntryType, Header};

/// An archive in the making; every header is written as told, valid or not.
#[derive(Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    pub fn new() -> Self {
        Self::default()
    }

    /// An entry whose name and link target are put into the header untouched.
    pub fn entry(mut self, kind: EntryType, name: &[u8], link: &[u8], mode: u32, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        header.as_old_mut().linkname[..link.len().min(100)].copy_from_slice(&link[..link.len().min(100)]);
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.padded(content)
    }

    pub fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name.as_bytes(), b"", 0o644, content.as_bytes())
    }

    pub fn folder(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name.as_bytes(), b"", 0o755, b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name.as_bytes(), target.as_bytes(), 0o644, b"")
    }

    pub fn pax(self, kind: EntryType, records: &[(&str, &[u8])]) -> Self {
        let mut text = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            text.extend_from_slice(format!("{length} {key}=").as_bytes());
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.entry(kind, b"pax", b"", 0o644, &text)
    }

    pub fn long_name(self, name: &[u8]) -> Self {
        self.entry(EntryType::GNULongName, b"././@LongLink", b"", 0o644, &[name, b"\0"].concat())
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Applies a change to the header that was written `back` blocks ago, and mends its checksum.
    pub fn altered(mut self, back: usize, change: impl FnOnce(&mut Header)) -> Self {
        let at = self.bytes.len() - back * 512;
        let mut header = Header::from_byte_slice(&self.bytes[at..at + 512]).clone();
        change(&mut header);
        header.set_cksum();
        self.bytes[at..at + 512].copy_from_slice(header.as_bytes());
        self
    }

    /// Without the end mark.
    pub fn cut(self) -> Vec<u8> {
        self.bytes
    }

    pub fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 1024]);
        self.bytes
    }

    fn padded(mut self, content: &[u8]) -> Self {
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }
}

/// A folder to extract into, with a file beside it that nothing may touch.
pub struct Place {
    outer: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let outer = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(outer.path().join("tree")).expect("made");
        std::fs::write(outer.path().join("outside"), "untouched").expect("written");
        Self { outer }
    }

    pub fn tree(&self) -> PathBuf {
        self.outer.path().join("tree")
    }

    pub fn extract(&self, bytes: &[u8], limits: &Limits) -> Result<TreeSummary, ExtractError> {
        let folder = SourceTree::open(&self.tree()).expect("opens");
        extract(&mut &bytes[..], folder.as_folder(), limits)
    }

    /// Nothing beside the tree was made, removed or written.
    pub fn assert_outside_untouched(&self) {
        let mut names: Vec<_> = std::fs::read_dir(self.outer.path())
            .expect("reads")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        assert_eq!(names, ["outside", "tree"]);
        assert_eq!(std::fs::read_to_string(self.outer.path().join("outside")).expect("reads"), "untouched");
    }

    pub fn is_empty(&self) -> bool {
        std::fs::read_dir(self.tree()).expect("reads").count() == 0
    }
}
