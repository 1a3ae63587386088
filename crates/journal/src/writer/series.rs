//! Where a new writer of an existing series goes on.

use crate::folder::{SegmentFile, WriterFolder};
use crate::reader::{Event, Position, ReadError, SegmentReader};
use crate::writer::OpenError;
use domain::ids::WriterId;

/// The end of a series of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeriesEnd {
    pub next_segment: u64,
    pub next_sequence: u64,
    pub order_floor: u64,
}

impl SeriesEnd {
    /// Looks at the last segment that tells: at its seal, else at its frames, else at its header.
    pub fn of(folder: &WriterFolder, writer: WriterId) -> Result<Self, OpenError> {
        let segments = folder.segments()?;
        let next_segment = segments.last().map_or(1, |last| last.number + 1);
        for segment in segments.iter().rev() {
            if let Some((next_sequence, order_floor)) = end_of(folder, *segment, writer)? {
                return Ok(Self { next_segment, next_sequence, order_floor });
            }
        }
        Ok(Self { next_segment, next_sequence: 0, order_floor: 0 })
    }
}

/// Next sequence number and order time reached at the end of a segment; nothing if its header cannot be used.
fn end_of(
    folder: &WriterFolder,
    segment: SegmentFile,
    writer: WriterId,
) -> Result<Option<(u64, u64)>, ReadError> {
    let Some(look) = folder.look(segment.number) else { return Ok(None) };
    let Ok(header) = look.header else { return Ok(None) };
    if let Some(summary) = look.seal {
        return Ok(Some((summary.next_sequence, summary.last_order)));
    }
    let start = Position { writer, segment: segment.number, offset: 0 };
    let mut reader = SegmentReader::at(folder.path().to_owned(), start, 0);
    let mut end = (header.first_sequence, header.order_floor);
    loop {
        match reader.next_event()? {
            Event::Frame { frame, order, .. } => end = (frame.sequence.saturating_add(1), order),
            Event::Damaged { .. } => {}
            Event::Idle | Event::SegmentEnd { .. } | Event::Unreadable { .. } => return Ok(Some(end)),
        }
    }
}
