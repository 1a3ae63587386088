//! Builds as people see them. They are accepted and run by [`crate::builds`].

use super::{Done, authorised_app, record};
use crate::builds::cancel_waiting;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::reference::AppRef;
use domain::account::AccountRef;
use domain::build::{Build, BuildStatus};
use domain::event::ResourceKind;
use domain::ids::{AppId, BuildId, ReleaseId};
use domain::policy::Action;
use store::Reader;

/// A build with the names that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildInfo {
    pub build: Build,
    /// `None`: the system, or an account that is gone.
    pub user: Option<AccountRef>,
    pub release: Option<ReleaseId>,
}

/// Oldest first.
pub fn list(engine: &Engine, context: &Context, app: &AppRef) -> Result<Vec<BuildInfo>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::BuildRead)?;
        reader.builds(app.id)?.into_iter().map(|build| render(reader, build)).collect()
    })
}

pub fn info(engine: &Engine, context: &Context, app: &AppRef, build: BuildId) -> Result<BuildInfo, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::BuildRead)?;
        render(reader, find_build(reader, app.id, build)?)
    })
}

/// Asks for the end of a build. One that has ended stays as it is.
pub fn cancel(engine: &Engine, context: &Context, app: &AppRef, build: BuildId) -> Result<BuildInfo, Error> {
    let app = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::BuildCancel)?;
        find_build(writer, app.id, build)?;
        record(
            engine,
            writer,
            context,
            Done::new(Action::BuildCancel.name(), Some(app.id), ResourceKind::Build, build),
        )?;
        Ok(app)
    })?;
    cancel_waiting(engine, build);
    info(engine, context, &AppRef::Id(app.id), build)
}

pub(crate) fn find_build(reader: &Reader<'_>, app: AppId, build: BuildId) -> Result<Build, Error> {
    let found = reader.build(build)?.filter(|build| build.app == app);
    found.ok_or_else(|| Error::not_found("build", "Couldn't find that build."))
}

pub(crate) fn render(reader: &Reader<'_>, build: Build) -> Result<BuildInfo, Error> {
    let user = match build.actor {
        Some(account) => reader.account_ref(account)?,
        None => None,
    };
    let release = match &build.status {
        BuildStatus::Succeeded { release, .. } => Some(*release),
        BuildStatus::Waiting
        | BuildStatus::Running
        | BuildStatus::Failed { .. }
        | BuildStatus::Superseded => None,
    };
    Ok(BuildInfo { build, user, release })
}
