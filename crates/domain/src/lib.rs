//! Nouns and decisions of the platform.
//!
//! Pure by construction: no I/O, no async, no clock, no randomness. Time comes in as [`time::BootMillis`], identity as
//! [`ids::Ids`]. Whatever has an effect lives in a layer above; whatever decides lives here, so that the simulator runs the same
//! decisions as the server.

pub mod account;
pub mod app;
pub mod app_json;
pub mod backoff;
pub mod build;
pub mod buildpack;
pub mod cause;
pub mod config_vars;
pub mod cron;
pub mod cycle;
pub mod desired;
pub mod endpoint;
pub mod event;
pub mod feature;
pub mod formation;
pub mod ids;
pub mod job;
pub mod mutant;
pub mod names;
pub mod observed;
pub mod plan;
pub mod policy;
pub mod process;
pub mod procfile;
pub mod release;
pub mod route;
pub mod runtime;
pub mod scope;
pub mod secret;
pub mod serving;
pub mod size;
pub mod time;
pub mod transition;
pub mod trial;
pub mod usage;
