//! `/apps`, `/users/~/apps`.

use super::convert::{generation, region, stack, time, user};
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::http::origin::Origin;
use crate::paging::Field;
use crate::state::State;
use api::app::{App, CreateApp, UpdateApp};
use api::error::ErrorId;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router, extract};
use engine::ops::apps::{AppInfo, AppPatch, AppScope, Maintenance};
use engine::{AppRef, ops};
use http::StatusCode;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/apps", get(list_all).post(create))
        .route("/users/{user}/apps", get(list_mine))
        .route("/apps/{app}", get(info).patch(update).delete(destroy))
}

const FIELDS: &[Field<AppInfo>] = &[
    Field { name: "name", text: |row| row.app.name.to_string() },
    Field { name: "id", text: |row| row.app.id.to_string() },
    Field { name: "updated_at", text: |row| row.app.updated_at.0.to_string() },
];

/// An app on the wire.
pub fn render(state: &State, origin: &Origin, row: &AppInfo) -> App {
    let app = &row.app;
    App {
        acm: false,
        archived_at: None,
        buildpack_provided_description: None,
        build_stack: stack(),
        created_at: time(app.created_at),
        generation: generation(),
        git_url: git_url(origin, app.name.as_str()),
        id: app.id,
        internal_routing: None,
        maintenance: app.maintenance,
        name: app.name.clone(),
        owner: user(Some(&row.owner)),
        organization: None,
        team: None,
        region: region(),
        released_at: row.released_at.map(time),
        repo_size: None,
        slug_size: row.slug_size_bytes,
        space: None,
        stack: stack(),
        updated_at: time(app.updated_at),
        web_url: Some(state.settings.app_url(&app.name)),
    }
}

/// Where to push.
pub fn git_url(origin: &Origin, app: &str) -> String {
    origin.https(&format!("/{app}.git"))
}

async fn list(
    state: State,
    caller: Caller,
    wanted: Wanted,
    origin: Origin,
    scope: AppScope,
) -> Result<Response, Refusal> {
    let engine = state.engine.clone();
    let rows = blocking(move || ops::apps::list(&engine, &caller.context(), scope)).await?;
    Ok(wanted.answer(rows, FIELDS, |row| render(&state, &origin, &row)))
}

async fn list_all(
    extract::State(state): extract::State<State>,
    caller: Caller,
    wanted: Wanted,
    origin: Origin,
) -> Result<Response, Refusal> {
    list(state, caller, wanted, origin, AppScope::All).await
}

async fn list_mine(
    extract::State(state): extract::State<State>,
    caller: Caller,
    wanted: Wanted,
    origin: Origin,
) -> Result<Response, Refusal> {
    list(state, caller, wanted, origin, AppScope::Mine).await
}

async fn create(
    extract::State(state): extract::State<State>,
    origin: Origin,
    call: Call<CreateApp>,
) -> Result<(StatusCode, Json<App>), Refusal> {
    let engine = state.engine.clone();
    let row = blocking(move || ops::apps::create(&engine, &call.context, call.body.name)).await?;
    Ok((StatusCode::CREATED, Json(render(&state, &origin, &row))))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    origin: Origin,
) -> Result<Json<App>, Refusal> {
    let engine = state.engine.clone();
    let row = blocking(move || ops::apps::info(&engine, &caller.context(), &AppRef::new(&app))).await?;
    Ok(Json(render(&state, &origin, &row)))
}

async fn update(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    origin: Origin,
    call: Call<UpdateApp>,
) -> Result<Json<App>, Refusal> {
    if call.body.build_stack.is_some() {
        return Err(Refusal::new(
            ErrorId::InvalidParams,
            "There is one stack on this server; it cannot be changed.",
        ));
    }
    let maintenance = call.body.maintenance.map(|on| if on { Maintenance::On } else { Maintenance::Off });
    let patch = AppPatch { name: call.body.name, maintenance };
    let engine = state.engine.clone();
    let row = blocking(move || ops::apps::update(&engine, &call.context, &AppRef::new(&app), &patch)).await?;
    Ok(Json(render(&state, &origin, &row)))
}

async fn destroy(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    origin: Origin,
) -> Result<Json<App>, Refusal> {
    let engine = state.engine.clone();
    let row = blocking(move || ops::apps::destroy(&engine, &caller.context(), &AppRef::new(&app))).await?;
    Ok(Json(render(&state, &origin, &row)))
}
