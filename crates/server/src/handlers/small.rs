//! Nouns of which this server has none: their lists, so that clients that look before they act find what they expect.

use crate::http::blocking;
use crate::http::call::Caller;
use crate::http::error::Refusal;
use crate::state::State;
use crate::table::{About, Routes};
use axum::extract::Path;
use axum::{Json, extract};
use domain::policy::Action;
use engine::{AppRef, ops};

/// Lists of an app that are empty.
const EMPTY_OF_APP: [&str; 6] = [
    "/apps/{app}/addon-attachments",
    "/apps/{app}/addons",
    "/apps/{app}/log-drains",
    "/apps/{app}/sni-endpoints",
    "/apps/{app}/telemetry-drains",
    "/apps/{app}/webhooks",
];

/// Lists of the installation that are empty.
const EMPTY: [&str; 7] =
    ["/addon-attachments", "/addon-services", "/addons", "/oauth/clients", "/pipelines", "/spaces", "/teams"];

pub fn routes() -> Routes {
    let routes = Routes::new().get(
        "/apps/{app}/pipeline-couplings",
        no_pipeline,
        About::app(Action::AppRead, "An app is in no pipeline; clients ask for this").refused(404),
    );
    let none = About::app(Action::AppRead, "List what an app has none of").many("Empty");
    let routes = EMPTY_OF_APP.into_iter().fold(routes, |routes, path| routes.get(path, nothing_of_app, none));
    let none = About::account("List what a server has none of").many("Empty");
    EMPTY.into_iter().fold(routes, |routes, path| routes.get(path, nothing, none))
}

async fn nothing(_caller: Caller) -> Json<[(); 0]> {
    Json([])
}

/// Empty for those who may see the app.
async fn nothing_of_app(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
) -> Result<Json<[(); 0]>, Refusal> {
    blocking(move || ops::apps::info(&state.engine, &caller.context(), &AppRef::new(&app))).await?;
    Ok(Json([]))
}

/// Heroku's answer for an app that is in no pipeline.
async fn no_pipeline(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
) -> Result<Json<()>, Refusal> {
    blocking(move || ops::apps::info(&state.engine, &caller.context(), &AppRef::new(&app))).await?;
    Err(Refusal::not_found("pipeline", "This app is in no pipeline."))
}
