//! Carries out a plan, action by action. It chooses nothing: after a failure the later actions of the same app are left for the
//! next pass, after the loss of the launcher all of them are.

use crate::fail_points::{self, FailPoint};
use crate::{Host, State, spec, table};
use domain::cause::chain;
use domain::ids::AppId;
use domain::plan::{Action, Plan, Spawn};
use domain::process::Purpose;
use domain::route::RouteTable;
use engine::ports::{BackendError, Facts, JobStarted};
use sandbox::client::{ClientError, Launcher};
use sandbox::control::{self, ControlError};
use std::collections::BTreeSet;

/// Why an action had no effect.
#[derive(Debug, thiserror::Error)]
enum ActionError {
    #[error("{action}")]
    Launcher { action: String, source: ClientError },
    #[error("{action}: the launcher is away")]
    NoLauncher { action: String },
    #[error("cannot stop {name}")]
    Stop { name: String, source: ControlError },
    #[error(transparent)]
    Layers(blobs::LayerError),
    #[error("cannot publish the route table")]
    Publish(#[source] table::TableError),
    #[error("cannot start {name}")]
    Prepare { name: String, source: spec::SpecError },
    #[error("did not start {name}: {source}")]
    NotCommitted { name: String, source: engine::ports::NotCommitted },
}

pub(crate) fn apply(host: &Host, state: &mut State, planned: &Plan, facts: &dyn Facts) -> Vec<BackendError> {
    let mut errors = Vec::new();
    let mut skipped: BTreeSet<AppId> = BTreeSet::new();
    for action in &planned.actions {
        let app = app_of(action);
        if app.is_some_and(|app| skipped.contains(&app)) {
            continue;
        }
        let Err(error) = carry_out(host, &mut state.launcher, action, facts) else { continue };
        errors.push(BackendError { app, message: chain(&error) });
        skipped.extend(app);
        if is_connection_lost(&error) {
            state.launcher = None;
            break;
        }
    }
    errors
}

fn carry_out(
    host: &Host,
    launcher: &mut Option<Launcher>,
    action: &Action,
    facts: &dyn Facts,
) -> Result<(), ActionError> {
    match action {
        Action::Remove { process, .. } => {
            ask(launcher, format!("cannot clean up process {process}"), |launcher| {
                launcher.remove_process(*process)
            })
        }
        Action::Stop { process, why, .. } => {
            fail_points::reach(FailPoint::BeforeStop);
            match control::stop_because(&host.settings.data, *process, *why) {
                Ok(()) | Err(ControlError::Gone { .. }) => Ok(()),
                Err(source) => Err(ActionError::Stop { name: process.to_string(), source }),
            }
        }
        Action::Publish { table } => publish(host, table),
        Action::RemoveNetwork { app } => {
            ask(launcher, format!("cannot remove the network of app {app}"), |launcher| {
                launcher.remove_network(*app)
            })?;
            ask(launcher, format!("cannot remove the build cache of app {app}"), |launcher| {
                launcher.remove_cache(*app)
            })?;
            host.settings.layers.remove(*app).map_err(ActionError::Layers)
        }
        Action::CreateNetwork { app, index } => {
            let action = format!("cannot create the network of app {app}");
            ask(launcher, action, |launcher| launcher.create_network(*app, *index))
        }
        Action::Spawn { spawn } => start(host, launcher, spawn, facts),
    }
}

fn ask(
    launcher: &mut Option<Launcher>,
    action: String,
    request: impl FnOnce(&mut Launcher) -> Result<(), ClientError>,
) -> Result<(), ActionError> {
    match launcher {
        Some(launcher) => request(launcher).map_err(|source| ActionError::Launcher { action, source }),
        None => Err(ActionError::NoLauncher { action }),
    }
}

fn publish(host: &Host, table: &RouteTable) -> Result<(), ActionError> {
    fail_points::reach(FailPoint::BeforePublish);
    table::write(&host.settings.routes, table).map_err(ActionError::Publish)?;
    fail_points::reach(FailPoint::AfterPublish);
    (host.routers.nudge)();
    Ok(())
}

fn start(
    host: &Host,
    launcher: &mut Option<Launcher>,
    spawn: &Spawn,
    facts: &dyn Facts,
) -> Result<(), ActionError> {
    let name = spawn.purpose.display_name();
    let action = format!("cannot start {name}");
    let Some(launcher) = launcher else { return Err(ActionError::NoLauncher { action }) };
    let prepared = spec::prepare(spawn, &*host.environment, &host.settings.slugs)
        .map_err(|source| ActionError::Prepare { name: name.clone(), source })?;
    if let Purpose::Job { job, .. } = &spawn.purpose {
        let started = JobStarted { job: *job, process: spawn.process };
        facts.commit(started).map_err(|source| ActionError::NotCommitted { name, source })?;
        fail_points::reach(FailPoint::AfterJobCommit);
    }
    let spawned = launcher.spawn(&prepared.spec, &prepared.environment, &[]);
    fail_points::reach(FailPoint::AfterSpawn);
    spawned.map(drop).map_err(|source| ActionError::Launcher { action, source })
}

const fn app_of(action: &Action) -> Option<AppId> {
    match action {
        Action::Remove { app, .. }
        | Action::Stop { app, .. }
        | Action::RemoveNetwork { app }
        | Action::CreateNetwork { app, .. } => Some(*app),
        Action::Spawn { spawn } => Some(spawn.app),
        Action::Publish { .. } => None,
    }
}

const fn is_connection_lost(error: &ActionError) -> bool {
    match error {
        ActionError::Launcher { source, .. } => source.is_connection_lost(),
        ActionError::NoLauncher { .. } => true,
        ActionError::Stop { .. }
        | ActionError::Layers(_)
        | ActionError::Publish(_)
        | ActionError::Prepare { .. }
        | ActionError::NotCommitted { .. } => false,
    }
}
