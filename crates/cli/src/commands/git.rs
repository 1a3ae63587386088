//! `git:remote`, `git:clone` and `git:credentials`: how a plain `git push` finds its way and its token.
//!
//! The token is never part of an address. `git:remote` writes three things into the repository's own configuration, each valid for
//! this server alone: the remote, `http.https://HOST:PORT.sslCAInfo` with the certificates to trust, and
//! `credential.https://HOST:PORT.helper`, which has git ask `dozen git:credentials` for the token when it needs one. Helpers that
//! the user has for other servers stay as they are and are not asked for this one.

use crate::failure::Failure;
use crate::git::{self, GitError};
use crate::session::{AppFlags, Session};
use crate::text::quote_for_shell;
use api::app::App;
use api::client::{Client, ServerUrl, Target};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

/// For the end of `dozen git:remote --help`.
const REMOTE_HELP: &str = "\
What is written, into this repository's own configuration and for this server alone:
  remote.REMOTE.url                       https://HOST:PORT/APP.git, without a token
  credential.https://HOST:PORT.helper     `dozen git:credentials`, which gives git the token of the login
  http.https://HOST:PORT.sslCAInfo        the certificates to trust, if they are not the system's";

/// `dozen git:remote`.
#[derive(Debug, Args)]
#[command(after_help = REMOTE_HELP)]
pub struct SetRemote {
    /// The app
    #[arg(short, long, value_name = "NAME")]
    app: Option<String>,
    /// The remote to add or change
    #[arg(short, long, value_name = "REMOTE", default_value = "dozen")]
    remote: String,
}

impl SetRemote {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        if !git::is_in_repository() {
            return Err(Failure::new("this is no git repository").hint("Make it one with `git init`."));
        }
        let at = session.app_client(&AppFlags { app: self.app, remote: None })?;
        let app = at.ask(Client::app)?;
        wire_remote(session, &Wiring::of(session, at.client.target(), &app, &self.remote)?)
    }
}

/// `dozen git:clone`.
#[derive(Debug, Args)]
pub struct Clone {
    /// The folder to make. Default: the app's name
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// The app
    #[arg(short, long, value_name = "NAME")]
    app: Option<String>,
    /// The remote's name
    #[arg(short, long, value_name = "REMOTE", default_value = "dozen")]
    remote: String,
}

impl Clone {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&AppFlags { app: self.app, remote: None })?;
        let app = at.ask(Client::app)?;
        let wiring = Wiring::of(session, at.client.target(), &app, &self.remote)?;
        let folder = self.directory.unwrap_or_else(|| PathBuf::from(app.name.as_str()));
        let progress = session.output.begin(&format!("Cloning {} into {}", at.app, folder.display()));
        git::run(&wiring.clone_command(&folder))?;
        progress.done("");
        std::env::set_current_dir(&folder)?;
        wire_remote(session, &wiring)?;
        session.output.data(&folder, |_| String::new())
    }
}

/// What git is told.
pub struct Wiring {
    remote: String,
    address: String,
    /// Scheme, host and port of the address: what the settings are valid for.
    origin: String,
    ca_file: Option<PathBuf>,
    program: PathBuf,
}

impl Wiring {
    /// The address is made from the server that one is logged in to, as the client knows it: that is the one git will ask the token
    /// for. API and git share a port.
    pub fn of(session: &Session, target: &Target, app: &App, remote: &str) -> Result<Self, Failure> {
        let origin = target.url.to_string();
        Ok(Self {
            remote: remote.to_owned(),
            address: format!("{origin}/{}.git", app.name),
            origin,
            ca_file: session.ca_file()?.map(std::path::absolute).transpose()?,
            program: std::env::current_exe()?,
        })
    }

    /// The git commands, in order. An empty helper first: it ends the list of helpers configured elsewhere.
    fn commands(&self, known: &[String]) -> Vec<Vec<String>> {
        let verb = if known.contains(&self.remote) { "set-url" } else { "add" };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let helper_key = format!("credential.{}.helper", self.origin);
        let helper = format!("!{} git:credentials", quote_for_shell(&self.program.to_string_lossy()));
        let mut commands = vec![
            words(&["remote", verb, &self.remote, &self.address]),
            words(&["config", "--local", "--replace-all", &helper_key, ""]),
            words(&["config", "--local", "--add", &helper_key, &helper]),
        ];
        if let Some(file) = &self.ca_file {
            let key = format!("http.{}.sslCAInfo", self.origin);
            commands.push(words(&["config", "--local", &key, &file.to_string_lossy()]));
        }
        commands
    }
}

impl Wiring {
    /// The new repository has no configuration of its own yet: git is told for this one run.
    fn clone_command(&self, folder: &Path) -> Vec<OsString> {
        let program = quote_for_shell(&self.program.to_string_lossy());
        let mut settings = vec![
            format!("credential.{}.helper=", self.origin),
            format!("credential.{}.helper=!{program} git:credentials", self.origin),
        ];
        if let Some(file) = &self.ca_file {
            settings.push(format!("http.{}.sslCAInfo={}", self.origin, file.display()));
        }
        let mut words: Vec<OsString> =
            settings.into_iter().flat_map(|one| ["-c".into(), one.into()]).collect();
        words.extend(["clone", "--quiet", "--origin", &self.remote, "--", &self.address].map(OsString::from));
        words.push(folder.into());
        words
    }
}

/// Adds the remote and lets git use the login.
pub fn wire_remote(session: &Session, wiring: &Wiring) -> Result<(), Failure> {
    let known: Vec<String> = git::run(&["remote"])?.lines().map(str::to_owned).collect();
    for command in wiring.commands(&known) {
        git::run(&command)?;
    }
    if let (Some(ours), Some(theirs)) = (&wiring.ca_file, session.environment.git_ca_file()) {
        session.output.warn(&format!(
            "GIT_SSL_CAINFO is set to {}: git will not use {}; unset it before you push",
            theirs.display(),
            ours.display()
        ));
    }
    session.output.note(&format!(
        "Git remote {} leads to {}; deploy with `git push {} main`",
        wiring.remote, wiring.address, wiring.remote
    ));
    Ok(())
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        Self::of(&error)
    }
}

/// `dozen git:credentials`, called by git with `get`, `store` or `erase`.
#[derive(Debug, Args)]
pub struct Credentials {
    /// What git wants; only `get` does something
    operation: Operation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Operation {
    /// Print the token for the server that git names
    Get,
    /// Nothing: `dozen login` keeps the token
    Store,
    /// Nothing: `dozen logout` forgets it
    Erase,
}

/// Most bytes that git sends.
const MAX_REQUEST_BYTES: u64 = 64 * 1024;

impl Credentials {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let mut request = String::new();
        std::io::stdin().take(MAX_REQUEST_BYTES).read_to_string(&mut request)?;
        match self.operation {
            Operation::Get => {}
            Operation::Store | Operation::Erase => return Ok(()),
        }
        let Some(asked) = parse_request(&request) else { return Ok(()) };
        let answer = observe_token(session, &asked)?;
        answer.map_or(Ok(()), |token| {
            session.output.print(&format!("username=dozen\npassword={}\n", token.expose()))
        })
    }
}

/// The server git asks for, if it is one that can be ours. Lines `name=value`; git gives the port within `host`.
fn parse_request(request: &str) -> Option<ServerUrl> {
    let value = |name: &str| request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let (protocol, host) = (value("protocol")?, value("host")?);
    format!("{protocol}://{host}").parse().ok()
}

/// The token for exactly the server that was asked for: git may ask on behalf of any address.
fn observe_token(session: &Session, asked: &ServerUrl) -> Result<Option<api::Token>, Failure> {
    let of_environment = session.environment.url().and_then(|text| text.parse::<ServerUrl>().ok());
    if of_environment.as_ref() == Some(asked) && session.environment.token().is_some() {
        return Ok(session.environment.token().map(api::Token::new));
    }
    Ok(session.credentials()?.servers.get(asked).map(|login| login.token.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_told_of_the_server_alone() {
        let wiring = Wiring {
            remote: "dozen".to_owned(),
            address: "https://localhost:8443/hello.git".to_owned(),
            origin: "https://localhost:8443".to_owned(),
            ca_file: Some(PathBuf::from("/home/ada/.config/dozen/ca/localhost_8443.pem")),
            program: PathBuf::from("/opt/my tools/dozen"),
        };
        let lines = |known: &[String]| {
            wiring.commands(known).iter().map(|words| words.join(" ")).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(lines(&[]), @r"
        remote add dozen https://localhost:8443/hello.git
        config --local --replace-all credential.https://localhost:8443.helper 
        config --local --add credential.https://localhost:8443.helper !'/opt/my tools/dozen' git:credentials
        config --local http.https://localhost:8443.sslCAInfo /home/ada/.config/dozen/ca/localhost_8443.pem
        ");
        assert!(lines(&["dozen".to_owned()]).starts_with("remote set-url dozen "));
    }

    #[test]
    fn a_request_names_a_server() {
        for (request, expected) in [
            ("protocol=https\nhost=localhost:8443\npath=hello.git\n", Some("https://localhost:8443")),
            ("host=localhost:8443\nprotocol=https\n\n", Some("https://localhost:8443")),
            ("protocol=https\nhost=paas.example.com\n", Some("https://paas.example.com")),
            ("protocol=http\nhost=paas.example.com\n", None),
            ("protocol=https\n", None),
            ("", None),
        ] {
            assert_eq!(parse_request(request).map(|url| url.to_string()).as_deref(), expected, "{request}");
        }
    }
}
