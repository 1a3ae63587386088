//! The master key and the server's incarnation: small files that only the server's user reads.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Bytes of the master key.
pub const KEY_BYTES: usize = 32;

/// Why a small file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("cannot use {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} does not hold a master key: expected {} hexadecimal digits\n  hint: restore the file from your copy; without it, sealed config vars cannot be read", path.display(), KEY_BYTES * 2)]
    NotAKey { path: PathBuf },
    #[error("{} can be read by others (mode {mode:o})\n  hint: chmod 600 {}", path.display(), path.display())]
    Exposed { path: PathBuf, mode: u32 },
}

/// Reads the master key; makes one if there is no file. `random` fills a buffer from the operating system's source.
pub fn master_key(path: &Path, random: impl FnOnce(&mut [u8])) -> Result<Vec<u8>, SecretsError> {
    let failed = |source| SecretsError::File { path: path.to_owned(), source };
    match File::open(path) {
        Ok(file) => read_key(path, file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = vec![0; KEY_BYTES];
            random(&mut key);
            write_whole(path, hex::encode(&key).as_bytes()).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

fn read_key(path: &Path, mut file: File) -> Result<Vec<u8>, SecretsError> {
    use std::os::unix::fs::MetadataExt;
    let failed = |source| SecretsError::File { path: path.to_owned(), source };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretsError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let key = hex::decode(text.trim()).ok().filter(|key| key.len() == KEY_BYTES);
    key.ok_or_else(|| SecretsError::NotAKey { path: path.to_owned() })
}

/// A number greater than that of every server before on this data folder, durable before it is used.
pub fn next_incarnation(path: &Path) -> Result<u64, SecretsError> {
    let failed = |source| SecretsError::File { path: path.to_owned(), source };
    let last = match std::fs::read_to_string(path) {
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    let next: u64 = last + 1;
    write_whole(path, next.to_string().as_bytes()).map_err(failed)?;
    Ok(next)
}

/// All or nothing, private, and there after a loss of power.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(rustix::fs::open(&temporary, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_guarded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master");
        let made = master_key(&path, |bytes| bytes.fill(7)).unwrap();
        let read = master_key(&path, |_| panic!("must not be made again")).unwrap();
        assert_eq!(made, read);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(master_key(&path, |_| {}), Err(SecretsError::Exposed { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "nonsense").unwrap();
        assert!(matches!(master_key(&path, |_| {}), Err(SecretsError::NotAKey { .. })));
    }

    #[test]
    fn incarnations_grow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incarnation");
        assert_eq!([next_incarnation(&path).unwrap(), next_incarnation(&path).unwrap()], [1, 2]);
    }
}
