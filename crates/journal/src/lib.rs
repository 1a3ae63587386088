//! The journal: how lines of apps and of the platform reach the disk, and how they are read back.
//!
//! A *writer* (a process's shim, a router thread, the server) appends *frames* to its own series of *segments*,
//! `DATA/logs/<writer>/<number>.seg`; nobody else ever writes there, so there is no lock between writers. A segment ends
//! with a *seal*: a last frame that says what is in it. Readers (the hub) only read, and delete sealed segments.
//!
//! ```text
//! segment = header frame* [seal]        header  = magic, format, writer, number, marker, order floor, crc
//! frame   = marker, crc, version, kind, stream, lengths, app, process, wall time, boot time, sequence, name, payload
//! ```
//!
//! What holds:
//! - A line that was flushed survives the death of its writer: flushing is one write(2) of whole frames.
//! - Every frame stands alone and begins with its segment's random marker, which the app that wrote the payload cannot
//!   know: after damage a reader finds the next true frame, and no payload can pass for a frame.
//! - Sequence numbers of a writer have no holes. A reader that meets one counts the lines lost.
//! - A full disk never fails the writer. Lines that cannot be kept are counted per app, and a later frame of kind
//!   [`Kind::Dropped`] tells the count.
//! - A torn tail (death in the middle of a write) costs that frame alone.
//!
//! This crate is synchronous and starts no thread: it runs inside the single-threaded shim, where it holds one small
//! buffer. It must not decide what is kept for how long (the hub does) nor how a line looks (the hub renders).

mod codec;
mod dropped;
mod folder;
mod frame;
mod lines;
mod look;
mod reader;
mod resync;
mod segment;
mod summary;
mod writer;

pub use codec::{
    CheckedFrame, DecodeError, FRAME_VERSION, MAX_FRAME_BYTES, MAX_NAME_BYTES, MAX_PAYLOAD_BYTES, decode,
    encode,
};
pub use dropped::{DroppedNotice, InvalidNotice};
pub use folder::{FolderError, Liveness, SegmentFile, WriterFolder};
pub use frame::{Entry, Frame, FrameRef, Kind, Stamp, Stream};
pub use lines::{LineSplitter, MAX_LINE_BYTES};
pub use look::SegmentLook;
pub use reader::{Event, Position, ReadError, Sealed, SegmentReader};
pub use resync::{DecodeCount, decode_any};
pub use segment::{
    HEADER_BYTES, InvalidHeader, Marker, SEGMENT_FORMAT, SegmentHeader, segment_file_name, segment_number,
};
pub use summary::{AppsSeen, CHUNK_BYTES, InvalidSummary, Mark, Summary};
pub use writer::{Caps, DueSync, FreeSpaceFloor, Health, HoldReason, OpenError, SegmentWriter, WriterStats};
