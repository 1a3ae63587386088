//! Apps: made, listed, renamed, put into maintenance, destroyed.

use super::{Done, acting_account, app_resource, authorised_app, log_by_actor, record};
use crate::builds;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::idempotency;
use crate::reference::AppRef;
use domain::account::AccountRef;
use domain::app::{App, generated_name};
use domain::event::ResourceKind;
use domain::ids::{AccountId, AppId};
use domain::names::{AppName, HostName, ReleaseVersion, SlugId};
use domain::policy::{self, Action, Resource, Role};
use domain::time::WallMillis;
use store::{Reader, Writer};

/// Highest number of an app on one host plus one: uids beyond it belong to others.
const APP_INDEX_LIMIT: u32 = 50_000;
/// Attempts to make a name that nobody has.
const NAME_ATTEMPTS: usize = 20;

/// An app as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppInfo {
    pub app: App,
    pub owner: AccountRef,
    /// The actor's role over it.
    pub role: Role,
    /// `NAME.BASE`
    pub host: HostName,
    /// The release that serves.
    pub current: Option<ReleaseVersion>,
    pub released_at: Option<WallMillis>,
    pub slug: Option<SlugId>,
    pub slug_size_bytes: Option<u64>,
}

/// Whose apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppScope {
    /// Every app that the actor may see: an administrator sees all.
    All,
    /// Owned by the actor or shared with them.
    Mine,
}

/// What to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppPatch {
    pub name: Option<AppName>,
    pub maintenance: Option<Maintenance>,
}

/// Whether the router answers in place of the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maintenance {
    On,
    Off,
}

/// Makes an app; without a name it gets one.
pub fn create(engine: &Engine, context: &Context, name: Option<AppName>) -> Result<AppInfo, Error> {
    let owner = acting_account(context)?;
    policy::authorise(&context.actor, Action::AppCreate, &Resource::Installation)?;
    let created = engine.write(|writer| {
        if let Some(id) = idempotency::earlier(engine, writer, context, ResourceKind::App)? {
            let app = authorised_app(writer, context, &AppRef::Id(id), Action::AppRead)?;
            return render(engine, writer, context, app).map(|info| (info, false));
        }
        check_quota(engine, writer, owner)?;
        let app = insert(engine, writer, owner, free_name(engine, writer, name)?)?;
        let done = Done::new(Action::AppCreate.name(), Some(app.id), ResourceKind::App, app.id);
        record(engine, writer, context, done.after("name", &app.name))?;
        idempotency::keep(engine, writer, context, ResourceKind::App, app.id.to_string())?;
        render(engine, writer, context, app).map(|info| (info, true))
    });
    let (info, new) = created?;
    if new {
        log_by_actor(engine, context, info.app.id, &format!("App {} created", info.app.name));
    }
    Ok(info)
}

pub fn list(engine: &Engine, context: &Context, scope: AppScope) -> Result<Vec<AppInfo>, Error> {
    engine.read(|reader| {
        let mine = match (scope, context.actor.account()) {
            (AppScope::Mine, Some(account)) => reader.apps_of(account)?,
            (AppScope::Mine, None) | (AppScope::All, _) => reader.apps()?,
        };
        let mut seen = Vec::with_capacity(mine.len());
        for app in mine {
            let resource = app_resource(reader, context, &app)?;
            if policy::authorise(&context.actor, Action::AppRead, &resource).is_ok() {
                seen.push(render(engine, reader, context, app)?);
            }
        }
        Ok(seen)
    })
}

pub fn info(engine: &Engine, context: &Context, app: &AppRef) -> Result<AppInfo, Error> {
    authorise_app(engine, context, app, Action::AppRead)
}

/// For handlers that are no operation of their own, such as a clone or the log: the app, if `action` is allowed.
pub fn authorise_app(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    action: Action,
) -> Result<AppInfo, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, action)?;
        render(engine, reader, context, app)
    })
}

pub fn update(engine: &Engine, context: &Context, app: &AppRef, patch: &AppPatch) -> Result<AppInfo, Error> {
    let (info, told) = engine.write(|writer| {
        let mut app = authorised_app(writer, context, app, Action::AppRead)?;
        let mut told = Vec::new();
        if let Some(name) = patch.name.as_ref().filter(|name| **name != app.name) {
            app = rename(engine, writer, context, app, name)?;
            told.push(format!("Renamed to {name}"));
        }
        if let Some(maintenance) = patch.maintenance {
            told.extend(set_maintenance(engine, writer, context, &mut app, maintenance)?);
        }
        render(engine, writer, context, app).map(|info| (info, told))
    })?;
    for text in told {
        log_by_actor(engine, context, info.app.id, &text);
    }
    Ok(info)
}

/// Deletes the app with its releases, config, jobs and repository. Its processes are stopped by the next pass.
pub fn destroy(engine: &Engine, context: &Context, app: &AppRef) -> Result<AppInfo, Error> {
    let info = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::AppDestroy)?;
        let info = render(engine, writer, context, app)?;
        let id = info.app.id;
        let done = Done::new(Action::AppDestroy.name(), Some(id), ResourceKind::App, id);
        record(engine, writer, context, done.before("name", &info.app.name))?;
        writer.delete_app(id)?;
        Ok(info)
    })?;
    for build in engine.0.builds.cancel_app(info.app.id) {
        builds::discard(engine, build);
    }
    if let Err(error) = engine.0.ports.repositories.remove(info.app.id) {
        tracing::warn!(%error, "the repository of a destroyed app is left behind");
    }
    Ok(info)
}

fn rename(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    app: App,
    name: &AppName,
) -> Result<App, Error> {
    policy::authorise(&context.actor, Action::AppUpdate, &app_resource(writer, context, &app)?)?;
    check_name(engine, writer, name)?;
    let after = App { name: name.clone(), updated_at: engine.now(), ..app.clone() };
    writer.update_app(&after)?;
    let done = Done::new(Action::AppUpdate.name(), Some(app.id), ResourceKind::App, app.id);
    record(engine, writer, context, done.before("name", &app.name).after("name", name))?;
    Ok(after)
}

fn set_maintenance(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    app: &mut App,
    maintenance: Maintenance,
) -> Result<Option<String>, Error> {
    policy::authorise(&context.actor, Action::MaintenanceSet, &app_resource(writer, context, app)?)?;
    let (on, word) = match maintenance {
        Maintenance::On => (true, "on"),
        Maintenance::Off => (false, "off"),
    };
    if app.maintenance == on {
        return Ok(None);
    }
    app.maintenance = on;
    app.updated_at = engine.now();
    writer.update_app(app)?;
    let done = Done::new(Action::MaintenanceSet.name(), Some(app.id), ResourceKind::App, app.id);
    record(engine, writer, context, done.after("maintenance", word))?;
    Ok(Some(format!("Maintenance mode turned {word}")))
}

fn insert(engine: &Engine, writer: &Writer<'_>, owner: AccountId, name: AppName) -> Result<App, Error> {
    let index = writer.take_app_index()?;
    if index >= APP_INDEX_LIMIT {
        return Err(Error::unavailable("This installation has given out all its app numbers."));
    }
    let now = engine.now();
    let id = AppId::from_uuid(engine.uuid());
    let app = App { id, name, index, owner, maintenance: false, created_at: now, updated_at: now };
    writer.insert_app(&app, &engine.app_key(), &engine.nonce())?;
    Ok(app)
}

fn check_quota(engine: &Engine, reader: &Reader<'_>, owner: AccountId) -> Result<(), Error> {
    let quota = reader.app_quota(owner)?.or(engine.0.settings.app_quota);
    let has = reader.count_apps_of(owner)?;
    match quota {
        Some(quota) if has >= u64::from(quota) => {
            Err(Error::forbidden(format!("This account has {has} apps; its quota is {quota}.")))
        }
        Some(_) | None => Ok(()),
    }
}

fn free_name(engine: &Engine, reader: &Reader<'_>, name: Option<AppName>) -> Result<AppName, Error> {
    if let Some(name) = name {
        check_name(engine, reader, &name)?;
        return Ok(name);
    }
    for _ in 0..NAME_ATTEMPTS {
        let name = generated_name(u64::from_le_bytes(engine.random()));
        if reader.app_by_name(&name)?.is_none() {
            return Ok(name);
        }
    }
    Err(Error::unavailable("No free name was found.").with_hint("Choose a name yourself."))
}

fn check_name(engine: &Engine, reader: &Reader<'_>, name: &AppName) -> Result<(), Error> {
    let taken =
        reader.app_by_name(name)?.is_some() || reader.domain_by_hostname(&host_of(engine, name)?)?.is_some();
    if taken {
        return Err(Error::invalid(format!("Name {name} is already taken")));
    }
    Ok(())
}

pub(crate) fn host_of(engine: &Engine, name: &AppName) -> Result<HostName, Error> {
    let host = format!("{name}.{}", engine.0.settings.base_domain);
    host.parse().map_err(|_| Error::invalid(format!("{host} is too long for a host name")))
}

pub(crate) fn owner_of(reader: &Reader<'_>, app: &App) -> Result<AccountRef, Error> {
    reader.account_ref(app.owner)?.ok_or_else(|| Error::internal("an app's owner is missing"))
}

fn render(engine: &Engine, reader: &Reader<'_>, context: &Context, app: App) -> Result<AppInfo, Error> {
    let current = match reader.current_release(app.id)? {
        Some(release) => reader.release(release)?,
        None => None,
    };
    let artifact = current.as_ref().map(|release| &release.artifact);
    Ok(AppInfo {
        owner: owner_of(reader, &app)?,
        role: policy::role_over(&context.actor, &app_resource(reader, context, &app)?),
        host: host_of(engine, &app.name)?,
        current: current.as_ref().map(|release| release.version),
        released_at: reader.promoted_at(app.id)?,
        slug: artifact.and_then(|artifact| artifact.slug.clone()),
        slug_size_bytes: artifact.filter(|a| a.slug.is_some()).map(|artifact| artifact.slug_size_bytes),
        app,
    })
}
