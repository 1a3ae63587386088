//! Use cases and the one loop.
//!
//! An operation (`ops::<noun>::<verb>`) authorises its actor, changes the ledger and appends its event in one transaction; the
//! driver reads what is desired, lets the backend take one pass, and records what came of it. Nothing else writes the ledger.
//! The world is reached through [`ports`] alone. Everything here is synchronous: callers with an event loop use threads.

mod append;
pub mod bell;
pub mod builds;
pub mod context;
mod cron;
#[cfg(any(test, feature = "doubles"))]
pub mod doubles;
mod driver;
mod engine;
mod environment;
pub mod error;
mod follow;
mod idempotency;
mod in_use;
pub mod ops;
pub mod ports;
pub mod reference;
pub mod settings;
mod start_up;

pub use bell::Bell;
pub use context::{Context, IdempotencyKey, RequestId};
pub use engine::Engine;
pub use error::{Error, Kind};
pub use follow::{Follow, PHASE_RUNS, Progress, find_culprit, follow};
pub use in_use::InUse;
pub use reference::{AppRef, PersonRef, ProcessRef, ReleaseRef, TokenRef};
pub use settings::Settings;

#[cfg(test)]
mod tests;
