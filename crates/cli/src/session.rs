//! What a command works with: the server, the app that is meant, and where output goes.

use crate::credentials::{self, Credentials, CredentialsError, Login};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::git::{self, Remote};
use crate::output::Output;
use crate::suggest::nearest;
use crate::text::Style;
use api::Timestamp;
use api::client::{Client, ClientError, ServerUrl, Target, Trust};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which app a command is about.
#[derive(Debug, Clone, Default, Args)]
pub struct AppFlags {
    /// The app. Default: DOZEN_APP, else the git remote `dozen` or `heroku`, else the one remote at the server
    #[arg(short, long, value_name = "NAME")]
    pub app: Option<String>,
    /// The git remote that tells the app
    #[arg(short, long, value_name = "REMOTE", conflicts_with = "app")]
    pub remote: Option<String>,
}

/// Remotes that name an app by their own name, the first before the second.
const REMOTE_NAMES: [&str; 2] = ["dozen", "heroku"];

/// The environment of one command.
pub struct Session {
    pub environment: Environment,
    pub output: Output,
}

impl Session {
    /// The time for "how long ago".
    pub fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    pub fn config_home(&self) -> Result<PathBuf, Failure> {
        let missing =
            || Failure::new("there is no place for credentials: neither HOME nor DOZEN_CONFIG_HOME is set");
        self.environment.config_home().ok_or_else(missing)
    }

    pub fn credentials(&self) -> Result<Credentials, Failure> {
        match self.environment.config_home() {
            None => Ok(Credentials::default()),
            Some(home) => Ok(Credentials::load(&credentials::file_in(&home))?),
        }
    }

    /// The server that is meant, with the login for it if there is one.
    pub fn server(&self) -> Result<(ServerUrl, Option<Login>), Failure> {
        let credentials = self.credentials()?;
        let url = match self.environment.url() {
            Some(text) => {
                text.parse().map_err(|error| Failure::of(&error).hint("The address comes from DOZEN_URL."))?
            }
            None => credentials.current.clone().ok_or_else(not_logged_in)?,
        };
        let login = credentials.servers.get(&url).cloned();
        Ok((url, login))
    }

    /// Where and as whom to speak.
    pub fn target(&self) -> Result<Target, Failure> {
        let (url, login) = self.server()?;
        let stored = login.as_ref().map(|login| login.token.clone());
        let token = self.environment.token().map(api::Token::new).or(stored).ok_or_else(not_logged_in)?;
        Ok(Target { url, token: Some(token), trust: trust_in(self.ca_file()?)? })
    }

    /// The file of the certificates to trust, if they are not the system's.
    pub fn ca_file(&self) -> Result<Option<PathBuf>, Failure> {
        match self.environment.ca_file() {
            Some(path) => Ok(Some(path)),
            None => Ok(self.server()?.1.and_then(|login| login.ca_file)),
        }
    }

    pub fn client(&self) -> Result<Client, Failure> {
        self.client_of(self.target()?)
    }

    /// A client whose server's remarks are told as they come.
    pub fn client_of(&self, target: Target) -> Result<Client, Failure> {
        let output = self.output;
        Ok(Client::new(target, user_agent())?.with_warnings(move |remark| output.warn(remark)))
    }

    /// The client and the name of the app that is meant.
    pub fn app_client(&self, flags: &AppFlags) -> Result<AppClient, Failure> {
        let client = self.client()?;
        let host = client.target().url.host_and_port();
        let app = match (&flags.app, &flags.remote, self.environment.app()) {
            (Some(app), _, _) => app.clone(),
            (None, Some(remote), _) => app_of_remote(&git::observe_remotes(), remote)?,
            (None, None, Some(app)) => app.to_owned(),
            (None, None, None) => infer_app(&git::observe_remotes(), &host)?,
        };
        Ok(AppClient { client, app })
    }
}

/// A client, and the app that it is about.
pub struct AppClient {
    pub client: Client,
    pub app: String,
}

impl AppClient {
    /// Asks about the app. If there is none of that name, the failure has the one that was probably meant.
    pub fn ask<T>(
        &self,
        request: impl FnOnce(&Client, &str) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        request(&self.client, &self.app).map_err(|error| self.failure(error))
    }

    /// Shows all of something that the app has.
    pub fn show_list<T: Serialize>(
        &self,
        session: &Session,
        request: impl FnOnce(&Client, &str) -> Result<Vec<T>, ClientError>,
        render: impl FnOnce(&str, &[T], Style) -> String,
    ) -> Result<(), Failure> {
        let list = self.ask(request)?;
        session.output.data(&list, |style| render(&self.app, &list, style))
    }

    pub fn failure(&self, error: ClientError) -> Failure {
        if !is_about(&error, "app") {
            return Failure::from(error);
        }
        let apps = self.client.apps().unwrap_or_default();
        let names = apps.iter().map(|known| known.name.as_str());
        near_failure(error, &self.app, names, "Your apps are listed by `dozen apps`.")
    }

    /// As [`AppClient::failure`], for one of the parts that the app has several of, such as a domain.
    pub fn part_failure<T>(
        &self,
        kind: &str,
        typed: &str,
        known: impl FnOnce(&Client, &str) -> Result<Vec<T>, ClientError>,
        name: impl Fn(&T) -> &str,
        error: ClientError,
    ) -> Failure {
        if !is_about(&error, kind) {
            return self.failure(error);
        }
        let known = known(&self.client, &self.app).unwrap_or_default();
        let listed = format!("The app's {kind}s are listed by `dozen {kind}s`.");
        near_failure(error, typed, known.iter().map(name), &listed)
    }
}

/// Whether a thing of this kind is what the server does not know.
fn is_about(error: &ClientError, kind: &str) -> bool {
    error.api().is_some_and(|body| body.resource.as_deref() == Some(kind))
}

fn near_failure<'a>(
    error: ClientError,
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
    listed: &str,
) -> Failure {
    let failure = Failure::from(error);
    match nearest(typed, known) {
        Some(near) => failure.hint(format!("Did you mean {near}?")),
        None => failure.hint(listed),
    }
}

pub fn trust_in(ca_file: Option<PathBuf>) -> Result<Trust, ClientError> {
    ca_file.map_or(Ok(Trust::System), |path| Trust::from_file(&path))
}

/// `dozen/0.1.0 linux-x86_64`: the `User-Agent` header, and what `dozen version` prints.
pub fn user_agent() -> String {
    format!("dozen/{} {}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH)
}

fn not_logged_in() -> Failure {
    Failure::new("not logged in")
        .hint("Log in with `dozen login --url https://HOST:PORT`, or set DOZEN_URL and DOZEN_TOKEN.")
}

fn app_of_remote(remotes: &[Remote], name: &str) -> Result<String, Failure> {
    let found = remotes.iter().find(|remote| remote.name == name);
    found
        .map(|remote| remote.app.clone())
        .ok_or_else(|| Failure::new(format!("no git remote named {name} leads to an app")))
}

/// The app of the remote named as ours, else of the only remote at the server.
fn infer_app(remotes: &[Remote], host: &str) -> Result<String, Failure> {
    let named = REMOTE_NAMES.iter().find_map(|name| remotes.iter().find(|remote| remote.name == *name));
    if let Some(remote) = named {
        return Ok(remote.app.clone());
    }
    let here: Vec<_> = remotes.iter().filter(|remote| remote.host == host).collect();
    match here.as_slice() {
        [only] => Ok(only.app.clone()),
        [] => Err(Failure::new("no app is named")
            .hint("Pass --app NAME, or run this in a repository with a git remote `dozen`.")),
        several => {
            let names: Vec<_> =
                several.iter().map(|remote| format!("{} ({})", remote.name, remote.app)).collect();
            Err(Failure::new(format!("several git remotes lead to apps: {}", names.join(", ")))
                .hint("Choose one with --remote, or pass --app NAME."))
        }
    }
}

impl From<CredentialsError> for Failure {
    fn from(error: CredentialsError) -> Self {
        let failure = Self::of(&error);
        match error {
            CredentialsError::Exposed { path, .. } => failure.hint(format!(
                "If nobody has read it, run `chmod 600 {}`; else log in with a new token.",
                path.display()
            )),
            CredentialsError::OtherFormat { .. } => failure.hint("It was probably written by a newer dozen."),
            CredentialsError::Read { .. }
            | CredentialsError::Malformed { .. }
            | CredentialsError::Write { .. } => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(name: &str, host: &str, app: &str) -> Remote {
        Remote { name: name.to_owned(), host: host.to_owned(), app: app.to_owned() }
    }

    #[test]
    fn the_app_of_a_repository() {
        let (ours, theirs) = ("localhost:8443", "github.com");
        for (remotes, expected) in [
            (vec![remote("dozen", "x", "a"), remote("heroku", "y", "b")], Some("a")),
            (vec![remote("origin", theirs, "o"), remote("heroku", "y", "b")], Some("b")),
            (vec![remote("origin", theirs, "o"), remote("live", ours, "c")], Some("c")),
            (vec![remote("origin", theirs, "o")], None),
            (vec![remote("live", ours, "c"), remote("test", ours, "d")], None),
            (vec![], None),
        ] {
            assert_eq!(infer_app(&remotes, ours).ok().as_deref(), expected, "{remotes:?}");
        }
        assert_eq!(app_of_remote(&[remote("live", ours, "c")], "live").ok().as_deref(), Some("c"));
        assert!(app_of_remote(&[], "live").is_err());
    }
}
