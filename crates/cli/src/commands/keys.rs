//! `keys`, `keys:add`, `keys:remove`, `keys:clear`: public keys for pushing over SSH.

use crate::failure::Failure;
use crate::session::Session;
use crate::text::{Style, Table, render_heading, render_when};
use api::Timestamp;
use api::client::Client;
use api::key::{CreateKey, Key};
use clap::Args;
use std::path::PathBuf;

/// Where OpenSSH keeps public keys, the first that is there counts.
const USUAL_FILES: [&str; 2] = [".ssh/id_ed25519.pub", ".ssh/id_ecdsa.pub"];
/// Larger files are no public keys.
const MAX_KEY_BYTES: u64 = 16 * 1024;

/// `dozen keys`.
#[derive(Debug, Args)]
pub struct List {}

impl List {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let keys = session.client()?.keys()?;
        if keys.is_empty() {
            session.output.note("There are no SSH keys; add one with `dozen keys:add`.");
        }
        session.output.data(&keys, |style| render(&keys, session.now(), style))
    }
}

fn render(keys: &[Key], now: Timestamp, style: Style) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let mut table = Table::default();
    for key in keys {
        let algorithm = key.public_key.split(' ').next().unwrap_or_default().to_owned();
        table.row([
            key.fingerprint.clone(),
            algorithm,
            key.comment.clone(),
            render_when(key.created_at, now),
        ]);
    }
    render_heading("SSH keys", style) + &table.render()
}

/// `dozen keys:add`.
#[derive(Debug, Args)]
pub struct Add {
    /// The file of the public key. Default: ~/.ssh/id_ed25519.pub, then id_ecdsa.pub
    file: Option<PathBuf>,
}

impl Add {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let file = match self.file {
            Some(file) => file,
            None => usual_file(session)?,
        };
        let public_key = read_key(&file)?;
        let progress = session.output.begin(&format!("Adding {}", file.display()));
        let key = session.client()?.create_key(&CreateKey { public_key })?;
        progress.done(&key.fingerprint);
        session.output.data(&key, |_| String::new())
    }
}

fn usual_file(session: &Session) -> Result<PathBuf, Failure> {
    let home = session.environment.home().unwrap_or_default();
    USUAL_FILES.iter().map(|name| home.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        Failure::new("no public key was found in ~/.ssh")
            .hint("Make one with `ssh-keygen -t ed25519`, or name its file: `dozen keys:add FILE.pub`.")
    })
}

fn read_key(file: &PathBuf) -> Result<String, Failure> {
    use std::io::Read;
    let unread =
        |error: std::io::Error| Failure::of(&error).hint(format!("The file was {}.", file.display()));
    let mut text = String::new();
    std::fs::File::open(file)
        .map_err(unread)?
        .take(MAX_KEY_BYTES)
        .read_to_string(&mut text)
        .map_err(unread)?;
    // It must not even leave this machine.
    if text.contains("PRIVATE KEY") {
        return Err(Failure::new(format!("{} holds a private key, which was not sent", file.display()))
            .hint("Name the public half, the file that ends in .pub."));
    }
    Ok(text)
}

/// `dozen keys:remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// The key's comment, fingerprint or id
    key: String,
}

impl Remove {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let keys = client.keys()?;
        let meant: Vec<_> = keys.iter().filter(|key| is_meant(key, &self.key)).collect();
        match meant.as_slice() {
            [] => Err(Failure::new(format!("no SSH key is called {}", self.key))
                .hint("They are listed by `dozen keys`.")),
            [key] => remove(session, &client, key),
            several => Err(Failure::new(format!("{} SSH keys are called {}", several.len(), self.key))
                .hint("Name it by its fingerprint, as `dozen keys` shows it.")),
        }
    }
}

fn is_meant(key: &Key, name: &str) -> bool {
    key.comment == name || key.fingerprint == name || key.id.to_string() == name
}

fn remove(session: &Session, client: &Client, key: &Key) -> Result<(), Failure> {
    let progress = session.output.begin(&format!("Removing {}", key.fingerprint));
    client.remove_key(&key.id.to_string())?;
    progress.done("");
    Ok(())
}

/// `dozen keys:clear`.
#[derive(Debug, Args)]
pub struct Clear {}

impl Clear {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        client.keys()?.iter().try_for_each(|key| remove(session, &client, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;

    fn key() -> Key {
        Key {
            comment: "ada@example.com".to_owned(),
            created_at: samples::now(),
            email: "ada@example.com".to_owned(),
            fingerprint: "SHA256:ZyXNo2/4bhBbq0hNzE5dc5xB/2h1qPXdDaH9W5hnsLo".to_owned(),
            id: domain::ids::KeyId::from_u128(7),
            public_key: "ssh-ed25519 AAAA ada@example.com".to_owned(),
            updated_at: samples::now(),
        }
    }

    #[test]
    fn the_list() {
        insta::assert_snapshot!(render(&[key()], samples::now(), Style::Plain));
        assert!(is_meant(&key(), "ada@example.com") && !is_meant(&key(), "ada"));
    }

    #[test]
    fn a_private_key_stays_here() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        std::fs::write(&file, "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n").unwrap();
        let told = read_key(&file).unwrap_err().render(Style::Plain);
        assert!(told.contains("was not sent"), "{told}");
        assert!(read_key(&folder.path().join("none")).is_err());
    }
}
