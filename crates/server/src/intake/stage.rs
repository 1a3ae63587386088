//! From a source to an accepted build. Once begun it goes on to its end, whoever hangs up.

use super::part::{Part, sentence};
use super::source::{Named, SourceAddress};
use super::{FETCH_TIME, MAX_ARCHIVE_BYTES};
use crate::git::push::Place;
use crate::git::stage::sentence as tree_sentence;
use crate::git::{ArchiveError, stage_commit};
use crate::http::error::Refusal;
use crate::ports::{FetchError, FetchLimits, Packing, TreeForm};
use crate::state::State;
use api::error::ErrorId;
use domain::build::{BuildSource, TreeSource};
use domain::ids::{AppId, BuildId};
use domain::names::{CommitId, ProjectPath};
use engine::ops::builds::BuildInfo;
use engine::ops::sources::{self, Upload};
use engine::ports::Repositories;
use engine::{AppRef, Context, builds};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// How long one look at a build lasts.
const LOOK: Duration = Duration::from_secs(1);

/// A build that is to be.
pub struct Order {
    pub context: Context,
    pub app: AppId,
    pub named: Named,
    pub address: SourceAddress,
    pub place: Place,
}

/// Gets the tree, extracts it and accepts the build. The work itself belongs to no request.
pub async fn accept(state: &State, order: Order) -> Result<BuildInfo, Refusal> {
    let (worker, (told, heard)) = (state.clone(), tokio::sync::oneshot::channel());
    state.tasks.spawn(async move {
        let staging = worker.clone();
        let done = tokio::task::spawn_blocking(move || {
            let accepted = stage_and_accept(&staging, &order);
            (accepted, order)
        });
        let Ok((accepted, order)) = done.await else { return };
        let build = accepted.as_ref().ok().map(|info| info.build.clone());
        let _hung_up = told.send(accepted);
        if let (SourceAddress::Commit(commit), Some(build)) = (&order.address, build) {
            follow_commit(&worker, order.app, build.id, commit).await;
        }
        drop(order.place);
    });
    heard.await.map_err(|_| Refusal::internal())?
}

fn stage_and_accept(state: &State, order: &Order) -> Result<BuildInfo, Refusal> {
    let project = builds::project_path(&state.engine, order.app)?;
    let build = builds::new_id(&state.engine);
    let accepted = stage(state, order, build, project).and_then(|source| {
        let app = AppRef::from(order.app);
        Ok(builds::accept(&state.engine, &order.context, &app, build, source)?)
    });
    if accepted.is_err() {
        builds::discard(&state.engine, build);
    }
    accepted
}

fn stage(
    state: &State,
    order: &Order,
    build: BuildId,
    project: Option<ProjectPath>,
) -> Result<BuildSource, Refusal> {
    let folder = builds::source_folder(&state.engine, build);
    match &order.address {
        SourceAddress::Commit(commit) => {
            let repository = state.repositories.path(order.app);
            let tool = state.repositories.tool();
            stage_commit(tool, &repository, commit, &folder, &*state.trees, project)
                .map_err(refused_commit)?;
            Ok(BuildSource::Commit(commit.clone()))
        }
        SourceAddress::Upload { id, upload } => {
            let file = sources::file(&state.engine, *id);
            extract(state, &file, upload, order, &folder, project)?;
            Ok(tree(order, upload, None))
        }
        SourceAddress::Elsewhere(address) => {
            let fetched = fetch(state, address)?;
            extract(state, fetched.path(), &fetched.upload, order, &folder, project)?;
            Ok(tree(order, &fetched.upload, Some(without_secrets(address))))
        }
    }
}

fn refused_commit(error: ArchiveError) -> Refusal {
    match error {
        ArchiveError::Refused(reason) => not_taken(&reason),
        ArchiveError::Git(error) => {
            tracing::error!(%error, "a git child could not be run");
            Refusal::new(ErrorId::Unavailable, "The repository cannot be read at this moment.")
        }
    }
}

fn not_taken(reason: &str) -> Refusal {
    Refusal::new(ErrorId::InvalidParams, format!("The source was not taken: {reason}."))
}

fn extract(
    state: &State,
    file: &Path,
    upload: &Upload,
    order: &Order,
    folder: &Path,
    project: Option<ProjectPath>,
) -> Result<(), Refusal> {
    if let Some(expected) = order.named.checksum.as_ref().filter(|expected| **expected != upload.checksum) {
        let reason = format!("its checksum is {} and not {expected}", upload.checksum);
        return Err(
            not_taken(&reason).with_hint("Upload it again; if that does not help, compare what was sent.")
        );
    }
    let gone = |error: std::io::Error| {
        tracing::warn!(%error, "an upload cannot be read");
        Refusal::new(ErrorId::InvalidParams, "The upload is not there any more.")
    };
    let mut archive = File::open(file).map_err(gone)?;
    let form = TreeForm { packing: Packing::Upload { bytes: upload.bytes }, project };
    state.trees.stage(folder, &mut archive, &form).map_err(|error| not_taken(&tree_sentence(&error)))
}

fn fetch(state: &State, address: &str) -> Result<super::part::Filled, Refusal> {
    let not_stored = |error: std::io::Error| Refusal::new(ErrorId::Unavailable, sentence(&error));
    let mut part = Part::create(&state.engine).map_err(not_stored)?;
    let limits = FetchLimits { bytes: MAX_ARCHIVE_BYTES, time: FETCH_TIME };
    match state.fetch.fetch(address, &limits, &mut part) {
        Ok(()) => part.finish().map_err(not_stored),
        Err(FetchError::NotStored(reason)) => Err(Refusal::new(ErrorId::Unavailable, reason)),
        Err(FetchError::Refused(reason)) => {
            Err(not_taken(&reason).with_hint("Or upload the archive: POST /sources, as `dozen deploy` does."))
        }
    }
}

fn tree(order: &Order, upload: &Upload, url: Option<String>) -> BuildSource {
    let (version, checksum) = (order.named.version.clone(), Some(upload.checksum.clone()));
    BuildSource::Tree(TreeSource { version, checksum, url })
}

/// What stands behind `?` and `#` is often a permission.
fn without_secrets(address: &str) -> String {
    address.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// When a build of a commit that nobody pushed has succeeded, the deployed branch points to that commit, as it would after a push.
/// Should the server end before, its next start does the same.
async fn follow_commit(state: &State, app: AppId, build: BuildId, commit: &CommitId) {
    let engine = state.engine.clone();
    let shutdown = state.shutdown.clone();
    let ended = tokio::task::spawn_blocking(move || {
        while !shutdown.is_cancelled() {
            match builds::wait(&engine, build, LOOK) {
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => return,
            }
        }
    });
    if ended.await.is_err() || state.shutdown.is_cancelled() {
        return;
    }
    let _landing = state.pushes.landing(app).await;
    let (engine, repositories, commit) = (state.engine.clone(), state.repositories.clone(), commit.clone());
    let moved = tokio::task::spawn_blocking(move || match builds::newest_commit(&engine, app) {
        Ok(Some(newest)) if newest == commit => {
            repositories.set_ref_if_objects_present(app, &commit).map(|_| ())
        }
        Ok(_) | Err(_) => Ok(()),
    });
    if let Ok(Err(error)) = moved.await {
        tracing::warn!(%error, "the deployed branch was not moved; the next start does it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_permission_is_not_kept() {
        for address in ["https://h/x.tgz?sig=s", "https://h/x.tgz#s", "https://h/x.tgz"] {
            assert_eq!(without_secrets(address), "https://h/x.tgz");
        }
    }
}
