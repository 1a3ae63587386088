//! `/apps/:app/features`: Heroku's switches that mean something here. Some stand for what Dozen does for every app, so that they
//! are on and cannot be turned off; a client that turns them on is content. The others are the app's to switch.

use super::convert::{fixed, time};
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
use domain::feature::Feature as Switchable;
use domain::policy::Action;
use domain::time::WallMillis;
use engine::ops::features::Switch;
use engine::{AppRef, ops};
use std::collections::BTreeMap;

/// Beyond those of sizes.
const FIRST_ID: u128 = 0x200;

/// A switch, for people.
struct Known {
    name: &'static str,
    title: &'static str,
    meaning: &'static str,
    kind: Kind,
}

/// Whose it is to turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// On for every app.
    Always,
    Switch(Switchable),
}

const KNOWN: [Known; 3] = [
    Known {
        name: "preboot",
        title: "Preboot",
        meaning: "The web processes of a new release serve only when they are up; the old ones answer until then.",
        kind: Kind::Always,
    },
    Known {
        name: "runtime-dyno-metadata",
        title: "Process metadata",
        meaning: "Processes are told app, release, commit and their own id by variables such as HEROKU_APP_NAME and HEROKU_RELEASE_VERSION.",
        kind: Kind::Always,
    },
    Known {
        name: Switchable::LogRuntimeMetrics.name(),
        title: "Log runtime metrics",
        meaning: "Memory and load of each process are lines of the log, every 20 seconds, from its next start on.",
        kind: Kind::Switch(Switchable::LogRuntimeMetrics),
    },
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
            About::app(Action::MaintenanceSet, "Turn a feature on or off")
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

/// Those that are on, and since when.
type On = BTreeMap<Switchable, WallMillis>;

fn render((id, known): (u128, &Known), on: &On) -> Feature {
    let (enabled, since) = match known.kind {
        Kind::Always => (true, None),
        Kind::Switch(feature) => (on.contains_key(&feature), on.get(&feature)),
    };
    let since = since.map_or(Timestamp::from_unix_seconds(0), |at| time(*at));
    Feature {
        created_at: since,
        description: known.meaning.to_owned(),
        doc_url: format!("https://devcenter.heroku.com/articles/{}", known.name),
        enabled,
        id: fixed(id),
        name: known.name.to_owned(),
        state: "general".to_owned(),
        updated_at: since,
        display_name: known.title.to_owned(),
        feedback_email: String::new(),
    }
}

fn find(wanted: &str) -> Result<(u128, &'static Known), Refusal> {
    let is_it = |(id, known): &(u128, &Known)| known.name == wanted || fixed(*id).to_string() == wanted;
    (FIRST_ID..).zip(&KNOWN).find(is_it).ok_or_else(|| missing(wanted))
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
    let on = on(state, caller, app).await?;
    let all = (FIRST_ID..).zip(&KNOWN).map(|known| render(known, &on)).collect();
    Ok(wanted.answer(all, FIELDS, |row| row))
}

async fn on(state: State, caller: Caller, app: String) -> Result<On, Refusal> {
    blocking(move || ops::features::list(&state.engine, &caller.context(), &AppRef::new(&app))).await
}

async fn info(
    extract::State(state): extract::State<State>,
    Path((app, wanted)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Feature>, Refusal> {
    let on = on(state, caller, app).await?;
    Ok(Json(render(find(&wanted)?, &on)))
}

async fn update(
    extract::State(state): extract::State<State>,
    Path((app, wanted)): Path<(String, String)>,
    call: Call<UpdateFeature>,
) -> Result<Json<Feature>, Refusal> {
    let (engine, context, app) = (state.engine.clone(), call.context, AppRef::new(&app));
    let asked = (engine.clone(), context.clone(), app.clone());
    blocking(move || ops::apps::authorise_app(&asked.0, &asked.1, &asked.2, Action::MaintenanceSet)).await?;
    let known = find(&wanted)?;
    let switch = match (known.1.kind, call.body.enabled) {
        (_, None) => {
            let told = "Say {\"enabled\": true} or {\"enabled\": false}.";
            return Err(Refusal::new(ErrorId::InvalidParams, told));
        }
        (Kind::Always, Some(true)) => return Ok(Json(render(known, &On::new()))),
        (Kind::Always, Some(false)) => {
            let told = format!("{} is how every app runs here and cannot be turned off.", known.1.name);
            return Err(Refusal::new(ErrorId::InvalidParams, told));
        }
        (Kind::Switch(feature), Some(true)) => (feature, Switch::On),
        (Kind::Switch(feature), Some(false)) => (feature, Switch::Off),
    };
    let on = blocking(move || ops::features::set(&engine, &context, &app, switch.0, switch.1)).await?;
    Ok(Json(render(known, &on)))
}

async fn none(_caller: Caller) -> Json<[Feature; 0]> {
    Json([])
}

async fn no_feature(Path(wanted): Path<String>, _caller: Caller) -> Refusal {
    missing(&wanted)
}
