//! The hub's limits.

use domain::ids::WriterId;
use std::time::Duration;

/// What a hub is given.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// The identity under which the server's own lines are written.
    pub writer: WriterId,
    pub retention: Retention,
    /// Limits of the server's own writer.
    pub own_caps: journal::Caps,
}

/// What is kept for how long. Only whole sealed segments are deleted, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub keep: Duration,
    /// Of each app's processes together. Lines that share segments with other apps' (routers', the server's) do not count here.
    pub bytes_per_app: u64,
    /// Of all segments together that hold lines of several apps.
    pub shared_bytes: u64,
}

impl Retention {
    pub const DEFAULT: Self = Self {
        keep: Duration::from_secs(7 * 24 * 60 * 60),
        bytes_per_app: 500 * 1024 * 1024,
        shared_bytes: 500 * 1024 * 1024,
    };
}

impl HubSettings {
    pub fn new(writer: WriterId) -> Self {
        Self { writer, retention: Retention::DEFAULT, own_caps: journal::Caps::DEFAULT }
    }
}

/// The most lines that a query gives, as Heroku keeps.
pub const MAX_QUERY_LINES: usize = 1_500;
/// The lines that a query gives unless told otherwise.
pub const DEFAULT_QUERY_LINES: usize = 100;
/// The most tails at once, over all apps.
pub const MAX_TAILS: usize = 1_000;
/// Lines that wait for a tail's reader; beyond it the tail waits for the reader, and reads on from the disk later.
pub const TAIL_BUFFER_LINES: usize = 512;
/// A reader that takes no line for this long while lines wait is let go.
pub const SLOW_READER_SECONDS: u64 = 30;
/// Lost lines of a slow reader are counted up to this many.
pub const MAX_COUNTED_LINES: u64 = 100_000;
/// Lines are held back this long, so that those of different writers come out in order.
pub const REORDER_MILLIS: u64 = 100;
