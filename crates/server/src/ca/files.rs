//! The authority's files: read as pairs, written whole (temporary file, fsync, rename, fsync of the folder), keys 0600.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub const CA_CERTIFICATE: &str = "ca.pem";
pub const CA_KEY: &str = "ca.key";
pub const SERVER_CERTIFICATE: &str = "server.pem";
pub const SERVER_KEY: &str = "server.key";

/// What went wrong with the authority.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("reading {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("writing {path}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error(
        "the certificate authority in {folder} is damaged or half present; restore its files from a backup, or remove all of \
         them to get a new authority, which every client must then trust anew"
    )]
    Damaged { folder: PathBuf },
    #[error("making a certificate")]
    Make(#[source] rcgen::Error),
    #[error("reading a certificate's PEM text")]
    Pem(#[source] rustls::pki_types::pem::Error),
    #[error("the certificate cannot be used")]
    Unusable(#[source] rustls::Error),
    #[error("setting up the check of stored certificates")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
}

/// The folder is open to readers of `ca.pem`; the keys in it are not.
pub fn create_folder(folder: &Path) -> Result<(), CaError> {
    let wrong = |source| CaError::Write { path: folder.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(wrong)
}

/// Both files, or `None` if the certificate was never made. A certificate is written after its key, so a certificate without a
/// key is damage and a key without a certificate is a first start that was cut short.
pub fn read_pair(folder: &Path, certificate: &str, key: &str) -> Result<Option<(String, String)>, CaError> {
    let Some(certificate) = read(&folder.join(certificate))? else { return Ok(None) };
    match read(&folder.join(key))? {
        Some(key) => Ok(Some((certificate, key))),
        None => Err(CaError::Damaged { folder: folder.to_owned() }),
    }
}

fn read(path: &Path) -> Result<Option<String>, CaError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CaError::Read { path: path.to_owned(), source }),
    }
}

pub fn write_pair(folder: &Path, certificate: (&str, &str), key: (&str, &str)) -> Result<(), CaError> {
    write_whole(folder, key.0, key.1, 0o600)?;
    write_whole(folder, certificate.0, certificate.1, 0o644)
}

fn write_whole(folder: &Path, name: &str, text: &str, mode: u32) -> Result<(), CaError> {
    let path = folder.join(name);
    let temporary = folder.join(format!(".{name}.new"));
    let written = write_and_sync(&temporary, text, mode)
        .and_then(|()| std::fs::rename(&temporary, &path))
        .and_then(|()| File::open(folder)?.sync_all());
    written.map_err(|source| CaError::Write { path, source })
}

fn write_and_sync(temporary: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    match std::fs::remove_file(temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
