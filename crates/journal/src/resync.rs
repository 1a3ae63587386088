//! Finding the next true frame after damage, and [`decode_any`], which runs the decoder over any bytes at all.

use crate::codec::{CheckedFrame, DecodeError};
use crate::dropped::DroppedNotice;
use crate::frame::Kind;
use crate::segment::{HEADER_BYTES, Marker, SegmentHeader};
use crate::summary::Summary;

/// What a search for the next frame found. `skip` bytes before it are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    /// A whole, true frame begins after `skip` bytes.
    Found { skip: usize },
    /// After `skip` bytes something begins that may be a frame, cut short by the end of the bytes.
    Perhaps { skip: usize },
    /// No frame begins in the first `skip` bytes; the few after them may be the beginning of a marker.
    None { skip: usize },
}

/// Searches `bytes`, whose first byte is known not to begin a frame.
pub(crate) fn next_frame(bytes: &[u8], marker: Marker) -> Search {
    let marker_bytes = marker.to_bytes();
    let mut at = 1;
    while at < bytes.len() {
        let Some(found) = bytes[at..].iter().position(|b| *b == marker_bytes[0]) else { break };
        at += found;
        match CheckedFrame::check(&bytes[at..], marker) {
            Ok(_) => return Search::Found { skip: at },
            Err(DecodeError::CutShort { .. }) => return Search::Perhaps { skip: at },
            Err(_) => at += 1,
        }
    }
    Search::None { skip: bytes.len() }
}

/// What [`decode_any`] met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeCount {
    pub frames: usize,
    /// Bytes that belong to no true frame.
    pub damaged_bytes: usize,
}

/// Decodes any bytes as a segment: header, frames, seals and notices. Never fails and always ends: the target of fuzzing.
pub fn decode_any(bytes: &[u8]) -> DecodeCount {
    let (marker, mut rest) = match SegmentHeader::parse(bytes) {
        Ok(header) => (header.marker, &bytes[HEADER_BYTES..]),
        Err(_) => (Marker(0), bytes),
    };
    let mut count = DecodeCount::default();
    while !rest.is_empty() {
        let used = match CheckedFrame::check(rest, marker) {
            Ok(checked) => {
                count.frames += usize::from(look_into(&checked, rest));
                checked.length
            }
            Err(_) => {
                let skip = match next_frame(rest, marker) {
                    Search::Found { skip } | Search::None { skip } => skip,
                    Search::Perhaps { skip } => skip.max(1),
                };
                count.damaged_bytes += skip;
                skip
            }
        };
        rest = &rest[used..];
    }
    count
}

/// Parses what the frame carries, as a reader would.
fn look_into(checked: &CheckedFrame, bytes: &[u8]) -> bool {
    let Ok(frame) = checked.view(bytes) else { return false };
    match frame.kind {
        Kind::Line => true,
        Kind::Dropped => DroppedNotice::parse(frame.payload).is_ok(),
        Kind::Seal => Summary::parse(frame.payload).is_ok(),
    }
}

#[cfg(test)]
#[path = "resync_tests.rs"]
mod tests;
