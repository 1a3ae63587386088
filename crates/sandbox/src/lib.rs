//! Everything that needs the kernel's help to run one app's process apart from all others: the launcher (the only root), the
//! shim (one per process), the sandbox itself, and what the server needs to talk to them.
//!
//! * [`client`] asks the launcher; [`control`] asks a shim; [`run_folder`] looks at what runs, without asking anybody.
//! * [`launcher`] and [`shim`] are entry points of the binary, called before any thread exists.
//! * No config value touches a file, an argument or a log here: an app's environment travels as a sealed memfd
//!   ([`environment`]) that only the process itself reads.
//! * Nothing here decides what should run; that is `domain::plan`.

pub mod build_id;
pub mod cgroup;
pub mod client;
pub mod control;
pub mod environment;
pub mod format;
#[cfg(test)]
mod golden;
mod inside;
pub mod launcher;
pub mod layout;
mod message;
pub mod network;
pub mod probe;
pub mod protocol;
pub mod renewal;
pub mod run_folder;
pub mod shim;
pub mod spec;
pub mod strangers;
pub mod system;
pub mod system_calls;
