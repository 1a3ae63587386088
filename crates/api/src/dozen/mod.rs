//! Our own extensions, all under `/dozen`: what Heroku's API has no place for. Same headers, same errors, same tokens.

pub mod account;
pub mod cron;
pub mod doctor;
pub mod process;
pub mod release;
pub mod server;
pub mod status;
pub mod usage;
