//! `/oauth/authorizations`, `/oauth/sessions/~`: access tokens.

use super::convert::time;
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use api::Token;
use api::oauth::{AccessToken, Authorization, AuthorizationUser, CreateAuthorization};
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{delete, get};
use axum::{Json, Router, extract};
use domain::account::Authorization as Row;
use engine::ops::accounts::NewAuthorization;
use engine::{TokenRef, ops};
use http::StatusCode;

/// Clients match a redacted token by what precedes the stars.
const REDACTED: &str = "**********";

pub fn routes() -> Router<State> {
    Router::new()
        .route("/oauth/authorizations", get(list).post(create))
        .route("/oauth/authorizations/{authorization}", get(info).delete(revoke))
        .route("/oauth/sessions/{session}", delete(no_session))
}

const FIELDS: &[Field<Row>] = &[Field { name: "id", text: |row| row.id.to_string() }];

fn render(row: &Row, token: &str) -> Authorization {
    let seconds = |row: &Row| row.expires_at.map(|end| end.0.saturating_sub(row.created_at.0) / 1000);
    Authorization {
        access_token: Some(AccessToken {
            expires_in: seconds(row),
            id: *row.id.as_uuid(),
            token: Token::new(token),
        }),
        client: None,
        created_at: time(row.created_at),
        description: row.description.clone(),
        grant: None,
        id: *row.id.as_uuid(),
        refresh_token: None,
        scope: vec!["global".to_owned()],
        session: None,
        updated_at: time(row.created_at),
        user: AuthorizationUser { id: row.account.id, email: row.account.email.to_string(), full_name: None },
    }
}

fn redacted(row: &Row) -> Authorization {
    render(row, &format!("{}{REDACTED}", row.prefix))
}

async fn list(
    extract::State(state): extract::State<State>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let rows = blocking(move || ops::accounts::list_authorizations(&state.engine, &caller.context())).await?;
    Ok(wanted.answer(rows, FIELDS, |row| redacted(&row)))
}

/// `login -i` sends email and password by Basic; here the password is a token that one has already.
async fn create(
    extract::State(state): extract::State<State>,
    call: Call<CreateAuthorization>,
) -> Result<(StatusCode, Json<Authorization>), Refusal> {
    let new =
        NewAuthorization { description: call.body.description, expires_in_seconds: call.body.expires_in };
    let made =
        blocking(move || ops::accounts::create_authorization(&state.engine, &call.context, new)).await?;
    Ok((StatusCode::CREATED, Json(render(&made.authorization, made.secret.expose()))))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path(authorization): Path<String>,
    caller: Caller,
) -> Result<Json<Authorization>, Refusal> {
    let token = TokenRef::new(&authorization);
    let row =
        blocking(move || ops::accounts::authorization(&state.engine, &caller.context(), &token)).await?;
    Ok(Json(redacted(&row)))
}

async fn revoke(
    extract::State(state): extract::State<State>,
    Path(authorization): Path<String>,
    caller: Caller,
) -> Result<Json<Authorization>, Refusal> {
    let token = TokenRef::new(&authorization);
    let row = blocking(move || ops::accounts::revoke(&state.engine, &caller.context(), &token)).await?;
    Ok(Json(redacted(&row)))
}

/// Tokens have no sessions. `logout` asks for this and goes on when it is told so.
async fn no_session(_caller: Caller) -> Refusal {
    Refusal::not_found("session", "Couldn't find that session.")
}
