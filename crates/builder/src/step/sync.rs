//! Copying the source into the work folder, each unchanged file with the modification time it had when it was built last.

use super::index::{Index, Known};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

const BUFFER_BYTES: usize = 64 * 1024;

/// What was copied.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) files: u64,
    /// Files that are new or differ from the last build.
    pub(super) changed: u64,
}

/// Copies all but the names in `except` of the top folder. Returns what the next build must know.
pub(super) fn copy(
    source: &Path,
    work: &Path,
    except: &[&str],
    known: &Index,
    now: SystemTime,
) -> io::Result<(Copied, Index)> {
    let mut copy = Copy { known, now, copied: Copied::default(), next: Index::default() };
    copy.folder(source, work, b"", except)?;
    Ok((copy.copied, copy.next))
}

struct Copy<'a> {
    known: &'a Index,
    now: SystemTime,
    copied: Copied,
    next: Index,
}

impl Copy<'_> {
    fn folder(&mut self, from: &Path, to: &Path, prefix: &[u8], except: &[&str]) -> io::Result<()> {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if except.iter().any(|skipped| name == *skipped) {
                continue;
            }
            let path = [prefix, name.as_bytes()].concat();
            let (from, to) = (entry.path(), to.join(&name));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                fs::create_dir(&to)?;
                self.folder(&from, &to, &[path.as_slice(), b"/"].concat(), &[])?;
            } else if kind.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
            } else {
                self.file(&from, &to, path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path, path: Vec<u8>) -> io::Result<()> {
        let mut source = File::open(from)?;
        let mode = source.metadata()?.permissions().mode();
        let mut target = File::create_new(to)?;
        let digest = copy_content(&mut source, &mut target)?;
        target.set_permissions(Permissions::from_mode(mode & 0o777))?;
        let since = match self.known.files.get(&path) {
            Some(known) if known.digest == digest => known.since,
            _ => {
                self.copied.changed += 1;
                self.now
            }
        };
        target.set_times(FileTimes::new().set_modified(since))?;
        self.copied.files += 1;
        self.next.files.insert(path, Known { digest, since });
        Ok(())
    }
}

fn copy_content(source: &mut File, target: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
        target.write_all(&buffer[..read])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn unchanged_files_keep_their_time_and_changed_ones_get_a_new_one() {
        let place = tempfile::tempdir().expect("a folder");
        let source = place.path().join("src");
        fs::create_dir_all(source.join("lib/deep")).expect("made");
        fs::create_dir_all(source.join("target")).expect("made");
        fs::write(source.join("target/old"), "x").expect("written");
        fs::write(source.join("lib/deep/target"), "kept: not at the top").expect("written");
        fs::write(source.join("same"), "1").expect("written");
        fs::write(source.join("edited"), "1").expect("written");
        fs::write(source.join("run"), "#!").expect("written");
        fs::set_permissions(source.join("run"), Permissions::from_mode(0o755)).expect("set");
        std::os::unix::fs::symlink("same", source.join("link")).expect("linked");
        let run = |work: &Path, known: &Index, now: u64| {
            fs::create_dir(work).expect("made");
            copy(&source, work, &["target"], known, SystemTime::UNIX_EPOCH + Duration::from_secs(now))
                .expect("copied")
        };
        let time = |work: &Path, name: &str| {
            let modified = fs::metadata(work.join(name)).expect("is there").modified().expect("has one");
            modified.duration_since(SystemTime::UNIX_EPOCH).expect("later").as_secs()
        };
        let (first, second) = (place.path().join("first"), place.path().join("second"));
        let (copied, index) = run(&first, &Index::default(), 100);
        assert_eq!(copied, Copied { files: 4, changed: 4 });
        assert!(!first.join("target").exists() && first.join("lib/deep/target").exists());
        assert_eq!(fs::metadata(first.join("run")).expect("is there").permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_link(first.join("link")).expect("a link"), Path::new("same"));
        fs::write(source.join("edited"), "2").expect("written");
        fs::write(source.join("new"), "1").expect("written");
        let (copied, index) = run(&second, &index, 200);
        assert_eq!(copied, Copied { files: 5, changed: 2 });
        let times = ["same", "run", "edited", "new"].map(|name| time(&second, name));
        assert_eq!(times, [100, 100, 200, 200]);
        assert_eq!(index.files.len(), 5);
    }
}
