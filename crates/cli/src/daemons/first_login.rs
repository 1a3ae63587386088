//! The first administrator's token on its way from the server, which made it, to the client of whoever started the server.
//!
//! The server (its own user) writes it to a file that only it and root can read; the starting process (root) moves it into its own
//! client's credentials and removes the file. It is shown once.

use super::settings::Settings;
use crate::credentials::{self, Credentials, CredentialsError, Login};
use crate::environment::Environment;
use api::Token;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// What the first login needs.
#[derive(Serialize, Deserialize)]
pub struct FirstLogin {
    pub format: u32,
    pub url: String,
    pub email: String,
    pub token: String,
}

/// Why the token did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum FirstLoginError {
    #[error("cannot use {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} is not what was expected", path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("cannot keep the first token in this user's credentials")]
    Credentials(#[from] CredentialsError),
    #[error(
        "the environment names no home folder to keep the first token in\n  hint: set HOME or DOZEN_CONFIG_HOME"
    )]
    NoHome,
    #[error("the server's address \"{0}\" cannot be used by the client")]
    Address(String),
}

fn path(settings: &Settings) -> PathBuf {
    settings.data.root().join("ledger/first-login.json")
}

/// The server's half.
pub fn leave(settings: &Settings, login: &FirstLogin) -> Result<(), FirstLoginError> {
    let path = path(settings);
    let failed = |source| FirstLoginError::File { path: path.clone(), source };
    let text = serde_json::to_vec(login).map_err(|error| failed(error.into()))?;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)
}

/// Whether a token waits for [`take`].
pub fn is_waiting(settings: &Settings) -> bool {
    path(settings).exists()
}

/// The starting process's half: `None` unless this is the first start.
pub fn take(settings: &Settings) -> Result<Option<FirstLogin>, FirstLoginError> {
    let path = path(settings);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FirstLoginError::File { path, source }),
    };
    let login: FirstLogin = serde_json::from_slice(&text)
        .map_err(|source| FirstLoginError::Malformed { path: path.clone(), source })?;
    keep(settings, &login)?;
    std::fs::remove_file(&path).map_err(|source| FirstLoginError::File { path, source })?;
    Ok(Some(login))
}

fn keep(settings: &Settings, login: &FirstLogin) -> Result<(), FirstLoginError> {
    let url = login.url.parse().map_err(|_| FirstLoginError::Address(login.url.clone()))?;
    let ca_file = Some(settings.data.root().join("ca/ca.pem"));
    let entry = Login { email: login.email.clone(), token: Token::new(login.token.clone()), ca_file };
    let home =
        Environment::read(|name| std::env::var_os(name)).config_home().ok_or(FirstLoginError::NoHome)?;
    let file = credentials::file_in(&home);
    let mut known = Credentials::load(&file)?;
    known.add(url, entry);
    known.save(&file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server that left it and the client that takes it may be of two builds.
    #[test]
    fn a_login_of_the_first_format() {
        let golden = include_str!("../../fixtures/first-login-1.json");
        let login: FirstLogin = serde_json::from_str(golden).expect("understood");
        assert_eq!(serde_json::to_string(&login).expect("written"), golden.trim());
    }
}
