//! How much a tree may hold.

/// Bounds of one extraction. Each is checked before the bytes it would allow are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files, folders and links, those made for missing parents included.
    pub entries: u64,
    /// Sum of all files.
    pub total_bytes: u64,
    pub file_bytes: u64,
    /// Components of a path.
    pub depth: usize,
    /// Bytes of a path and of a link's target.
    pub path_bytes: usize,
    /// Size of the stream as it arrived, when it was compressed: more than [`Limits::RATIO`] times as much (beyond
    /// [`Limits::RATIO_FREE_BYTES`]) is refused.
    pub compressed_bytes: Option<u64>,
    /// What the file system must have free all the while; 0: nobody looks.
    pub spare_bytes: u64,
}

impl Limits {
    /// A source tree, and what a builder makes of it.
    pub const SOURCE: Self = Self {
        entries: 200_000,
        total_bytes: 2 * 1024 * 1024 * 1024,
        file_bytes: 2 * 1024 * 1024 * 1024,
        depth: 100,
        path_bytes: 4000,
        compressed_bytes: None,
        spare_bytes: 0,
    };

    /// Honest source compresses by 3 to 30 times.
    pub const RATIO: u64 = 100;
    /// A tree no larger than this is never called an expansion: small trees of repeated text compress well.
    pub const RATIO_FREE_BYTES: u64 = 64 * 1024 * 1024;
    /// The free space is looked at each time that so much was written.
    pub(crate) const LOOK_BYTES: u64 = 8 * 1024 * 1024;
    /// What a file takes beside its contents, about.
    pub(crate) const OVERHEAD_BYTES: u64 = 4096;
    /// Bytes of all extended headers of one entry.
    pub(crate) const METADATA_BYTES: u64 = 1024 * 1024;
    /// Bytes of names and targets of all symbolic links, which are remembered until the end.
    pub(crate) const LINK_BYTES: usize = 32 * 1024 * 1024;
    /// Work spent on finding out where links lead, in bytes of paths compared.
    pub(crate) const LINK_WORK: usize = 512 * 1024 * 1024;
    /// Links followed for one link, as in Linux.
    pub(crate) const LINK_HOPS: usize = 40;
    /// Bytes of padding after the end of an archive (GNU tar and git pad to 10 KiB).
    pub(crate) const PADDING_BYTES: u64 = 1024 * 1024;

    #[must_use]
    pub const fn sparing(self, spare_bytes: u64) -> Self {
        Self { spare_bytes, ..self }
    }

    #[must_use]
    pub const fn arrived_as(self, compressed_bytes: u64) -> Self {
        Self { compressed_bytes: Some(compressed_bytes), ..self }
    }

    /// The most that all files may sum up to, and whether the ratio is the reason.
    pub(crate) fn effective_total(&self) -> u64 {
        match self.compressed_bytes {
            None => self.total_bytes,
            Some(compressed) => {
                self.total_bytes.min(compressed.saturating_mul(Self::RATIO).max(Self::RATIO_FREE_BYTES))
            }
        }
    }
}
