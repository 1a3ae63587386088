//! A look at one segment without reading it through: its header, and its summary if it is sealed.

use crate::codec::{MAX_FRAME_BYTES, decode};
use crate::folder::{SegmentFile, WriterFolder};
use crate::frame::Kind;
use crate::segment::{HEADER_BYTES, InvalidHeader, SegmentHeader};
use crate::summary::Summary;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// What a segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentLook {
    pub file: SegmentFile,
    pub header: Result<SegmentHeader, InvalidHeader>,
    /// Present if the file ends with a seal.
    pub seal: Option<Summary>,
}

impl WriterFolder {
    /// Looks at a segment; nothing if it is gone or cannot be read.
    pub fn look(&self, number: u64) -> Option<SegmentLook> {
        let file = self.open_segment(number).ok()?;
        let listed = self.segment(number)?;
        let mut head = [0; HEADER_BYTES];
        let read = read_fully(&file, &mut head, 0);
        let header = SegmentHeader::parse(&head[..read]);
        let seal = header.ok().and_then(|header| read_seal(&file, &listed, &header));
        Some(SegmentLook { file: listed, header, seal })
    }
}

fn read_seal(file: &File, listed: &SegmentFile, header: &SegmentHeader) -> Option<Summary> {
    let from = listed.bytes.saturating_sub(MAX_FRAME_BYTES as u64).max(HEADER_BYTES as u64);
    let mut tail = vec![0; usize::try_from(listed.bytes.checked_sub(from)?).ok()?];
    let read = read_fully(file, &mut tail, from);
    let seal = Summary::seal_within(&tail[..read])?;
    let (frame, length) = decode(seal, header.marker).ok()?;
    let whole = length == seal.len() && frame.kind == Kind::Seal;
    whole.then(|| Summary::parse(frame.payload).ok()).flatten()
}

/// Fills `bytes` as far as the file goes; a failed read counts as the end.
fn read_fully(file: &File, bytes: &mut [u8], offset: u64) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    done
}
