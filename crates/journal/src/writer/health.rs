//! What a writer tells about itself.

use rustix::io::Errno;

/// Whether lines are being kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Writing,
    /// Lines are being dropped and counted.
    Holding(HoldReason),
}

/// Why lines are being dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldReason {
    /// Free space is under the floor.
    LittleSpace,
    /// The system refused: ENOSPC, EDQUOT, EIO and the like.
    Refused(Errno),
}

/// What a writer has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriterStats {
    pub appended: u64,
    /// Lines dropped: their count is told in the log once there is room.
    pub dropped: u64,
    /// Segments of its own that the writer deleted because of [`crate::Caps::total_bytes`], or found deleted under it.
    pub discarded_segments: u64,
    pub failed_syncs: u64,
}
