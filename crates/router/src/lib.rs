//! The data plane: takes requests from clients and forwards them to the processes of apps, by a route table that it reads from a file.
//!
//! It is a process of its own under a user of its own. It works from its last good table while the server is away; it never opens the
//! ledger, never asks the server anything, and forwards to nobody that the table does not name.
//!
//! **Shape.** One thread per core, each with its own runtime, listeners (`SO_REUSEPORT`) and pools of connections to processes. Per
//! request the threads share nothing but the table (a snapshot, swapped whole) and one counter per process.
//!
//! **A request's way.** `worker` accepts -> `client_io` passes on only what `strict` accepts -> `proxy` finds the app in the
//! `table`, waits at its `gate`, picks a process (`balance`), enters it (`drain`), takes a connection (`pool`, `connect`),
//! forwards both ways, and leaves a line (`access_log`).
//!
//! **From outside.** `supervisor`, started by `router`, loads tables (`load`, `watch`) and answers on the `control` socket; [`client`] is its other
//! end, for the host backend.
//!
//! Bodies are never buffered: a slow reader on one side slows the sender on the other. Trailers are dropped in both directions.

mod access_log;
mod balance;
pub mod client;
mod client_io;
mod codes;
mod connect;
mod connection;
mod control;
mod drain;
mod gate;
mod listen;
mod load;
mod metered;
mod pages;
mod pool;
mod proxy;
mod router;
mod settings;
mod shared;
mod strict;
mod supervisor;
mod table;
mod timer;
mod watch;
mod worker;

pub use control::FolderError;
pub use control::wire::{Activity, Report};
pub use listen::ListenError;
pub use router::{Router, RouterError, run, run_telling};
pub use settings::{JournalSettings, Limits, ListenerSettings, RouterSettings, Timeouts};
