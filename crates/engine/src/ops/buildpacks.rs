//! The builders that people chose for an app.

use super::{Done, authorised_app, log_by_actor, record};
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::reference::AppRef;
use domain::buildpack::{BUILDPACK_LIMIT, Buildpack};
use domain::event::ResourceKind;
use domain::policy::Action;

/// In order; none: the builder that fits the source.
pub fn list(engine: &Engine, context: &Context, app: &AppRef) -> Result<Vec<Buildpack>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::AppRead)?;
        Ok(reader.buildpacks(app.id)?)
    })
}

/// Replaces the list. The next build follows it.
pub fn set(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    buildpacks: &[Buildpack],
) -> Result<Vec<Buildpack>, Error> {
    let (app, changed) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::BuildpackWrite)?;
        if buildpacks.len() > BUILDPACK_LIMIT {
            return Err(Error::invalid(format!("An app may have {BUILDPACK_LIMIT} buildpacks at most.")));
        }
        let before = writer.buildpacks(app.id)?;
        if before == buildpacks {
            return Ok((app, false));
        }
        writer.set_buildpacks(app.id, buildpacks)?;
        let done = Done::new(Action::BuildpackWrite.name(), Some(app.id), ResourceKind::App, app.id);
        record(
            engine,
            writer,
            context,
            done.before("buildpacks", join(&before)).after("buildpacks", join(buildpacks)),
        )?;
        Ok((app, true))
    })?;
    if changed {
        log_by_actor(engine, context, app.id, "Update buildpacks");
    }
    Ok(buildpacks.to_vec())
}

fn join(buildpacks: &[Buildpack]) -> String {
    buildpacks.iter().map(Buildpack::as_str).collect::<Vec<_>>().join(", ")
}
