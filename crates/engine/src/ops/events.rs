//! The record of what was done.

use super::authorised_app;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::reference::AppRef;
use domain::event::Event;
use domain::policy::{self, Action, Resource};

/// Events in one answer at most.
pub const PAGE_LIMIT: usize = 1000;

/// Of the whole installation, in order, those after `after`.
pub fn list(engine: &Engine, context: &Context, after: u64, limit: usize) -> Result<Vec<Event>, Error> {
    policy::authorise(&context.actor, Action::AuditRead, &Resource::Installation)?;
    engine.read(|reader| Ok(reader.events(after, limit.min(PAGE_LIMIT))?))
}

/// Of one app.
pub fn of_app(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    after: u64,
    limit: usize,
) -> Result<Vec<Event>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::EventRead)?;
        Ok(reader.events_of(app.id, after, limit.min(PAGE_LIMIT))?)
    })
}
