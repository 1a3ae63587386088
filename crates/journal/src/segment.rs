//! A segment's name and header.

use crate::codec::{u32_at, u64_at, uuid_at};
use domain::ids::WriterId;

/// The version that this build writes, and the only one it reads.
pub const SEGMENT_FORMAT: u32 = 1;
/// The length of a header.
pub const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 8] = *b"DOZENLOG";
const CRC_AT: usize = 60;

/// The random number that begins every frame of one segment. Apps cannot know it, so nothing they print can look like a
/// frame to a reader that searches after damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Marker(pub u32);

impl Marker {
    pub(crate) const fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// A new one. Should the system's random source fail (it does not on Linux once booted), `fallback` is mixed instead:
    /// resynchronisation is then no worse than with a fixed marker.
    pub(crate) fn random(fallback: u64) -> Self {
        let mut bytes = [0; 4];
        match getrandom::fill(&mut bytes) {
            Ok(()) => Self(u32::from_le_bytes(bytes)),
            Err(_) => Self((fallback ^ (fallback >> 32)) as u32 ^ 0x9e37_79b9),
        }
    }
}

/// What a segment says about itself before its first frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    pub writer: WriterId,
    pub number: u64,
    pub marker: Marker,
    /// The sequence number of the first frame.
    pub first_sequence: u64,
    /// The highest wall time (microseconds) of the writer's frames before this segment. A line's place in the order is never
    /// before it, so that a clock set back cannot reorder one writer's lines.
    pub order_floor: u64,
}

/// Why bytes are not a header that this build can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    #[error("the segment is shorter than its header")]
    CutShort,
    #[error("the file is not a journal segment")]
    NotASegment,
    #[error("segment format {found} is not {SEGMENT_FORMAT}, the one this build reads")]
    UnknownFormat { found: u32 },
    #[error("the header's checksum does not match its bytes")]
    BadChecksum,
}

impl SegmentHeader {
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        put(8, &SEGMENT_FORMAT.to_le_bytes());
        put(12, &self.marker.to_bytes());
        put(16, self.writer.as_uuid().as_bytes());
        put(32, &self.number.to_le_bytes());
        put(40, &self.first_sequence.to_le_bytes());
        put(48, &self.order_floor.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidHeader> {
        let bytes = bytes.get(..HEADER_BYTES).ok_or(InvalidHeader::CutShort)?;
        if bytes[..8] != MAGIC {
            return Err(InvalidHeader::NotASegment);
        }
        if u32_at(bytes, 8) != SEGMENT_FORMAT {
            return Err(InvalidHeader::UnknownFormat { found: u32_at(bytes, 8) });
        }
        if crc32fast::hash(&bytes[..CRC_AT]) != u32_at(bytes, CRC_AT) {
            return Err(InvalidHeader::BadChecksum);
        }
        Ok(Self {
            marker: Marker(u32_at(bytes, 12)),
            writer: WriterId::from_uuid(uuid_at(bytes, 16)),
            number: u64_at(bytes, 32),
            first_sequence: u64_at(bytes, 40),
            order_floor: u64_at(bytes, 48),
        })
    }
}

/// `00000001.seg`.
pub fn segment_file_name(number: u64) -> String {
    format!("{number:08}.seg")
}

/// The number in a segment's file name; nothing for other files.
pub fn segment_number(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(".seg")?;
    let canonical = digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_digit());
    let number = if canonical { digits.parse().ok()? } else { return None };
    (segment_file_name(number) == file_name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            writer: WriterId::from_u128(7),
            number: 3,
            marker: Marker(0xdead_beef),
            first_sequence: 42,
            order_floor: 1_700_000_000_000_000,
        }
    }

    #[test]
    fn a_header_comes_back_and_every_flipped_bit_is_noticed() {
        let bytes = header().to_bytes();
        assert_eq!(SegmentHeader::parse(&bytes), Ok(header()));
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::parse(&flipped).is_err(), "bit {bit}");
        }
        assert_eq!(SegmentHeader::parse(&bytes[..63]), Err(InvalidHeader::CutShort));
    }

    #[test]
    fn another_format_is_refused_by_number() {
        let mut bytes = header().to_bytes();
        bytes[8] = 2;
        let refused = SegmentHeader::parse(&bytes);
        assert_eq!(refused, Err(InvalidHeader::UnknownFormat { found: 2 }));
    }

    #[test]
    fn file_names() {
        let cases = [
            ("00000001.seg", Some(1)),
            ("123456789.seg", Some(123_456_789)),
            ("1.seg", None),
            ("000000001.seg", None),
            ("0000000a.seg", None),
            ("+0000001.seg", None),
            ("00000001.seg~", None),
            ("lock", None),
        ];
        for (name, expected) in cases {
            assert_eq!(segment_number(name), expected, "{name}");
        }
        assert_eq!(segment_number(&segment_file_name(u64::MAX)), Some(u64::MAX));
    }
}
