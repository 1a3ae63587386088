//! `dozen heroku -- ARGS`: the user's own Heroku client, at our server.
//!
//! That client sends its token to loopback or to Heroku's hosts and nowhere else, so it gets a door on this machine
//! (`api::client::forwarder`) for as long as it runs, and an environment in which every host that it knows is that door.

mod guard;
mod signals;
mod variables;

use crate::failure::Failure;
use crate::session::Session;
use api::client::Target;
use api::client::forwarder::Forwarder;
use clap::Args;
use signals::Signals;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use variables::{Place, Variables};

/// The client's program.
const PROGRAM: &str = "heroku";
/// How the folders of runs are called, before the program's number.
const FOLDER_PREFIX: &str = "heroku-";
/// What a shell reports of a program that a signal ended, less the signal.
#[cfg(unix)]
const ENDED_BY_SIGNAL: i32 = 128;

/// For the end of `dozen heroku --help`.
const HELP: &str = "\
Install the client with `npm install -g heroku`. It gets this login's token and talks to the server through a door on this
machine that is open while it runs; to other hosts it gets no connection. Not everything of it makes sense here: what Dozen
does not have is answered with an error.

For a plain `git push` by a remote that `dozen heroku git:remote` made, run `dozen git:remote -r heroku` once.";

/// `dozen heroku`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Heroku {
    /// The command and its arguments, as the Heroku client takes them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

impl Heroku {
    pub fn act(self, session: &Session) -> Result<ExitCode, Failure> {
        refuse_what_talks_to_heroku(&self.arguments)?;
        let target = session.target()?;
        let style = session.output.error_style;
        let refused = move |host: &str| {
            let warning = style.yellow("warning:");
            crate::output::tell(&format!(
                "{warning} the Heroku client asked for {host}, which is not your server, and was refused\n"
            ));
        };
        let door = Forwarder::open(&target.url, &target.trust, refused)?;
        let folder = Folder::make(&session.config_home()?)?;
        let variables = wire(session, &target, &door, &folder)?;
        run(self.arguments, &variables)
    }
}

/// The topic of a server for assistants, that has Heroku's own address and the token's name in its source.
const OWN_SERVER: &str = "mcp";

/// What could only ever talk to Heroku's hosts is not even started.
fn refuse_what_talks_to_heroku(arguments: &[OsString]) -> Result<(), Failure> {
    let command = arguments.first().and_then(|word| word.to_str()).unwrap_or_default();
    if command.split(':').next() != Some(OWN_SERVER) {
        return Ok(());
    }
    Err(Failure::new(format!("heroku {command} talks to api.heroku.com and to no other server"))
        .hint("It would send your token there, so it is not started."))
}

/// Writes what the client reads from files, and tells it of them.
fn wire(session: &Session, target: &Target, door: &Forwarder, folder: &Folder) -> Result<Variables, Failure> {
    let authority = folder.0.join("authority.pem");
    std::fs::write(&authority, door.authority())?;
    let git_config = folder.0.join("gitconfig");
    std::fs::write(&git_config, variables::render_git_config(&session.environment.git_config()))?;
    let guard = folder.0.join("guard.cjs");
    std::fs::write(&guard, guard::render(target.url.host(), target.url.port()))?;
    Ok(Variables::of(&Place {
        door: door.address(),
        server: target.url.to_string(),
        server_host: target.url.host_and_port(),
        server_ca: session.ca_file()?.map(std::path::absolute).transpose()?,
        token: target.token.as_ref().map_or("", |token| token.expose()),
        app: session.environment.app(),
        authority: &authority,
        git_config: &git_config,
        git_config_count: session.environment.git_config_count(),
        guard: &guard,
        node_options: session.environment.node_options(),
        program: &std::env::current_exe()?,
    }))
}

fn run(arguments: Vec<OsString>, variables: &Variables) -> Result<ExitCode, Failure> {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    for name in &variables.removed {
        command.env_remove(name);
    }
    command.envs(variables.set.iter().map(|(name, value)| (name, value)));
    let signals = Signals::listen()?;
    let mut client = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new("the Heroku client is not installed")
            .hint("Install it with `npm install -g heroku`, or use Dozen's own commands: `dozen --help`."),
        _ => Failure::of(&error),
    })?;
    Ok(code_of(signals.wait_for(&mut client)?))
}

/// The client's exit code, as a shell would tell it.
fn code_of(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let by_signal =
        std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| ENDED_BY_SIGNAL + signal);
    #[cfg(not(unix))]
    let by_signal = None;
    let code = status.code().or(by_signal).and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// A folder of this run's own. Dropping it removes it.
struct Folder(PathBuf);

impl Folder {
    fn make(config_home: &Path) -> Result<Self, Failure> {
        remove_abandoned(config_home);
        let folder = config_home.join(format!("{FOLDER_PREFIX}{}", std::process::id()));
        // One of an earlier program with the same number, that was killed.
        let _absent = std::fs::remove_dir_all(&folder);
        crate::credentials::create_private_folder(&folder)?;
        Ok(Self(folder))
    }
}

/// Of programs that were killed. What cannot be removed is in nobody's way.
fn remove_abandoned(config_home: &Path) {
    for entry in std::fs::read_dir(config_home).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX)?.parse().ok());
        if number.is_some_and(|number| !signals::is_running(number)) {
            let _left_behind = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Style;

    fn refusal(words: &[&str]) -> Option<String> {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        refuse_what_talks_to_heroku(&words).err().map(|failure| failure.render(Style::Plain))
    }

    #[test]
    fn what_has_herokus_address_in_its_source_is_refused() {
        insta::assert_snapshot!(refusal(&["mcp:start"]).unwrap(), @r"
        error: heroku mcp:start talks to api.heroku.com and to no other server
        hint: It would send your token there, so it is not started.
        ");
        assert!(refusal(&["mcp"]).is_some() && refusal(&["mcp", "start"]).is_some());
        for words in [&[][..], &["ps"], &["config:get", "mcp"], &["mcpx"]] {
            assert_eq!(refusal(words), None);
        }
    }

    #[cfg(unix)]
    #[test]
    fn folders_of_programs_that_are_gone_are_removed() {
        let home = tempfile::tempdir().unwrap();
        let mut gone = Command::new("true").spawn().unwrap();
        let mut there = Command::new("sleep").arg("60").spawn().unwrap();
        gone.wait().unwrap();
        let folder = |name: String| home.path().join(name);
        let abandoned = folder(format!("heroku-{}", gone.id()));
        let kept = [folder(format!("heroku-{}", there.id())), folder("heroku-notes".to_owned())];
        for path in kept.iter().chain([&abandoned]) {
            std::fs::create_dir(path).unwrap();
        }
        let own = Folder::make(home.path()).unwrap();
        assert!(own.0.is_dir() && !abandoned.exists());
        assert!(kept.iter().all(|path| path.is_dir()));
        there.kill().unwrap();
        there.wait().unwrap();
    }
}
