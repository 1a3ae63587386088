//! Host names that lead to an app: the one it has by its name, and those that people add.

use super::apps::host_of;
use super::{Done, authorised_app, log_by_actor, record};
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::idempotency;
use crate::reference::AppRef;
use domain::app::App;
use domain::event::ResourceKind;
use domain::ids::DomainId;
use domain::names::HostName;
use domain::observed::ObservedRouter;
use domain::policy::Action;
use domain::time::WallMillis;
use std::net::IpAddr;
use store::tables::domains::DomainRow;
use store::{Reader, Writer};

/// Host names of one app at most.
const DOMAIN_LIMIT: usize = 100;

/// A host name of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    pub id: DomainId,
    pub hostname: HostName,
    pub kind: DomainKind,
    /// Where a DNS record for it should point: the app's own name.
    pub target: HostName,
    pub answered: Answered,
    pub created_at: WallMillis,
}

/// Whether requests for a host name reach its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// By every router that is alive.
    Yes,
    /// A table with it is being made, or a router has not loaded it yet.
    NotYet,
}

/// Where a host name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainKind {
    /// `NAME.BASE`
    Default,
    Custom,
}

/// The default one first.
pub fn list(engine: &Engine, context: &Context, app: &AppRef) -> Result<Vec<Domain>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::DomainRead)?;
        all(engine, reader, &app)
    })
}

pub fn add(engine: &Engine, context: &Context, app: &AppRef, hostname: &HostName) -> Result<Domain, Error> {
    let (app, domain) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::DomainWrite)?;
        if let Some(id) = idempotency::earlier::<DomainId>(engine, writer, context, ResourceKind::Domain)? {
            return find(engine, writer, &app, |domain| domain.id == id).map(|domain| (app, domain));
        }
        check(engine, writer, &app, hostname)?;
        check_overlaps(writer, &app, hostname)?;
        let row = DomainRow {
            id: DomainId::from_uuid(engine.uuid()),
            app: app.id,
            hostname: hostname.clone(),
            created_at: engine.now(),
        };
        writer.insert_domain(&row)?;
        let done = Done::new(Action::DomainWrite.name(), Some(app.id), ResourceKind::Domain, row.id);
        record(engine, writer, context, done.after("hostname", hostname))?;
        idempotency::keep(engine, writer, context, ResourceKind::Domain, row.id.to_string())?;
        Ok((app.clone(), custom(engine, &app, row)?))
    })?;
    log_by_actor(engine, context, app.id, &format!("Add domain {hostname}"));
    Ok(domain)
}

/// `domain`: its id or host name.
pub fn remove(engine: &Engine, context: &Context, app: &AppRef, domain: &str) -> Result<Domain, Error> {
    let (app, domain) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::DomainWrite)?;
        let found =
            find(engine, writer, &app, |d| d.hostname.as_str() == domain || d.id.to_string() == domain)?;
        match found.kind {
            DomainKind::Custom => writer.delete_domain(found.id)?,
            DomainKind::Default => return Err(Error::invalid("An app's own host name cannot be removed.")),
        }
        let done = Done::new(Action::DomainWrite.name(), Some(app.id), ResourceKind::Domain, found.id);
        record(engine, writer, context, done.before("hostname", &found.hostname))?;
        Ok((app, found))
    })?;
    log_by_actor(engine, context, app.id, &format!("Remove domain {}", domain.hostname));
    Ok(domain)
}

fn check(engine: &Engine, writer: &Writer<'_>, app: &App, hostname: &HostName) -> Result<(), Error> {
    let base = &engine.0.settings.base_domain;
    let below_base =
        hostname.as_str().strip_suffix(base.as_str()).is_some_and(|s| s.is_empty() || s.ends_with('.'));
    if below_base {
        return Err(Error::invalid(format!("Host names below {base} belong to apps by their names.")));
    }
    let name = hostname.as_str().strip_prefix("*.").unwrap_or(hostname.as_str());
    let covers_base = hostname.as_str().starts_with("*.") && base.as_str().ends_with(&format!(".{name}"));
    if covers_base {
        return Err(Error::invalid(format!("{hostname} covers {base}, below which every app has its name.")));
    }
    if name.parse::<IpAddr>().is_ok() || !name.contains('.') {
        return Err(Error::invalid(format!(
            "{hostname} is not the name of a domain, such as www.example.com."
        )));
    }
    match writer.domain_by_hostname(hostname)? {
        None => {}
        Some(other) if other.app == app.id => {
            return Err(Error::invalid(format!("{hostname} is already a domain of this app.")));
        }
        Some(_) => return Err(Error::invalid(format!("{hostname} is already in use by another app."))),
    }
    if writer.domains(app.id)?.len() >= DOMAIN_LIMIT {
        return Err(Error::invalid(format!("An app may have {DOMAIN_LIMIT} domains at most.")));
    }
    Ok(())
}

/// A wildcard covers names, and is covered by none; a name below somebody else's wildcard would take requests away from them.
fn check_overlaps(reader: &Reader<'_>, app: &App, hostname: &HostName) -> Result<(), Error> {
    let overlapping =
        |other: &DomainRow| covers(&other.hostname, hostname) || covers(hostname, &other.hostname);
    for other in reader.all_domains()?.into_iter().filter(|other| overlapping(other)) {
        let owner = reader.app(other.app)?.map(|app| app.owner);
        if owner.is_some_and(|owner| owner != app.owner) {
            return Err(Error::invalid(format!(
                "{hostname} overlaps with a domain of another account's app."
            )));
        }
    }
    Ok(())
}

/// Whether requests for `name` fall to the wildcard.
fn covers(wildcard: &HostName, name: &HostName) -> bool {
    let suffix = wildcard.as_str().strip_prefix('*');
    suffix.is_some_and(|suffix| wildcard != name && name.as_str().ends_with(suffix))
}

fn all(engine: &Engine, reader: &Reader<'_>, app: &App) -> Result<Vec<Domain>, Error> {
    let hostname = host_of(engine, &app.name)?;
    let own = Domain {
        // It has no row; the app's id is as unique and as lasting.
        id: DomainId::from_uuid(*app.id.as_uuid()),
        answered: answered(engine, app, &hostname),
        target: hostname.clone(),
        hostname,
        kind: DomainKind::Default,
        created_at: app.created_at,
    };
    let others = reader.domains(app.id)?.into_iter().map(|row| custom(engine, app, row));
    std::iter::once(Ok(own)).chain(others).collect()
}

/// By what the latest pass saw: the table on disk, and which one each router has in force.
fn answered(engine: &Engine, app: &App, hostname: &HostName) -> Answered {
    let status = engine.status();
    let Some(table) = &status.observed.published else { return Answered::NotYet };
    let routed = table.apps.iter().any(|route| route.app == app.id && route.hosts.contains(hostname));
    let loaded = |router: &ObservedRouter| match router {
        ObservedRouter::Answered(status) => status.loaded >= Some(table.generation),
        ObservedRouter::Silent => false,
    };
    if routed && status.observed.routers.iter().all(loaded) { Answered::Yes } else { Answered::NotYet }
}

fn find(
    engine: &Engine,
    reader: &Reader<'_>,
    app: &App,
    is_it: impl Fn(&Domain) -> bool,
) -> Result<Domain, Error> {
    let missing = || Error::not_found("domain", "Couldn't find that domain name.");
    all(engine, reader, app)?.into_iter().find(is_it).ok_or_else(missing)
}

fn custom(engine: &Engine, app: &App, row: DomainRow) -> Result<Domain, Error> {
    Ok(Domain {
        id: row.id,
        answered: answered(engine, app, &row.hostname),
        target: host_of(engine, &app.name)?,
        hostname: row.hostname,
        kind: DomainKind::Custom,
        created_at: row.created_at,
    })
}
