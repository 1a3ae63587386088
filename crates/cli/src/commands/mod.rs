//! The commands of the client: one file per topic. Each has the arguments it takes, one function that acts, and pure functions
//! that make the text.

mod apps;
mod auth;
mod builds;
mod config;
mod deploy;
mod doctor;
mod git;
mod keys;
mod logs;
mod ps;
mod reference;
mod releases;
mod run;
#[cfg(test)]
mod samples;
mod shell;
mod tokens;

use crate::environment::Environment;
use crate::exit::{self, Code};
use crate::failure::Failure;
use crate::output::{Format, Output, tell};
use crate::session::Session;
use crate::suggest::nearest;
use crate::text::Style;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs twelve-factor apps: push them with git, and see to them with these commands
#[derive(Debug, Parser)]
#[command(name = "dozen", version, after_help = exit::HELP, disable_help_subcommand = false)]
struct Arguments {
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List your apps
    #[command(name = "apps", visible_alias = "apps:list")]
    Apps(apps::List),
    /// Create an app
    #[command(name = "apps:create", visible_alias = "create")]
    AppsCreate(apps::Create),
    /// Show an app
    #[command(name = "apps:info", visible_alias = "info")]
    AppsInfo(apps::Info),
    /// Destroy an app and all that belongs to it
    #[command(name = "apps:destroy", visible_alias = "destroy", alias = "apps:delete")]
    AppsDestroy(apps::Destroy),

    /// Log in to a server with an access token
    #[command(name = "login", visible_alias = "auth:login")]
    Login(auth::Login),
    /// Forget the token of a server
    #[command(name = "logout", visible_alias = "auth:logout")]
    Logout(auth::Logout),
    /// Show who is logged in, and where
    #[command(name = "auth:whoami", visible_alias = "whoami")]
    Whoami(auth::Whoami),
    /// Print the access token in use
    #[command(name = "auth:token")]
    Token(auth::PrintToken),

    /// List the newest builds
    #[command(name = "builds", visible_alias = "builds:list")]
    Builds(builds::List),
    /// Show a build
    #[command(name = "builds:info")]
    BuildsInfo(builds::Info),
    /// Print the output of a build, as it comes
    #[command(name = "builds:output")]
    BuildsOutput(builds::PrintOutput),
    /// Build a commit that was pushed before, or an archive at an address
    #[command(name = "builds:create")]
    BuildsCreate(builds::Create),
    /// End a build that waits or runs
    #[command(name = "builds:cancel")]
    BuildsCancel(builds::Cancel),

    /// Show the config vars
    #[command(name = "config")]
    Config(config::Show),
    /// Print the value of one config var
    #[command(name = "config:get")]
    ConfigGet(config::Get),
    /// Set config vars, which makes a release
    #[command(name = "config:set", alias = "config:add")]
    ConfigSet(config::Set),
    /// Unset config vars, which makes a release
    #[command(name = "config:unset", alias = "config:remove")]
    ConfigUnset(config::Unset),

    /// Deploy a folder without git: pack it, upload it, and follow it until it serves
    #[command(name = "deploy")]
    Deploy(deploy::Deploy),

    /// Check whether the server's machine has what apps need
    #[command(name = "doctor")]
    Doctor(doctor::Doctor),

    /// Make Dozen a service of this machine, or upgrade it
    #[cfg(feature = "server")]
    #[command(name = "install")]
    Install(crate::daemons::install::Install),
    /// Take Dozen off this machine; the data stays unless --purge is given
    #[cfg(feature = "server")]
    #[command(name = "uninstall")]
    Uninstall(crate::daemons::install::Uninstall),

    /// Add a git remote that leads to an app, and let git use the login
    #[command(name = "git:remote")]
    GitRemote(git::SetRemote),
    /// Tell git the token of a server; git calls this by itself
    #[command(name = "git:credentials")]
    GitCredentials(git::Credentials),

    /// List your public keys for pushing over SSH
    #[command(name = "keys")]
    Keys(keys::List),
    /// Add a public key for pushing over SSH
    #[command(name = "keys:add")]
    KeysAdd(keys::Add),
    /// Remove a public key
    #[command(name = "keys:remove")]
    KeysRemove(keys::Remove),
    /// Remove all your public keys
    #[command(name = "keys:clear")]
    KeysClear(keys::Clear),

    /// Show the newest log lines
    #[command(name = "logs")]
    Logs(logs::Logs),

    /// List the processes
    #[command(name = "ps")]
    Ps(ps::List),
    /// Change how many processes of a type run
    #[command(name = "ps:scale", visible_alias = "scale")]
    PsScale(ps::Scale),
    /// Restart processes
    #[command(name = "ps:restart", visible_alias = "restart")]
    PsRestart(ps::Restart),

    /// List the newest releases
    #[command(name = "releases", visible_alias = "releases:list")]
    Releases(releases::List),
    /// Show a release
    #[command(name = "releases:info")]
    ReleasesInfo(releases::Info),
    /// Print the output of a release's release phase, as it comes
    #[command(name = "releases:output")]
    ReleasesOutput(releases::PrintOutput),
    /// Go back to an earlier release, which makes a new one
    #[command(name = "releases:rollback", visible_alias = "rollback")]
    Rollback(releases::Rollback),

    /// Run a command on the current release and config, and end with its exit code
    #[command(name = "run")]
    Run(run::Run),
    /// Start a command on the current release and config, and leave it
    #[command(name = "run:detached")]
    RunDetached(run::Detached),

    /// Make an access token: for deploying one app and nothing else with --deploy
    #[command(name = "tokens:create")]
    TokensCreate(tokens::Create),

    /// Print a script that completes these commands in a shell
    #[command(name = "completions")]
    Completions(shell::Completions),
    /// Print the reference of all commands, exit codes and variables as Markdown
    #[command(name = "reference", hide = true)]
    Reference(reference::Reference),
    /// Print the version
    #[command(name = "version")]
    Version(shell::Version),
}

/// The client: reads the arguments and the environment, acts, tells how it went.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return end_of_parsing(&error),
    };
    let environment = Environment::read(|name| std::env::var_os(name));
    let format = if arguments.json { Format::Json } else { Format::Text };
    let output = Output::new(&environment, format);
    let session = Session { environment, output };
    match act(&session, arguments.command) {
        Ok(code) => code,
        Err(failure) if failure.is_silent() => failure.code.into(),
        Err(failure) => {
            tell(&failure.render(output.error_style));
            failure.code.into()
        }
    }
}

/// Help and version are output; all else is wrong usage.
fn end_of_parsing(error: &clap::Error) -> ExitCode {
    match (error.kind(), error.get(ContextKind::InvalidSubcommand)) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _) => {
            let _ = error.print();
            return Code::Done.into();
        }
        (_, Some(ContextValue::String(typed))) => tell(&unknown_command(typed).render(Style::Plain)),
        (_, _) => drop(error.print()),
    }
    Code::Failed.into()
}

/// With the one nearest verb; clap would name all that are somewhat like it.
fn unknown_command(typed: &str) -> Failure {
    let definition = definition();
    let commands = definition.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<_> = commands.flat_map(|command| command.get_name_and_visible_aliases()).collect();
    let failure = Failure::new(format!("there is no command {typed}"));
    match nearest(typed, names) {
        Some(near) => failure.hint(format!("Did you mean {near}?")),
        None => failure.hint("All commands are listed by `dozen --help`."),
    }
}

fn act(session: &Session, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Apps(command) => command.act(session)?,
        Command::AppsCreate(command) => command.act(session)?,
        Command::AppsInfo(command) => command.act(session)?,
        Command::AppsDestroy(command) => command.act(session)?,
        Command::Login(command) => command.act(session)?,
        Command::Logout(command) => command.act(session)?,
        Command::Whoami(command) => command.act(session)?,
        Command::Token(command) => command.act(session)?,
        Command::Builds(command) => command.act(session)?,
        Command::BuildsInfo(command) => command.act(session)?,
        Command::BuildsOutput(command) => return command.act(session),
        Command::BuildsCreate(command) => return command.act(session),
        Command::BuildsCancel(command) => command.act(session)?,
        Command::Config(command) => command.act(session)?,
        Command::ConfigGet(command) => command.act(session)?,
        Command::ConfigSet(command) => command.act(session)?,
        Command::ConfigUnset(command) => command.act(session)?,
        Command::Deploy(command) => return command.act(session),
        Command::Doctor(command) => return command.act(session),
        #[cfg(feature = "server")]
        Command::Install(command) => return command.act(),
        #[cfg(feature = "server")]
        Command::Uninstall(command) => return command.act(),
        Command::GitRemote(command) => command.act(session)?,
        Command::GitCredentials(command) => command.act(session)?,
        Command::Keys(command) => command.act(session)?,
        Command::KeysAdd(command) => command.act(session)?,
        Command::KeysRemove(command) => command.act(session)?,
        Command::KeysClear(command) => command.act(session)?,
        Command::Logs(command) => command.act(session)?,
        Command::Ps(command) => command.act(session)?,
        Command::PsScale(command) => command.act(session)?,
        Command::PsRestart(command) => command.act(session)?,
        Command::Releases(command) => command.act(session)?,
        Command::ReleasesInfo(command) => command.act(session)?,
        Command::ReleasesOutput(command) => command.act(session)?,
        Command::Rollback(command) => command.act(session)?,
        Command::Run(command) => return command.act(session),
        Command::RunDetached(command) => command.act(session)?,
        Command::TokensCreate(command) => command.act(session)?,
        Command::Completions(command) => command.act(session)?,
        Command::Reference(command) => command.act(session)?,
        Command::Version(command) => command.act(session)?,
    }
    Ok(Code::Done.into())
}

/// The whole command, for completions and for the tests of its shape.
fn definition() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn the_list_of_commands() {
        insta::assert_snapshot!(definition().term_width(100).render_help().to_string());
    }

    /// Verbs and flags as people who come from Heroku type them.
    #[test]
    fn herokus_forms_are_understood() {
        for line in [
            "create",
            "create hello",
            "apps:create hello --json",
            "apps",
            "apps --json",
            "info -a hello",
            "destroy -a hello --confirm hello",
            "apps:destroy hello --confirm hello",
            "config -a hello",
            "config -s",
            "config:set A=1 B=2 -a hello",
            "config:get A -a hello",
            "config:unset A B",
            "ps",
            "ps:scale",
            "ps:scale web=2 worker=+1",
            "scale web=2",
            "ps:restart",
            "restart web.1",
            "releases -n 5",
            "releases:info v3",
            "releases:output",
            "rollback",
            "rollback v2",
            "releases:rollback 2",
            "logs -t",
            "logs --tail -n 10 --source app",
            "logs -d web.1",
            "logs --dyno-name web.1",
            "logs --ps web",
            "logs -p web",
            "run -a hello -- ls -l",
            "run -x -a hello exit 3",
            "run --no-tty bash",
            "run:detached -a hello worker",
            "git:remote -a hello",
            "builds",
            "builds:info",
            "builds:output abc",
            "builds:create --commit 01234567 -a hello",
            "builds:create --source-url https://x.example/y.tgz --version v1",
            "builds:cancel abc",
            "deploy",
            "deploy web -a hello --version v1 --json",
            "keys",
            "keys:add ~/.ssh/id.pub",
            "keys:remove ada@example.com",
            "keys:clear",
            "tokens:create --deploy -a hello --expires-in 30d",
            "doctor",
            "login -i",
            "login --token-stdin",
            "whoami",
            "version",
        ] {
            let words = std::iter::once("dozen").chain(line.split(' '));
            assert!(
                Arguments::try_parse_from(words.clone()).is_ok(),
                "{line}: {:?}",
                Arguments::try_parse_from(words).err()
            );
        }
    }

    #[test]
    fn a_mistyped_verb_is_answered_with_the_near_one() {
        insta::assert_snapshot!(unknown_command("config:sett").render(Style::Plain), @r"
        error: there is no command config:sett
        hint: Did you mean config:set?
        ");
        assert!(unknown_command("frobnicate").render(Style::Plain).contains("dozen --help"));
    }
}
