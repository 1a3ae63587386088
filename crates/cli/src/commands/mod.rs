//! The commands of the client: one file per topic. Each has the arguments it takes, one function that acts, and pure functions
//! that make the text.

mod access;
mod apps;
mod auth;
mod authorizations;
mod buildpacks;
mod builds;
mod catalogue;
mod config;
mod cron;
mod deploy;
mod doctor;
#[cfg(test)]
mod documented;
mod domains;
mod features;
mod git;
mod heroku;
mod keys;
mod logs;
mod maintenance;
mod manual;
mod ps;
mod ps_usage;
mod ps_wait;
mod reference;
mod releases;
mod run;
#[cfg(test)]
mod samples;
mod shell;
#[cfg(test)]
mod tests;
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
    /// Give an app another name
    #[command(name = "apps:rename", visible_alias = "rename")]
    AppsRename(apps::Rename),
    /// Open an app in the browser
    #[command(name = "apps:open", visible_alias = "open")]
    AppsOpen(apps::Open),
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

    /// List those with whom an app is shared
    #[command(name = "access")]
    Access(access::List),
    /// Share an app with somebody
    #[command(name = "access:add")]
    AccessAdd(access::Add),
    /// Change what somebody may do with an app
    #[command(name = "access:update")]
    AccessUpdate(access::Update),
    /// Stop sharing an app with somebody
    #[command(name = "access:remove")]
    AccessRemove(access::Remove),

    /// List everybody who has an account on the server
    #[command(name = "accounts")]
    Accounts(access::Accounts),
    /// Make an account, and print its first token
    #[command(name = "accounts:create")]
    AccountsCreate(access::CreateOne),
    /// Make a token for somebody who has lost theirs
    #[command(name = "accounts:token")]
    AccountsToken(access::Token),

    /// List your access tokens
    #[command(name = "authorizations")]
    Authorizations(authorizations::List),
    /// Make an access token
    #[command(name = "authorizations:create")]
    AuthorizationsCreate(authorizations::Create),
    /// Show an access token
    #[command(name = "authorizations:info")]
    AuthorizationsInfo(authorizations::Info),
    /// Revoke an access token
    #[command(name = "authorizations:revoke", alias = "authorizations:destroy")]
    AuthorizationsRevoke(authorizations::Revoke),
    /// Give an access token another secret
    #[command(name = "authorizations:rotate")]
    AuthorizationsRotate(authorizations::Rotate),
    /// Change the description of an access token
    #[command(name = "authorizations:update")]
    AuthorizationsUpdate(authorizations::Update),

    /// List the builders that were chosen for an app
    #[command(name = "buildpacks")]
    Buildpacks(buildpacks::List),
    /// Add a builder
    #[command(name = "buildpacks:add")]
    BuildpacksAdd(buildpacks::Add),
    /// Choose the builder
    #[command(name = "buildpacks:set")]
    BuildpacksSet(buildpacks::Set),
    /// Remove a builder
    #[command(name = "buildpacks:remove")]
    BuildpacksRemove(buildpacks::Remove),
    /// Leave the choice of the builder to the source again
    #[command(name = "buildpacks:clear")]
    BuildpacksClear(buildpacks::Clear),

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

    /// List the recurring commands of an app, with their next runs
    #[command(name = "cron", visible_alias = "cron:list")]
    Cron(cron::List),
    /// Let a command run again and again
    #[command(name = "cron:add")]
    CronAdd(cron::Add),
    /// Remove a recurring command
    #[command(name = "cron:remove")]
    CronRemove(cron::Remove),
    /// List what became of the times at which commands were due
    #[command(name = "cron:history")]
    CronHistory(cron::History),
    /// Run a recurring command now
    #[command(name = "cron:run")]
    CronRun(cron::Run),

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

    /// List the host names of an app
    #[command(name = "domains")]
    Domains(domains::List),
    /// Add a host name
    #[command(name = "domains:add")]
    DomainsAdd(domains::Add),
    /// Show a host name
    #[command(name = "domains:info")]
    DomainsInfo(domains::Info),
    /// Wait until host names answer
    #[command(name = "domains:wait")]
    DomainsWait(domains::Wait),
    /// Remove a host name
    #[command(name = "domains:remove")]
    DomainsRemove(domains::Remove),
    /// Remove all host names but the app's own
    #[command(name = "domains:clear")]
    DomainsClear(domains::Clear),

    /// List what Heroku calls features of an app
    #[command(name = "features")]
    Features(features::List),
    /// Show a feature
    #[command(name = "features:info")]
    FeaturesInfo(features::Info),
    /// Turn a feature on
    #[command(name = "features:enable")]
    FeaturesEnable(features::Enable),
    /// Turn a feature off
    #[command(name = "features:disable")]
    FeaturesDisable(features::Disable),

    /// Add a git remote that leads to an app, and let git use the login
    #[command(name = "git:remote")]
    GitRemote(git::SetRemote),
    /// Clone an app's repository, with the remote set up
    #[command(name = "git:clone")]
    GitClone(git::Clone),
    /// Tell git the token of a server; git calls this by itself
    #[command(name = "git:credentials")]
    GitCredentials(git::Credentials),

    /// Run the Heroku client that you have installed, at this server
    #[command(name = "heroku")]
    Heroku(heroku::Heroku),

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

    /// Show whether an app is in maintenance mode
    #[command(name = "maintenance")]
    Maintenance(maintenance::Show),
    /// Answer every request with the maintenance page
    #[command(name = "maintenance:on")]
    MaintenanceOn(maintenance::On),
    /// Let the app answer again
    #[command(name = "maintenance:off")]
    MaintenanceOff(maintenance::Off),

    /// List the processes
    #[command(name = "ps")]
    Ps(ps::List),
    /// Change how many processes of a type run
    #[command(name = "ps:scale", visible_alias = "scale")]
    PsScale(ps::Scale),
    /// Restart processes
    #[command(name = "ps:restart", visible_alias = "restart")]
    PsRestart(ps::Restart),
    /// Stop processes
    #[command(name = "ps:stop", visible_alias = "stop", alias = "ps:kill")]
    PsStop(ps_wait::Stop),
    /// Show or change the sizes of process types
    #[command(name = "ps:type", visible_alias = "ps:resize")]
    PsType(ps_wait::Type),
    /// Show what processes use: memory, CPU time, processes
    #[command(name = "ps:usage")]
    PsUsage(ps_usage::Show),
    /// List the sizes of processes
    #[command(name = "ps:sizes")]
    PsSizes(catalogue::Sizes),
    /// Wait until every process runs the newest release
    #[command(name = "ps:wait")]
    PsWait(ps_wait::Wait),

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

    /// Show the stack of an app
    #[command(name = "stack", visible_alias = "apps:stacks")]
    Stack(catalogue::ShowStack),
    /// Change the stack of an app
    #[command(name = "stack:set", visible_alias = "apps:stacks:set")]
    StackSet(catalogue::SetStack),
    /// List the regions
    #[command(name = "regions")]
    Regions(catalogue::Regions),
    /// Make an access token that deploys one app and does nothing else
    #[command(name = "tokens:create")]
    TokensCreate(tokens::Create),

    /// Print a script that completes these commands in a shell
    #[command(name = "completions")]
    Completions(shell::Completions),
    /// Write the manual pages of all commands into a folder
    #[command(name = "manual")]
    Manual(manual::Manual),
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
        Command::Heroku(command) => return command.act(session),
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
        Command::AppsRename(command) => command.act(session)?,
        Command::AppsOpen(command) => command.act(session)?,
        Command::Access(command) => command.act(session)?,
        Command::AccessAdd(command) => command.act(session)?,
        Command::AccessUpdate(command) => command.act(session)?,
        Command::AccessRemove(command) => command.act(session)?,
        Command::Accounts(command) => command.act(session)?,
        Command::AccountsCreate(command) => command.act(session)?,
        Command::AccountsToken(command) => command.act(session)?,
        Command::Authorizations(command) => command.act(session)?,
        Command::AuthorizationsCreate(command) => command.act(session)?,
        Command::AuthorizationsInfo(command) => command.act(session)?,
        Command::AuthorizationsRevoke(command) => command.act(session)?,
        Command::AuthorizationsRotate(command) => command.act(session)?,
        Command::AuthorizationsUpdate(command) => command.act(session)?,
        Command::Buildpacks(command) => command.act(session)?,
        Command::BuildpacksAdd(command) => command.act(session)?,
        Command::BuildpacksSet(command) => command.act(session)?,
        Command::BuildpacksRemove(command) => command.act(session)?,
        Command::BuildpacksClear(command) => command.act(session)?,
        Command::Cron(command) => command.act(session)?,
        Command::CronAdd(command) => command.act(session)?,
        Command::CronRemove(command) => command.act(session)?,
        Command::CronHistory(command) => command.act(session)?,
        Command::CronRun(command) => command.act(session)?,
        Command::Domains(command) => command.act(session)?,
        Command::DomainsAdd(command) => command.act(session)?,
        Command::DomainsInfo(command) => command.act(session)?,
        Command::DomainsWait(command) => command.act(session)?,
        Command::DomainsRemove(command) => command.act(session)?,
        Command::DomainsClear(command) => command.act(session)?,
        Command::Features(command) => command.act(session)?,
        Command::FeaturesInfo(command) => command.act(session)?,
        Command::FeaturesEnable(command) => command.act(session)?,
        Command::FeaturesDisable(command) => command.act(session)?,
        Command::GitClone(command) => command.act(session)?,
        Command::Maintenance(command) => command.act(session)?,
        Command::MaintenanceOn(command) => command.act(session)?,
        Command::MaintenanceOff(command) => command.act(session)?,
        Command::PsStop(command) => command.act(session)?,
        Command::PsType(command) => command.act(session)?,
        Command::PsUsage(command) => command.act(session)?,
        Command::PsSizes(command) => command.act(session)?,
        Command::PsWait(command) => command.act(session)?,
        Command::Stack(command) => command.act(session)?,
        Command::StackSet(command) => command.act(session)?,
        Command::Regions(command) => command.act(session)?,
        Command::Manual(command) => command.act(session)?,
        Command::Version(command) => command.act(session)?,
    }
    Ok(Code::Done.into())
}

/// The whole command, for completions and for the tests of its shape.
fn definition() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}
