//! `/apps/:app/buildpack-installations`: which builders build an app.

use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::http::notice::Noticed;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::build::Buildpack as Wire;
use api::buildpack::{BuildpackInstallation, UpdateBuildpacks};
use api::error::ErrorId;
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::buildpack::{Buildpack, known_buildpacks};
use domain::policy::Action;
use engine::{AppRef, ops};

pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/apps/{app}/buildpack-installations",
            list,
            About::app(Action::AppRead, "List the builders that people chose for an app")
                .many("BuildpackInstallation"),
        )
        .put(
            "/apps/{app}/buildpack-installations",
            update,
            About::app(Action::BuildpackWrite, "Choose the builders of an app; none: the one that fits")
                .takes("UpdateBuildpacks")
                .many("BuildpackInstallation"),
        )
}

fn render(buildpacks: Vec<Buildpack>) -> Vec<BuildpackInstallation> {
    let one = |(ordinal, buildpack): (u64, Buildpack)| BuildpackInstallation {
        ordinal,
        buildpack: Wire { url: url(&buildpack), name: buildpack.short_name().to_owned() },
    };
    (0..).zip(buildpacks).map(one).collect()
}

/// Heroku's clients want an address; one of ours has none.
fn url(buildpack: &Buildpack) -> String {
    if buildpack.as_str().contains(':') {
        buildpack.to_string()
    } else {
        format!("urn:buildpack:{}", buildpack.short_name())
    }
}

const FIELDS: &[Field<BuildpackInstallation>] =
    &[Field { name: "ordinal", text: |row| row.ordinal.to_string() }];

async fn list(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let buildpacks =
        blocking(move || ops::buildpacks::list(&state.engine, &caller.context(), &AppRef::new(&app))).await?;
    Ok(wanted.answer(render(buildpacks), FIELDS, |row| row))
}

async fn update(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    call: Call<UpdateBuildpacks>,
) -> Result<Noticed<Json<Vec<BuildpackInstallation>>>, Refusal> {
    let parsed = call.body.updates.iter().map(|update| update.buildpack.parse::<Buildpack>());
    let invalid = |error| Refusal::new(ErrorId::InvalidParams, format!("{error}."));
    let wanted = parsed.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
    let set =
        blocking(move || ops::buildpacks::set(&state.engine, &call.context, &AppRef::new(&app), &wanted))
            .await?;
    let foreign = set.iter().filter(|buildpack| buildpack.builder().is_none());
    let notices = foreign.map(|buildpack| {
        format!(
            "{buildpack} is no builder of this server and will be passed over; it has {}.",
            known_buildpacks()
        )
    });
    Ok(Noticed { notices: notices.collect(), answer: Json(render(set)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        let rows = render(vec!["dozen/rust".parse().unwrap(), "https://x.example/y".parse().unwrap()]);
        let shown: Vec<_> = rows.iter().map(|row| (row.buildpack.url.as_str(), row.ordinal)).collect();
        assert_eq!(shown, [("urn:buildpack:dozen/rust", 0), ("https://x.example/y", 1)]);
        assert_eq!(rows[0].buildpack.name, "dozen/rust");
    }
}
