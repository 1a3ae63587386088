//! What travels between a client and the server: the shapes of the Heroku Platform API version 3, our own extensions under
//! `/dozen`, and (feature `client`) a blocking client for both.
//!
//! One file per noun. Types of answers write every field that Heroku's published schema names, so that any existing client
//! finds what it looks for; types of requests read leniently (numbers as text, a reference as text or as an object), because
//! the clients in use differ. Nothing here decides anything or knows how the server works.

pub mod account;
pub mod app;
pub mod build;
pub mod buildpack;
#[cfg(feature = "client")]
pub mod client;
pub mod collaborator;
pub mod config_vars;
pub mod domain_name;
pub mod dozen;
pub mod dyno;
pub mod dyno_size;
pub mod error;
pub mod feature;
pub mod formation;
pub mod frame;
pub mod generation;
pub mod key;
pub mod lenient;
pub mod log_session;
pub mod oauth;
pub mod page;
pub mod reference;
pub mod region;
pub mod release;
#[cfg(feature = "schema")]
mod schema;
pub mod secret;
pub mod slug;
pub mod source;
pub mod sse;
pub mod stack;
pub mod timestamp;

pub use secret::Token;
pub use timestamp::Timestamp;

/// The `Accept` header of every request, and the media type of every answer. A server treats all variants
/// (`version=3.sdk`, ...) alike.
pub const ACCEPT: &str = "application/vnd.heroku+json; version=3";

/// The `Content-Type` of bodies in both directions.
pub const CONTENT_TYPE: &str = "application/json";

/// The request header under which a repeated POST gets the first answer again.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
