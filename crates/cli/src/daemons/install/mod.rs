//! `dozen install` and `dozen uninstall`: Dozen as services of this machine.
//!
//! ```text
//! options, last settings -> wanted --+
//!                                    +--> plan (pure) -> steps -> print, or apply one by one
//! a look at the machine -> observed -+
//! ```
//!
//! A second run finds what the first left and does the rest; a newer program upgrades in place. Apps are not touched by either.

mod advice;
mod apply;
mod environment_file;
mod machine;
mod observe;
mod observed;
mod plan;
mod step;
mod toolchains;
pub mod units;
mod wanted;

#[cfg(test)]
mod tests;

use super::settings::{Settings, SettingsError};
use crate::exit::Code;
use crate::failure::Failure;
use crate::output::tell;
use advice::Firewall;
use clap::Args;
use environment_file::EnvironmentFile;
use plan::Data;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use step::Step;
use wanted::Wanted;

/// `dozen install`.
#[derive(Debug, Args)]
pub struct Install {
    #[command(flatten)]
    options: Options,
    /// Print what would be done, files and all, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is kept in the file of settings; the next time none needs to be given.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// The domain that apps answer below, such as apps.example.com
    #[arg(long, value_name = "DOMAIN")]
    base_domain: Option<String>,
    /// The host name of the API and of git [default: the base domain]
    #[arg(long, value_name = "HOST")]
    api_host: Option<String>,
    /// The first administrator (default: admin@ the base domain)
    #[arg(long, value_name = "EMAIL")]
    admin_email: Option<String>,
    /// Where apps answer [default: port 80 of every address]
    #[arg(long, value_name = "ADDRESS:PORT")]
    http_listen: Option<SocketAddr>,
    /// Where the API and git answer [default: port 443 of every address]
    #[arg(long, value_name = "ADDRESS:PORT")]
    api_listen: Option<SocketAddr>,
    /// The data folder [default: /var/lib/dozen]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// `dozen uninstall`.
#[derive(Debug, Args)]
pub struct Uninstall {
    /// Remove the data, too: apps, releases, logs, keys. Needs --confirm
    #[arg(long)]
    purge: bool,
    /// The base domain, typed again: removing data cannot be undone
    #[arg(long, value_name = "DOMAIN", requires = "purge")]
    confirm: Option<String>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("{what}\n  fix: {fix}")]
    Machine { what: String, fix: String },
    #[error("only root can install services\n  fix: sudo dozen install ...")]
    NotRoot,
    #[error(
        "apps need a domain to answer below\n  fix: dozen install --base-domain apps.example.com (and let it and *.apps.example.com lead to this machine)"
    )]
    NoBaseDomain,
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(
        "the {kind} {name} has number {found}, and the settings say {wanted}\n  fix: set DOZEN_UID or DOZEN_ROUTER_UID in /etc/dozen/dozen.env to the number of user and group, which must be one"
    )]
    OtherId { kind: &'static str, name: String, found: u32, wanted: u32 },
    #[error(
        "number {id} belongs to the {kind} {other}\n  fix: choose another by DOZEN_UID or DOZEN_ROUTER_UID in /etc/dozen/dozen.env"
    )]
    IdTaken { kind: &'static str, id: u32, other: String },
    #[error(
        "something listens at {address} already: another web server, perhaps\n  fix: stop it (ss -ltnp names it), or choose another port by --http-listen or --api-listen"
    )]
    PortTaken { address: SocketAddr },
    #[error(
        "{0}\n  fix: name another in /etc/dozen/dozen.env, or take the line out: `dozen install` finds what there is"
    )]
    Prefix(#[from] super::toolchains::UnusablePrefix),
    #[error(
        "the data lies in {} and is used; with {} there would be a second, empty installation beside it\n  fix: systemctl stop dozen.target (apps stop, too), move the folder (mv {} {}), and dozen install --data {}", found.display(), wanted.display(), found.display(), wanted.display(), wanted.display()
    )]
    DataMoved { found: PathBuf, wanted: PathBuf },
    #[error(
        "the data folder {} lies below {folder}, which the services do not see\n  fix: choose another by --data, such as /var/lib/dozen", data.display()
    )]
    HiddenData { data: PathBuf, folder: &'static str },
    #[error("cannot {doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("cannot read random bytes")]
    Random(#[source] getrandom::Error),
    #[error("cannot run `{command}`")]
    Start { command: String, source: std::io::Error },
    #[error("`{command}` ended with {code}: {told}")]
    Command { command: String, code: i32, told: String },
    #[error("a service did not start; it said last:\n{log}")]
    Service { log: String, source: Box<InstallError> },
    #[error("processes of apps did not end; systemctl status dozen-apps shows them")]
    AppsRun,
    #[error("cannot remove the apps' networks")]
    Network(#[source] sandbox::network::NetworkError),
    #[error("cannot take the first token")]
    FirstLogin(#[source] super::first_login::FirstLoginError),
    #[error(
        "this removes {} with every app, release, log and key in it\n  fix: if that is meant, add --confirm {domain}", data.display()
    )]
    Unconfirmed { data: PathBuf, domain: String },
}

impl Install {
    pub fn act(self) -> Result<ExitCode, Failure> {
        self.run().map(|()| Code::Done.into()).map_err(|error| Failure::of(&error))
    }

    fn run(self) -> Result<(), InstallError> {
        let machine = machine::observe();
        machine::judge(&machine)?;
        machine::remark(&machine).into_iter().for_each(|text| tell(&format!("{text}\n")));
        let wanted = wanted::plan_settings(&self.options, &observe::known()?)?;
        let toolchains = toolchains::look(&wanted.settings)?;
        let wanted = wanted::with_toolchains(wanted, &toolchains)?;
        let digest = observe::own_digest()?;
        let observed = observe::observe(&wanted, &digest)?;
        machine::check_users(&wanted, &observed)?;
        machine::check_data(&wanted, &observed)?;
        machine::check_ports(&wanted, &observed)?;
        let steps = plan::plan_install(&wanted, &units::render(&wanted, &digest), &observed);
        if self.dry_run {
            print(&(render_dry_run(&steps) + &toolchains.render(&wanted)));
            return Ok(());
        }
        let first = apply_all(&steps, &wanted)?;
        let told = advice::render_installed(&wanted, &steps, first.as_ref(), find_firewall());
        print(&(told + &toolchains.render(&wanted)));
        Ok(())
    }
}

impl Uninstall {
    pub fn act(self) -> Result<ExitCode, Failure> {
        self.run().map(|()| Code::Done.into()).map_err(|error| Failure::of(&error))
    }

    fn run(self) -> Result<(), InstallError> {
        if !rustix::process::geteuid().is_root() {
            return Err(InstallError::NotRoot);
        }
        let wanted = present()?;
        let observed = observe::observe(&wanted, &observe::own_digest()?)?;
        let data = if self.purge { Data::Purge } else { Data::Keep };
        self.check_confirmed(&wanted.settings)?;
        let steps = plan::plan_uninstall(&wanted, &observed, data);
        if self.dry_run {
            print(&render_dry_run(&steps));
            return Ok(());
        }
        apply_all(&steps, &wanted)?;
        print(&advice::render_uninstalled(&wanted.settings, data == Data::Keep));
        Ok(())
    }

    fn check_confirmed(&self, settings: &Settings) -> Result<(), InstallError> {
        let domain = settings.base_domain.to_string();
        if !self.purge || self.dry_run || self.confirm.as_ref() == Some(&domain) {
            return Ok(());
        }
        Err(InstallError::Unconfirmed { data: settings.data.root().to_owned(), domain })
    }
}

/// What was installed here, as far as its settings still tell.
fn present() -> Result<Wanted, InstallError> {
    let text = observe::known()?.environment;
    let environment = text.as_deref().map_or_else(EnvironmentFile::default, EnvironmentFile::parse);
    let settings = wanted::read(&environment)?;
    Ok(Wanted {
        program: PathBuf::from(wanted::PROGRAM),
        environment_file: PathBuf::from(wanted::ENVIRONMENT_FILE),
        environment,
        settings,
        server_user: wanted::SERVER_USER.to_owned(),
        router_user: wanted::ROUTER_USER.to_owned(),
    })
}

/// Tells each step before it is done: where a run stops is then plain.
fn apply_all(
    steps: &[Step],
    wanted: &Wanted,
) -> Result<Option<super::first_login::FirstLogin>, InstallError> {
    let mut first_login = None;
    for step in steps {
        tell(&format!("{step}\n"));
        let outcome = apply::apply(step, wanted)?;
        first_login = first_login.or(outcome.first_login);
    }
    Ok(first_login)
}

fn find_firewall() -> Firewall {
    let enabled = observe::observe_unit("nftables.service").enabled;
    match (machine::is_installed("ufw"), enabled) {
        (true, _) => Firewall::Ufw,
        (false, true) => Firewall::Nftables,
        (false, false) => Firewall::NoneFound,
    }
}

fn render_dry_run(steps: &[Step]) -> String {
    if steps.is_empty() {
        return "Nothing to do: everything is as it should be.\n".to_owned();
    }
    let mut text = String::from("This would be done, in this order:\n\n");
    for (number, step) in (1..).zip(steps) {
        text.push_str(&format!("{number:>2}. {step}\n"));
        for line in step.detail().unwrap_or_default().lines() {
            text.push_str(format!("      {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn print(text: &str) {
    let _unwritable = std::io::stdout().write_all(text.as_bytes());
}
