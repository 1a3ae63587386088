//! `/account`, `/users/~`, `/account/rate-limits`.

use super::convert::time;
use crate::http::blocking;
use crate::http::call::Caller;
use crate::http::error::Refusal;
use crate::state::State;
use api::account::{Account, RateLimit};
use axum::routing::get;
use axum::{Json, Router, extract};
use engine::ops;

/// Dozen does not count requests; one client library takes this for its login check.
const REMAINING: u64 = 4500;

pub fn routes() -> Router<State> {
    Router::new()
        .route("/account", get(info))
        .route("/users/{user}", get(info))
        .route("/account/rate-limits", get(rate_limits))
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

async fn rate_limits(_caller: Caller) -> Json<RateLimit> {
    Json(RateLimit { remaining: REMAINING })
}
