//! `/apps/:app/releases`: list, info, rollback.

use super::convert::{time, user};
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::http::origin::Origin;
use crate::paging::Field;
use crate::state::State;
use crate::streams::Target;
use crate::table::{About, Routes};
use api::error::ErrorId;
use api::reference::{AppReference, IdReference};
use api::release::{Artifact, CreateRelease, Release, ReleaseStatus};
use api::slug::slug_uuid;
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::ids::TokenId;
use domain::policy::Action;
use domain::release::ReleaseStatus as Status;
use engine::ops::releases::ReleaseInfo;
use engine::{AppRef, ReleaseRef, ops};
use http::StatusCode;

pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/apps/{app}/releases",
            list,
            About::app(Action::ReleaseRead, "List the releases").many("Release"),
        )
        .post(
            "/apps/{app}/releases",
            create,
            About::app(Action::ReleaseRollback, "Go back to an earlier release, which makes a new one")
                .takes("CreateRelease")
                .created("Release"),
        )
        .get(
            "/apps/{app}/releases/{release}",
            info,
            About::app(Action::ReleaseRead, "Show a release").one("Release"),
        )
}

const FIELDS: &[Field<ReleaseInfo>] = &[
    Field { name: "version", text: |row| row.release.version.0.to_string() },
    Field { name: "id", text: |row| row.release.id.to_string() },
];

fn render(state: &State, origin: &Origin, token: Option<TokenId>, row: &ReleaseInfo) -> Release {
    let release = &row.release;
    let slug = release.artifact.slug.as_ref().map(slug_uuid);
    Release {
        addon_plan_names: Vec::new(),
        artifacts: slug.into_iter().map(|id| Artifact { kind: "slug".to_owned(), id }).collect(),
        app: AppReference { id: release.app, name: row.app_name.clone() },
        created_at: time(release.created_at),
        description: release.description.clone(),
        id: release.id,
        updated_at: time(release.status_at),
        slug: slug.map(|id| IdReference { id }),
        status: status(&release.status),
        user: user(row.user.as_ref()),
        version: release.version,
        current: row.current,
        output_stream_url: output_url(state, origin, token, row),
        eligible_for_rollback: row.eligible_for_rollback,
    }
}

fn output_url(state: &State, origin: &Origin, token: Option<TokenId>, row: &ReleaseInfo) -> Option<String> {
    let job = row.phase_job?;
    let target = Target::Release { app: row.release.app, release: row.release.id, job };
    Some(origin.https(&state.streams.tickets.path(target, token)))
}

const fn status(status: &Status) -> ReleaseStatus {
    match status {
        Status::Pending | Status::PhaseRunning | Status::Starting => ReleaseStatus::Pending,
        Status::Succeeded => ReleaseStatus::Succeeded,
        Status::Failed { .. } => ReleaseStatus::Failed,
        Status::Superseded => ReleaseStatus::Expired,
    }
}

async fn list(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
    origin: Origin,
) -> Result<Response, Refusal> {
    let (engine, token) = (state.engine.clone(), Some(caller.token));
    let rows = blocking(move || ops::releases::list(&engine, &caller.context(), &AppRef::new(&app))).await?;
    Ok(wanted.answer(rows, FIELDS, |row| render(&state, &origin, token, &row)))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path((app, release)): Path<(String, String)>,
    caller: Caller,
    origin: Origin,
) -> Result<Json<Release>, Refusal> {
    let (engine, token) = (state.engine.clone(), Some(caller.token));
    let (app, release) = (AppRef::new(&app), ReleaseRef::new(&release));
    let row = blocking(move || ops::releases::info(&engine, &caller.context(), &app, &release)).await?;
    Ok(Json(render(&state, &origin, token, &row)))
}

/// A rollback. Releases of a slug by its id are not offered.
async fn create(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    origin: Origin,
    call: Call<CreateRelease>,
) -> Result<(StatusCode, Json<Release>), Refusal> {
    let Some(target) = call.body.release else {
        let refusal = Refusal::new(
            ErrorId::InvalidParams,
            "Give the release to roll back to, such as {\"release\": \"v2\"}.",
        );
        return Err(refusal.with_hint("Releases of a slug by its id are not offered by this server."));
    };
    let (engine, token) = (state.engine.clone(), call.context.token);
    let (app, release) = (AppRef::new(&app), ReleaseRef::new(target.as_str()));
    let row = blocking(move || ops::releases::rollback(&engine, &call.context, &app, &release)).await?;
    Ok((StatusCode::CREATED, Json(render(&state, &origin, token, &row))))
}
