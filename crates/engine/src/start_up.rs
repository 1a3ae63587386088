//! What is put right before anything runs: builds that were cut off, trees that nobody builds, refs that git did not keep.

use crate::builds;
use crate::engine::Engine;
use crate::error::Error;
use crate::ops::apps::host_of;
use crate::ops::sources::{self, Leftovers};
use crate::ports::RefMove;
use domain::app::App;

pub(crate) fn repair(engine: &Engine) -> Result<(), Error> {
    let failed = builds::fail_orphans(engine)?;
    if failed > 0 {
        tracing::warn!(failed, "builds that the last stop cut off have failed");
    }
    crate::cron::find_next_instants(engine)?;
    // No build runs yet: whatever tree lies there belongs to none.
    builds::remove_strays(engine)?;
    sources::remove_leftovers(engine, Leftovers::All)?;
    let apps = engine.read(|reader| Ok(reader.apps()?))?;
    for app in &apps {
        reconcile_ref(engine, app)?;
        if let Err(error) = host_of(engine, &app.name) {
            tracing::error!(app = %app.name, %error, "an app cannot be reached at the base domain: rename it");
        }
    }
    Ok(())
}

/// The ledger is the truth: the deployed branch points to the commit of the newest build that succeeded, if git kept its objects.
fn reconcile_ref(engine: &Engine, app: &App) -> Result<(), Error> {
    let Some(commit) = engine.read(|reader| Ok(reader.newest_succeeded_commit(app.id)?))? else {
        return Ok(());
    };
    match engine.0.ports.repositories.set_ref_if_objects_present(app.id, &commit) {
        Ok(RefMove::Unchanged) => {}
        Ok(RefMove::Moved) => {
            tracing::info!(app = %app.name, %commit, "the deployed branch was set to the released commit")
        }
        Ok(RefMove::ObjectsMissing) => {
            tracing::warn!(app = %app.name, %commit, "the released commit is not in the repository; the next push brings it");
        }
        // One broken repository keeps no other app from serving.
        Err(error) => tracing::error!(%error, "a repository could not be looked at"),
    }
    Ok(())
}
