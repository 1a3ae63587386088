//! [`SegmentWriter`]: appends lines to the writer's own series of segments.
//!
//! Lines are encoded into one small buffer and reach the kernel on [`SegmentWriter::flush`], which the caller calls after each
//! batch of input (once per turn of its poll loop), and whenever the buffer is full. Nothing here returns an error once the writer
//! is open: an app must not end because a disk is full. See [`Health`] for what the writer is doing about it.
//!
//! ```text
//! writing --(free space under the floor | a write or create fails)--> holding
//! holding --(looked at most once a second: space is back)--> writing, beginning with notices of what was dropped
//! ```

mod health;
mod holding;
mod output;
mod series;
mod space;
mod sync;

pub use health::{Health, HoldReason, WriterStats};
pub use space::{Caps, FreeSpaceFloor};
pub use sync::DueSync;

use crate::codec::layout;
use crate::dropped::Tally;
use crate::folder::{FolderError, WriterFolder};
use crate::frame::{Entry, FrameRef, Kind, Stamp};
use crate::lines::each_piece;
use crate::reader::ReadError;
use crate::segment::{Marker, SegmentHeader};
use domain::ids::WriterId;
use domain::time::BootMillis;
use output::Output;
use series::SeriesEnd;
use std::path::Path;

/// The buffer is written out when it holds this much, even within a batch.
const FLUSH_BYTES: usize = 16 * 1024;
/// A buffer that has grown beyond this is given back when empty.
const KEPT_BUFFER_BYTES: usize = 2 * FLUSH_BYTES;
/// Lines reach stable storage within this time, if the caller calls [`SegmentWriter::sync_if_due`].
const SYNC_MILLIS: u64 = 5_000;
/// A segment is sealed after this time, so that the hub may delete a quiet writer's old lines.
const SEAL_AFTER_MILLIS: u64 = 60 * 60 * 1000;
/// How often free space is looked at: by time, and by bytes written.
const SPACE_CHECK_MILLIS: u64 = 1_000;
const SPACE_CHECK_BYTES: u64 = FLUSH_BYTES as u64;

/// Why a writer could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot find the end of the writer's last segment")]
    Resume(#[from] ReadError),
}

/// Appends to one writer's segments. Holds the folder's lock while it lives; its descriptors are close-on-exec, and a process that
/// forks without exec must close them in the child.
#[derive(Debug)]
pub struct SegmentWriter {
    folder: WriterFolder,
    writer: WriterId,
    caps: Caps,
    output: Option<Output>,
    buffer: Vec<u8>,
    next_segment: u64,
    next_sequence: u64,
    order_floor: u64,
    now: Stamp,
    health: Health,
    retry_at: BootMillis,
    space_check_at: BootMillis,
    unchecked_bytes: u64,
    /// When the first byte was written that is not yet on stable storage.
    dirty_since: Option<BootMillis>,
    folder_dirty: bool,
    tally: Tally,
    stats: WriterStats,
}

impl SegmentWriter {
    /// Takes the writer's folder, which must exist, and goes on after its last segment. Makes no file yet: that needs space.
    pub fn open(folder: &Path, writer: WriterId, caps: Caps) -> Result<Self, OpenError> {
        let folder = WriterFolder::open(folder)?;
        folder.lock_for_writing()?;
        let end = SeriesEnd::of(&folder, writer)?;
        Ok(Self {
            folder,
            writer,
            caps: Caps { segment_bytes: caps.segment_bytes.min(Caps::MAX_SEGMENT_BYTES), ..caps },
            output: None,
            buffer: Vec::new(),
            next_segment: end.next_segment,
            next_sequence: end.next_sequence,
            order_floor: end.order_floor,
            now: Stamp::default(),
            health: Health::Writing,
            retry_at: BootMillis(0),
            space_check_at: BootMillis(0),
            unchecked_bytes: 0,
            dirty_since: None,
            folder_dirty: false,
            tally: Tally::default(),
            stats: WriterStats::default(),
        })
    }

    /// Appends a line: to the buffer, or to the count of dropped lines while the writer holds.
    pub fn append(&mut self, entry: &Entry<'_>) {
        self.now = entry.stamp;
        if !self.may_write() {
            return self.drop_line(entry.app);
        }
        each_piece(entry.payload, &mut |piece| self.append_piece(entry, piece));
    }

    fn append_piece(&mut self, entry: &Entry<'_>, payload: &[u8]) {
        let frame = FrameRef {
            kind: Kind::Line,
            app: entry.app,
            process: entry.process,
            name: entry.name,
            stream: entry.stream,
            stamp: entry.stamp,
            sequence: 0,
            payload,
        };
        match self.encode(frame) {
            Ok(()) => self.stats.appended += 1,
            Err(NotEncoded) => self.drop_line(entry.app),
        }
    }

    /// Gives the frame its number and encodes it, in a new segment if the present one is full.
    fn encode(&mut self, frame: FrameRef<'_>) -> Result<(), NotEncoded> {
        if self.buffer.len() >= FLUSH_BYTES {
            self.flush();
        }
        self.rotate_for(layout::NAME + frame.name.len() + frame.payload.len());
        if let Health::Holding(HoldReason::Refused(_)) = self.health {
            return Err(NotEncoded);
        }
        self.ensure_output()?;
        let output = self.output.as_mut().ok_or(NotEncoded)?;
        output.encode(
            &FrameRef { sequence: self.next_sequence, ..frame },
            self.order_floor,
            &mut self.buffer,
        );
        self.next_sequence += 1;
        self.order_floor = self.order_floor.max(frame.stamp.wall_micros);
        Ok(())
    }

    /// Hands what was appended to the kernel: from then on it survives the death of this process.
    pub fn flush(&mut self) {
        let Some(output) = &mut self.output else { return };
        if self.buffer.is_empty() {
            return;
        }
        match output.write(&self.buffer) {
            Ok(()) => self.wrote(),
            Err(short) => self.fell_short(&short),
        }
        self.buffer.clear();
        if self.buffer.capacity() > KEPT_BUFFER_BYTES {
            self.buffer = Vec::new();
        }
    }

    fn wrote(&mut self) {
        self.dirty_since.get_or_insert(self.now.boot);
        self.unchecked_bytes += self.buffer.len() as u64;
        if self.now.boot >= self.space_check_at || self.unchecked_bytes >= SPACE_CHECK_BYTES {
            self.space_check_at = self.now.boot.plus_millis(SPACE_CHECK_MILLIS);
            self.unchecked_bytes = 0;
            if !self.space().is_some_and(|space| self.caps.floor.allows(space)) {
                self.hold(HoldReason::LittleSpace);
            }
        }
    }

    fn rotate_for(&mut self, frame_bytes: usize) {
        let full = self.output.as_ref().is_some_and(|output| {
            let end = output.written + (self.buffer.len() + frame_bytes) as u64 + output.seal_bytes();
            end > self.caps.segment_bytes && !output.is_empty()
        });
        if full {
            self.seal();
        }
    }

    fn ensure_output(&mut self) -> Result<(), NotEncoded> {
        if self.output.is_some() {
            return Ok(());
        }
        self.discard_over_cap();
        let header = SegmentHeader {
            writer: self.writer,
            number: self.next_segment,
            marker: Marker::random(self.now.wall_micros),
            first_sequence: self.next_sequence,
            order_floor: self.order_floor,
        };
        match Output::create(&self.folder, header, self.now.boot, &mut self.buffer) {
            Ok(output) => {
                self.output = Some(output);
                self.next_segment += 1;
                self.folder_dirty = true;
                Ok(())
            }
            Err(error) => {
                self.hold(HoldReason::Refused(error));
                Err(NotEncoded)
            }
        }
    }

    /// Deletes own segments, oldest first, until there is room for one more within the cap. Followers count the lines that they
    /// had not read by their sequence numbers.
    fn discard_over_cap(&mut self) {
        let Ok(segments) = self.folder.segments() else { return };
        let mut total: u64 = segments.iter().map(|segment| segment.bytes).sum();
        for segment in segments {
            if total + self.caps.segment_bytes <= self.caps.total_bytes {
                return;
            }
            if self.folder.remove_segment(segment.number).is_ok() {
                total -= segment.bytes;
                self.stats.discarded_segments += 1;
            }
        }
    }

    /// Ends the present segment with its summary.
    fn seal(&mut self) {
        self.flush();
        let Some(output) = &mut self.output else { return };
        output.encode_seal(self.now, &mut self.buffer);
        self.flush();
        self.sync();
        self.output = None;
    }

    /// Seals a segment that has been open for an hour, so that a quiet writer's lines can grow old and be deleted.
    pub fn seal_if_due(&mut self, now: Stamp) {
        self.now = now;
        let due = |output: &Output| now.boot.millis_since(output.opened) >= SEAL_AFTER_MILLIS;
        if self.output.as_ref().is_some_and(due) {
            self.seal();
        }
    }

    /// Brings what was flushed to stable storage, if five seconds have passed since the first of it. Also the moment when a writer
    /// that holds looks for room although nothing is appended. Blocks as long as the disk takes.
    pub fn sync_if_due(&mut self, now: Stamp) {
        self.now = now;
        self.may_write();
        if self.dirty_since.is_some_and(|since| now.boot.millis_since(since) >= SYNC_MILLIS) {
            self.sync();
            self.leave_deleted_segment();
        }
    }

    /// As [`SegmentWriter::sync_if_due`] for a writer behind a lock: gives what is to be synced, so that the caller can let go of the
    /// lock before it waits for the disk.
    pub fn due_sync(&mut self, now: Stamp) -> Option<DueSync> {
        self.now = now;
        self.may_write();
        let due = self.dirty_since.is_some_and(|since| now.boot.millis_since(since) >= SYNC_MILLIS);
        if !due {
            return None;
        }
        self.leave_deleted_segment();
        self.dirty_since = None;
        let file = self.output.as_ref().and_then(Output::duplicate);
        let folder = std::mem::take(&mut self.folder_dirty).then(|| self.folder.duplicate()).flatten();
        Some(DueSync::of(file, folder))
    }

    /// When [`SegmentWriter::sync_if_due`] next has something to do: for the timeout of the caller's poll.
    pub fn due_at(&self) -> Option<BootMillis> {
        let sync = self.dirty_since.map(|since| since.plus_millis(SYNC_MILLIS));
        let seal = self.output.as_ref().map(|output| output.opened.plus_millis(SEAL_AFTER_MILLIS));
        let retry = match self.health {
            Health::Holding(_) if !self.tally.is_empty() => Some(self.retry_at),
            Health::Holding(_) | Health::Writing => None,
        };
        [sync, seal, retry].into_iter().flatten().min()
    }

    fn sync(&mut self) {
        self.dirty_since = None;
        let failed = self.output.as_ref().is_some_and(|output| output.sync().is_err());
        let folder_failed = self.folder_dirty && rustix::fs::fsync(&self.folder).is_err();
        self.folder_dirty = false;
        self.stats.failed_syncs += u64::from(failed || folder_failed);
    }

    /// If somebody deleted the segment being written, its lines are gone; go on in a new one.
    fn leave_deleted_segment(&mut self) {
        if self.output.as_ref().is_some_and(|output| !output.is_linked()) {
            self.flush();
            self.output = None;
            self.stats.discarded_segments += 1;
        }
    }

    /// Ends the series: flushes, tells what was dropped even on little space, seals and syncs.
    pub fn close(mut self, now: Stamp) {
        self.now = now;
        if !self.tally.is_empty() {
            self.health = Health::Writing;
            self.tell_dropped();
        }
        self.seal();
    }

    pub fn health(&self) -> Health {
        self.health
    }

    pub fn stats(&self) -> WriterStats {
        self.stats
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.flush();
    }
}

/// There is no segment to put a frame into; the writer holds now.
struct NotEncoded;

#[cfg(test)]
#[path = "../writer_tests.rs"]
mod tests;
