//! A release that crashes more often than is borne is given up: a rollback is appended, as any is, and the system is its actor.
//!
//! The decision is `domain::trial`'s; here it is looked at once more in the transaction, since people may have acted meanwhile.

use super::desired::fall_back;
use crate::append;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use domain::ids::{AppId, ReleaseId};
use domain::policy::Action;
use domain::release::{Draft, Release, draft_from_rollback};
use store::Writer;

/// What was done.
struct GivenUp {
    release: Release,
    target: Release,
    substitute: Release,
}

/// `false` if the release is not alone any more, or there is nothing to go back to.
pub(super) fn give_up(engine: &Engine, app: AppId, release: ReleaseId, crashes: u32) -> Result<bool, Error> {
    let context = Context::system("driver");
    let done = engine.write(|writer| substitute(engine, writer, &context, app, release, crashes))?;
    let Some(GivenUp { release, target, substitute }) = done else { return Ok(false) };
    let borne = engine.0.settings.bounds.crash_budget.map_or(0, |budget| budget.crashes);
    let told = format!(
        "crashed {} within {} of its promotion, more than {borne}: rolling back to {}",
        times(crashes),
        minutes(engine),
        target.version
    );
    append::log_system(engine, &release, &told);
    append::log_release(engine, &context, &substitute);
    Ok(true)
}

fn substitute(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    app: AppId,
    release: ReleaseId,
    crashes: u32,
) -> Result<Option<GivenUp>, Error> {
    let Some(app) = writer.app(app)? else { return Ok(None) };
    let head = writer.head_release(app.id)?.filter(|head| head.id == release);
    let current = writer.current_release(app.id)?;
    let Some(release) = head.filter(|head| current == Some(head.id)) else { return Ok(None) };
    let Some(target) = fall_back(writer, &release)? else { return Ok(None) };
    let config = writer.config_of(app.id, target.id)?;
    let draft = draft_from_rollback(&append::basis(writer, &app)?, &target, config)?;
    let description = format!("{}: {} crashed {}", draft.description, release.version, times(crashes));
    let draft = Draft { description, ..draft };
    let action = Action::ReleaseRollback.name();
    let substitute = append::append(engine, writer, context, &app, draft, action)?;
    writer.give_up(app.id, release.id, substitute.id)?;
    Ok(Some(GivenUp { release, target, substitute }))
}

fn times(crashes: u32) -> String {
    if crashes == 1 { "once".to_owned() } else { format!("{crashes} times") }
}

fn minutes(engine: &Engine) -> String {
    let seconds = engine.0.settings.bounds.crash_budget.map_or(0, |budget| budget.seconds);
    match seconds / 60 {
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}
