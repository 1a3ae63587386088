//! What `git archive` leaves out and people expect to be there: submodules (their folders come empty) and Git LFS objects (a
//! pointer of some lines comes instead). Both would build into something broken, so the push is refused with advice.

use blobs::tree::{EntryName, Kind, ReadError, SourceTree};

const GITMODULES: &str = ".gitmodules";
const GITATTRIBUTES: &[u8] = b".gitattributes";
const LFS_FILTER: &[u8] = b"filter=lfs";
/// How every pointer begins, by the Git LFS specification.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// A pointer is smaller than this, by the same.
const LFS_POINTER_BYTES: u64 = 1024;
const CONFIG_BYTES: u64 = 1024 * 1024;
/// Names told in one message.
const NAMED: usize = 5;

/// What is missing from the tree.
#[derive(Debug, thiserror::Error)]
pub enum AdviceError {
    #[error(
        "the submodule folder \"{path}\" is empty: submodules are not part of a push. Fix: put its files into this repository \
         (git subtree add), or depend on it by the language's own means"
    )]
    Submodules { path: String },
    #[error(
        "these files are Git LFS pointers, not the files themselves: {names}. Fix: commit the files without LFS (git lfs migrate \
         export), or load them from a backing service"
    )]
    LargeFiles { names: String },
    #[error("the source cannot be read")]
    Read(#[from] ReadError),
}

/// Refuses a tree that lacks what it relies on.
pub(crate) fn check(tree: &SourceTree) -> Result<(), AdviceError> {
    check_submodules(tree)?;
    let mut scan = Scan::default();
    scan.folder(tree, "")?;
    if !scan.uses_lfs {
        return Ok(());
    }
    let pointers = pointers(tree, &scan.small_files)?;
    if pointers.is_empty() {
        return Ok(());
    }
    let more =
        if pointers.len() > NAMED { format!(" and {} more", pointers.len() - NAMED) } else { String::new() };
    Err(AdviceError::LargeFiles { names: pointers[..pointers.len().min(NAMED)].join(", ") + &more })
}

/// A declared submodule whose folder came empty. One whose folder is absent or filled is somebody's left-over.
fn check_submodules(tree: &SourceTree) -> Result<(), AdviceError> {
    let Some(bytes) = tree.read(GITMODULES, CONFIG_BYTES)? else { return Ok(()) };
    for path in submodule_paths(&String::from_utf8_lossy(&bytes)) {
        if tree.list(&path).is_ok_and(|names| names.is_some_and(|names| names.is_empty())) {
            return Err(AdviceError::Submodules { path: EntryName::new(path.as_bytes()).to_string() });
        }
    }
    Ok(())
}

fn submodule_paths(config: &str) -> Vec<String> {
    let path_of = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim().trim_matches('"').trim_end_matches('/');
        (key.trim() == "path" && !value.is_empty()).then(|| value.to_owned())
    };
    config.lines().filter_map(path_of).collect()
}

#[derive(Default)]
struct Scan {
    uses_lfs: bool,
    /// Paths of all files with text names; LFS pointers with other names are not found, which costs advice only.
    small_files: Vec<String>,
}

impl Scan {
    /// The extractor bounds depth and number.
    fn folder(&mut self, tree: &SourceTree, path: &str) -> Result<(), AdviceError> {
        for listed in tree.list(path)?.unwrap_or_default() {
            let Ok(name) = String::from_utf8(listed.name) else { continue };
            let full = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            match listed.kind {
                Kind::Folder => self.folder(tree, &full)?,
                Kind::File if name.as_bytes() == GITATTRIBUTES => self.attributes(tree, &full)?,
                Kind::File => self.small_files.push(full),
                Kind::Link | Kind::Other => {}
            }
        }
        Ok(())
    }

    fn attributes(&mut self, tree: &SourceTree, path: &str) -> Result<(), AdviceError> {
        let Ok(Some(bytes)) = tree.read(path, CONFIG_BYTES) else { return Ok(()) };
        self.uses_lfs |= bytes.windows(LFS_FILTER.len()).any(|window| window == LFS_FILTER);
        Ok(())
    }
}

fn pointers(tree: &SourceTree, files: &[String]) -> Result<Vec<String>, AdviceError> {
    let mut found = Vec::new();
    for path in files {
        match tree.read(path, LFS_POINTER_BYTES) {
            Ok(Some(bytes)) if bytes.starts_with(LFS_POINTER) => {
                found.push(format!("\"{}\"", EntryName::new(path.as_bytes())));
            }
            Ok(_) | Err(ReadError::TooLarge { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n";

    fn checked(files: &[(&str, &str)], folders: &[&str]) -> Result<(), String> {
        let place = tempfile::tempdir().expect("a folder");
        for folder in folders {
            fs::create_dir_all(place.path().join(folder)).expect("made");
        }
        for (name, content) in files {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, content).expect("written");
        }
        check(&SourceTree::open(place.path()).expect("opens")).map_err(|error| error.to_string())
    }

    #[test]
    fn empty_submodules_are_named() {
        let modules = "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = https://example.invalid/lib\n";
        let message = checked(&[(".gitmodules", modules)], &["vendor/lib"]).expect_err("refused");
        assert!(message.contains("\"vendor/lib\"") && message.contains("Fix: "), "{message}");
        assert_eq!(checked(&[(".gitmodules", modules)], &[]), Ok(()));
        assert_eq!(checked(&[(".gitmodules", modules), ("vendor/lib/x", "")], &[]), Ok(()));
        assert_eq!(checked(&[(".gitmodules", "path = ../..\npath = /etc\n")], &[]), Ok(()));
    }

    #[test]
    fn large_file_pointers_are_named() {
        let attributes = ("assets/.gitattributes", "*.png filter=lfs diff=lfs merge=lfs -text\n");
        let message = checked(&[attributes, ("assets/a.png", POINTER)], &[]).expect_err("refused");
        assert!(message.contains("\"assets/a.png\"") && message.contains("Fix: "), "{message}");
        let many: Vec<(String, &str)> = (0..7).map(|n| (format!("{n}.png"), POINTER)).collect();
        let mut files: Vec<(&str, &str)> = many.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        files.push(attributes);
        assert!(checked(&files, &[]).expect_err("refused").contains("and 2 more"));
        assert_eq!(checked(&[attributes, ("assets/a.png", "PNG")], &[]), Ok(()));
        assert_eq!(checked(&[("docs/pointer.txt", POINTER)], &[]), Ok(()), "not used here, only told about");
    }
}
