//! `/oauth/authorizations`, `/oauth/sessions/~`: access tokens.

use super::convert::time;
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::Token;
use api::dyno::Empty;
use api::error::ErrorId;
use api::oauth::{AccessToken, Authorization, AuthorizationUser, CreateAuthorization, UpdateAuthorization};
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::account::Authorization as Row;
use engine::ops::accounts::NewAuthorization;
use engine::{AppRef, TokenRef, ops};
use http::StatusCode;

/// Clients match a redacted token by what precedes the stars.
const REDACTED: &str = "**********";

/// A token for all that its account may do.
const GLOBAL: &str = "global";
/// Before an app's name or id: a token for deploying it.
const DEPLOY: &str = "deploy:";
/// The authorization of the token that asks.
const OWN: &str = "~";

pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/oauth/authorizations",
            list,
            About::account("List the caller's access tokens").many("Authorization"),
        )
        .post(
            "/oauth/authorizations",
            create,
            About::account("Make an access token").takes("CreateAuthorization").created("Authorization"),
        )
        .get(
            "/oauth/authorizations/{authorization}",
            info,
            About::account("Show an access token, less its secret").one("Authorization"),
        )
        .patch(
            "/oauth/authorizations/{authorization}",
            describe,
            About::account("Change the description of an access token")
                .takes("UpdateAuthorization")
                .one("Authorization"),
        )
        .post(
            "/oauth/authorizations/{authorization}/actions/regenerate-tokens",
            rotate,
            About::account("Give an access token another secret; the old one opens nothing any more")
                .created("Authorization"),
        )
        .delete(
            "/oauth/authorizations/{authorization}",
            revoke,
            About::account("Revoke an access token").one("Authorization"),
        )
        .delete(
            "/oauth/sessions/{session}",
            no_session,
            About::account("Tokens have no sessions; clients that log out ask for this").refused(404),
        )
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
        scope: vec![scope(row)],
        session: None,
        updated_at: time(row.created_at),
        user: AuthorizationUser { id: row.account.id, email: row.account.email.to_string(), full_name: None },
    }
}

/// `global`, or `deploy:APP`.
fn scope(row: &Row) -> String {
    match &row.deploys {
        Some(app) => format!("{DEPLOY}{app}"),
        None => GLOBAL.to_owned(),
    }
}

/// The app of a token that is asked for; `None`: a token for everything.
fn wanted_scope(scope: &[String]) -> Result<Option<AppRef>, Refusal> {
    let words: Vec<&str> =
        scope.iter().flat_map(|words| words.split([',', ' '])).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [] | [GLOBAL] => Ok(None),
        [word] if word.starts_with(DEPLOY) => Ok(word.strip_prefix(DEPLOY).map(AppRef::new)),
        words => {
            let told = format!("The scope \"{}\" is not known here.", words.join(","));
            Err(Refusal::new(ErrorId::InvalidParams, told).with_hint(format!(
                "It is one of: {GLOBAL}, {DEPLOY}APP (for deploying one app and nothing else)."
            )))
        }
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
    let new = NewAuthorization {
        deploys: wanted_scope(&call.body.scope)?,
        description: call.body.description,
        expires_in_seconds: call.body.expires_in,
    };
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
    // At Heroku `~` is the account's lasting key, which its client's `logout` spares: not what a login was given for a while.
    if authorization == OWN && row.expires_at.is_some() {
        return Err(Refusal::not_found(
            "authorization",
            "This token was made for a while and is nobody's lasting key.",
        ));
    }
    Ok(Json(redacted(&row)))
}

async fn describe(
    extract::State(state): extract::State<State>,
    Path(authorization): Path<String>,
    call: Call<UpdateAuthorization>,
) -> Result<Json<Authorization>, Refusal> {
    let token = TokenRef::new(&authorization);
    let row = blocking(move || match call.body.description {
        Some(text) => ops::accounts::describe_authorization(&state.engine, &call.context, &token, &text),
        None => ops::accounts::authorization(&state.engine, &call.context, &token),
    })
    .await?;
    Ok(Json(redacted(&row)))
}

async fn rotate(
    extract::State(state): extract::State<State>,
    Path(authorization): Path<String>,
    call: Call<Empty>,
) -> Result<(StatusCode, Json<Authorization>), Refusal> {
    let token = TokenRef::new(&authorization);
    let made = blocking(move || ops::accounts::rotate(&state.engine, &call.context, &token)).await?;
    Ok((StatusCode::CREATED, Json(render(&made.authorization, made.secret.expose()))))
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
