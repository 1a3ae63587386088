//! Reading a writer's series of segments, from any position, while it grows.
//!
//! A reader holds no file and no buffer while there is nothing to read, so thousands may wait. It tolerates whatever happens to
//! the files: growth, rotation, deletion (the lines lost are counted by their sequence numbers), torn tails and damage.

use crate::codec::{CheckedFrame, DecodeError};
use crate::folder::{FolderError, WriterFolder};
use crate::frame::{FrameRef, Kind};
use crate::resync::{Search, next_frame};
use crate::segment::{HEADER_BYTES, InvalidHeader, Marker, SegmentHeader};
use domain::ids::WriterId;
use rustix::io::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// Where a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub writer: WriterId,
    pub segment: u64,
    /// Bytes from the beginning of the file; 0 stands for the first frame.
    pub offset: u64,
}

/// What a reader met next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A line or a notice.
    Frame {
        frame: FrameRef<'a>,
        position: Position,
        /// The frame's place in time: its wall time, or that of an earlier frame of this writer if the clock was set back.
        order: u64,
        /// How many frames between the one before and this one are gone.
        lost_before: u64,
    },
    /// Bytes that are no frame were skipped.
    Damaged { position: Position, bytes: u64 },
    /// A whole segment was skipped: its header cannot be used.
    Unreadable { segment: u64, reason: InvalidHeader },
    /// The segment ended with its seal, or without one because its writer went on in a later segment.
    SegmentEnd { segment: u64, sealed: Sealed },
    /// Nothing more now.
    Idle,
}

/// How a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    BySeal,
    BySuccessor,
}

/// What could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot open segment {segment} of {}", folder.display())]
    Open { folder: PathBuf, segment: u64, source: Errno },
    #[error("cannot read segment {segment} of {}", folder.display())]
    Read { folder: PathBuf, segment: u64, source: std::io::Error },
}

/// Reads one writer's segments in order.
#[derive(Debug)]
pub struct SegmentReader {
    folder: PathBuf,
    /// The next byte to look at.
    position: Position,
    order_floor: u64,
    expected: Option<u64>,
    /// The marker of the segment at `position`, once its header was read.
    marker: Option<Marker>,
    file: Option<File>,
    /// Bytes of the file from `position.offset` on; those before `consumed` are done with.
    buffer: Vec<u8>,
    consumed: usize,
    stage: Stage,
}

/// What the end of the present file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It may grow.
    Growing,
    /// A later segment exists, so the file will not grow: once its end is met again, it has ended.
    Succeeded,
    /// It has ended; go on with a later segment once there is one.
    Ended,
}

/// What to do after a look at the buffer.
enum Step {
    Frame { checked: CheckedFrame, at: usize },
    Damaged { bytes: u64 },
    Report(SegmentOutcome),
    Again,
    Idle,
}

/// What is to be expected after the end of a file.
enum Growth {
    Possible,
    LookAgain,
    Over,
}

enum SegmentOutcome {
    Unreadable(InvalidHeader),
    End(Sealed),
}

impl SegmentReader {
    /// A reader that begins with the writer's oldest segment.
    pub fn from_start(folder: PathBuf, writer: WriterId) -> Self {
        Self::at(folder, Position { writer, segment: 0, offset: 0 }, 0)
    }

    /// A reader that begins at `position`, where a frame begins. `order_floor` is the order time reached before it, as a
    /// [`crate::Mark`] tells; at offset 0 the segment's own header tells it.
    pub fn at(folder: PathBuf, position: Position, order_floor: u64) -> Self {
        Self {
            folder,
            position,
            order_floor,
            expected: None,
            marker: None,
            file: None,
            buffer: Vec::new(),
            consumed: 0,
            stage: Stage::Growing,
        }
    }

    /// A reader that begins with what follows segment `last`, which may be gone. `order_floor` as of [`SegmentReader::at`].
    pub fn after_segment(folder: PathBuf, writer: WriterId, last: u64, order_floor: u64) -> Self {
        let position = Position { writer, segment: last, offset: 0 };
        Self { stage: Stage::Ended, ..Self::at(folder, position, order_floor) }
    }

    /// Counts frames as lost that are missing between `sequence` (the last one seen by an earlier reader) and the first one met.
    pub fn after_sequence(mut self, sequence: u64) -> Self {
        self.expected = Some(sequence.saturating_add(1));
        self
    }

    /// Where the next event begins.
    pub fn position(&self) -> Position {
        Position { offset: self.position.offset + self.consumed as u64, ..self.position }
    }

    /// The order time reached so far.
    pub fn order_floor(&self) -> u64 {
        self.order_floor
    }

    /// The next event. An error concerns the present segment; calling again tries again.
    pub fn next_event(&mut self) -> Result<Event<'_>, ReadError> {
        loop {
            match self.step()? {
                Step::Again => {}
                Step::Idle => {
                    self.rest();
                    return Ok(Event::Idle);
                }
                Step::Damaged { bytes } => {
                    let position = Position { offset: self.position().offset - bytes, ..self.position };
                    return Ok(Event::Damaged { position, bytes });
                }
                Step::Report(outcome) => return Ok(self.report(outcome)),
                Step::Frame { checked, at } => return Ok(self.frame(checked, at)),
            }
        }
    }

    /// Gives back file and buffer until the next call.
    fn rest(&mut self) {
        self.position = self.position();
        self.file = None;
        self.buffer = Vec::new();
        self.consumed = 0;
    }

    fn report(&self, outcome: SegmentOutcome) -> Event<'_> {
        let segment = self.position.segment;
        match outcome {
            SegmentOutcome::Unreadable(reason) => Event::Unreadable { segment, reason },
            SegmentOutcome::End(sealed) => Event::SegmentEnd { segment, sealed },
        }
    }

    fn frame(&mut self, checked: CheckedFrame, at: usize) -> Event<'_> {
        let position = Position { offset: self.position.offset + at as u64, ..self.position };
        match checked.view(&self.buffer[at..]) {
            Err(_) => Event::Damaged { position, bytes: checked.length as u64 },
            Ok(frame) => {
                self.order_floor = self.order_floor.max(frame.stamp.wall_micros);
                let lost_before = self.expected.map_or(0, |expected| frame.sequence.saturating_sub(expected));
                self.expected = Some(self.expected.unwrap_or(0).max(frame.sequence.saturating_add(1)));
                Event::Frame { frame, position, order: self.order_floor, lost_before }
            }
        }
    }

    fn step(&mut self) -> Result<Step, ReadError> {
        if self.stage == Stage::Ended {
            return self.advance();
        }
        if self.file.is_none() && !self.open()? {
            return self.advance();
        }
        let Some(marker) = self.marker else { return self.read_header() };
        match CheckedFrame::check(&self.buffer[self.consumed..], marker) {
            Ok(checked) => Ok(self.take(checked)),
            Err(DecodeError::CutShort { .. }) => self.want_more(marker),
            Err(DecodeError::NoMarker) if self.buffer.len() == self.consumed => self.want_more(marker),
            Err(_) => self.skip_damage(marker),
        }
    }

    fn take(&mut self, checked: CheckedFrame) -> Step {
        let at = self.consumed;
        self.consumed += checked.length;
        if checked.kind() == Kind::Seal {
            self.stage = Stage::Ended;
            return Step::Report(SegmentOutcome::End(Sealed::BySeal));
        }
        Step::Frame { checked, at }
    }

    /// Opens the present segment; false if it is not there.
    fn open(&mut self) -> Result<bool, ReadError> {
        let segment = self.position.segment;
        match WriterFolder::open(&self.folder)?.open_segment(segment) {
            Ok(file) => self.file = Some(file),
            Err(Errno::NOENT) => return Ok(false),
            Err(source) => return Err(ReadError::Open { folder: self.folder.clone(), segment, source }),
        }
        Ok(true)
    }

    /// Goes on with the next segment, if there is one.
    fn advance(&mut self) -> Result<Step, ReadError> {
        let Some(next) = WriterFolder::open(&self.folder)?.next_segment(self.position.segment)? else {
            return Ok(Step::Idle);
        };
        if next < self.position.segment {
            self.expected = None;
        }
        self.rest();
        self.position = Position { segment: next, offset: 0, ..self.position };
        self.marker = None;
        self.stage = Stage::Growing;
        Ok(Step::Again)
    }

    fn read_header(&mut self) -> Result<Step, ReadError> {
        let mut bytes = [0; HEADER_BYTES];
        let read = self.read_at(&mut bytes, 0)?;
        match SegmentHeader::parse(&bytes[..read]) {
            Ok(header) => {
                self.marker = Some(header.marker);
                if self.position.offset < HEADER_BYTES as u64 {
                    self.position.offset = HEADER_BYTES as u64;
                    self.order_floor = self.order_floor.max(header.order_floor);
                }
                Ok(Step::Again)
            }
            // Perhaps only its first write is not there yet.
            Err(InvalidHeader::CutShort) => match self.growth()? {
                Growth::Possible => Ok(Step::Idle),
                Growth::LookAgain => Ok(Step::Again),
                Growth::Over => Ok(self.unreadable(InvalidHeader::CutShort)),
            },
            Err(reason) => Ok(self.unreadable(reason)),
        }
    }

    fn unreadable(&mut self, reason: InvalidHeader) -> Step {
        self.stage = Stage::Ended;
        Step::Report(SegmentOutcome::Unreadable(reason))
    }

    /// Reads on. At the end of the file: waits, or ends the segment if a later one exists.
    fn want_more(&mut self, marker: Marker) -> Result<Step, ReadError> {
        if self.fill()? > 0 {
            return Ok(Step::Again);
        }
        match self.growth()? {
            // An unfinished frame is read afresh next time: its writer may take back what it could not finish (full disk).
            Growth::Possible => Ok(Step::Idle),
            Growth::LookAgain => Ok(Step::Again),
            Growth::Over if self.buffer.len() > self.consumed => Ok(self.skip_in_buffer(marker)),
            Growth::Over => {
                self.stage = Stage::Ended;
                Ok(Step::Report(SegmentOutcome::End(Sealed::BySuccessor)))
            }
        }
    }

    /// Whether the end just met may move. The first time that a later segment is seen the end is looked at once more: the last
    /// frames may have been written between the two looks.
    fn growth(&mut self) -> Result<Growth, ReadError> {
        if self.stage == Stage::Succeeded {
            return Ok(Growth::Over);
        }
        if WriterFolder::open(&self.folder)?.next_segment(self.position.segment)?.is_none() {
            return Ok(Growth::Possible);
        }
        self.stage = Stage::Succeeded;
        self.reread();
        Ok(Growth::LookAgain)
    }

    /// Forgets what was read and not used.
    fn reread(&mut self) {
        self.buffer.truncate(self.consumed);
    }

    fn skip_damage(&mut self, marker: Marker) -> Result<Step, ReadError> {
        // What looks damaged may be a frame that was being written, or taken back and written anew, while it was read.
        self.reread();
        while self.buffer.len() - self.consumed < READ_BYTES && self.fill()? > 0 {}
        if CheckedFrame::check(&self.buffer[self.consumed..], marker).is_ok() {
            return Ok(Step::Again);
        }
        Ok(self.skip_in_buffer(marker))
    }

    fn skip_in_buffer(&mut self, marker: Marker) -> Step {
        let skip = match next_frame(&self.buffer[self.consumed..], marker) {
            Search::Found { skip } | Search::Perhaps { skip } | Search::None { skip } => skip,
        };
        self.consumed += skip;
        Step::Damaged { bytes: skip as u64 }
    }

    /// Reads once more after what is in the buffer; gives the number of bytes.
    fn fill(&mut self) -> Result<usize, ReadError> {
        self.buffer.drain(..self.consumed);
        self.position.offset += self.consumed as u64;
        self.consumed = 0;
        let held = self.buffer.len();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(held + READ_BYTES, 0);
        let read = self.read_at(&mut buffer[held..], self.position.offset + held as u64);
        buffer.truncate(held + *read.as_ref().unwrap_or(&0));
        self.buffer = buffer;
        read
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, ReadError> {
        let Some(file) = &self.file else { return Ok(0) };
        loop {
            match file.read_at(bytes, offset) {
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let (folder, segment) = (self.folder.clone(), self.position.segment);
                    return Err(ReadError::Read { folder, segment, source });
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
