//! `/apps/:app/features`: Heroku's switches that mean something here. Each stands for what Dozen does for every app, so that it
//! is on and cannot be turned off; a client that turns it on is content.

use super::convert::fixed;
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::Timestamp;
use api::error::ErrorId;
use api::feature::{Feature, UpdateFeature};
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::policy::Action;
use engine::{AppRef, ops};

/// Beyond those of sizes.
const FIRST_ID: u128 = 0x200;

/// Name, title, what it means.
const FEATURES: [(&str, &str, &str); 2] = [
    (
        "preboot",
        "Preboot",
        "The web processes of a new release serve only when they are up; the old ones answer until then.",
    ),
    (
        "runtime-dyno-metadata",
        "Process metadata",
        "Processes are told app and release by HEROKU_APP_ID, HEROKU_APP_NAME and HEROKU_RELEASE_VERSION.",
    ),
];

pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/apps/{app}/features",
            list,
            About::app(Action::AppRead, "List what Heroku calls features of an app").many("Feature"),
        )
        .get(
            "/apps/{app}/features/{feature}",
            info,
            About::app(Action::AppRead, "Show a feature").one("Feature"),
        )
        .patch(
            "/apps/{app}/features/{feature}",
            update,
            About::app(Action::MaintenanceSet, "Turn a feature on: all are")
                .takes("UpdateFeature")
                .one("Feature"),
        )
        .get(
            "/account/features",
            none,
            About::account("List features of the account: there are none").many("Feature"),
        )
        .get(
            "/account/features/{feature}",
            no_feature,
            About::account("There are no features of the account").refused(404),
        )
        .patch(
            "/account/features/{feature}",
            no_feature,
            About::account("There are no features of the account").takes("UpdateFeature").refused(404),
        )
}

fn features() -> Vec<Feature> {
    let epoch = Timestamp::from_unix_seconds(0);
    let render = |(id, (name, title, description)): (u128, (&str, &str, &str))| Feature {
        created_at: epoch,
        description: description.to_owned(),
        doc_url: format!("https://devcenter.heroku.com/articles/{name}"),
        enabled: true,
        id: fixed(id),
        name: name.to_owned(),
        state: "general".to_owned(),
        updated_at: epoch,
        display_name: title.to_owned(),
        feedback_email: String::new(),
    };
    (FIRST_ID..).zip(FEATURES).map(render).collect()
}

fn find(wanted: &str) -> Result<Feature, Refusal> {
    let is_it = |feature: &Feature| feature.name == wanted || feature.id.to_string() == wanted;
    features().into_iter().find(is_it).ok_or_else(|| missing(wanted))
}

fn missing(wanted: &str) -> Refusal {
    Refusal::not_found("feature", format!("Couldn't find the feature {wanted}."))
}

const FIELDS: &[Field<Feature>] = &[Field { name: "name", text: |row| row.name.clone() }];

async fn list(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    blocking(move || ops::apps::info(&state.engine, &caller.context(), &AppRef::new(&app))).await?;
    Ok(wanted.answer(features(), FIELDS, |row| row))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path((app, wanted)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Feature>, Refusal> {
    blocking(move || ops::apps::info(&state.engine, &caller.context(), &AppRef::new(&app))).await?;
    find(&wanted).map(Json)
}

async fn update(
    extract::State(state): extract::State<State>,
    Path((app, wanted)): Path<(String, String)>,
    call: Call<UpdateFeature>,
) -> Result<Json<Feature>, Refusal> {
    let (engine, context, app) = (state.engine.clone(), call.context, AppRef::new(&app));
    blocking(move || ops::apps::authorise_app(&engine, &context, &app, Action::MaintenanceSet)).await?;
    let feature = find(&wanted)?;
    match call.body.enabled {
        Some(true) => Ok(Json(feature)),
        Some(false) => {
            let told = format!("{} is how every app runs here and cannot be turned off.", feature.name);
            Err(Refusal::new(ErrorId::InvalidParams, told))
        }
        None => Err(Refusal::new(ErrorId::InvalidParams, "Say {\"enabled\": true} or {\"enabled\": false}.")),
    }
}

async fn none(_caller: Caller) -> Json<[Feature; 0]> {
    Json([])
}

async fn no_feature(Path(wanted): Path<String>, _caller: Caller) -> Refusal {
    missing(&wanted)
}
