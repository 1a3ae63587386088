//! Switches of an app.

use super::{Done, authorised_app, log_by_actor, record};
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::reference::AppRef;
use domain::event::ResourceKind;
use domain::feature::Feature;
use domain::policy::Action;
use domain::time::WallMillis;
use std::collections::BTreeMap;

/// What a switch is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

/// Those that are on, and since when.
pub fn list(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
) -> Result<BTreeMap<Feature, WallMillis>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::AppRead)?;
        Ok(reader.features(app.id)?)
    })
}

/// Processes that are started from now on follow it. Returns what is on afterwards.
pub fn set(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    feature: Feature,
    switch: Switch,
) -> Result<BTreeMap<Feature, WallMillis>, Error> {
    let (action, word) = match switch {
        Switch::On => ("feature:enable", "enabled"),
        Switch::Off => ("feature:disable", "disabled"),
    };
    let (app, news, after) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::MaintenanceSet)?;
        let news = match switch {
            Switch::On => writer.enable_feature(app.id, feature, engine.now())?,
            Switch::Off => writer.disable_feature(app.id, feature)?,
        };
        if news {
            let done = Done::new(action, Some(app.id), ResourceKind::App, app.id);
            record(engine, writer, context, done.after("feature", feature.name()))?;
        }
        Ok((app.id, news, writer.features(app.id)?))
    })?;
    if news {
        log_by_actor(engine, context, app, &format!("Feature {} {word}", feature.name()));
    }
    Ok(after)
}
