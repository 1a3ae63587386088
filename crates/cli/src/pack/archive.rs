//! The archive itself.

use super::PackError;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Everything lies in this one folder, which the server leaves out again: so a tree with one folder at its top stays as it is.
const TOP: &str = "source";
/// The same for every file: 1980-01-01T00:00:01Z, as in slugs.
const MTIME_SECONDS: u64 = 315_532_801;

/// An archive, open for reading from its beginning. The file has no name any more.
#[derive(Debug)]
pub struct Packed {
    pub file: File,
    pub bytes: u64,
    pub files: usize,
}

/// Packs these files of a folder, in the order given.
pub fn pack(folder: &Path, files: &[PathBuf]) -> Result<Packed, PackError> {
    let place = std::env::temp_dir();
    let failed = |source| PackError::Write { path: place.clone(), source };
    let file = tempfile::tempfile().map_err(failed)?;
    let mut builder = Builder::new(GzEncoder::new(file, Compression::default()));
    for path in files {
        append(&mut builder, folder, path)?;
    }
    let mut file = builder.into_inner().and_then(GzEncoder::finish).map_err(failed)?;
    let bytes = file.stream_position().map_err(failed)?;
    file.rewind().map_err(failed)?;
    Ok(Packed { file, bytes, files: files.len() })
}

fn append(builder: &mut Builder<impl Write>, folder: &Path, path: &Path) -> Result<(), PackError> {
    let source = folder.join(path);
    let unread = |error| PackError::Read { path: source.clone(), source: error };
    let name = Path::new(TOP).join(path);
    let found = fs::symlink_metadata(&source).map_err(unread)?;
    if found.is_symlink() {
        let target = fs::read_link(&source).map_err(unread)?;
        let mut header = plain_header(EntryType::Symlink, 0, 0o777);
        return builder.append_link(&mut header, &name, &target).map_err(unwritten);
    }
    let mut file = File::open(&source).map_err(unread)?;
    let metadata = file.metadata().map_err(unread)?;
    let mut header = plain_header(EntryType::Regular, metadata.len(), mode_of(&metadata));
    let mut content = Exactly { file: &mut file, left: metadata.len(), short: false };
    let appended = builder.append_data(&mut header, &name, &mut content);
    if content.short {
        return Err(PackError::Changed { path: source });
    }
    appended.map_err(unwritten)
}

fn unwritten(source: io::Error) -> PackError {
    PackError::Write { path: std::env::temp_dir(), source }
}

fn plain_header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(MTIME_SECONDS);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(unix)]
fn mode_of(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 }
}

/// There are no execute bits to read.
#[cfg(not(unix))]
fn mode_of(_: &Metadata) -> u32 {
    0o644
}

/// As many bytes as the header says: a file that grows is cut, one that shrinks is an error.
struct Exactly<'a> {
    file: &'a mut File,
    left: u64,
    short: bool,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.take(self.left).read(buffer)?;
        self.left -= count as u64;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            self.short = true;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::list_files;
    use flate2::read::GzDecoder;

    fn packed(folder: &Path) -> Vec<u8> {
        let mut packed = pack(folder, &list_files(folder).unwrap().files).unwrap();
        let mut bytes = Vec::new();
        packed.file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, packed.bytes);
        bytes
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let long = format!("deep/{}/{}", "n".repeat(120), "m".repeat(120));
        let make = || {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join(&long).parent().unwrap()).unwrap();
            fs::write(folder.path().join(&long), "long").unwrap();
            fs::write(folder.path().join("empty"), "").unwrap();
            folder
        };
        let (first, second) = (make(), make());
        assert_eq!(packed(first.path()), packed(second.path()));
        fs::write(second.path().join("empty"), "x").unwrap();
        assert_ne!(packed(first.path()), packed(second.path()));
        let bytes = packed(first.path());
        let mut archive = tar::Archive::new(GzDecoder::new(&bytes[..]));
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, [format!("source/{long}"), "source/empty".to_owned()]);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_execute_bits_are_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("run"), "x").unwrap();
        fs::set_permissions(folder.path().join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("run", folder.path().join("link")).unwrap();
        let bytes = packed(folder.path());
        let mut archive = tar::Archive::new(GzDecoder::new(&bytes[..]));
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let header = entry.unwrap().header().clone();
                (
                    header.entry_type(),
                    header.mode().unwrap(),
                    header.link_name().unwrap().map(|name| name.into_owned()),
                )
            })
            .collect();
        assert_eq!(seen[0], (EntryType::Symlink, 0o777, Some(PathBuf::from("run"))));
        assert_eq!(seen[1], (EntryType::Regular, 0o755, None));
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        let mut content = Exactly { file: &mut file, left: 10, short: false };
        assert!(content.read(&mut [0; 4]).is_err() && content.short);
    }
}
