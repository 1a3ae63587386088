//! Use cases and the one loop.
//!
//! An operation (`ops::<noun>::<verb>`) authorises its actor, changes the ledger and appends its event in one transaction; the
//! driver reads what is desired, lets the backend take one pass, and records what came of it. Nothing else writes the ledger.
//! The world is reached through [`ports`] alone.

pub mod bell;
pub mod context;
pub mod error;
pub mod ports;
pub mod settings;

pub use bell::Bell;
pub use context::{Context, IdempotencyKey, RequestId};
pub use error::Error;
pub use settings::Settings;
