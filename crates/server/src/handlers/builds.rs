//! `/apps/:app/builds`: list, info. Builds begin with a push.

use super::apps::git_url;
use super::convert::{GENERATION, STACK, time, user};
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::Caller;
use crate::http::error::Refusal;
use crate::http::origin::Origin;
use crate::paging::Field;
use crate::state::State;
use crate::streams::Target;
use crate::table::{About, Routes};
use api::build::{Build, BuildStatus, SourceBlob};
use api::reference::{AppIdReference, AppReference, IdReference, ReleaseIdReference};
use api::slug::slug_uuid;
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::build::BuildStatus as Status;
use domain::ids::BuildId;
use domain::policy::Action;
use engine::ops::builds::BuildInfo;
use engine::{AppRef, ops};

pub fn routes() -> Routes {
    Routes::new()
        .get("/apps/{app}/builds", list, About::app(Action::BuildRead, "List the builds").many("Build"))
        .get("/apps/{app}/builds/{build}", info, About::app(Action::BuildRead, "Show a build").one("Build"))
        .delete(
            "/apps/{app}/builds/{build}",
            cancel,
            About::app(Action::BuildCancel, "Cancel a build").one("Build"),
        )
}

/// By age, oldest first, unless asked otherwise.
const FIELDS: &[Field<BuildInfo>] = &[
    Field { name: "number", text: |row| row.build.number.to_string() },
    Field { name: "started_at", text: |row| row.build.number.to_string() },
    Field { name: "created_at", text: |row| row.build.number.to_string() },
    Field { name: "id", text: |row| row.build.id.to_string() },
];

fn render(state: &State, origin: &Origin, app: &AppReference, row: &BuildInfo) -> Build {
    let build = &row.build;
    let slug = match &build.status {
        Status::Succeeded { slug, .. } => Some(slug_uuid(slug)),
        Status::Waiting | Status::Running | Status::Failed { .. } | Status::Superseded => None,
    };
    Build {
        app: AppIdReference { id: build.app },
        buildpacks: None,
        created_at: time(build.created_at),
        generation: GENERATION.to_owned(),
        id: build.id,
        output_stream_url: origin.https(&state.streams.tickets.path(Target::Build(build.id))),
        release: row.release.map(|id| ReleaseIdReference { id }),
        slug: slug.map(|id| IdReference { id }),
        source_blob: SourceBlob {
            checksum: None,
            url: git_url(origin, app.name.as_str()),
            version: build.commit.as_ref().map(ToString::to_string),
            version_description: None,
        },
        stack: STACK.to_owned(),
        status: status(&build.status),
        updated_at: time(build.updated_at),
        user: user(row.user.as_ref()),
    }
}

const fn status(status: &Status) -> BuildStatus {
    match status {
        Status::Waiting | Status::Running => BuildStatus::Pending,
        Status::Succeeded { .. } => BuildStatus::Succeeded,
        Status::Failed { .. } | Status::Superseded => BuildStatus::Failed,
    }
}

async fn list(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
    origin: Origin,
) -> Result<Response, Refusal> {
    let (engine, context, app) = (state.engine.clone(), caller.context(), AppRef::new(&app));
    let (app, rows) = blocking(move || {
        Ok((super::dynos::named(&engine, &context, &app)?, ops::builds::list(&engine, &context, &app)?))
    })
    .await?;
    Ok(wanted.answer(rows, FIELDS, |row| render(&state, &origin, &app, &row)))
}

fn parse_id(text: &str) -> Result<BuildId, Refusal> {
    text.parse().map_err(|_| Refusal::not_found("build", "Couldn't find that build."))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path((app, build)): Path<(String, String)>,
    caller: Caller,
    origin: Origin,
) -> Result<Json<Build>, Refusal> {
    let build = parse_id(&build)?;
    let (engine, context, app) = (state.engine.clone(), caller.context(), AppRef::new(&app));
    let (app, row) = blocking(move || {
        let row = ops::builds::info(&engine, &context, &app, build)?;
        Ok((super::dynos::named(&engine, &context, &app)?, row))
    })
    .await?;
    Ok(Json(render(&state, &origin, &app, &row)))
}

async fn cancel(
    extract::State(state): extract::State<State>,
    Path((app, build)): Path<(String, String)>,
    caller: Caller,
    origin: Origin,
) -> Result<Json<Build>, Refusal> {
    let build = parse_id(&build)?;
    let (engine, context, app) = (state.engine.clone(), caller.context(), AppRef::new(&app));
    let (app, row) = blocking(move || {
        let row = ops::builds::cancel(&engine, &context, &app, build)?;
        Ok((super::dynos::named(&engine, &context, &app)?, row))
    })
    .await?;
    Ok(Json(render(&state, &origin, &app, &row)))
}
