//! `login`, `logout`, `auth:whoami`, `auth:token`.

use crate::credentials::{self, Credentials, Login as StoredLogin};
use crate::failure::Failure;
use crate::prompt;
use crate::session::{Session, trust_in};
use api::account::Account;
use api::client::{ServerUrl, Target};
use clap::Args;
use std::path::PathBuf;

/// `dozen login`.
#[derive(Debug, Args)]
pub struct Login {
    /// The server, such as `https://paas.example.com:8443`. Default: DOZEN_URL, else the one logged in to last
    #[arg(long, value_name = "URL")]
    url: Option<ServerUrl>,
    /// A PEM file with the server's own certificate authority; a copy of it is kept
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Read the token from standard input
    #[arg(long)]
    token_stdin: bool,
    /// Ask for the token at the terminal, which is the default
    #[arg(short, long, conflicts_with = "token_stdin")]
    interactive: bool,
}

impl Login {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let home = session.config_home()?;
        let file = credentials::file_in(&home);
        let mut stored = session.credentials()?;
        let url = self.server(session, &stored)?;
        let known_ca = stored.servers.get(&url).and_then(|login| login.ca_file.clone());
        let given_ca = self.ca_file.clone().or_else(|| session.environment.ca_file());
        let trust = trust_in(given_ca.clone().or_else(|| known_ca.clone()))?;
        let token = if self.token_stdin { prompt::read_token()? } else { prompt::ask_token()? };
        let target = Target { url: url.clone(), token: Some(token.clone()), trust };
        let account = session.client_of(target)?.account()?;
        let ca_file = match given_ca {
            None => known_ca,
            Some(path) => Some(credentials::keep_ca(&home, &url, &std::fs::read(path)?)?),
        };
        stored.add(url.clone(), StoredLogin { email: account.email.clone(), token, ca_file });
        stored.save(&file)?;
        session
            .output
            .note(&format!("Logged in to {url} as {}", session.output.error_style.green(&account.email)));
        session.output.data(&account, |_| String::new())
    }

    fn server(&self, session: &Session, stored: &Credentials) -> Result<ServerUrl, Failure> {
        match (&self.url, session.environment.url(), &stored.current) {
            (Some(url), _, _) => Ok(url.clone()),
            (None, Some(text), _) => text.parse().map_err(|error| Failure::of(&error)),
            (None, None, Some(url)) => Ok(url.clone()),
            (None, None, None) => {
                Err(Failure::new("no server is named")
                    .hint("Pass it: `dozen login --url https://HOST:PORT`."))
            }
        }
    }
}

/// `dozen logout`.
#[derive(Debug, Args)]
pub struct Logout {}

impl Logout {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let mut stored = session.credentials()?;
        let (url, _) = session.server()?;
        if stored.remove(&url).is_none() {
            return Err(Failure::new(format!("not logged in to {url}")));
        }
        stored.save(&credentials::file_in(&session.config_home()?))?;
        session
            .output
            .note(&format!("Logged out of {url}; its token is forgotten here, and still valid there"));
        if session.environment.token().is_some() {
            session.output.warn("DOZEN_TOKEN is set, and goes on being used");
        }
        Ok(())
    }
}

/// `dozen auth:whoami`.
#[derive(Debug, Args)]
pub struct Whoami {}

impl Whoami {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        session.output.note(&format!("Server: {}", client.target().url));
        let account = client.account()?;
        session.output.data(&account, |_| render_whoami(&account))
    }
}

fn render_whoami(account: &Account) -> String {
    format!("{}\n", account.email)
}

/// `dozen auth:token`.
#[derive(Debug, Args)]
pub struct PrintToken {}

impl PrintToken {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let target = session.target()?;
        let token = target.token.as_ref().map_or("", |token| token.expose());
        session.output.data(&token, |_| format!("{token}\n"))
    }
}
