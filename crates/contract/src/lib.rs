//! The runtime contract, executed: each statement of `docs/reference/runtime-contract.md` is a vector here, run against a platform
//! through its public API and its router alone.
//!
//! ```text
//! Platform (address, token, roots of trust) -> scenes, side by side: an app each -> vectors, one after the other -> table
//! ```
//!
//! Nothing here knows of files, processes or control groups of a host, so that whoever runs apps in another way can run the same
//! vectors. What an app sees is asked of the app itself (`contract-app`), which answers over HTTP and obeys orders.
//!
//! To add a statement: write it down, write a function named after its number in the scene whose app suits it, and name it in that
//! scene's list. A statement that no app can see from outside stands in [`elsewhere`], with the test that shows it.

pub mod app;
pub mod document;
pub mod elsewhere;
pub mod http;
pub mod platform;
pub mod run;
pub mod scenes;
pub mod source;
mod table;
pub mod vector;

pub use platform::Platform;
pub use run::run;
