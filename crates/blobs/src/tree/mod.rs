//! File trees that strangers made.
//!
//! Data passes in as a tar stream ([`extract()`]) into a folder that was empty, and out as a tar stream ([`pack()`]) whose bytes
//! depend on names, contents, execute bits and link targets alone. Between the two, [`SourceTree`] reads single files of known
//! size. Every path is resolved by `openat2` below a folder that is already open, with links refused, so that no name and no
//! race leads anywhere else.

mod archive;
mod create;
mod extract;
mod header;
mod limits;
mod links;
mod name;
mod narrow;
mod open;
mod pack;
mod pax;
mod read;
mod refusal;
mod remove;
mod share;
mod unpack;

pub use extract::{TreeSummary, extract};
pub use limits::Limits;
pub use name::EntryName;
pub use narrow::{narrow, unwrap_single_folder};
pub(crate) use open::{open_beneath, open_folder_beneath, open_own_folder, sorted_names};
pub use pack::{PackError, Packed, Packer, pack};
pub use read::{Kind, Listed, ReadError, SourceTree};
pub use refusal::{ExtractError, Refusal};
pub use remove::{remove_contents, remove_tree};
pub use share::share_tree;
pub use unpack::{UnpackError, unpack};

/// The one modification time of everything stored: 1980-01-01T00:00:01Z, the value of Cloud Native Buildpacks.
pub const MTIME_SECONDS: u64 = 315_532_801;
/// Owner and group in packed trees.
pub const PACKED_ID: u64 = 1000;
/// Mode of folders and of files with an execute bit.
pub const MODE_EXECUTABLE: u32 = 0o755;
/// Mode of other files.
pub const MODE_PLAIN: u32 = 0o644;
