//! `/account`, `/users/~`, `/account/rate-limits`, and everybody's accounts at `/dozen/accounts`.

use super::convert::time;
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::Token;
use api::account::{Account, RateLimit};
use api::dozen::account::{AccountEntry, CreateAccount, CreatedAccount};
use api::dyno::Empty;
use api::error::ErrorId;
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::account::{Account as Row, Email};
use domain::policy::{Action, Role};
use engine::{PersonRef, ops};
use http::StatusCode;

/// Dozen does not count requests; one client library takes this for its login check.
const REMAINING: u64 = 4500;
/// May create apps.
const DEFAULT_ROLE: &str = "owner";

pub fn routes() -> Routes {
    Routes::new()
        .get("/account", info, About::account("Show the caller's account").one("Account"))
        .get("/users/{user}", info_of, About::account("Show the caller's account").one("Account"))
        .get(
            "/account/rate-limits",
            rate_limits,
            About::account("How many requests are left: Dozen does not count them").one("RateLimit"),
        )
        .get(
            "/dozen/accounts",
            list,
            About::installation(Action::AccountList, "List everybody who has an account")
                .many("AccountEntry"),
        )
        .post(
            "/dozen/accounts",
            create,
            About::installation(Action::AccountCreate, "Make an account, with its first access token")
                .takes("CreateAccount")
                .created("CreatedAccount"),
        )
        .post(
            "/dozen/accounts/{account}/tokens",
            create_token,
            About::installation(Action::AccountCreate, "Make an access token for somebody who lost theirs")
                .created("CreatedAccount"),
        )
}

/// Of oneself: `~`, one's id or address. Others are not told of.
async fn info_of(
    extract::State(state): extract::State<State>,
    Path(user): Path<String>,
    caller: Caller,
) -> Result<Json<Account>, Refusal> {
    let account = info(extract::State(state), caller).await?;
    if is_own(&user, &account) {
        Ok(account)
    } else {
        Err(Refusal::not_found("user", "Couldn't find that user."))
    }
}

fn is_own(user: &str, account: &Account) -> bool {
    user == "~" || user == account.id.to_string() || user.eq_ignore_ascii_case(&account.email)
}

async fn info(
    extract::State(state): extract::State<State>,
    caller: Caller,
) -> Result<Json<Account>, Refusal> {
    let account = blocking(move || ops::accounts::info(&state.engine, &caller.context())).await?;
    let created_at = time(account.created_at);
    let mut wire = Account::new(account.id, account.email.to_string(), created_at);
    wire.updated_at = time(account.updated_at);
    Ok(Json(wire))
}

fn entry(account: &Row) -> AccountEntry {
    AccountEntry {
        id: account.id,
        email: account.email.to_string(),
        role: account.role.name().to_owned(),
        created_at: time(account.created_at),
    }
}

const FIELDS: &[Field<Row>] = &[
    Field { name: "email", text: |row| row.email.to_string() },
    Field { name: "id", text: |row| row.id.to_string() },
];

async fn list(
    extract::State(state): extract::State<State>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let rows = blocking(move || ops::accounts::list(&state.engine, &caller.context())).await?;
    Ok(wanted.answer(rows, FIELDS, |row| entry(&row)))
}

async fn create(
    extract::State(state): extract::State<State>,
    call: Call<CreateAccount>,
) -> Result<(StatusCode, Json<CreatedAccount>), Refusal> {
    let invalid = |text: String| Refusal::new(ErrorId::InvalidParams, text);
    let email: Email = call.body.email.parse().map_err(|error| invalid(format!("{error}.")))?;
    let name = call.body.role.as_deref().unwrap_or(DEFAULT_ROLE);
    let unknown =
        || invalid(format!("\"{name}\" is not a role: expected admin, owner, operator, viewer or none."));
    let role = Role::from_name(name).ok_or_else(unknown)?;
    let made = blocking(move || ops::accounts::create(&state.engine, &call.context, &email, role)).await?;
    let token = made.authorization;
    let account = AccountEntry {
        id: token.account.id,
        email: token.account.email.to_string(),
        role: role.name().to_owned(),
        created_at: time(token.created_at),
    };
    Ok((StatusCode::CREATED, Json(CreatedAccount { account, token: Token::new(made.secret.expose()) })))
}

async fn create_token(
    extract::State(state): extract::State<State>,
    Path(account): Path<String>,
    call: Call<Empty>,
) -> Result<(StatusCode, Json<CreatedAccount>), Refusal> {
    let person = PersonRef::new(&account);
    let (account, made) =
        blocking(move || ops::accounts::create_token_for(&state.engine, &call.context, &person)).await?;
    let token = Token::new(made.secret.expose());
    Ok((StatusCode::CREATED, Json(CreatedAccount { account: entry(&account), token })))
}

async fn rate_limits(_caller: Caller) -> Json<RateLimit> {
    Json(RateLimit { remaining: REMAINING })
}
