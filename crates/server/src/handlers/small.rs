//! Nouns of which this server has none or one: their lists, so that clients that look before they act find what they expect.

use super::convert::{REGION, REGION_ID, STACK, STACK_ID, time, user};
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::Caller;
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use api::Timestamp;
use api::reference::{AppReference, UserReference};
use api::region::{Region, RegionProvider};
use api::stack::Stack;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router, extract};
use domain::policy::Role;
use engine::ops::collaborators::Collaborator as Row;
use engine::{AppRef, ops};
use serde::Serialize;
use uuid::Uuid;

/// Lists of an app that are empty.
const EMPTY_OF_APP: [&str; 8] = [
    "addons",
    "addon-attachments",
    "buildpack-installations",
    "features",
    "log-drains",
    "sni-endpoints",
    "telemetry-drains",
    "webhooks",
];

/// Lists of the installation that are empty.
const EMPTY: [&str; 8] = [
    "/account/features",
    "/account/keys",
    "/addon-attachments",
    "/addon-services",
    "/addons",
    "/oauth/clients",
    "/pipelines",
    "/teams",
];

/// Clients expect one of Amazon's names here; it means nothing.
const PROVIDER_REGION: &str = "us-east-1";

pub fn routes() -> Router<State> {
    let mut routes = Router::new()
        .route("/apps/{app}/collaborators", get(collaborators))
        .route("/apps/{app}/pipeline-couplings", get(no_pipeline))
        .route("/regions", get(regions))
        .route("/spaces", get(nothing))
        .route("/stacks", get(stacks));
    for name in EMPTY_OF_APP {
        routes = routes.route(&format!("/apps/{{app}}/{name}"), get(nothing_of_app));
    }
    for path in EMPTY {
        routes = routes.route(path, get(nothing));
    }
    routes
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

async fn regions(_caller: Caller) -> Json<[Region; 1]> {
    let epoch = Timestamp::from_unix_seconds(0);
    let provider = RegionProvider { name: "dozen".to_owned(), region: PROVIDER_REGION.to_owned() };
    Json([Region {
        country: "This machine".to_owned(),
        created_at: epoch,
        description: "This server".to_owned(),
        id: REGION_ID,
        locale: "This server".to_owned(),
        name: REGION.to_owned(),
        private_capable: false,
        provider,
        updated_at: epoch,
    }])
}

async fn stacks(_caller: Caller) -> Json<[Stack; 1]> {
    let epoch = Timestamp::from_unix_seconds(0);
    Json([Stack {
        default: true,
        created_at: epoch,
        id: STACK_ID,
        name: STACK.to_owned(),
        state: "public".to_owned(),
        updated_at: epoch,
    }])
}

/// A collaborator on the wire.
#[derive(Serialize)]
struct Collaborator {
    app: AppReference,
    created_at: Timestamp,
    id: Uuid,
    permissions: Vec<Permission>,
    role: &'static str,
    updated_at: Timestamp,
    user: Federated,
}

#[derive(Serialize)]
struct Permission {
    name: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
struct Federated {
    #[serde(flatten)]
    user: UserReference,
    federated: bool,
}

fn render(app: &AppReference, row: &Row) -> Collaborator {
    Collaborator {
        app: app.clone(),
        created_at: time(row.created_at),
        id: *row.account.id.as_uuid(),
        permissions: permissions(row.role),
        role: row.role.name(),
        updated_at: time(row.created_at),
        user: Federated { user: user(Some(&row.account)), federated: false },
    }
}

/// Heroku's names of what our roles may do.
fn permissions(role: Role) -> Vec<Permission> {
    let view = Permission { name: "view", description: "Can view the app, but not its config vars." };
    let deploy = Permission { name: "deploy", description: "Can push, configure and run." };
    let operate = Permission { name: "operate", description: "Can scale, restart and roll back." };
    let manage = Permission { name: "manage", description: "Can rename, share and destroy." };
    match role {
        Role::Admin | Role::Owner => vec![view, deploy, operate, manage],
        Role::Operator => vec![view, deploy, operate],
        Role::Viewer => vec![view],
        Role::None => Vec::new(),
    }
}

const FIELDS: &[Field<Row>] = &[Field { name: "email", text: |row| row.account.email.to_string() }];

async fn collaborators(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let (context, app) = (caller.context(), AppRef::new(&app));
    let (app, rows) = blocking(move || {
        let app_name = super::dynos::named(&state.engine, &context, &app)?;
        Ok((app_name, ops::collaborators::list(&state.engine, &context, &app)?))
    })
    .await?;
    Ok(wanted.answer(rows, FIELDS, |row| render(&app, &row)))
}
