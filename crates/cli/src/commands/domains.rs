//! `domains`, `domains:add`, `domains:info`, `domains:wait`, `domains:remove`, `domains:clear`.

use crate::failure::Failure;
use crate::session::{AppFlags, Session, app_failure};
use crate::suggest::nearest;
use crate::text::{Fields, Style, Table, render_heading, render_when};
use api::Timestamp;
use api::client::Client;
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
        let (client, app) = session.client_and_app(&self.flags)?;
        let domains = client.domains(&app).map_err(|error| app_failure(&client, &app, error))?;
        session.output.data(&domains, |style| render_domains(&app, &domains, style))
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
        let (client, app) = session.client_and_app(&self.flags)?;
        let progress = session.output.begin(&format!("Adding {} to {app}", self.hostname));
        let wanted = AddDomain { hostname: self.hostname, sni_endpoint: None };
        let domain = client.add_domain(&app, &wanted).map_err(|error| app_failure(&client, &app, error))?;
        progress.done("");
        if let Some(target) = &domain.cname {
            session.output.note(&format!("Let the DNS record of {} point to {target}", domain.hostname));
        }
        let domain =
            if self.wait { wait(session, &client, &app, domain, DEFAULT_WAIT_SECONDS)? } else { domain };
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
        let (client, app) = session.client_and_app(&self.flags)?;
        let found = client.domain(&app, &self.hostname);
        let domain = found.map_err(|error| domain_failure(&client, &app, &self.hostname, error))?;
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
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_WAIT_SECONDS)]
    timeout: u64,
}

impl Wait {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let (client, app) = session.client_and_app(&self.flags)?;
        let wanted = match &self.hostname {
            Some(name) => {
                let found = client.domain(&app, name);
                vec![found.map_err(|error| domain_failure(&client, &app, name, error))?]
            }
            None => client.domains(&app).map_err(|error| app_failure(&client, &app, error))?,
        };
        let waited = wanted.into_iter().map(|domain| wait(session, &client, &app, domain, self.timeout));
        let waited = waited.collect::<Result<Vec<_>, _>>()?;
        session.output.data(&waited, |_| String::new())
    }
}

/// Asks until the domain answers or has failed.
fn wait(
    session: &Session,
    client: &Client,
    app: &str,
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
        domain = client.domain(app, domain.hostname.as_str())?;
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
        let (client, app) = session.client_and_app(&self.flags)?;
        let progress = session.output.begin(&format!("Removing {} from {app}", self.hostname));
        let removed = client.remove_domain(&app, &self.hostname);
        let domain = removed.map_err(|error| domain_failure(&client, &app, &self.hostname, error))?;
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
        let (client, app) = session.client_and_app(&self.flags)?;
        let domains = client.domains(&app).map_err(|error| app_failure(&client, &app, error))?;
        let progress = session.output.begin(&format!("Removing all custom domains from {app}"));
        let custom = domains.iter().filter(is_custom);
        let removed = custom.map(|domain| client.remove_domain(&app, domain.hostname.as_str()));
        let removed = removed.collect::<Result<Vec<_>, _>>()?;
        progress.done(&removed.len().to_string());
        session.output.data(&removed, |_| String::new())
    }
}

/// With the domain that was probably meant, if there is none of that name.
fn domain_failure(client: &Client, app: &str, typed: &str, error: api::client::ClientError) -> Failure {
    if error.api().is_none_or(|body| body.resource.as_deref() != Some("domain")) {
        return app_failure(client, app, error);
    }
    let known = client.domains(app).unwrap_or_default();
    let failure = Failure::from(error);
    match nearest(typed, known.iter().map(|domain| domain.hostname.as_str())) {
        Some(near) => failure.hint(format!("Did you mean {near}?")),
        None => failure.hint("The app's domains are listed by `dozen domains`."),
    }
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
