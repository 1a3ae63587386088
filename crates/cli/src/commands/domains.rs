//! `domains`, `domains:add`, `domains:info`, `domains:wait`, `domains:remove`, `domains:clear`.

use super::ps_wait::wait_seconds;
use crate::failure::Failure;
use crate::session::{AppClient, AppFlags, Session};
use crate::text::{Fields, Style, Table, render_heading, render_when};
use api::Timestamp;
use api::client::{Client, ClientError};
use api::domain_name::{AddDomain, Domain};
use clap::Args;
use std::time::{Duration, Instant};

/// How long `domains:wait` waits when it is not told.
const DEFAULT_WAIT_SECONDS: u64 = 300;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// `dozen domains`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    flags: AppFlags,
}

impl List {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        session.app_client(&self.flags)?.show_list(session, Client::domains, render_domains)
    }
}

fn is_custom(domain: &&Domain) -> bool {
    domain.kind == "custom"
}

fn render_domains(app: &str, domains: &[Domain], style: Style) -> String {
    let own: String = domains
        .iter()
        .filter(|domain| !is_custom(domain))
        .map(|domain| format!("{}\n", domain.hostname))
        .collect();
    let mut text = render_heading(&format!("{app} Dozen Domain"), style) + &own;
    let mut table = Table::default();
    let mut custom = domains.iter().filter(is_custom).peekable();
    if custom.peek().is_none() {
        return text;
    }
    table.row(["Domain Name", "DNS Target", "Status"].map(str::to_owned));
    for domain in custom {
        let target = domain.cname.clone().unwrap_or_default();
        table.row([domain.hostname.to_string(), target, domain.status.clone()]);
    }
    text += &format!("\n{}", render_heading(&format!("{app} Custom Domains"), style));
    text + &table.render()
}

/// `dozen domains:add`.
#[derive(Debug, Args)]
pub struct Add {
    /// Such as www.example.com, or *.example.com for all below it
    #[arg(value_name = "HOSTNAME")]
    hostname: String,
    #[command(flatten)]
    flags: AppFlags,
    /// Wait until the domain answers
    #[arg(long)]
    wait: bool,
}

impl Add {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let progress = session.output.begin(&format!("Adding {} to {}", self.hostname, at.app));
        let wanted = AddDomain { hostname: self.hostname, sni_endpoint: None };
        let domain = at.ask(|client, app| client.add_domain(app, &wanted))?;
        progress.done("");
        if let Some(target) = &domain.cname {
            session.output.note(&format!("Let the DNS record of {} point to {target}", domain.hostname));
        }
        let domain = if self.wait { wait(session, &at, domain, DEFAULT_WAIT_SECONDS)? } else { domain };
        session.output.data(&domain, |_| String::new())
    }
}

/// `dozen domains:info`.
#[derive(Debug, Args)]
pub struct Info {
    /// The domain
    #[arg(value_name = "HOSTNAME")]
    hostname: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl Info {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let domain = find(&at, &self.hostname)?;
        session.output.data(&domain, |style| render_domain(&domain, session.now(), style))
    }
}

fn render_domain(domain: &Domain, now: Timestamp, style: Style) -> String {
    let mut fields = Fields::default();
    fields.add("App", domain.app.name.as_str());
    fields.add("Kind", &domain.kind);
    fields.add_some("DNS Target", domain.cname.clone());
    fields.add("Status", &domain.status);
    fields.add("Added", render_when(domain.created_at, now));
    render_heading(domain.hostname.as_str(), style) + &fields.render(style)
}

/// `dozen domains:wait`.
#[derive(Debug, Args)]
pub struct Wait {
    /// The domain. Default: all of the app
    #[arg(value_name = "HOSTNAME")]
    hostname: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_WAIT_SECONDS, value_parser = wait_seconds())]
    timeout: u64,
}

impl Wait {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let wanted = match &self.hostname {
            Some(name) => vec![find(&at, name)?],
            None => at.ask(Client::domains)?,
        };
        let waited = wanted.into_iter().map(|domain| wait(session, &at, domain, self.timeout));
        let waited = waited.collect::<Result<Vec<_>, _>>()?;
        session.output.data(&waited, |_| String::new())
    }
}

/// Asks until the domain answers or has failed.
fn wait(
    session: &Session,
    at: &AppClient,
    mut domain: Domain,
    timeout_seconds: u64,
) -> Result<Domain, Failure> {
    if domain.status == "succeeded" || domain.status == "none" {
        return Ok(domain);
    }
    let progress = session.output.begin(&format!("Waiting for {}", domain.hostname));
    let end = Instant::now() + Duration::from_secs(timeout_seconds);
    while domain.status == "pending" {
        if Instant::now() >= end {
            return Err(Failure::new(format!("{} does not answer yet", domain.hostname))
                .hint("Whether the router runs is told by `dozen doctor`."));
        }
        std::thread::sleep(LOOK);
        domain = find(at, domain.hostname.as_str())?;
    }
    match domain.status.as_str() {
        "failed" => Err(Failure::new(format!("{} could not be set up", domain.hostname))),
        _ => {
            progress.done("");
            Ok(domain)
        }
    }
}

/// `dozen domains:remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// The domain
    #[arg(value_name = "HOSTNAME")]
    hostname: String,
    #[command(flatten)]
    flags: AppFlags,
}

impl Remove {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let progress = session.output.begin(&format!("Removing {} from {}", self.hostname, at.app));
        let domain = remove(&at, &self.hostname)?;
        progress.done("");
        session.output.data(&domain, |_| String::new())
    }
}

/// `dozen domains:clear`.
#[derive(Debug, Args)]
pub struct Clear {
    #[command(flatten)]
    flags: AppFlags,
}

impl Clear {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let domains = at.ask(Client::domains)?;
        let progress = session.output.begin(&format!("Removing all custom domains from {}", at.app));
        let custom = domains.iter().filter(is_custom);
        let removed = custom.map(|domain| remove(&at, domain.hostname.as_str()));
        let removed = removed.collect::<Result<Vec<_>, _>>()?;
        progress.done(&removed.len().to_string());
        session.output.data(&removed, |_| String::new())
    }
}

/// With the domain that was probably meant, if there is none of that name.
fn domain_failure(at: &AppClient, typed: &str, error: ClientError) -> Failure {
    at.part_failure("domain", typed, Client::domains, |domain| domain.hostname.as_str(), error)
}

fn find(at: &AppClient, hostname: &str) -> Result<Domain, Failure> {
    at.client.domain(&at.app, hostname).map_err(|error| domain_failure(at, hostname, error))
}

fn remove(at: &AppClient, hostname: &str) -> Result<Domain, Failure> {
    at.client.remove_domain(&at.app, hostname).map_err(|error| domain_failure(at, hostname, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;

    #[test]
    fn own_and_custom_names() {
        let domains =
            [samples::domain("hello.localhost", "heroku"), samples::domain("*.example.com", "custom")];
        insta::assert_snapshot!(render_domains("hello", &domains, Style::Plain), @r"
        === hello Dozen Domain

        hello.localhost

        === hello Custom Domains

        Domain Name    DNS Target       Status
        *.example.com  hello.localhost  pending
        ");
        assert!(!render_domains("hello", &domains[..1], Style::Plain).contains("Custom"));
        insta::assert_snapshot!(render_domain(&domains[1], samples::now(), Style::Plain), @r"
        === *.example.com

        App:         hello
        Kind:        custom
        DNS Target:  hello.localhost
        Status:      pending
        Added:       2026-01-31 12:00:00 UTC (~ 5m ago)
        ");
    }
}
