//! The key by which clients know this server: made once, readable by nobody else.

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use rustix::fs::Mode;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Its name within `DATA/keys`.
const FILE: &str = "ssh_host_ed25519_key";
/// Larger files are none of ours.
const MAX_BYTES: u64 = 16 * 1024;

/// Why there is no key to greet clients with.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    #[error("the key {path}")]
    File { path: PathBuf, source: io::Error },
    #[error(
        "the key {path} can be read by others (mode {mode:o}); if nobody has, run chmod 600, else delete it: a new one is made"
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the key {path} is not an OpenSSH private key without a passphrase")]
    Malformed { path: PathBuf, source: russh::keys::ssh_key::Error },
    #[error("the operating system gave no randomness")]
    NoRandomness,
}

/// The key of a folder, made if there is none.
pub fn ensure(folder: &Path) -> Result<PrivateKey, HostKeyError> {
    let path = folder.join(FILE);
    let wrong = |source| HostKeyError::File { path: path.clone(), source };
    match File::open(&path) {
        Ok(file) => load(&path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = generate()?;
            let text = key
                .to_openssh(LineEnding::LF)
                .map_err(|source| HostKeyError::Malformed { path: path.clone(), source })?;
            keep(folder, &path, text.as_bytes()).map_err(wrong)?;
            Ok(key)
        }
        Err(error) => Err(wrong(error)),
    }
}

fn load(path: &Path, file: File) -> Result<PrivateKey, HostKeyError> {
    let wrong = |source| HostKeyError::File { path: path.to_owned(), source };
    let mode = file.metadata().map_err(wrong)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(HostKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(wrong)?;
    PrivateKey::from_openssh(&text)
        .map_err(|source| HostKeyError::Malformed { path: path.to_owned(), source })
}

fn generate() -> Result<PrivateKey, HostKeyError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| HostKeyError::NoRandomness)?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "dozen").map_err(|_| HostKeyError::NoRandomness)
}

/// Whole or not at all: clients must not meet a second key after a crash.
fn keep(folder: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    let mode = Mode::RUSR.union(Mode::WUSR).as_raw_mode();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn is_made_once_and_guarded() {
        let folder = tempfile::tempdir().unwrap();
        let first = ensure(&folder.path().join("keys")).unwrap();
        let again = ensure(&folder.path().join("keys")).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        let path = folder.path().join("keys").join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            ensure(&folder.path().join("keys")),
            Err(HostKeyError::Exposed { mode: 0o644, .. })
        ));
        fs::write(&path, "nonsense").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(ensure(&folder.path().join("keys")), Err(HostKeyError::Malformed { .. })));
    }
}
