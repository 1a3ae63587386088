//! Who may do what to which repository, and how a push begins and ends: the same for every way in.

use super::child::keep_up;
use super::command::Service;
use super::hook::{PUSH_VARIABLE, SOCKET_VARIABLE};
use super::push::{Place, Push, Stranded};
use crate::http::blocking;
use crate::http::error::Refusal;
use crate::intake::has_room;
use crate::state::State;
use api::error::ErrorId;
use domain::policy::Action;
use engine::ops::apps::AppInfo;
use engine::{AppRef, Context, ops};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Git children that answer fetches and clones at once; further ones are asked to come again.
pub const MAX_FETCHES: usize = 32;

/// Somebody who may do this to this repository.
pub struct Admitted {
    pub context: Context,
    pub app: AppInfo,
    pub repository: PathBuf,
}

/// `repository` is the last part of its address: `hello.git`.
pub async fn admit(
    state: &State,
    context: Context,
    repository: &str,
    service: Service,
) -> Result<Admitted, Refusal> {
    let missing = || Refusal::not_found("app", "There is no repository here: its address ends in /APP.git.");
    let name = repository.strip_suffix(".git").ok_or_else(missing)?;
    let action = match service {
        Service::ReceivePack => Action::BuildCreate,
        Service::UploadPack => Action::SourceRead,
    };
    let (engine, asking, app) = (state.engine.clone(), context.clone(), AppRef::new(name));
    let repositories = state.repositories.clone();
    let (app, repository) = blocking(move || {
        let app = ops::apps::authorise_app(&engine, &asking, &app, action)?;
        let made = repositories.ensure(app.app.id);
        let repository = made.map_err(|error| {
            engine::Error::unavailable("The repository cannot be used.").with_source(error)
        })?;
        Ok((app, repository))
    })
    .await?;
    if service == Service::ReceivePack {
        check_disk(&repository).await?;
    }
    Ok(Admitted { context, app, repository })
}

/// Before a pack comes.
async fn check_disk(repository: &Path) -> Result<(), Refusal> {
    let folder = repository.to_owned();
    let unknown =
        |error: std::io::Error| engine::Error::unavailable("The free space is not known.").with_source(error);
    if blocking(move || has_room(&folder).map_err(unknown)).await? {
        return Ok(());
    }
    let told = "The server's disk is nearly full; it takes no pushes until there is room again.";
    Err(Refusal::new(ErrorId::Unavailable, told))
}

/// Variables for a git child.
pub type Variables = Vec<(&'static str, OsString)>;

/// A push on its way.
pub struct Begun {
    secret: String,
    place: Place,
}

fn busy() -> Refusal {
    Refusal::new(ErrorId::Unavailable, "Too many pushes are under way; push again in a moment.")
}

/// The right to a git child that takes a push.
pub fn take_place(state: &State, admitted: &Admitted) -> Result<Place, Refusal> {
    state.pushes.place(admitted.app.app.id).ok_or_else(busy)
}

/// The right to a git child that answers a fetch; dropped with the child.
pub fn take_fetch(state: &State) -> Result<OwnedSemaphorePermit, Refusal> {
    let busy =
        |_| Refusal::new(ErrorId::Unavailable, "Too many fetches are under way; try again in a moment.");
    Arc::clone(&state.fetches).try_acquire_owned().map_err(busy)
}

/// Makes the push known to the hooks that its git will start; the variables lead them to it.
pub fn begin_push(state: &State, admitted: &Admitted, place: Place) -> Result<(Begun, Variables), Refusal> {
    let app = &admitted.app.app;
    let url = state.settings.app_url(&app.name);
    let push = Arc::new(Push::new(app.id, admitted.context.clone(), url));
    let secret = state.pushes.begin(push).ok_or_else(busy)?;
    let environment = vec![
        (PUSH_VARIABLE, secret.clone().into()),
        (SOCKET_VARIABLE, state.hook_socket.clone().into_os_string()),
    ];
    Ok((Begun { secret, place }, environment))
}

/// Its git never ran.
pub fn forget_push(state: &State, begun: &Begun) {
    let _never_began = state.pushes.end(&begun.secret);
}

/// Its git has ended.
pub async fn end_push(state: &State, begun: Begun, repository: &Path) {
    if let Some(stranded) = state.pushes.end(&begun.secret) {
        settle(state, stranded).await;
    }
    drop(begun.place);
    state.shutdown.run_until_cancelled(keep_up(state.repositories.tool(), repository)).await;
}

/// Git ended without moving the ref of a release that stands: we move it, if git kept the objects.
async fn settle(state: &State, stranded: Stranded) {
    let repositories = state.repositories.clone();
    let settled = tokio::task::spawn_blocking(move || {
        repositories.catch_up(stranded.app, &stranded.update.branch, &stranded.update.commit)
    });
    match settled.await {
        Ok(Ok(moved)) => tracing::warn!(?moved, "git ended before it had moved a ref"),
        other => tracing::error!(?other, "a ref that git did not move could not be moved"),
    }
}
