//! Pushes, fetches and clones over smart HTTP, through the system's git as a child.
//!
//! A request comes in at `serve`, which checks who asks and starts git (`child`, called as `command` says). Git starts
//! [`hook`], our own binary, which talks to `desk`; `receive` decides and relays. Must not: run anything that a repository
//! names, or let a client's absence hold up a push.

mod archive;
pub(crate) mod body;
pub(crate) mod child;
mod command;
pub(crate) mod desk;
pub(crate) mod entry;
pub mod hook;
mod hook_output;
mod last_lines;
mod pkt;
pub(crate) mod push;
mod receive;
mod release;
mod repository;
mod room;
pub(crate) mod serve;
mod short;
pub(crate) mod stage;
pub(crate) mod strangers;
mod updates;
mod wire;

pub(crate) use archive::{ArchiveError, stage_commit};
pub use command::{GitTool, MAX_TREE_ENTRIES};
pub(crate) use command::{MAX_PACK_BYTES, Service, protocol};
pub use repository::{GitRepositories, prepare_hooks};
pub use wire::HookKind;
