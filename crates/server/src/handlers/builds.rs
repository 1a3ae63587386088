//! `/apps/:app/builds`: list, info, cancel, and builds of what did not come by a push.

use super::apps::git_url;
use super::convert::{GENERATION, STACK, time, user};
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::http::origin::Origin;
use crate::intake::{self, Named, Order};
use crate::paging::Field;
use crate::state::State;
use crate::streams::Target;
use crate::table::{About, Routes};
use api::build::{Build, BuildStatus, CreateBuild, CreateSourceBlob, SourceBlob};
use api::error::ErrorId;
use api::reference::{AppIdReference, AppReference, IdReference, ReleaseIdReference};
use api::slug::slug_uuid;
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::build::{BuildSource, BuildStatus as Status};
use domain::ids::{BuildId, TokenId};
use domain::names::InvalidName;
use domain::policy::Action;
use engine::ops::builds::BuildInfo;
use engine::{AppRef, builds, ops};
use http::StatusCode;

pub fn routes() -> Routes {
    Routes::new()
        .get("/apps/{app}/builds", list, About::app(Action::BuildRead, "List the builds").many("Build"))
        .post(
            "/apps/{app}/builds",
            create,
            About::app(
                Action::BuildCreate,
                "Build an upload, an archive at an address, or a commit that was pushed",
            )
            .takes("CreateBuild")
            .created("Build"),
        )
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

fn render(
    state: &State,
    origin: &Origin,
    token: Option<TokenId>,
    app: &AppReference,
    row: &BuildInfo,
) -> Build {
    let build = &row.build;
    let slug = match &build.status {
        Status::Succeeded { slug, .. } => Some(slug_uuid(slug)),
        Status::Waiting | Status::Running | Status::Failed { .. } | Status::Superseded => None,
    };
    let output = Target::Build { app: build.app, build: build.id };
    Build {
        app: AppIdReference { id: build.app },
        buildpacks: None,
        created_at: time(build.created_at),
        generation: GENERATION.to_owned(),
        id: build.id,
        output_stream_url: origin.https(&state.streams.tickets.path(output, token)),
        release: row.release.map(|id| ReleaseIdReference { id }),
        slug: slug.map(|id| IdReference { id }),
        source_blob: source_blob(origin, app, &build.source),
        stack: STACK.to_owned(),
        status: status(&build.status),
        updated_at: time(build.updated_at),
        user: user(row.user.as_ref()),
    }
}

/// An upload's own address is a permission to read it, which who may see the build need not have.
fn source_blob(origin: &Origin, app: &AppReference, source: &BuildSource) -> SourceBlob {
    match source {
        BuildSource::Commit(commit) => SourceBlob {
            checksum: None,
            url: git_url(origin, app.name.as_str()),
            version: Some(commit.to_string()),
            version_description: None,
        },
        BuildSource::Tree(tree) => SourceBlob {
            checksum: tree.checksum.as_ref().map(ToString::to_string),
            url: tree.url.clone().unwrap_or_else(|| origin.https("/uploads")),
            version: tree.version.as_ref().map(ToString::to_string),
            version_description: None,
        },
    }
}

const fn status(status: &Status) -> BuildStatus {
    match status {
        Status::Waiting | Status::Running => BuildStatus::Pending,
        Status::Succeeded { .. } => BuildStatus::Succeeded,
        Status::Failed { .. } | Status::Superseded => BuildStatus::Failed,
    }
}

async fn create(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    origin: Origin,
    call: Call<CreateBuild>,
) -> Result<(StatusCode, Json<Build>), Refusal> {
    refuse_buildpacks(&call.body)?;
    let named = named_source(call.body.source_blob)?;
    let (engine, context, app) = (state.engine.clone(), call.context.clone(), AppRef::new(&app));
    let token = context.token;
    let (app, earlier) = blocking(move || {
        let named = ops::apps::authorise_app(&engine, &context, &app, Action::BuildCreate)?.app;
        Ok((named, builds::earlier(&engine, &context, &app)?))
    })
    .await?;
    let named_app = AppReference { id: app.id, name: app.name.clone() };
    if let Some(row) = earlier {
        return Ok((StatusCode::CREATED, Json(render(&state, &origin, token, &named_app, &row))));
    }
    let busy = || {
        Refusal::new(ErrorId::Unavailable, "Too many pushes and builds are coming in; try again in a moment.")
    };
    let place = state.pushes.place(app.id).ok_or_else(busy)?;
    let address = intake::find(&state, &origin, &app, &named).await?;
    let order = Order { context: call.context, app: app.id, named, address, place };
    let row = intake::accept(&state, order).await?;
    Ok((StatusCode::CREATED, Json(render(&state, &origin, token, &named_app, &row))))
}

/// Which builder works is told by the source and by what is set for the app.
fn refuse_buildpacks(body: &CreateBuild) -> Result<(), Refusal> {
    if body.buildpacks.iter().flatten().next().is_none() {
        return Ok(());
    }
    let told = "A single build's buildpacks cannot be chosen.";
    Err(Refusal::new(ErrorId::InvalidParams, told).with_hint(
        "They are set for the app, as by dozen buildpacks:set; leave \"buildpacks\" out of the build.",
    ))
}

fn named_source(blob: CreateSourceBlob) -> Result<Named, Refusal> {
    let invalid = |error: InvalidName| Refusal::new(ErrorId::InvalidParams, format!("{error}."));
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let checksum =
        given(blob.checksum).map(|text| tidy_checksum(&text).parse()).transpose().map_err(invalid)?;
    let version = given(blob.version).map(|text| text.parse()).transpose().map_err(invalid)?;
    Ok(Named { address: blob.url, version, checksum })
}

/// `sha256:ABC` is `SHA256:abc`.
fn tidy_checksum(text: &str) -> String {
    match text.split_once(':') {
        Some((kind, digest)) => format!("{}:{}", kind.to_ascii_uppercase(), digest.to_ascii_lowercase()),
        None => text.to_owned(),
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
    let token = context.token;
    let (app, rows) = blocking(move || {
        Ok((super::dynos::named(&engine, &context, &app)?, ops::builds::list(&engine, &context, &app)?))
    })
    .await?;
    Ok(wanted.answer(rows, FIELDS, |row| render(&state, &origin, token, &app, &row)))
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
    let token = context.token;
    let (app, row) = blocking(move || {
        let row = ops::builds::info(&engine, &context, &app, build)?;
        Ok((super::dynos::named(&engine, &context, &app)?, row))
    })
    .await?;
    Ok(Json(render(&state, &origin, token, &app, &row)))
}

async fn cancel(
    extract::State(state): extract::State<State>,
    Path((app, build)): Path<(String, String)>,
    caller: Caller,
    origin: Origin,
) -> Result<Json<Build>, Refusal> {
    let build = parse_id(&build)?;
    let (engine, context, app) = (state.engine.clone(), caller.context(), AppRef::new(&app));
    let token = context.token;
    let (app, row) = blocking(move || {
        let row = ops::builds::cancel(&engine, &context, &app, build)?;
        Ok((super::dynos::named(&engine, &context, &app)?, row))
    })
    .await?;
    Ok(Json(render(&state, &origin, token, &app, &row)))
}
