//! The front door: one TCP port over TLS for the API, git, log streams and attached processes.
//!
//! A request passes [`front`] (TLS, limits, what it is), the routes (`handlers`, `git`, `streams`), and one operation of the
//! engine, which authorises and decides. Must not: write the ledger, call an adapter, follow a project's bytes, or run anything
//! that a project names. Everything outside is reached through `engine`'s ports and those in [`ports`].

pub mod ca;
pub mod front;
pub mod git;
mod handlers;
mod http;
mod intake;
pub mod links;
mod loopback;
mod paging;
mod phase;
mod places;
pub mod ports;
mod rendezvous;
mod run;
mod secrets;
pub mod settings;
mod short_path;
mod ssh;
mod state;
#[doc(hidden)]
pub mod strangers;
mod streams;
pub mod table;

pub use intake::spare_bytes;
pub use run::{ServerError, ServerParts, route_table, run, run_telling};
pub use settings::Settings;
