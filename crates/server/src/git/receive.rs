//! What happens to a push between git's two hooks. Before the refs move: the tree is copied out, the build is accepted by the
//! ledger, its output is relayed, and its end decides whether the refs move. After they have moved: the release is followed,
//! which decides nothing.
//!
//! The ledger is the truth. Once a build is accepted it goes on whoever hangs up; losing the hook only means that nobody watches.

use super::desk::Voice;
use super::push::{Push, RefUpdate};
use super::release;
use super::room;
use super::stage::{self, Staged};
use super::updates::{Deploy, PushPlan, parse_update, plan_push};
use super::wire::{Verdict, WireError};
use crate::state::State;
use domain::build::{BuildSource, BuildStatus, short_commit};
use domain::cause::chain;
use domain::ids::{BuildId, ReleaseId};
use engine::builds::{Output, OutputReader};
use engine::{AppRef, Error, builds};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc;

/// How long one look at a build or release lasts.
const LOOK: Duration = Duration::from_secs(1);
/// Texts on their way to a hook.
const TEXTS: usize = 16;

/// pre-receive.
pub async fn before(
    state: &State,
    push: &Arc<Push>,
    lines: &[String],
    reader: &mut OwnedReadHalf,
    voice: &mut Voice,
) -> Result<Verdict, WireError> {
    let updates: Result<Vec<_>, _> = lines.iter().map(|line| parse_update(line)).collect();
    let plan = match updates {
        Ok(updates) => plan_push(&updates),
        Err(error) => PushPlan::Refuse { reason: error.to_string() },
    };
    let room = match &plan {
        // It is refused anyway.
        PushPlan::Refuse { .. } => Ok(()),
        PushPlan::Keep { .. } | PushPlan::Deploy { .. } => room_for(state, push).await,
    };
    if let Err(reason) = room {
        return refuse(voice, &reason, &[]).await;
    }
    match plan {
        PushPlan::Refuse { reason } => refuse(voice, &reason, &[]).await,
        PushPlan::Keep { notes } => {
            say_notes(voice, &notes).await?;
            Ok(Verdict::Accept)
        }
        PushPlan::Deploy { deploy, notes } => {
            say_notes(voice, &notes).await?;
            match already_deployed(state, push, &deploy).await {
                Ok(Some(version)) => {
                    say_deployed(voice, &deploy, &version).await?;
                    land(state, push, deploy, None, voice).await
                }
                Ok(None) => build(state, push, deploy, reader, voice).await,
                Err(error) => refuse_error(voice, &error).await,
            }
        }
    }
}

/// Looked at once what the push brings has come: git writes to the last byte of a disk, and keeps it if we accept.
async fn room_for(state: &State, push: &Push) -> Result<(), String> {
    let repository = state.repositories.path(push.app);
    let looked = tokio::task::spawn_blocking(move || room::check(&repository)).await;
    looked.unwrap_or_else(|_| Err("an internal error occurred".to_owned()))
}

async fn say_notes(voice: &mut Voice, notes: &[String]) -> Result<(), WireError> {
    for note in notes {
        voice.say(&format!("       {note}")).await?;
    }
    Ok(())
}

async fn refuse(voice: &mut Voice, reason: &str, hints: &[String]) -> Result<Verdict, WireError> {
    let hints: String = hints.iter().map(|hint| format!(" !     {hint}\n")).collect();
    voice.text(format!("\n !     Push rejected: {reason}\n{hints}\n")).await?;
    Ok(Verdict::Refuse)
}

async fn refuse_error(voice: &mut Voice, error: &Error) -> Result<Verdict, WireError> {
    tracing::info!(cause = chain(error), "a push was refused");
    refuse(voice, error.message(), error.hints()).await
}

/// The version of the newest deploy, if it was of this commit.
async fn already_deployed(state: &State, push: &Push, deploy: &Deploy) -> Result<Option<String>, Error> {
    let (engine, app, commit) = (state.engine.clone(), push.app, deploy.commit.clone());
    let found = off_loop(move || builds::deployed(&engine, app, &commit)).await?;
    Ok(found.map(|deployed| deployed.version.to_string()))
}

async fn say_deployed(voice: &mut Voice, deploy: &Deploy, version: &str) -> Result<(), WireError> {
    let commit = short_commit(&deploy.commit);
    let text = format!(
        "-----> {commit} was built and released as {version} already; nothing is built.\n       \
         To build it again: dozen builds:create --commit {commit}\n"
    );
    voice.text(text).await
}

async fn build(
    state: &State,
    push: &Arc<Push>,
    deploy: Deploy,
    reader: &mut OwnedReadHalf,
    voice: &mut Voice,
) -> Result<Verdict, WireError> {
    let (engine, app) = (state.engine.clone(), push.app);
    let project = match off_loop(move || builds::project_path(&engine, app)).await {
        Ok(project) => project,
        Err(error) => return refuse_error(voice, &error).await,
    };
    let id = builds::new_id(&state.engine);
    match stage::receive(state, id, &deploy.commit, project, reader, voice).await? {
        Staged::Whole => {}
        Staged::Refused(reason) => return refuse(voice, &reason, &[]).await,
    }
    let (engine, context, app) = (state.engine.clone(), push.context.clone(), AppRef::from(push.app));
    let source = BuildSource::Commit(deploy.commit.clone());
    let accepted = off_loop(move || {
        let accepted = builds::accept(&engine, &context, &app, id, source);
        if accepted.is_err() {
            builds::discard(&engine, id);
        }
        accepted
    })
    .await;
    let accepted = match accepted {
        Ok(accepted) => accepted.build.id,
        Err(error) => return refuse_error(voice, &error).await,
    };
    match watch(state, accepted, voice).await? {
        Ok(BuildStatus::Succeeded { release, .. }) => land(state, push, deploy, Some(release), voice).await,
        Ok(BuildStatus::Failed { reason }) => {
            refuse(voice, &format!("the build failed: {reason}"), &[]).await
        }
        Ok(BuildStatus::Superseded) => {
            refuse(voice, "a newer deploy took its place while it waited for its turn", &[]).await
        }
        Ok(BuildStatus::Waiting | BuildStatus::Running) => {
            let hints = ["How the build ends is told by: dozen builds".to_owned()];
            refuse(voice, "the server stopped following the build", &hints).await
        }
        Err(error) => refuse_error(voice, &error).await,
    }
}

/// Relays a build's output to its end.
async fn watch(
    state: &State,
    build: BuildId,
    voice: &mut Voice,
) -> Result<Result<BuildStatus, Error>, WireError> {
    let engine = state.engine.clone();
    let output = match off_loop(move || builds::output(&engine, build)).await {
        Ok(output) => output,
        Err(error) => return Ok(Err(error)),
    };
    let (texts, mut relayed) = mpsc::channel(TEXTS);
    let reading = tokio::task::spawn_blocking(move || read_output(output, &texts));
    loop {
        match state.shutdown.run_until_cancelled(relayed.recv()).await {
            Some(Some(text)) => voice.text(text).await?,
            Some(None) => break,
            None => return Ok(Err(stopping())),
        }
    }
    let _ended = reading.await;
    let engine = state.engine.clone();
    let status = off_loop(move || {
        // The output ends a moment before or after the row does.
        Ok(builds::wait(&engine, build, LOOK * 30)?.unwrap_or(BuildStatus::Running))
    });
    Ok(status.await)
}

/// The engine ends running builds when the server stops. Whether this one was quick enough is in the ledger.
fn stopping() -> Error {
    let told = "the server is stopping, and the build with it.";
    Error::unavailable(told)
        .with_hint("Push again in a moment; dozen builds tells whether it had ended before.")
}

/// Passes texts on until the build has ended or nobody takes them.
fn read_output(mut output: OutputReader, texts: &mpsc::Sender<String>) {
    loop {
        match output.next(LOOK) {
            Output::Text(text) => {
                if texts.blocking_send(text).is_err() {
                    return;
                }
            }
            Output::Quiet if texts.is_closed() => return,
            Output::Quiet => {}
            Output::End => return,
        }
    }
}

/// Lets git move the refs. Pushes of one app land one after the other, and the deploy branch is first put back to what this push
/// believed it to be: which commit is deployed was decided by the ledger.
async fn land(
    state: &State,
    push: &Arc<Push>,
    deploy: Deploy,
    release: Option<ReleaseId>,
    voice: &mut Voice,
) -> Result<Verdict, WireError> {
    let landing = state.pushes.landing(push.app).await;
    let (repositories, app, name, old) =
        (state.repositories.clone(), push.app, deploy.name.clone(), deploy.old);
    let reset = tokio::task::spawn_blocking(move || repositories.reset(app, &name, old.as_ref())).await;
    if let Err(error) = reset.map_err(io::Error::other).and_then(|reset| reset.map_err(io::Error::other)) {
        tracing::warn!(%error, "a deploy branch could not be put back");
        voice.say(" !     The branch could not be prepared; the release stands, and the ref is set when the server starts.").await?;
    }
    push.lands(RefUpdate { branch: deploy.name, commit: deploy.commit }, release, landing);
    Ok(Verdict::Accept)
}

/// post-receive.
pub async fn after(state: &State, push: &Arc<Push>, voice: &mut Voice) -> Result<(), WireError> {
    let landed = push.landed();
    if let Some(branch) = landed.branch {
        let (repositories, app) = (state.repositories.clone(), push.app);
        let pointed = tokio::task::spawn_blocking(move || repositories.point_head(app, &branch)).await;
        if !matches!(pointed, Ok(Ok(()))) {
            tracing::warn!("HEAD of a repository could not be pointed to its deploy branch");
        }
    }
    match landed.release {
        Some(release) => release::follow(state, push, release, voice).await,
        None => Ok(()),
    }
}

async fn off_loop<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => Err(Error::internal("An internal error occurred.").with_source(panicked)),
    }
}
