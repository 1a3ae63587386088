//! The config vars of an app. Every change is a release; a change that changes nothing is none.

use super::authorised_app;
use super::releases::find_release;
use crate::append;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::reference::{AppRef, ReleaseRef};
use domain::config_vars::{ConfigPatch, ConfigVars};
use domain::ids::ReleaseId;
use domain::policy::Action;
use domain::release::{Release, draft_from_config};

/// What a patch led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigPatched {
    pub vars: ConfigVars,
    /// `None`: nothing changed.
    pub release: Option<Release>,
}

/// The config vars of the newest release: what the next one starts from.
pub fn get(engine: &Engine, context: &Context, app: &AppRef) -> Result<ConfigVars, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::ConfigRead)?;
        match reader.head_release(app.id)? {
            Some(head) => Ok(reader.config_of(app.id, head.id)?),
            None => Ok(ConfigVars::default()),
        }
    })
}

/// The newest release of an app, which says whether what [`of_newest_releases`] gave is still so.
pub fn newest_release(engine: &Engine, context: &Context, app: &AppRef) -> Result<Option<ReleaseId>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::ConfigRead)?;
        Ok(reader.newest_releases(app.id, 1)?.pop())
    })
}

/// The config vars of the newest releases, at most so many, and of the one that serves: what the app's processes know.
pub fn of_newest_releases(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    most: u32,
) -> Result<Vec<ConfigVars>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::ConfigRead)?;
        let mut releases = reader.newest_releases(app.id, most)?;
        releases.extend(reader.current_release(app.id)?.filter(|current| !releases.contains(current)));
        releases.into_iter().map(|release| Ok(reader.config_of(app.id, release)?)).collect()
    })
}

/// The config vars that a release was made with.
pub fn of_release(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    release: &ReleaseRef,
) -> Result<ConfigVars, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::ConfigRead)?;
        let release = find_release(reader, app.id, release)?;
        Ok(reader.config_of(app.id, release.id)?)
    })
}

/// Applies a patch to the newest release's vars, whichever that is when it is written.
pub fn patch(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    patch: &ConfigPatch,
) -> Result<ConfigPatched, Error> {
    let patched = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::ConfigWrite)?;
        let basis = append::basis(writer, &app)?;
        let Some(draft) = draft_from_config(&basis, patch)? else {
            return Ok(ConfigPatched { vars: basis.config, release: None });
        };
        let vars = draft.config.clone();
        let release = append::append(engine, writer, context, &app, draft, Action::ConfigWrite.name())?;
        Ok(ConfigPatched { vars, release: Some(release) })
    })?;
    if let Some(release) = &patched.release {
        append::log_release(engine, context, release);
    }
    Ok(patched)
}
