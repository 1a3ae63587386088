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
use domain::policy::Action;
use domain::time::WallMillis;
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
    pub created_at: WallMillis,
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
        Ok((app, custom(row)))
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
    if writer.domain_by_hostname(hostname)?.is_some() {
        return Err(Error::invalid(format!("{hostname} is already in use by an app.")));
    }
    if writer.domains(app.id)?.len() >= DOMAIN_LIMIT {
        return Err(Error::invalid(format!("An app may have {DOMAIN_LIMIT} domains at most.")));
    }
    Ok(())
}

fn all(engine: &Engine, reader: &Reader<'_>, app: &App) -> Result<Vec<Domain>, Error> {
    let own = Domain {
        // It has no row; the app's id is as unique and as lasting.
        id: DomainId::from_uuid(*app.id.as_uuid()),
        hostname: host_of(engine, &app.name)?,
        kind: DomainKind::Default,
        created_at: app.created_at,
    };
    Ok(std::iter::once(own).chain(reader.domains(app.id)?.into_iter().map(custom)).collect())
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

fn custom(row: DomainRow) -> Domain {
    Domain { id: row.id, hostname: row.hostname, kind: DomainKind::Custom, created_at: row.created_at }
}
