//! `/apps`, `/users/~/apps`.

use super::convert::{REGION, REGION_ID, STACK, STACK_ID, generation, region, stack, time, user};
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::http::notice::Noticed;
use crate::http::origin::Origin;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::app::{App, CreateApp, UpdateApp};
use api::error::ErrorId;
use api::reference::Identity;
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::policy::Action;
use engine::ops::apps::{AppInfo, AppPatch, AppScope, Maintenance};
use engine::{AppRef, PersonRef, ops};
use http::StatusCode;
use uuid::Uuid;

pub fn routes() -> Routes {
    Routes::new()
        .get("/apps", list_all, About::account("List the apps that the caller may see").many("App"))
        .post(
            "/apps",
            create,
            About::installation(Action::AppCreate, "Create an app").takes("CreateApp").created("App"),
        )
        .get(
            "/users/{user}/apps",
            list_mine,
            About::account("List the apps that the caller owns or shares").many("App"),
        )
        .get("/apps/{app}", info, About::app(Action::AppRead, "Show an app").one("App"))
        .patch(
            "/apps/{app}",
            update,
            About::app(Action::MaintenanceSet, "Rename an app, or change its maintenance mode")
                .takes("UpdateApp")
                .one("App"),
        )
        .delete(
            "/apps/{app}",
            destroy,
            About::app(Action::AppDestroy, "Destroy an app and all that belongs to it").one("App"),
        )
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
    Path(user): Path<String>,
    caller: Caller,
    wanted: Wanted,
    origin: Origin,
) -> Result<Response, Refusal> {
    let (engine, context, person) = (state.engine.clone(), caller.context(), PersonRef::new(&user));
    let account = blocking(move || ops::accounts::info(&engine, &context)).await?;
    if user != "~" && !person.is(&account.reference()) {
        return Err(Refusal::not_found("user", "Couldn't find that user."));
    }
    list(state, caller, wanted, origin, AppScope::Mine).await
}

async fn create(
    extract::State(state): extract::State<State>,
    origin: Origin,
    call: Call<CreateApp>,
) -> Result<Noticed<(StatusCode, Json<App>)>, Refusal> {
    let engine = state.engine.clone();
    let notices = passed_over(&call.body);
    let row = blocking(move || ops::apps::create(&engine, &call.context, call.body.name)).await?;
    Ok(Noticed { notices, answer: (StatusCode::CREATED, Json(render(&state, &origin, &row))) })
}

/// What a client wished for of which there is no choice.
fn passed_over(body: &CreateApp) -> Vec<String> {
    let one = |noun: &str, there: &str, there_id: Uuid, wanted: Option<&Identity>| {
        let other =
            wanted.filter(|wanted| wanted.as_str() != there && wanted.as_str() != there_id.to_string());
        other.map(|other| format!("There is one {noun} on this server, {there}; {other} was passed over."))
    };
    let region = one("region", REGION, REGION_ID, body.region.as_ref());
    region.into_iter().chain(one("stack", STACK, STACK_ID, body.stack.as_ref())).collect()
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
    let same = |wanted: &Identity| wanted.as_str() == STACK || wanted.as_str() == STACK_ID.to_string();
    if let Some(other) = call.body.build_stack.as_ref().filter(|wanted| !same(wanted)) {
        let told = format!("There is no stack {other} on this server; it has one, {STACK}.");
        return Err(Refusal::new(ErrorId::InvalidParams, told));
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
