//! One file per noun of the API. A handler extracts, calls one operation (which authorises), and converts; what it refuses it
//! refuses in Heroku's words.

mod accounts;
mod apps;
mod buildpacks;
mod builds;
mod catalogue;
mod collaborators;
mod config_vars;
mod convert;
mod cron;
mod domains;
mod dozen;
mod dynos;
mod features;
mod formation;
mod keys;
mod list;
mod log_sessions;
pub mod missing;
mod oauth;
mod releases;
mod small;
mod sources;
mod usage;

use crate::table::Routes;

/// All routes of the Platform API and of our own beside it.
pub fn routes() -> Routes {
    Routes::new()
        .merge(accounts::routes())
        .merge(apps::routes())
        .merge(builds::routes())
        .merge(buildpacks::routes())
        .merge(catalogue::routes())
        .merge(collaborators::routes())
        .merge(config_vars::routes())
        .merge(cron::routes())
        .merge(domains::routes())
        .merge(dozen::routes())
        .merge(dynos::routes())
        .merge(features::routes())
        .merge(formation::routes())
        .merge(keys::routes())
        .merge(log_sessions::routes())
        .merge(oauth::routes())
        .merge(releases::routes())
        .merge(small::routes())
        .merge(sources::routes())
        .merge(usage::routes())
}
