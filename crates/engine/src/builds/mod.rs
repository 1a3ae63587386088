//! Builds: accepted, queued, run, turned into releases.
//!
//! One build of an app runs, one waits, and a newer one takes the place of the waiting one, which is told so. The queue is in
//! memory; a build that the ledger shows as unfinished and that no queue knows was cut off and has failed. Output goes to whoever
//! listens and to a file; a listener that is slow or gone changes nothing. A finished build makes its release as the one who
//! pushed.

mod output;
mod queue;
mod strays;
mod work;

pub use output::{Output, OutputReader};
pub(crate) use queue::Builds;
pub use strays::remove_strays;
#[cfg(test)]
pub(crate) use work::end;

use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::idempotency;
use crate::ops::builds::{BuildInfo, find_build, render};
use crate::ops::{Done, authorised_app, record};
use crate::reference::AppRef;
use domain::app::App;
use domain::build::{Build, BuildSource, BuildStatus};
use domain::event::ResourceKind;
use domain::ids::{AppId, BuildId, ReleaseId};
use domain::names::{CommitId, ProjectPath, ReleaseVersion};
use domain::policy::Action;
use queue::Ticket;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use store::{Reader, Writer};

/// Where a build's tree lies within its folder.
const SOURCE_FOLDER: &str = "src";
/// The config var that names the folder of the tree to build, as Heroku's buildpack for monorepos calls it.
pub const PROJECT_PATH: &str = "PROJECT_PATH";
/// Where its output is kept.
const OUTPUT_FILE: &str = "output";

/// A commit that was built and released before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    pub build: BuildId,
    pub release: ReleaseId,
    pub version: ReleaseVersion,
}

/// An id for a build that is about to be accepted: extract its tree to [`source_folder`], then call [`accept`], or [`discard`].
pub fn new_id(engine: &Engine) -> BuildId {
    let build = BuildId::from_uuid(engine.uuid());
    engine.0.builds.expect(build);
    build
}

/// `BUILDS/ID/src`
pub fn source_folder(engine: &Engine, build: BuildId) -> PathBuf {
    folder(engine, build).join(SOURCE_FOLDER)
}

/// Forgets a tree that was extracted and will not be accepted.
pub fn discard(engine: &Engine, build: BuildId) {
    work::remove_folder(&folder(engine, build));
    engine.0.builds.forget(build);
}

/// Commits the build and queues it. Its tree must lie in its [`source_folder`]. From here on it will end, whoever hangs up.
pub fn accept(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    build: BuildId,
    source: BuildSource,
) -> Result<BuildInfo, Error> {
    if engine.0.workers.get().is_none() || engine.is_stopping() {
        return Err(Error::unavailable("The server takes no builds at this moment.")
            .with_hint("Push again in a moment."));
    }
    engine.0.builds.expect(build);
    let accepted = engine.write(|writer| commit_build(engine, writer, context, app, build, source));
    match accepted {
        Ok((info, app, true)) => {
            let ticket = Ticket { build, app: app.id, request_id: context.request_id.clone() };
            queue::push(engine, ticket);
            Ok(info)
        }
        Ok((info, _, false)) => {
            engine.0.builds.forget(build);
            discard(engine, build);
            Ok(info)
        }
        Err(error) => {
            engine.0.builds.forget(build);
            Err(error)
        }
    }
}

/// The build that this same request made when it came before, so that nobody extracts its tree again. [`accept`] looks once more.
pub fn earlier(engine: &Engine, context: &Context, app: &AppRef) -> Result<Option<BuildInfo>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::BuildCreate)?;
        find_earlier(engine, reader, context, &app)
    })
}

fn find_earlier(
    engine: &Engine,
    reader: &Reader<'_>,
    context: &Context,
    app: &App,
) -> Result<Option<BuildInfo>, Error> {
    let id = idempotency::earlier::<BuildId>(engine, reader, context, ResourceKind::Build)?;
    id.map(|id| render(reader, find_build(reader, app.id, id)?)).transpose()
}

/// The build's output from its beginning: live while it runs, from its file afterwards.
pub fn output(engine: &Engine, build: BuildId) -> Result<OutputReader, Error> {
    match engine.0.builds.live(build) {
        Some(live) => Ok(OutputReader::live(live)),
        None => OutputReader::stored(&folder(engine, build).join(OUTPUT_FILE)),
    }
}

/// Waits until the build has ended, at most so long. `None`: it has not.
pub fn wait(engine: &Engine, build: BuildId, at_most: Duration) -> Result<Option<BuildStatus>, Error> {
    let deadline = Instant::now() + at_most;
    loop {
        let seen = engine.changed().rings();
        if let Some(ended) = ended_status(engine, build)? {
            return Ok(Some(ended));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        engine.changed().wait_past(seen, left);
    }
}

/// Whether `commit` is what the newest successful build of the app was made from.
pub fn deployed(engine: &Engine, app: AppId, commit: &CommitId) -> Result<Option<Deployed>, Error> {
    engine.read(|reader| {
        let newest = reader.builds(app)?.into_iter().rev().find_map(|build| match build.status {
            BuildStatus::Succeeded { release, .. } => Some((build.id, build.source, release)),
            BuildStatus::Waiting
            | BuildStatus::Running
            | BuildStatus::Failed { .. }
            | BuildStatus::Superseded => None,
        });
        let Some((build, source, release)) = newest else { return Ok(None) };
        if source.commit() != Some(commit) {
            return Ok(None);
        }
        let version = reader.release(release)?.map(|release| release.version);
        Ok(version.map(|version| Deployed { build, release, version }))
    })
}

/// The commit that the app's deployed branch should point to.
pub fn newest_commit(engine: &Engine, app: AppId) -> Result<Option<CommitId>, Error> {
    engine.read(|reader| Ok(reader.newest_succeeded_commit(app)?))
}

/// The folder of the app's trees that is the app itself; `None`: all of it. Its owner says it by a config var, as of head.
pub fn project_path(engine: &Engine, app: AppId) -> Result<Option<ProjectPath>, Error> {
    let config = engine.read(|reader| match reader.head_release(app)? {
        Some(head) => Ok(reader.config_of(app, head.id)?),
        None => Ok(Default::default()),
    })?;
    let given = config.iter().find(|(key, _)| key.as_str() == PROJECT_PATH);
    given.map_or(Ok(None), |(_, value)| parse_project_path(value.expose()))
}

/// `./web/` is `web`; nothing and `.` are the top.
fn parse_project_path(given: &str) -> Result<Option<ProjectPath>, Error> {
    let mut path = given.trim();
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    if matches!(path, "" | ".") {
        return Ok(None);
    }
    let wrong = |error| {
        Error::invalid(format!("The config var {PROJECT_PATH} cannot be used: {error}."))
            .with_hint(format!(
                "Set it to a folder of the source: dozen config:set {PROJECT_PATH}=services/web"
            ))
            .with_hint(format!("Or build the whole source: dozen config:unset {PROJECT_PATH}"))
    };
    path.parse().map(Some).map_err(wrong)
}

/// Fails builds that the ledger shows as unfinished and that no queue of this server knows.
pub(crate) fn fail_orphans(engine: &Engine) -> Result<usize, Error> {
    let unfinished = engine.read(|reader| Ok(reader.unfinished_builds()?))?;
    let orphans: Vec<_> = unfinished.into_iter().filter(|build| !engine.0.builds.knows(build.id)).collect();
    for build in &orphans {
        let reason = "the server stopped while it was being built".to_owned();
        work::end(engine, build.id, &BuildStatus::Failed { reason })?;
        work::remove_folder(&source_folder(engine, build.id));
    }
    Ok(orphans.len())
}

/// Tells a build to end: one that runs by its [`crate::ports::Cancel`], one that waits at once.
pub(crate) fn cancel_waiting(engine: &Engine, build: BuildId) {
    if let Some(ticket) = engine.0.builds.cancel(build) {
        work::cancelled(engine, &ticket);
    }
}

fn commit_build(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    app: &AppRef,
    build: BuildId,
    source: BuildSource,
) -> Result<(BuildInfo, App, bool), Error> {
    let app = authorised_app(writer, context, app, Action::BuildCreate)?;
    if let Some(info) = find_earlier(engine, writer, context, &app)? {
        return Ok((info, app, false));
    }
    let now = engine.now();
    let build = Build {
        id: build,
        app: app.id,
        number: writer.newest_build_number(app.id)? + 1,
        actor: context.actor.account(),
        source,
        created_at: now,
        updated_at: now,
        status: BuildStatus::Waiting,
    };
    writer.insert_build(&build)?;
    let mut done = Done::new(Action::BuildCreate.name(), Some(app.id), ResourceKind::Build, build.id);
    if let Some(commit) = build.source.commit() {
        done = done.after("commit", commit);
    }
    if let Some(version) = build.source.version() {
        done = done.after("version", version);
    }
    record(engine, writer, context, done)?;
    idempotency::keep(engine, writer, context, ResourceKind::Build, build.id.to_string())?;
    Ok((render(writer, build)?, app, true))
}

/// From memory first: an end is told even while the ledger cannot be written.
fn ended_status(engine: &Engine, build: BuildId) -> Result<Option<BuildStatus>, Error> {
    if let Some(live) = engine.0.builds.live(build) {
        return Ok(live.ended());
    }
    let missing = || Error::not_found("build", "Couldn't find that build.");
    let build = engine.read(|reader| reader.build(build)?.ok_or_else(missing))?;
    Ok(build.status.has_ended().then_some(build.status))
}

pub(crate) fn folder(engine: &Engine, build: BuildId) -> PathBuf {
    engine.0.settings.builds_folder.join(build.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_paths_are_tidied_and_checked() {
        let parsed = |text: &str| parse_project_path(text).map(|path| path.map(|path| path.to_string()));
        for (given, expected) in [
            ("services/web", Some("services/web")),
            ("./services/web/", Some("services/web")),
            (" web ", Some("web")),
            ("", None),
            (".", None),
            ("./", None),
        ] {
            assert_eq!(parsed(given).unwrap().as_deref(), expected, "{given:?}");
        }
        for bad in ["/etc", "..", "a/../../b", "a//b"] {
            let error = parsed(bad).unwrap_err();
            assert!(error.message().contains(PROJECT_PATH) && !error.hints().is_empty(), "{bad}: {error}");
        }
    }
}
