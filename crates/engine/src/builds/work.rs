//! One build from its turn to its end, on a thread of its own.

use super::queue::{self, Ticket};
use super::{folder, source_folder};
use crate::append;
use crate::context::{Actor, Context};
use crate::engine::Engine;
use crate::error::Error;
use crate::ops::{Done, authorised_app, log_api, log_by_actor, record};
use crate::ports::{BuildJob, Cancel};
use crate::reference::AppRef;
use domain::build::{Build, BuildFailure, BuildStatus, BuiltSlug};
use domain::event::ResourceKind;
use domain::ids::BuildId;
use domain::policy::Action;
use domain::release::{Artifact, Release, draft_from_build};
use domain::scope::Scope;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

/// Builds of an app whose output is kept.
const KEPT_OUTPUTS: u64 = 50;
/// Waits between attempts to write a build's end to a ledger that is not available.
const END_WAITS: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];

/// Runs a build to its end.
pub(super) fn run(engine: &Engine, ticket: &Ticket, cancel: &Cancel) {
    let outcome = catch_unwind(AssertUnwindSafe(|| build_and_release(engine, ticket, cancel)));
    let status = match outcome {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => {
            tell_failure(engine, ticket, error.message(), error.hints().first().map(String::as_str));
            failed(error.message())
        }
        Err(_) => {
            tell_failure(engine, ticket, "the builder broke down", None);
            failed("the builder broke down")
        }
    };
    finish(engine, ticket, status);
}

/// A newer deploy took the place of a build that waited.
pub(super) fn supersede(engine: &Engine, ticket: &Ticket) {
    if let Some(live) = engine.0.builds.live(ticket.build) {
        live.line(" !     A newer deploy took the place of this build while it waited.");
    }
    drop_waiting(engine, ticket, BuildStatus::Superseded);
}

/// A build that waited was cancelled.
pub(crate) fn cancelled(engine: &Engine, ticket: &Ticket) {
    drop_waiting(engine, ticket, failed("it was cancelled"));
}

pub(super) fn could_not_start(engine: &Engine, ticket: &Ticket, error: &io::Error) {
    let reason = format!("no thread could be started for it: {error}");
    tell_failure(engine, ticket, &reason, None);
    finish(engine, ticket, failed(&reason));
}

/// Records how a build ended, with its event and log line. One that is gone or has ended meanwhile is left as it is.
pub(crate) fn end(engine: &Engine, build: BuildId, status: &BuildStatus) -> Result<(), Error> {
    let context = Context::system("build");
    let ended = engine.write(|writer| {
        let Some(row) = writer.build(build)?.filter(|row| !row.status.has_ended()) else { return Ok(None) };
        writer.set_build_status(build, status, engine.now())?;
        let action = format!("build:{}", status_word(status));
        record(engine, writer, &context, Done::new(&action, Some(row.app), ResourceKind::Build, build))?;
        Ok::<_, Error>(Some(row))
    })?;
    if let Some(row) = ended {
        log_end(engine, &row, status);
    }
    Ok(())
}

pub(super) fn remove_folder(path: &Path) {
    match std::fs::remove_dir_all(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, path = %path.display(), "a build's folder is left behind"),
    }
}

fn build_and_release(engine: &Engine, ticket: &Ticket, cancel: &Cancel) -> Result<BuildStatus, Error> {
    let (build, job) = begin(engine, ticket)?;
    let context = context_of(engine, &build, ticket)?;
    log_by_actor(engine, &context, build.app, "Build started");
    let live = engine.0.builds.live(build.id);
    let mut say = |line: &str| {
        if let Some(live) = &live {
            live.line(line);
        }
    };
    let workers = engine.0.workers.get().ok_or_else(|| Error::internal("the engine was not started"))?;
    match workers.builder.build(job, &mut say, cancel) {
        Ok(built) => {
            let release = release(engine, &context, &build, &built)?;
            say(&format!("-----> Released {}", release.version));
            append::log_release(engine, &context, &release);
            Ok(BuildStatus::Succeeded { slug: built.slug, release: release.id })
        }
        Err(BuildFailure { reason, hint, .. }) => {
            tell_failure(engine, ticket, &reason, hint.as_deref());
            Ok(failed(&reason))
        }
    }
}

/// Marks the build as running and reads what it needs.
fn begin(engine: &Engine, ticket: &Ticket) -> Result<(Build, BuildJob), Error> {
    let settings = &engine.0.settings;
    engine.write(|writer| {
        let gone = || Error::conflict("The app was destroyed.");
        let build = writer.build(ticket.build)?.ok_or_else(gone)?;
        let app = writer.app(build.app)?.ok_or_else(gone)?;
        writer.set_build_status(build.id, &BuildStatus::Running, engine.now())?;
        let basis = append::basis(writer, &app)?;
        let job = BuildJob {
            build: build.id,
            app: app.id,
            app_name: app.name,
            app_index: app.index,
            source: source_folder(engine, build.id),
            commit: build.source.named_commit(),
            buildpacks: writer.buildpacks(build.app)?,
            config: basis.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            previous_process_types: basis.sound.process_types,
            limits: settings.build_limits,
            time_limit_seconds: settings.build_time_limit_seconds,
        };
        Ok((build, job))
    })
}

/// The one who pushed, with the role that they have now.
fn context_of(engine: &Engine, build: &Build, ticket: &Ticket) -> Result<Context, Error> {
    let actor = match build.actor {
        None => Actor::System,
        Some(id) => {
            let account = engine.read(|reader| Ok(reader.account(id)?))?;
            let account = account.ok_or_else(|| Error::forbidden("The account that pushed is gone."))?;
            Actor::Account { id, role: account.role, scope: Scope::Global }
        }
    };
    Ok(Context { actor, token: None, request_id: ticket.request_id.clone(), idempotency: None })
}

/// Release and the build's success are one transaction.
fn release(engine: &Engine, context: &Context, build: &Build, built: &BuiltSlug) -> Result<Release, Error> {
    let artifact = Artifact {
        slug: Some(built.slug.clone()),
        slug_size_bytes: built.size_bytes,
        process_types: built.process_types.clone(),
        app_json: built.app_json.clone(),
        commit: build.source.named_commit(),
        version: build.source.version().cloned(),
        build: Some(build.id),
    };
    let released = engine.write(|writer| {
        let app = authorised_app(writer, context, &AppRef::Id(build.app), Action::BuildCreate)?;
        let draft = draft_from_build(&append::basis(writer, &app)?, build.number, artifact)?;
        let release = append::append(engine, writer, context, &app, draft, "release:deploy")?;
        let status = BuildStatus::Succeeded { slug: built.slug.clone(), release: release.id };
        writer.set_build_status(build.id, &status, engine.now())?;
        Ok(release)
    })?;
    log_api(engine, build.app, "Build succeeded".to_owned());
    Ok(released)
}

fn finish(engine: &Engine, ticket: &Ticket, status: BuildStatus) {
    write_end(engine, ticket.build, &status);
    if let Some(live) = engine.0.builds.live(ticket.build) {
        live.end(status);
    }
    remove_folder(&source_folder(engine, ticket.build));
    remove_old_outputs(engine, ticket);
    queue::finished(engine, ticket);
}

fn drop_waiting(engine: &Engine, ticket: &Ticket, status: BuildStatus) {
    write_end(engine, ticket.build, &status);
    if let Some(live) = engine.0.builds.live(ticket.build) {
        live.end(status);
    }
    remove_folder(&source_folder(engine, ticket.build));
    queue::dropped(engine, ticket);
}

/// A ledger that stays unavailable does not hold the client: the driver fails the row when it can be written again.
fn write_end(engine: &Engine, build: BuildId, status: &BuildStatus) {
    if matches!(status, BuildStatus::Succeeded { .. }) {
        return;
    }
    for wait in END_WAITS {
        match end(engine, build, status) {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, %build, "a build's end is not recorded yet"),
        }
        if engine.is_stopping() {
            return;
        }
        std::thread::sleep(wait);
    }
}

fn log_end(engine: &Engine, build: &Build, status: &BuildStatus) {
    let text = match status {
        BuildStatus::Failed { reason } => format!("Build failed: {reason}"),
        BuildStatus::Superseded => "Build superseded by a newer deploy".to_owned(),
        BuildStatus::Succeeded { .. } | BuildStatus::Waiting | BuildStatus::Running => return,
    };
    log_api(engine, build.app, text);
}

fn tell_failure(engine: &Engine, ticket: &Ticket, reason: &str, hint: Option<&str>) {
    let Some(live) = engine.0.builds.live(ticket.build) else { return };
    live.line(&format!(" !     Build failed: {reason}"));
    if let Some(hint) = hint {
        live.line(&format!(" !     {hint}"));
    }
}

fn remove_old_outputs(engine: &Engine, ticket: &Ticket) {
    let builds = engine.read(|reader| Ok(reader.builds(ticket.app)?)).unwrap_or_default();
    let newest = builds.last().map_or(0, |build| build.number);
    for build in builds.iter().filter(|build| build.number + KEPT_OUTPUTS <= newest) {
        remove_folder(&folder(engine, build.id));
    }
}

fn failed(reason: &str) -> BuildStatus {
    BuildStatus::Failed { reason: reason.to_owned() }
}

const fn status_word(status: &BuildStatus) -> &'static str {
    match status {
        BuildStatus::Waiting => "waiting",
        BuildStatus::Running => "running",
        BuildStatus::Succeeded { .. } => "succeeded",
        BuildStatus::Failed { .. } => "failed",
        BuildStatus::Superseded => "superseded",
    }
}
