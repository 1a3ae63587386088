//! Source that does not come by a push: uploads, archives at other addresses, commits named by hand.
//!
//! `upload` takes bytes into a part file and keeps them when they are whole; `source` finds out what a build's address means;
//! `stage` extracts it into the build's folder, after which the build is accepted as that of a push is. Must not: ask an address
//! by itself ([`crate::ports::Fetch`] does), or leave a tree that no build will have.

mod part;
mod source;
mod stage;
mod upload;

pub use part::{has_room, spare_bytes};
pub use source::{Named, find};
pub use stage::{Order, accept};
pub use upload::{Uploads, check_room, routes, upload_path};

use std::time::Duration;

/// An archive at most: as much as a push may bring.
pub const MAX_ARCHIVE_BYTES: u64 = crate::git::MAX_PACK_BYTES;
/// From the first look-up of a name to the last byte. Whoever asked for the build waits meanwhile, and many clients wait for no
/// more than a minute.
const FETCH_TIME: Duration = Duration::from_secs(45);
