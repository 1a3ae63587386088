//! The servers one is logged in to: `credentials.json`, readable by its owner alone.
//!
//! Written whole to a temporary file and renamed, so that a reader sees the old or the new one. A file that others could have read
//! is refused: its tokens are to be taken as known.

use api::Token;
use api::client::ServerUrl;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The only revision of the file that this program reads and writes.
const FORMAT: u32 = 1;

/// Everything that the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    format: u32,
    /// The server that is meant when none is named.
    pub current: Option<ServerUrl>,
    pub servers: BTreeMap<ServerUrl, Login>,
}

/// What is known of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    pub email: String,
    pub token: Token,
    /// The certificates to trust; absent: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// Why the credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} can be read by others (mode {mode:o}): its tokens may be known to them", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} is not what was expected", path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("{} has format {found}, this program knows only format {FORMAT}", path.display())]
    OtherFormat { path: PathBuf, found: u32 },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What is looked at before the rest.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

impl Default for Credentials {
    fn default() -> Self {
        Self { format: FORMAT, current: None, servers: BTreeMap::new() }
    }
}

/// The file within the client's folder.
pub fn file_in(config_home: &Path) -> PathBuf {
    config_home.join("credentials.json")
}

impl Credentials {
    /// Reads the file; a missing one holds nothing.
    pub fn load(path: &Path) -> Result<Self, CredentialsError> {
        let read = |source| CredentialsError::Read { path: path.to_owned(), source };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(read(error)),
        };
        refuse_exposed(path, &file)?;
        let text = io::read_to_string(&mut file).map_err(read)?;
        let malformed = |source| CredentialsError::Malformed { path: path.to_owned(), source };
        let header: Header = serde_json::from_str(&text).map_err(malformed)?;
        if header.format != FORMAT {
            return Err(CredentialsError::OtherFormat { path: path.to_owned(), found: header.format });
        }
        serde_json::from_str(&text).map_err(malformed)
    }

    /// Writes the file, and its folder if need be.
    pub fn save(&self, path: &Path) -> Result<(), CredentialsError> {
        let mut text =
            serde_json::to_string_pretty(self).expect("credentials hold nothing that JSON cannot express");
        text.push('\n');
        write_private(path, text.as_bytes())
            .map_err(|source| CredentialsError::Write { path: path.to_owned(), source })
    }

    /// Remembers a login and makes its server the current one.
    pub fn add(&mut self, url: ServerUrl, login: Login) {
        self.servers.insert(url.clone(), login);
        self.current = Some(url);
    }

    /// Forgets a login; the current server is then another one that is left, if any.
    pub fn remove(&mut self, url: &ServerUrl) -> Option<Login> {
        let removed = self.servers.remove(url);
        if self.current.as_ref() == Some(url) {
            self.current = self.servers.keys().next().cloned();
        }
        removed
    }
}

/// Keeps a copy of the certificates of a server, so that the login outlives the file they came from. Gives its path.
pub fn keep_ca(config_home: &Path, url: &ServerUrl, pem: &[u8]) -> Result<PathBuf, CredentialsError> {
    let name =
        url.host_and_port().replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.', "_");
    let path = config_home.join("ca").join(format!("{name}.pem"));
    write_private(&path, pem).map_err(|source| CredentialsError::Write { path: path.clone(), source })?;
    Ok(path)
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, file: &File) -> Result<(), CredentialsError> {
    use std::os::unix::fs::MetadataExt;
    let metadata =
        file.metadata().map_err(|source| CredentialsError::Read { path: path.to_owned(), source })?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(CredentialsError::Exposed { path: path.to_owned(), mode }) }
}

/// Elsewhere a user's profile folder is private by itself.
#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &File) -> Result<(), CredentialsError> {
    Ok(())
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("the path has no folder"))?;
    create_private_folder(folder)?;
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| sync_folder(folder))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    // The file of an earlier, broken attempt keeps its mode when it is opened again.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A folder that nobody else can look into, and those above it that are missing.
pub fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> ServerUrl {
        text.parse().expect("an address")
    }

    fn login() -> Login {
        Login { email: "ada@example.com".to_owned(), token: Token::new("t"), ca_file: None }
    }

    /// People keep this file through every upgrade of the program.
    #[test]
    fn a_file_of_the_first_format() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("credentials.json");
        let golden = include_str!("../fixtures/credentials-1.json");
        write_private(&path, golden.as_bytes()).expect("written");
        let read = Credentials::load(&path).expect("understood");
        assert_eq!(read.current, Some(url("https://apps.example.com")));
        let emails: Vec<_> = read.servers.values().map(|login| login.email.as_str()).collect();
        assert_eq!(emails, ["ada@example.com", "eve@example.com"]);
        let golden: serde_json::Value = serde_json::from_str(golden).expect("JSON");
        assert_eq!(serde_json::to_value(&read).expect("written"), golden);
    }

    #[test]
    fn what_is_saved_is_loaded_and_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file_in(&folder.path().join("a/b"));
        assert_eq!(Credentials::load(&path).expect("absent is empty"), Credentials::default());
        let mut credentials = Credentials::default();
        credentials.add(url("https://a:1"), login());
        credentials.save(&path).expect("saved");
        credentials.add(url("https://b:2"), login());
        credentials.save(&path).expect("saved over the first");
        assert_eq!(Credentials::load(&path).expect("loaded"), credentials);
        let entries: Vec<_> = fs::read_dir(folder.path().join("a/b"))
            .expect("listed")
            .map(|entry| entry.expect("read").file_name())
            .collect();
        assert_eq!(entries, ["credentials.json"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = file_in(folder.path());
        Credentials::default().save(&path).expect("saved");
        for mode in [0o640, 0o604, 0o660, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            assert!(matches!(Credentials::load(&path), Err(CredentialsError::Exposed { .. })), "{mode:o}");
        }
    }

    #[test]
    fn other_formats_and_damage_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file_in(folder.path());
        for (text, other_format) in
            [(r#"{"format":2,"anything":1}"#, true), ("{", false), (r#"{"format":1}"#, false)]
        {
            write_private(&path, text.as_bytes()).expect("written");
            let error = Credentials::load(&path).expect_err(text);
            assert_eq!(
                matches!(error, CredentialsError::OtherFormat { found: 2, .. }),
                other_format,
                "{error:?}"
            );
        }
    }

    #[test]
    fn after_a_logout_another_server_is_current() {
        let mut credentials = Credentials::default();
        credentials.add(url("https://a:1"), login());
        credentials.add(url("https://b:2"), login());
        assert!(credentials.remove(&url("https://b:2")).is_some());
        assert_eq!(credentials.current, Some(url("https://a:1")));
        assert!(credentials.remove(&url("https://a:1")).is_some() && credentials.current.is_none());
    }
}
