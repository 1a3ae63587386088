//! One file per noun of the API. A handler extracts, calls one operation (which authorises), and converts; what it refuses it
//! refuses in Heroku's words.

mod accounts;
mod apps;
mod builds;
mod config_vars;
mod convert;
mod domains;
mod dozen;
mod dynos;
mod formation;
mod list;
mod log_sessions;
mod missing;
mod oauth;
mod releases;
mod small;

use crate::state::State;
use axum::Router;

/// All routes of the Platform API and of our own beside it.
pub fn routes() -> Router<State> {
    Router::new()
        .merge(accounts::routes())
        .merge(apps::routes())
        .merge(builds::routes())
        .merge(config_vars::routes())
        .merge(domains::routes())
        .merge(dozen::routes())
        .merge(dynos::routes())
        .merge(formation::routes())
        .merge(log_sessions::routes())
        .merge(oauth::routes())
        .merge(releases::routes())
        .merge(small::routes())
        .fallback(missing::route)
        .method_not_allowed_fallback(missing::method)
}
