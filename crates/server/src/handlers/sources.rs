//! `/sources`, `/apps/:app/sources`: places for uploads.

use crate::http::blocking;
use crate::http::call::Caller;
use crate::http::error::Refusal;
use crate::http::origin::Origin;
use crate::intake::{check_room, upload_path};
use crate::state::State;
use crate::table::{About, Routes};
use api::source::{Source, SourceAddresses};
use axum::extract::Path;
use axum::{Json, extract};
use domain::policy::Action;
use engine::AppRef;
use engine::ops::sources;
use http::StatusCode;

pub fn routes() -> Routes {
    Routes::new()
        .post(
            "/sources",
            create,
            About::some_app(
                Action::BuildCreate,
                "Open a place for an upload; a deploy token's is for its app",
            )
            .created("Source"),
        )
        .post(
            "/apps/{app}/sources",
            create_for_app,
            About::app(Action::SourceCreate, "Open a place for an upload that this app is built from")
                .created("Source"),
        )
}

async fn create(
    extract::State(state): extract::State<State>,
    caller: Caller,
    origin: Origin,
) -> Result<(StatusCode, Json<Source>), Refusal> {
    make(state, caller, origin, None).await
}

async fn create_for_app(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    origin: Origin,
) -> Result<(StatusCode, Json<Source>), Refusal> {
    make(state, caller, origin, Some(AppRef::new(&app))).await
}

/// A repeat makes another place: nothing is lost by that, and the secrets of the first are kept nowhere.
async fn make(
    state: State,
    caller: Caller,
    origin: Origin,
    app: Option<AppRef>,
) -> Result<(StatusCode, Json<Source>), Refusal> {
    let engine = state.engine.clone();
    tokio::task::spawn_blocking(move || check_room(&engine)).await.map_err(|_| Refusal::internal())??;
    let engine = state.engine.clone();
    let made = blocking(move || sources::create(&engine, &caller.context(), app.as_ref())).await?;
    let address = |secret: &str| origin.https(&upload_path(secret));
    let source_blob =
        SourceAddresses { get_url: address(made.get.expose()), put_url: address(made.put.expose()) };
    Ok((StatusCode::CREATED, Json(Source { source_blob })))
}
