//! How much a writer may fill, and whether there is room: pure decisions over what statvfs(2) says.

use rustix::fs::StatVfs;

const MIB: u64 = 1024 * 1024;

/// The limits of one writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// A segment is sealed before it grows beyond this. At most [`Caps::MAX_SEGMENT_BYTES`].
    pub segment_bytes: u64,
    /// Beyond this the writer deletes its own oldest segments. The hub deletes long before; this holds while it is away.
    pub total_bytes: u64,
    pub floor: FreeSpaceFloor,
}

impl Caps {
    /// Larger ones would not fit their summary into a frame.
    pub const MAX_SEGMENT_BYTES: u64 = 16 * MIB;

    pub const DEFAULT: Self =
        Self { segment_bytes: 4 * MIB, total_bytes: 500 * MIB, floor: FreeSpaceFloor::DEFAULT };
}

impl Default for Caps {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The free space that is left to others, the ledger above all: the smaller of a number of bytes and a share of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpaceFloor {
    pub bytes: u64,
    /// Thousandths of the file system's size.
    pub permille: u64,
}

/// Free space as a file system reports it to ordinary users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    pub total: u64,
    pub free: u64,
}

impl Space {
    pub fn of(stat: &StatVfs) -> Self {
        Self {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        }
    }
}

impl FreeSpaceFloor {
    /// 256 MB, or a twentieth of a file system smaller than 5 GB.
    pub const DEFAULT: Self = Self { bytes: 256 * MIB, permille: 50 };
    /// No floor: write until the disk is full.
    pub const NONE: Self = Self { bytes: 0, permille: 0 };

    pub(crate) fn bytes_of(&self, space: Space) -> u64 {
        self.bytes.min(space.total / 1000 * self.permille)
    }

    /// Whether a writer may go on writing.
    pub(crate) fn allows(&self, space: Space) -> bool {
        space.free >= self.bytes_of(space)
    }

    /// Whether a writer that had stopped may begin again: an eighth more than the floor, so that it does not stop at once.
    pub(crate) fn allows_again(&self, space: Space) -> bool {
        let floor = self.bytes_of(space);
        space.free >= floor + floor / 8 && space.free > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_smaller_of_bytes_and_share() {
        let small = Space { total: 64 * MIB, free: 0 };
        let large = Space { total: 100_000 * MIB, free: 0 };
        assert_eq!(FreeSpaceFloor::DEFAULT.bytes_of(large), 256 * MIB);
        assert_eq!(FreeSpaceFloor::DEFAULT.bytes_of(small), 64 * MIB / 1000 * 50);
        assert_eq!(FreeSpaceFloor::NONE.bytes_of(large), 0);
    }

    #[test]
    fn a_writer_stops_below_the_floor_and_begins_again_well_above() {
        let floor = FreeSpaceFloor { bytes: 80, permille: 1000 };
        let at = |free| Space { total: 10_000, free };
        let cases = [(79, false, false), (80, true, false), (89, true, false), (90, true, true)];
        for (free, allows, allows_again) in cases {
            assert_eq!(
                (floor.allows(at(free)), floor.allows_again(at(free))),
                (allows, allows_again),
                "{free}"
            );
        }
        assert!(FreeSpaceFloor::NONE.allows(at(0)) && !FreeSpaceFloor::NONE.allows_again(at(0)));
    }
}
