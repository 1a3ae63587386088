//! The segment being written: its file, its header, its summary.

use crate::codec::layout;
use crate::dropped::DroppedNotice;
use crate::folder::WriterFolder;
use crate::frame::{FrameRef, Kind, Stamp, Stream};
use crate::segment::{HEADER_BYTES, SegmentHeader};
use crate::summary::Summary;
use crate::{codec, decode};
use domain::ids::AppId;
use domain::time::BootMillis;
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

/// A segment that is open for writing.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    pub header: SegmentHeader,
    pub opened: BootMillis,
    /// Bytes that are in the file.
    pub written: u64,
    summary: Summary,
}

/// What became of bytes that could not all be written.
#[derive(Debug)]
pub(super) struct ShortWrite {
    pub error: Errno,
    /// What is not in the file, in order: lines, and notices that give their count back.
    pub lost: Vec<(AppId, DroppedNotice)>,
    pub lost_lines: u64,
    /// The sequence number of the first of them.
    pub first_lost: Option<u64>,
    /// Whether the file holds nothing of use.
    pub empty: bool,
}

impl Output {
    /// Makes the segment's file. Its header goes to `buffer`, to be written with the first frames.
    pub fn create(
        folder: &WriterFolder,
        header: SegmentHeader,
        now: BootMillis,
        buffer: &mut Vec<u8>,
    ) -> Result<Self, Errno> {
        let file = folder.create_segment(header.number)?;
        buffer.extend_from_slice(&header.to_bytes());
        Ok(Self { file, header, opened: now, written: 0, summary: Summary::default() })
    }

    /// Whether no frame was encoded yet.
    pub fn is_empty(&self) -> bool {
        self.summary.frames == 0
    }

    /// Encodes a frame at the end of `buffer`.
    pub fn encode(&mut self, frame: &FrameRef<'_>, order_floor: u64, buffer: &mut Vec<u8>) {
        self.summary.observe(frame, self.written + buffer.len() as u64, order_floor);
        codec::encode(frame, self.header.marker, buffer);
    }

    /// Encodes the seal at the end of `buffer`.
    pub fn encode_seal(&mut self, stamp: Stamp, buffer: &mut Vec<u8>) {
        let payload = self.summary.to_payload();
        let seal = FrameRef {
            kind: Kind::Seal,
            app: AppId::from_u128(0),
            process: None,
            name: "",
            stream: Stream::Platform,
            stamp,
            sequence: self.summary.next_sequence,
            payload: &payload,
        };
        codec::encode(&seal, self.header.marker, buffer);
    }

    /// What the seal will take.
    pub fn seal_bytes(&self) -> u64 {
        (layout::NAME + self.summary.payload_bytes()) as u64
    }

    /// Writes the whole buffer with one write(2) if the system takes it whole. What cannot be written is cut off at a frame's
    /// end, so that the file holds whole frames.
    pub fn write(&mut self, buffer: &[u8]) -> Result<(), ShortWrite> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.write(&buffer[done..]) {
                Ok(0) => return Err(self.cut_off(buffer, done, Errno::NOSPC)),
                Ok(written) => done += written,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let error = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
                    return Err(self.cut_off(buffer, done, error));
                }
            }
        }
        self.written += buffer.len() as u64;
        Ok(())
    }

    fn cut_off(&mut self, buffer: &[u8], done: usize, error: Errno) -> ShortWrite {
        let header = if self.written == 0 { HEADER_BYTES } else { 0 };
        let mut short = ShortWrite { error, lost: Vec::new(), lost_lines: 0, first_lost: None, empty: false };
        let mut whole = if done >= header { header } else { 0 };
        let mut at = header;
        while let Some((frame, length)) =
            buffer.get(at..).and_then(|rest| decode(rest, self.header.marker).ok())
        {
            at += length;
            if at <= done {
                whole = at;
            } else {
                short.lose(&frame);
            }
        }
        short.empty = self.written == 0 && whole <= header;
        // Failing here leaves a torn frame at the end of a file that is not written to again: readers skip it.
        let _ = rustix::fs::ftruncate(&self.file, self.written + whole as u64);
        short
    }

    /// Whether the file is still in its folder.
    pub fn is_linked(&self) -> bool {
        rustix::fs::fstat(&self.file).is_ok_and(|stat| stat.st_nlink > 0)
    }

    /// Another descriptor of the file; nothing if there are too many.
    pub fn duplicate(&self) -> Option<OwnedFd> {
        self.file.try_clone().ok().map(OwnedFd::from)
    }

    pub fn sync(&self) -> Result<(), Errno> {
        rustix::fs::fdatasync(&self.file)
    }
}

impl ShortWrite {
    fn lose(&mut self, frame: &FrameRef<'_>) {
        let notice = match frame.kind {
            Kind::Line => {
                self.lost_lines += 1;
                DroppedNotice { count: 1, since_micros: frame.stamp.wall_micros }
            }
            Kind::Dropped => match DroppedNotice::parse(frame.payload) {
                Ok(notice) => notice,
                Err(_) => return,
            },
            Kind::Seal => return,
        };
        self.first_lost = self.first_lost.or(Some(frame.sequence));
        self.lost.push((frame.app, notice));
    }
}
