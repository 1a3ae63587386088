//! `/apps/:app/config-vars` and those of a release.

use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::http::notice::Noticed;
use crate::loopback;
use crate::state::State;
use crate::table::{About, Routes};
use api::config_vars::{ConfigPatch, ConfigVars};
use axum::extract::Path;
use axum::{Json, extract};
use domain::names::ConfigKey;
use domain::policy::Action;
use domain::secret::Secret;
use engine::{AppRef, ReleaseRef, ops};

pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/apps/{app}/config-vars",
            info,
            About::app(Action::ConfigRead, "Show the config vars").one("ConfigVars"),
        )
        .patch(
            "/apps/{app}/config-vars",
            update,
            About::app(Action::ConfigWrite, "Set config vars, and unset those that are null")
                .takes("ConfigPatch")
                .one("ConfigVars"),
        )
        .get(
            "/apps/{app}/releases/{release}/config-vars",
            of_release,
            About::app(Action::ConfigRead, "Show the config vars of a release").one("ConfigVars"),
        )
}

fn render(vars: &domain::config_vars::ConfigVars) -> Json<ConfigVars> {
    Json(ConfigVars(vars.iter().map(|(key, value)| (key.clone(), value.expose().clone())).collect()))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
) -> Result<Json<ConfigVars>, Refusal> {
    let vars =
        blocking(move || ops::config::get(&state.engine, &caller.context(), &AppRef::new(&app))).await?;
    Ok(render(&vars))
}

async fn update(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    call: Call<ConfigPatch>,
) -> Result<Noticed<Json<ConfigVars>>, Refusal> {
    let told = |(key, value): (&ConfigKey, &Option<String>)| loopback::notice(key, value.as_ref()?);
    let notices = call.body.0.iter().filter_map(told).collect();
    let changes = call.body.0.into_iter().map(|(key, value)| (key, value.map(Secret::new)));
    let patch: domain::config_vars::ConfigPatch = changes.collect();
    let patched =
        blocking(move || ops::config::patch(&state.engine, &call.context, &AppRef::new(&app), &patch))
            .await?;
    Ok(Noticed { notices, answer: render(&patched.vars) })
}

async fn of_release(
    extract::State(state): extract::State<State>,
    Path((app, release)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<ConfigVars>, Refusal> {
    let (app, release) = (AppRef::new(&app), ReleaseRef::new(&release));
    let vars =
        blocking(move || ops::config::of_release(&state.engine, &caller.context(), &app, &release)).await?;
    Ok(render(&vars))
}
